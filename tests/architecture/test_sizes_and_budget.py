"""Sizes of the template: estimates against real artefacts, and which limits a size breaks."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.architecture.architecture import SIZES, list_sizes
from modelgpt_edge.architecture.choice import require_fit
from modelgpt_edge.architecture.cost import Columns, estimate, file_bytes, macs
from modelgpt_edge.compile.graph import packed_graph
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.limits import Limits
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.emissions import emit_all
from modelgpt_edge.parameters.floor import fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, sketch_encoder
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.registry import find_target

X86, PI = find_target("x86"), find_target("raspberry-pi-5")


def columns_of(numbers, words=0):
    """What an encoder makes of number columns with a rank twin each, and of word columns of eight words each."""
    return Columns(numbers, words, waves=0, ranks=numbers, flags=0, one_hots=8 * words, knots=32, width=2 * numbers + 8 * words)


def sizes_of(columns=None, outputs=2, draws=4, targets=(X86,), limits=None):
    return list_sizes(columns or columns_of(10), outputs, draws, targets, limits or Limits())


@functools.cache
def match_of(numbers, words, classes, gaps=False, dates=False):
    """Four draws that were really emitted for such a table, to distil children from; and the table's rows and schema."""
    rng = np.random.default_rng(0)
    count = 120
    table = {f"c{i}": rng.normal(size=count).astype(np.float32) for i in range(numbers)}
    if gaps:
        for column in table.values():
            column[rng.random(count) < 0.2] = np.nan
    if dates:
        table["day"] = rng.integers(9_000, 20_000, count).astype(np.float32)
    cells = {f"w{i}": np.array([f"v{i}" for i in rng.integers(0, 8, count)], object) for i in range(words)}
    labels = (np.arange(count) % max(2, classes)).astype(np.int32)
    rows = Rows(table, cells, labels)
    columns = (
        *(Column(name, "date" if name == "day" else "number") for name in table),
        *(Column(name, "category") for name in cells),
    )
    kind = "classification" if classes else "regression"
    schema = Schema(columns, Column("y", "category"), "", kind, "", tuple(f"k{i}" for i in range(classes)))
    targets = classification_targets(labels, classes) if classes else Standard.of(labels).targets(labels)
    rng = np.random.default_rng(0)
    ready, emissions = emit_all(rows, targets, schema, 4, rng)
    return Match.of(emissions["floor"], ready, rng), emissions["linear"], rows, schema


def emitted(numbers, words, classes, units, **extra):
    """A child of so many units for such a table, as a build makes it, and the table's rows and schema."""
    match, linear, rows, schema = match_of(numbers, words, classes, **extra)
    floor = match.wide if units == 4 * DRAW.total else match.distil(units).emission
    emissions = {"linear": linear, "floor": floor}
    weights = Blend(0.5 if classes else 1.0, 0.0 if units else 1.0, 1.0, 0.0).weights(2 if classes else 1)
    return fuse(emissions, weights, Standard(0.0, 1.0), schema.classes), rows, schema


TABLES = {
    "numbers": (30, 0, 3),
    "numbers and words": (5, 3, 2),
    "wide": (60, 0, 10),
    "a regression": (10, 0, 0),
    "words": (0, 4, 2),
    "few": (4, 0, 2),
}


# How far an estimate may be off; measured: 0.3 %, 2.5 %, 0.3 % and 1 %.
NEAR = {"fp32": 0.01, "fp16": 0.03, "int8": 0.01, "int8-dynamic": 0.02}


@functools.cache
def packed(table):
    """Files of every size of a table as they are really packed: size, what an encoder made of it, and bytes by precision."""
    found = []
    for units in SIZES:
        child, rows, _ = emitted(*TABLES[table], units)
        source = ChildSource(child, "0", calibrate(child, encode(child.encoder, rows)))
        found.append((units, Columns.of(child.encoder), {p: len(source.onnx("packed", p)) for p in NEAR}))
    return found


@pytest.mark.parametrize("table", TABLES)
def test_the_estimated_file_is_within_a_few_percent_of_the_real_one(table):
    for (units, columns, sizes), precision in itertools.product(packed(table), NEAR):
        estimated = file_bytes(columns, max(1, TABLES[table][2]), units, precision)
        assert estimated == pytest.approx(sizes[precision], rel=NEAR[precision]), (units, precision)


