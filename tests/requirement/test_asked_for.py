from __future__ import annotations

import time

import pytest

from modelgpt_edge.requirement.asked_for import find_asked_for

HOUSES = ["Id", "LotArea", "Number of rooms", "date_built", "SalePrice", "price"]
FLOWERS = ["sepal length (cm)", "sepal width (cm)", "species"]
BANK = ["customer_id", "customer", "age", "balance", "Exited"]
SHOP = ["customer", "churn", "is_fraud", "default", "y", "a", "heart_disease", "has_diabetes", "years with company", "class"]


@pytest.mark.parametrize(
    ("task", "names", "expected"),
    [
        ("predict price from the other columns", HOUSES, "price"),
        ("predict the price of each house", HOUSES, "price"),
        ("Predict sale price", HOUSES, "SalePrice"),
        ("Predict SalePrice from LotArea", HOUSES, "SalePrice"),
        ("predict prices", HOUSES, "price"),
        ('predict the "SalePrice" column', HOUSES, "SalePrice"),
        ("estimating the number of rooms from price", HOUSES, "Number of rooms"),
        ("I want to know prices. Please estimate the lot area, given the price", HOUSES, "LotArea"),
        ("how many rooms? predict it", HOUSES, None),
        ("label: price", HOUSES, "price"),
        ("The label is SalePrice", HOUSES, "SalePrice"),
        ("target column = price", HOUSES, "price"),
        ("build for target: jetson, predict value", HOUSES, None),
        ("tell me what a house is worth", HOUSES, None),
        ("predict the species of each iris flower from petal length", FLOWERS, "species"),
        ("classify iris flowers into species", FLOWERS, "species"),
        ("Classify flower species.", FLOWERS, "species"),
        ("Classify flowers by sepal length", FLOWERS, None),
        ("recognise the species", FLOWERS, "species"),
        ("predict whether a customer will leave", BANK, None),
        ("predict whether a customer exited", BANK, "Exited"),
        ("predict for each customer if they leave", BANK, None),
        ("predict which customers leave", BANK, None),
        ("predict churn", SHOP, "churn"),
        ("predict customer churn", SHOP, "churn"),
        ("predict the customer's churn", SHOP, "churn"),
        ("predict whether the customer will churn", SHOP, "churn"),
        ("PREDICT CHURN!", SHOP, "churn"),
        ("predict\nchurn", SHOP, None),
        ("detect fraud in transactions", SHOP, "is_fraud"),
        ("estimate the probability of a default", SHOP, "default"),
        ("predict the risk of diabetes", SHOP, "has_diabetes"),
        ("predict heart disease from vitals", SHOP, "heart_disease"),
        ("predict heart-disease", SHOP, "heart_disease"),
        ("predict y", SHOP, "y"),
        ("predict y from a", SHOP, "y"),
        ("predict a from y", SHOP, "a"),
        ("predict a thing", SHOP, None),
        ("predict why it breaks", SHOP, None),
        ("predict the years with company", SHOP, "years with company"),
        ("predict the class", SHOP, "class"),
        ("", SHOP, None),
        ("predict", SHOP, None),
        ("predict .", [".", "", "  "], None),
    ],
)
def test_the_column_that_is_asked_for(task: str, names: list[str], expected: str | None) -> None:
    assert find_asked_for(task, names) == expected


def test_many_columns_and_a_long_text_take_a_moment() -> None:
    names = [f"column of kind {i}" for i in range(5000)]
    began = time.process_time()
    assert find_asked_for("predict nothing in particular " * 2000, names) is None
    assert find_asked_for("predict the column of kind 4999", names) == "column of kind 4999"
    assert time.process_time() - began < 3
