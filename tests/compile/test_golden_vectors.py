"""Golden rows hold the hard cases, carry the reference's outputs, and survive the file."""

from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.compile.golden import golden_rows
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import PackageError
from modelgpt_edge.golden import Golden
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema


def table_of(rows, numbers=2, words=1):
    rng = np.random.default_rng(0)
    labels = (np.arange(rows) % 2).astype(np.int32)
    columns = {f"c{i}": rng.normal(labels).astype(np.float32) for i in range(numbers)}
    return Rows(columns, {f"w{i}": rng.choice(np.array(["ja", "nein", "ü"], object), rows) for i in range(words)}, labels)


def child_of(rows):
    columns = (*(Column(n, "number") for n in rows.numbers), *(Column(n, "category") for n in rows.words))
    schema = Schema(columns, Column("y", "category"), "", "classification", "", ("a", "b"))
    targets = classification_targets(rows.labels, 2)
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, Widths(8, 4, 4, 4), 1, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    return fuse(emissions, Blend(0.5, 0.0, 1.0, 0.0).weights(2), Standard(0.0, 1.0), schema.classes)


@pytest.mark.parametrize("rows", [3, 64, 500])
def test_real_rows_come_first_evenly_spaced(rows):
    table = table_of(rows)
    golden = golden_rows(child_of(table), table)
    real = min(64, rows)
    places = np.linspace(0, rows - 1, real).astype(int)
    assert np.array_equal(golden.numbers[:real, 0], table.numbers["c0"][places])
    assert golden.words[:real, 0].tolist() == table.words["w0"][places].tolist()
    assert len(golden.numbers) == len(golden.words) == len(golden.outputs) > real


def test_the_hard_rows_are_there():
    table = table_of(40)
    table.numbers["c0"][:3] = np.nan, np.inf, -np.inf
    golden = golden_rows(child_of(table), table)
    hard = golden.numbers[40:]
    finite = table.numbers["c0"][np.isfinite(table.numbers["c0"])]
    assert (hard == 0).all(1).any()
    assert np.isnan(hard).all(1).any()
    for value in (finite.min(), finite.max(), np.inf, -np.inf):
        assert (hard[:, 0] == value).any(), value
    assert (np.abs(hard[np.isfinite(hard)]) > 1e38).any()
    words = set(golden.words[40:, 0])
    assert "" in words
    assert words - set(table.words["w0"]) - {""}


def test_outputs_are_the_reference_s_and_finite():
    table = table_of(40)
    child = child_of(table)
    golden = golden_rows(child, table)
    codes = child.encoder.codes([golden.words[:, 0]])
    assert np.array_equal(golden.outputs, child.outputs(child.encoder.encode(golden.numbers, codes)))
    assert np.isfinite(golden.outputs).all()


@pytest.mark.parametrize(("numbers", "words"), [(3, 0), (0, 2), (1, 1)])
def test_they_survive_the_file(tmp_path, numbers, words):
    table = table_of(30, numbers, words)
    golden = golden_rows(child_of(table), table)
    (tmp_path / "golden.safetensors").write_bytes(golden.to_bytes())
    read = Golden.read(tmp_path / "golden.safetensors")
    assert np.array_equal(read.numbers, golden.numbers, equal_nan=True)
    assert read.numbers.shape == golden.numbers.shape
    assert np.array_equal(read.outputs, golden.outputs)
    assert read.unit == golden.unit
    assert read.words.shape == golden.words.shape
    assert read.words.tolist() == golden.words.tolist()
    assert all(type(w) is str for w in read.words.flat)


def test_any_word_survives(tmp_path):
    words = [
        "",
        "ascii",
        "Größe",
        "日本語",
        "🙂👩‍👩‍👧",
        " blanks ",
        "a\0b",
        "ends in zero\0",
        "\0",
        "\n\t",
        "x" * 5000,
        "ß",
        "\ufeff",
        "\u2603 never seen",
    ]
    cells = np.array([words, words[::-1]], object).T
    golden = Golden(np.zeros((len(words), 0), np.float32), cells, np.zeros((len(words), 2), np.float32))
    (tmp_path / "g").write_bytes(golden.to_bytes())
    assert Golden.read(tmp_path / "g").words.tolist() == cells.tolist()


def test_values_are_measured_in_deviations_of_the_label(tmp_path):
    table = table_of(50)
    values = np.random.default_rng(1).normal(1e4, 37, 50)
    golden = golden_rows(replace(child_of(table), classes=()), replace(table, labels=values))
    assert golden.unit == pytest.approx(values.std())
    (tmp_path / "g").write_bytes(golden.to_bytes())
    assert Golden.read(tmp_path / "g").unit == golden.unit
    assert golden_rows(child_of(table), table).unit == 1


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "golden.safetensors").write_bytes(content)
    with pytest.raises(PackageError):
        Golden.read(tmp_path / "golden.safetensors")


def test_a_cut_file_is_refused(tmp_path):
    table = table_of(20)
    content = golden_rows(child_of(table), table).to_bytes()
    (tmp_path / "golden.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(PackageError):
        Golden.read(tmp_path / "golden.safetensors")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PackageError):
        Golden.read(tmp_path / "none")