@pytest.mark.parametrize("table", TABLES)
def test_a_target_s_cost_is_of_its_smallest_precision_and_of_what_a_row_needs_besides(table):
    outputs = max(1, TABLES[table][2])
    for name, (units, columns, sizes) in itertools.product(("x86", "jetson", "rpi", "browser", "android"), packed(table)):
        target = find_target(name)
        cost = estimate(columns, outputs, units, target)
        assert cost.flash_bytes == pytest.approx(min(sizes[p] for p in target.precisions), rel=0.03), (name, units)
        # Raw numbers, encoded columns, hidden units and outputs of one row, in fp32.
        assert cost.ram_bytes - cost.flash_bytes == 4 * (columns.numbers + columns.width + units + outputs)


def test_an_engine_made_ahead_of_time_holds_code_besides_the_weights():
    plain, engine = (estimate(columns_of(10), 2, 640, t) for t in (find_target("jetson"), find_target("rtx")))
    assert engine.flash_bytes - plain.flash_bytes == engine.ram_bytes - plain.ram_bytes > 500_000


def test_a_target_of_fp32_alone_is_estimated_in_fp32():
    only = replace(X86, precisions=("fp32",))
    cost = estimate(columns_of(10), 2, 640, only)
    assert cost.flash_bytes == file_bytes(columns_of(10), 2, 640)
    assert cost.flash_bytes > 1.5 * estimate(columns_of(10), 2, 640, X86).flash_bytes


