"""What a size of the tabular template costs a device, estimated from counts alone, before anything is generated."""

from __future__ import annotations

from dataclasses import dataclass

from modelgpt_edge.child import Encoder
from modelgpt_edge.targets.target import Target

# A file's graph and names beside its weights: of the linear model, and what columns of numbers, of words, of dates, those
# with gaps, and units add.
LINEAR_GRAPH, NUMBERS_GRAPH, WORDS_GRAPH, WAVES_GRAPH, FLAGS_GRAPH, UNITS_GRAPH = 300, 1_060, 250, 390, 150, 1_850
# What a lower precision's graph adds: casts, or quantise nodes, and an int8 scale and zero point of each dense unit.
FP16_GRAPH, INT8_GRAPH, INT8_DENSE = 100, 910, 5
# What an ahead-of-time engine holds beside the weights: code for every GPU that it is built for.
ENGINE_BYTES = 700_000
# Shares of the units: dense ones see every column, sparse ones eight, leaf ones eight in each of their three steps.
DENSE, SPARSE, LEAF = 0.4, 0.4, 0.2
# Numbers stored for a sparse and a leaf unit: weights, biases, offset; and of each its part of its group's eight columns.
SPARSE_NUMBERS, LEAF_NUMBERS, GROUP_NUMBERS = 8 + 1, 24 + 3 + 1, 0.25


@dataclass(frozen=True)
class Columns:
    """What an encoder makes of a table, in counts.

    Attributes:
        numbers, words: raw columns; waves, ranks, flags, one_hots: encoded ones of each kind; knots: of a rank's table.
        width: all encoded columns, D.
    """

    numbers: int
    words: int
    waves: int
    ranks: int
    flags: int
    one_hots: int
    knots: int
    width: int

    @staticmethod
    def of(encoder: Encoder) -> Columns:
        """The counts of an encoder."""
        return Columns(
            numbers=len(encoder.numbers),
            words=len(encoder.words),
            waves=len(encoder.wave_column),
            ranks=len(encoder.rank_column),
            flags=len(encoder.flag_column),
            one_hots=sum(map(len, encoder.vocabularies)),
            knots=encoder.rank_knots.shape[1] if encoder.rank_knots.ndim == 2 else 0,
            width=encoder.width,
        )


@dataclass(frozen=True)
class Cost:
    """Estimates for one device.

    Attributes:
        flash_bytes: of the smallest form of the model that it takes.
        ram_bytes: of the model and its working memory, beside the runtime's own; for C of its working memory alone.
        latency_us: of one row; None where the device's speed isn't known.
    """

    flash_bytes: int
    ram_bytes: int
    latency_us: float | None


def estimate(columns: Columns, outputs: int, units: int, target: Target) -> Cost:
    """What `units` hidden units on these columns cost a target."""
    work = macs(columns, outputs, units)
    latency = None if target.macs_per_second is None else target.call_us + 1e6 * work / target.macs_per_second
    if "c" in target.backends:
        from modelgpt_edge.targets.cortexm.sizes import flash_and_ram

        flash, ram = flash_and_ram(columns, outputs, units, target.precisions[0])
        return Cost(flash, ram, latency)
    flash = min(file_bytes(columns, outputs, units, p) for p in target.precisions)
    if "tensorrt-rtx" in target.backends:
        flash += ENGINE_BYTES
    scratch = 4 * (columns.width + units + columns.numbers + outputs)
    return Cost(flash, flash + scratch, latency)


def file_bytes(columns: Columns, outputs: int, units: int, precision: str = "fp32") -> int:
    """Size of the packed ONNX file: encoder tables and places of columns in 32 bits, units and head in a precision, graph."""
    wide = 3 * (columns.numbers + columns.waves) + 3 * columns.waves
    ranks = columns.ranks * (3 * max(0, columns.knots - 1) + 2)
    tables = wide + ranks + columns.flags + 2 * columns.one_hots + units * (SPARSE + LEAF) * GROUP_NUMBERS
    dense, head = units * DENSE * columns.width, units * outputs  # what int8 quantises
    others = units * (DENSE + SPARSE * SPARSE_NUMBERS + LEAF * LEAF_NUMBERS) + (columns.width + 1) * outputs
    graph = LINEAR_GRAPH + NUMBERS_GRAPH * bool(columns.numbers) + WORDS_GRAPH * bool(columns.words) + UNITS_GRAPH * bool(units)
    graph += WAVES_GRAPH * bool(columns.waves) + FLAGS_GRAPH * bool(columns.flags)
    quantised, rest = {"fp32": (4, 4), "fp16": (2, 2)}.get(precision, (1, 4))
    if precision == "fp16":
        graph += FP16_GRAPH
    elif precision != "fp32" and units:
        graph += INT8_GRAPH + round(INT8_DENSE * units * DENSE)
    return graph + round(4 * tables + quantised * (dense + head) + rest * others)


def macs(columns: Columns, outputs: int, units: int) -> int:
    """Multiply-accumulates of one row: dense units on every column, others on eight (leaf units three times), and head."""
    hidden = units * (DENSE * columns.width + SPARSE * 8 + LEAF * 24)
    return round(hidden + (columns.width + units) * outputs)
