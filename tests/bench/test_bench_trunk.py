"""bench/trunk.py: sets read where they lie, draws that are fair, heads on bare features, and a run from end to end."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from functools import partial

import numpy as np
import picture_heads
import picture_sets
import pytest
import trunk as bench
from PIL import Image
from sklearn.linear_model import LogisticRegression
from wheels import MissingDataError

from modelgpt_edge.architecture.image.scales import Scales
from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.architecture.image.trunk_shape import Step, TrunkShape
from modelgpt_edge.targets.cortexm.toolchain import CURE

SHAPE = TrunkShape((Step(4, stride=2), Step(6, stride=2)))


@pytest.fixture
def tiny():
    rng = np.random.default_rng(0)
    weights = {name: (0.2 * rng.normal(size=sizes)).astype(np.float32) for name, sizes in SHAPE.arrays.items()}
    weights["0.weight"] /= 64
    return Trunk(SHAPE, weights, {"seed": "0"}, "abc")


def test_digits_are_read_at_any_size():
    found = picture_sets.read_set("digits")
    assert found.grey
    assert len(found.levels) == len(found.labels) == 1797
    small = found.at(8)[:5]
    assert small.shape == (5, 8, 8, 3)
    assert (small[..., 0] == np.stack(found.levels[:5])).all()
    assert found.at(32)[:1].max() <= 255


def test_the_test_part_alone_is_read_of_photographs(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    with zipfile.ZipFile(tmp_path / "images" / "cifar10.zip", "w") as file:
        for i, name in enumerate(("train/a/1.png", "test/b/1.png", "test/a/1.png")):
            made = io.BytesIO()
            Image.new("RGB", (4, 4), (10 * i, 0, 0)).save(made, "PNG")
            file.writestr(name, made.getvalue())
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    found = picture_sets.read_set("cifar10")
    assert (found.classes, found.labels.tolist(), found.grey) == (("a", "b"), [0, 1], False)
    assert [int(levels[0, 0, 0]) for levels in found.levels] == [20, 10]


def test_clothes_and_digits_are_read_as_their_packages_have_them(tmp_path, monkeypatch):
    levels = np.arange(2 * 28 * 28).astype(np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + levels.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + bytes([7, 3])))
    (tmp_path / "src" / "digits").mkdir(parents=True)
    for digit in range(10):
        rows = {"data": [digit / 10] * 28 * 28 * 2}
        (tmp_path / "src" / "digits" / f"{digit}.json").write_text(json.dumps(rows))
    monkeypatch.setenv("MODELGPT_EDGE_FASHION", str(tmp_path))
    monkeypatch.setenv("MODELGPT_EDGE_MNIST", str(tmp_path))
    fashion, mnist = picture_sets.read_set("fashion"), picture_sets.read_set("mnist")
    assert fashion.labels.tolist() == [7, 3]
    assert (np.concatenate(fashion.levels).ravel() == levels).all()
    assert mnist.labels.tolist() == [d for d in range(10) for _ in range(2)]
    assert [int(level[0, 0]) for level in mnist.levels[::2]] == np.rint(25.5 * np.arange(10)).astype(int).tolist()


@pytest.mark.parametrize("name", ["cifar10", "mnist", "fashion"])
def test_a_set_that_isn_t_here_says_where_it_goes(name, tmp_path, monkeypatch):
    for variable in ("DATA", "MNIST", "FASHION"):
        monkeypatch.setenv(f"MODELGPT_EDGE_{variable}", str(tmp_path))
    with pytest.raises(MissingDataError, match="MODELGPT_EDGE_"):
        picture_sets.read_set(name)


def test_nothing_is_both_learnt_and_asked_and_few_shots_are_among_more():
    labels = np.random.default_rng(0).integers(0, 4, 200)
    few, many = (list(picture_sets.draws(labels, shots, 50, (0, 1))) for shots in (2, 7))
    for (few_learnt, _), (learnt, asked) in zip(few, many):
        assert np.bincount(labels[learnt]).tolist() == [7] * 4
        assert set(few_learnt) < set(learnt)
        assert len(set(asked)) == 50
        assert not set(learnt) & set(asked)
    assert set(many[0][0]) != set(many[1][0])


def test_heads_are_on_bare_features():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 12)
    values = (rng.normal(size=(36, 6)) + 3 * np.eye(3, 6)[labels]).astype(np.float32) * 40 + 100
    scales = Scales(np.ones(6, np.float32), values.std(0))
    for solve in (partial(picture_heads.as_built, scales), picture_heads.logistic):
        weight, bias = solve(values, labels)
        assert (weight.dtype, weight.shape, bias.shape) == (np.float32, (6, 3), (3,))
        assert picture_heads.balanced(values @ weight + bias, labels) > 0.9
    mean = values.mean(0)
    scale = 10 / np.sqrt(((values - mean) ** 2).sum(1).mean())
    weight, bias = picture_heads.logistic(values, labels)
    fits = [LogisticRegression(C=c, max_iter=1000).fit((values - mean) * scale, labels) for c in picture_heads.STRENGTHS]
    gaps = [np.abs((values @ weight + bias) - fit.decision_function((values - mean) * scale)).max() for fit in fits]
    assert min(gaps) < 1e-3, "it is scikit-learn's at one of the strengths"


def test_classes_count_alike():
    scores = np.eye(2)[[0, 0, 0, 1, 0]]
    assert picture_heads.balanced(scores, np.array([0, 0, 0, 1, 1])) == pytest.approx(0.75)


def test_a_run_from_end_to_end(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Trunk, "shipped", staticmethod(lambda: tiny))
    monkeypatch.setenv("MODELGPT_EDGE_MNIST", str(tmp_path))
    found, table = tmp_path / "t.json", tmp_path / "t.md"
    bench.main(["--sets", "digits", "mnist", "--shots", "3", "--seeds", "1", "--json", str(found), "--table", str(table)])
    told = json.loads(found.read_text())
    contenders = {row["contender"] for row in told["rows"]}
    assert {"pixels, logistic", "trunk, as built", "trunk, logistic", "untrained trunk, as built"} <= contenders
    assert {row["set"] for row in told["rows"]} == {"digits"}
    assert "mnist" in told["skipped"]
    assert told["trunk"]["seed"] == "0"
    assert isinstance(told["sizes"], dict) or CURE in told["sizes"] or "qemu" in told["sizes"]
    printed = capsys.readouterr().out
    assert printed == table.read_text()
    assert "| pixels, logistic |" in printed