@pytest.mark.parametrize(("gaps", "dates"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("units", [640, 40])
def test_gaps_and_dates_are_counted_too(units, gaps, dates):
    child, _, _ = emitted(6, 1, 2, units, gaps=gaps, dates=dates)
    columns = Columns.of(child.encoder)
    assert columns.flags == 6 * gaps
    assert columns.waves == 4 * dates
    assert file_bytes(columns, 2, units) == pytest.approx(len(packed_graph(child, "0").SerializeToString()), rel=NEAR["fp32"])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("units", [2560, 640, 80, 0])
def test_multiply_accumulates_are_those_of_the_child_s_arrays(table, units):
    numbers, words, classes = TABLES[table]
    child, _, _ = emitted(numbers, words, classes, units)
    assert child.units.count == units
    matrices = child.units.dense_weight, child.units.sparse_weight, child.units.leaf_slope, child.head_weight
    real = sum(matrix.size for matrix in matrices)  # each weight is used once a row
    assert macs(Columns.of(child.encoder), max(1, classes), units) == pytest.approx(real, rel=0.01)


def test_columns_are_counted_alike_before_and_after_generation():
    child, rows, schema = emitted(6, 2, 2, 20, gaps=True, dates=True)
    columns = Columns.of(child.encoder)
    assert Columns.of(sketch_encoder(rows, schema)) == columns
    assert columns.width == child.encoder.width
    parts = (columns.numbers, columns.waves, columns.ranks, columns.flags, columns.one_hots)
    assert sum(parts) == columns.width


def test_latency_is_the_call_and_the_work():
    work = macs(columns_of(10), 2, 640)
    slow = replace(X86, macs_per_second=1e6, call_us=7.0)
    assert estimate(columns_of(10), 2, 640, slow).latency_us == pytest.approx(7 + work)  # a million a second: one a microsecond
    unknown = replace(X86, macs_per_second=None)
    assert estimate(columns_of(10), 2, 640, unknown).latency_us is None


def test_more_columns_classes_and_units_cost_more():
    least = (columns_of(10), 2, 640)
    for more in ((columns_of(20), 2, 640), (columns_of(10, 5), 2, 640), (columns_of(10), 9, 640), (columns_of(10), 2, 1280)):
        assert file_bytes(*more) > file_bytes(*least)
        assert macs(*more) > macs(*least)
        assert estimate(*more, X86).ram_bytes > estimate(*least, X86).ram_bytes


@pytest.mark.parametrize("most", [1, 2, 4])
def test_no_more_units_than_are_drawn_and_all_are_distilled_from_the_draws_asked_for(most):
    sizes = [size.architecture for size in sizes_of(draws=most)]
    assert [a.units for a in sizes] == [units for units in SIZES if units <= 640 * most]
    assert sizes[0].units == 640 * most
    assert {a.draws for a in sizes[:-1]} == {most}
    assert (sizes[-1].units, sizes[-1].draws) == (0, 0)


def test_sizes_shrink():
    sizes = sizes_of(columns_of(10, 2), 5)
    assert [s.architecture.units for s in sizes] == list(SIZES)
    for attribute in ("bytes", "macs"):
        values = [getattr(s.architecture, attribute) for s in sizes]
        assert values == sorted(set(values), reverse=True)


def test_without_a_limit_everything_fits_and_the_most_accurate_size_comes_first():
    sizes = sizes_of()
    assert all(size.fits and size.over == "" for size in sizes)
    first = sizes[0].architecture
    assert (first.template, first.units, first.draws) == ("mlp", 2560, 4)
    assert first.bytes == file_bytes(columns_of(10), 2, 2560)
    assert first.macs == macs(columns_of(10), 2, 2560)


def _flash(size, slack):
    return Limits(flash_bytes=size.costs["x86"].flash_bytes - slack)


def _ram(size, slack):
    return Limits(ram_bytes=size.costs["x86"].ram_bytes - slack)


def _latency(size, slack):
    return Limits(latency_ms=size.costs["x86"].latency_us / 1000 * (1 - 1e-9 * slack))


@pytest.mark.parametrize(("limit", "word"), [(_flash, "flash"), (_ram, "RAM"), (_latency, "ms")])
def test_a_limit_keeps_what_it_allows_to_the_byte(limit, word):
    for larger, smaller in itertools.pairwise(sizes_of()):
        allowed = [s.architecture for s in sizes_of(limits=limit(larger, 0)) if s.fits]
        assert allowed[0] == larger.architecture
        just_over = sizes_of(limits=limit(larger, 1))
        assert next(s.architecture for s in just_over if s.fits) == smaller.architecture
        broken = next(s for s in just_over if s.architecture == larger.architecture)
        assert broken.over.startswith("x86: about ")
        assert word in broken.over


def test_a_size_must_fit_every_target_and_is_told_which_it_breaks():
    small = replace(PI, name="small", flash_bytes=20_000)
    for size in sizes_of(targets=(X86, small), limits=Limits(ram_bytes=1)):
        assert not size.fits
        assert size.over.startswith("x86: about ")
        assert "; small: about " in size.over
        assert ("bytes of flash" in size.over) == (size.costs["small"].flash_bytes > 20_000)
    only_small = sizes_of(targets=(X86, small))
    assert 0 < sum(size.fits for size in only_small) < len(only_small)
    assert not any("x86" in size.over for size in only_small)


def test_a_latency_that_cannot_be_told_breaks_no_limit():
    unknown = replace(X86, macs_per_second=None)
    assert all(s.fits for s in sizes_of(targets=(unknown,), limits=Limits(latency_ms=1e-9)))


@pytest.mark.parametrize(
    "limits", [Limits(flash_bytes=100), Limits(ram_bytes=10), Limits(latency_ms=1e-6), Limits(1e-6, 100, 10)]
)
def test_nothing_that_fits_is_an_error_that_names_the_closest_and_by_how_much(limits):
    sizes = sizes_of(limits=limits)
    with pytest.raises(BudgetError, match="no model for this table fits") as raised:
        require_fit(sizes)
    assert raised.value.exit_code == 5
    assert sizes[-1].over in raised.value.seen
    assert "plain linear model" in raised.value.seen
    assert "Raise the limit" in raised.value.cure


def test_one_size_that_fits_is_enough():
    sizes = sizes_of()
    require_fit(sizes_of(limits=_flash(sizes[-1], 0)))
    with pytest.raises(BudgetError):
        require_fit(sizes_of(limits=_flash(sizes[-1], 1)))


def test_the_tighter_of_two_limits_holds():
    asked = Limits(latency_ms=5, flash_bytes=64)
    assert asked.within(128, None) == Limits(5, 64, None)
    assert asked.within(32, 16) == Limits(5, 32, 16)
    assert asked.within(None, None) == asked


def test_an_option_overrules_the_text_limit_by_limit():
    text, options = Limits(latency_ms=5, flash_bytes=64, ram_bytes=8), Limits(flash_bytes=128)
    assert text.overruled(options) == Limits(5, 128, 8)  # looser too: who gives an option knows
    assert text.overruled(Limits()) == text
    assert Limits().overruled(text) == text
    assert [Limits().any, options.any, Limits(latency_ms=0.1).any, Limits(ram_bytes=1).any] == [False, True, True, True]
