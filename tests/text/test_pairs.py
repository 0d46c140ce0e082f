"""Tasks about two texts: built from examples, predicted from pairs in any form, and what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError

THINGS = ("card", "order", "money", "euro", "dollar", "film", "rate", "yen")


def pairs(rows: int) -> list[dict[str, object]]:
    """Pairs that are about the same thing, and pairs that aren't."""
    made = []
    for i in range(rows):
        a = THINGS[i % 8]
        b = a if i % 2 else THINGS[(i + 3) % 8]
        made.append({"sentence1": f"i want my {a} back {i}", "sentence2": f"where is the {b} {i}", "label": int(a == b)})
    return made


@pytest.fixture(scope="module")
def package(tiny_encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "pairs.edge"
    built = modelgpt_edge.build("tell whether two sentences are about the same", pairs(64), encoder=str(tiny_encoder), out=out)
    assert built.report["generator"]["name"] == "linear"
    return out


@pytest.fixture(scope="module")
def model(package):
    return modelgpt_edge.load(package)


ROWS = [{"sentence1": row["sentence1"], "sentence2": row["sentence2"]} for row in pairs(9)]


def test_a_pair_is_read_from_any_form(model):
    wanted = model.predict_proba(ROWS)
    columns = {name: [row[name] for row in ROWS] for name in ("sentence1", "sentence2")}
    turned = [{"sentence2": row["sentence2"], "sentence1": row["sentence1"]} for row in ROWS]
    tuples = [(row["sentence1"], row["sentence2"]) for row in ROWS]
    for rows in (columns, pd.DataFrame(columns), turned, tuples, np.array(tuples, object)):
        np.testing.assert_allclose(model.predict_proba(rows), wanted, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(ROWS[0]), wanted[:1], atol=1e-6)


def test_both_texts_count(model):
    one = model.predict_proba([("i want my card back", "where is the card")])
    for other in (("i want my card back", "where is the film"), ("i want my film back", "where is the card")):
        assert np.abs(model.predict_proba([other]) - one).max() > 1e-4


def test_the_command_line_and_every_form_agree(cli, package, model, write_csv, tmp_path):
    ran = cli("predict", package, write_csv(tmp_path / "rows.csv", ROWS), "--json")
    got = [list(one["probabilities"].values()) for one in json.loads(ran.out)]
    np.testing.assert_allclose(got, model.predict_proba(ROWS), atol=1e-6)
    assert cli("verify", package).code == 0
    np.testing.assert_allclose(modelgpt_edge.load(package, "model").predict_proba(ROWS), got, atol=1e-5)


@pytest.mark.parametrize("rows", ["one text", ["a text", "another"], {"sentence1": "half"}, [("a", "b", "c")], [("a",)]])
def test_what_is_no_pair_is_refused(rows, model):
    with pytest.raises(InputError):
        model.predict(rows)


@pytest.mark.parametrize("generator", ["words", "floor"])
def test_words_say_nothing_of_pairs(generator, tiny_encoder, tmp_path):
    with pytest.raises(InputError, match="words say nothing of pairs"):
        modelgpt_edge.build("same?", pairs(20), encoder=str(tiny_encoder), out=tmp_path / "m.edge", generator=generator)


def test_a_class_that_no_pair_shows_cannot_be_built(tiny_encoder, tmp_path):
    with pytest.raises(InputError):
        modelgpt_edge.build("same?", pairs(20), classes=["0", "1", "maybe"], encoder=str(tiny_encoder), out=tmp_path / "m.edge")


def test_the_columns_may_be_named(tiny_encoder, tmp_path):
    rows = [{"left": row["sentence1"], "right": row["sentence2"], "same": row["label"]} for row in pairs(30)]
    out = tmp_path / "m.edge"
    built = modelgpt_edge.build("same?", rows, text=("left", "right"), label="same", encoder=str(tiny_encoder), out=out)
    assert built.manifest.inputs == ("left", "right")
    assert built.load().predict_proba([("a card", "the card")]).shape == (1, 2)


def test_rows_with_a_gap_are_left_out_and_told_of_when_asked(cli, write_csv, tiny_encoder, tmp_path):
    gaps = [{"sentence1": "", "sentence2": "", "label": 1}, {"sentence1": "i want", "sentence2": " ", "label": 1}]
    built = modelgpt_edge.build("same?", [*pairs(30), *gaps], encoder=str(tiny_encoder), out=tmp_path / "m.edge")
    assert "Left out for want of one of the two texts or a label: 2 rows." in built.report["notes"]
    assert built.report["score"]["rows"] == 30
    asked = write_csv(tmp_path / "rows.csv", [*pairs(3), *gaps])
    ran = cli("predict", tmp_path / "m.edge", asked)
    assert len(ran.out.splitlines()) == 6
    assert "note: 2 pairs lack a text: the model compares the other with nothing" in ran.err


def test_pairs_that_are_all_halves_are_refused(tiny_encoder, tmp_path):
    halves = [{**row, "sentence2": ""} for row in pairs(30)]
    with pytest.raises(InputError, match="no row has both texts and a label"):
        modelgpt_edge.build(
            "same?", halves, text=("sentence1", "sentence2"), encoder=str(tiny_encoder), out=tmp_path / "m.edge"
        )


def test_a_damaged_copy_is_told_of(package, tmp_path):
    copied = shutil.copytree(package, tmp_path / "copy.edge")
    (copied / "head.safetensors").write_bytes(b"x")
    with pytest.raises(modelgpt_edge.errors.PackageError, match="head"):
        modelgpt_edge.load(copied)
