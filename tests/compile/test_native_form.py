"""The template in C against the numpy reference: every kind of column, every count of rows, units that fill no tile."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import save

from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.native.executor import LIBRARY, TABLES, open_native
from modelgpt_edge.targets.native.tables import native_tables
from modelgpt_edge.targets.native.toolchain import compile_library, find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
ROWS = 80
TILED, RAGGED = Widths(32, 16, 16, 32), Widths(20, 7, 3, 12)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Opens the native form of a child and runs it on packed rows."""
    library = compile_library()

    def opened(child):
        folder = tmp_path_factory.mktemp("native")
        (folder / LIBRARY).write_bytes(library)
        (folder / TABLES).write_bytes(save(native_tables(child)))
        return open_native(folder / LIBRARY, folder / TABLES).run

    return opened


def rows_of(kind, classes):
    rng = np.random.default_rng(0)
    labels = (np.arange(ROWS) % classes).astype(np.int32) if classes else rng.normal(300, 20, ROWS)
    gaps = rng.normal(labels).astype(np.float32)
    gaps[::6] = np.nan
    wild = rng.exponential(2, ROWS).astype(np.float32)
    wild[:3] = np.inf, -np.inf, np.nan
    numbers = {"plain": rng.normal(size=ROWS).astype(np.float32), "gaps": gaps, "wild": wild}
    words = {n: rng.choice(np.array(["a", "b", "c", "", "ü"], object), ROWS) for n in ("u", "v")}
    days = rng.integers(9_000, 20_000, ROWS).astype(np.float32)
    return {
        "mixed": Rows(numbers | {"when": days}, words, labels),
        "numbers": Rows(numbers, {}, labels),
        "words": Rows({}, words, labels),
        "times": Rows({"when": (days + rng.random(ROWS)).astype(np.float32)}, {}, labels),
        "huge": Rows({"x": np.resize(np.array([-3e38, 3e38, 0, 1], np.float32), ROWS)}, {}, labels),
    }[kind]


def child_of(rows, classes, widths=TILED, linear=False):
    columns = [Column(n, "date" if n == "when" else "number") for n in rows.numbers] + [
        Column(n, "category") for n in rows.words
    ]
    kind, names = ("classification", tuple(f"k{i}" for i in range(classes))) if classes else ("regression", ())
    schema = Schema(tuple(columns), Column("y", "category"), "", kind, "", names)
    standard = Standard(0.0, 1.0) if classes else Standard.of(rows.labels)
    targets = classification_targets(rows.labels, classes) if classes else standard.targets(rows.labels)
    with np.errstate(all="ignore"):
        ready = prepare(rows, targets, schema)
        floor = emit_floor(ready, targets, widths, 2, np.random.default_rng(0))
        emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    return fuse(
        emissions, Blend(0.5 if classes else 1.0, float(linear), 1.0, 0.0).weights(2 if classes else 1), standard, names
    )


def packed(child, rows):
    numbers = np.stack([*rows.numbers.values()], axis=1) if rows.numbers else np.zeros((len(rows), 0), np.float32)
    codes = child.encoder.codes([*rows.words.values()]) if rows.words else np.zeros((len(rows), 0), np.int32)
    return numbers, codes


def unseen(numbers, codes):
    """Rows of values and words that the child never saw."""
    extremes = np.array([0, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-40, -7e19], np.float32)
    return np.repeat(extremes[:, None], numbers.shape[1], axis=1), np.full((8, codes.shape[1]), -1, np.int32)


def assert_same(run, child, numbers, codes):
    with np.errstate(all="ignore"):
        expected = child.outputs(child.encoder.encode(numbers, codes))
    got = run(numbers, codes)
    assert np.isfinite(expected).all()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < (2e-5 if child.classes else 2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["mixed", "numbers", "words", "times", "huge"])
@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("widths", [TILED, RAGGED], ids=["whole tiles", "padded tiles"])
def test_it_is_the_reference(run, kind, classes, widths):
    rows = rows_of(kind, classes)
    child = child_of(rows, classes, widths)
    native, inputs = run(child), packed(child, rows)
    assert_same(native, child, *inputs)
    assert_same(native, child, *unseen(*inputs))


@pytest.mark.parametrize("classes", [0, 2])
def test_a_linear_child_runs_too(run, classes):
    rows = rows_of("mixed", classes)
    child = child_of(rows, classes, linear=True)
    assert child.units.count == 0
    assert_same(run(child), child, *packed(child, rows))


def test_any_count_of_rows(run):
    rows = rows_of("mixed", 3)
    child = child_of(rows, 3)
    native, (numbers, codes) = run(child), packed(child, rows)
    whole = native(numbers, codes)
    for count in (0, 1, 2, 3, 4, 5, 7, 8, 9, 17):
        part = native(numbers[:count], codes[:count])
        assert part.shape == (count, 3)
        assert np.abs(part - whole[:count]).max(initial=0) < 1e-6


def test_inputs_may_be_slices_and_are_left_alone(run):
    rows = rows_of("mixed", 2)
    child = child_of(rows, 2)
    native, (numbers, codes) = run(child), packed(child, rows)
    before = numbers.copy(), codes.copy()
    assert np.abs(native(numbers[::2], codes[::2]) - native(numbers, codes)[::2]).max() < 1e-6
    assert np.array_equal(numbers, before[0], equal_nan=True)
    assert np.array_equal(codes, before[1])


def test_an_answer_is_not_overwritten_by_the_next(run):
    rows = rows_of("mixed", 2)
    child = child_of(rows, 2)
    native, (numbers, codes) = run(child), packed(child, rows)
    first = native(numbers[:1], codes[:1])
    kept = first.copy()
    native(numbers[1:2], codes[1:2])
    assert np.array_equal(first, kept)


def test_threads_do_not_disturb_each_other(run):
    rows = rows_of("mixed", 3)
    child = child_of(rows, 3)
    native, (numbers, codes) = run(child), packed(child, rows)
    expected = native(numbers, codes)

    def ask(i):
        return np.abs(native(numbers[i : i + 1], codes[i : i + 1]) - expected[i : i + 1]).max()

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, [i % ROWS for i in range(2000)])) < 1e-6
