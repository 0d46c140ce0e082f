"""The tabular template as ONNX graphs: one front each for raw columns, packed arrays and encoded columns, one core.

Raw is the truth (a tensor a column, words as strings). Packed is what the runtime feeds fastest (one matrix of numbers, one
of word positions). Encoded is the numeric core alone, for backends without the front's operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnx

from modelgpt_edge.child import CLIP, Child, Encoder, Floats, Ints, Units
from modelgpt_edge.compile.outputs import ML, add_outputs
from modelgpt_edge.compile.precision import FP32, Precision
from modelgpt_edge.onnx_nodes import Graph


def raw_graph(child: Child, version: str) -> onnx.ModelProto:
    """Raw columns [N, 1], float32 (NaN missing) or string ("" missing), to ``label`` and ``probabilities``, or ``value``."""
    graph = Graph("modelgpt_edge_tabular")
    encoder = child.encoder
    # A raw column may carry any name, those of inner values too: inputs claim theirs first.
    names = [graph.input(n, "float32", 1) for n in encoder.numbers]
    words = [graph.input(n, "string", 1) for n in encoder.words]
    numbers = graph.add("Concat", *names, name="numbers", axis=1) if names else None
    codes = [
        graph.add(
            "LabelEncoder",
            word,
            name="code",
            domain=ML,
            keys_strings=list(vocabulary) or [""],
            values_int64s=list(range(len(vocabulary))) or [-1],
            default_int64=-1,
        )
        for word, vocabulary in zip(words, encoder.vocabularies)
    ]
    code = graph.add("Concat", *codes, name="codes", axis=1) if codes else None
    encoded = _encode(graph, encoder, numbers, code, np.int64)
    scores = _core(graph, child, encoded, FP32)
    _outputs(graph, child, scores, with_label=True)
    return graph.model(version)


def packed_graph(child: Child, version: str, precision: Precision = FP32) -> onnx.ModelProto:
    """``numbers`` [N, C] float32 and ``codes`` [N, S] int32, -1 for unknown words, to ``probabilities`` or ``value``."""
    graph = Graph("modelgpt_edge_packed")
    numbers = graph.input("numbers", "float32", len(child.encoder.numbers)) if child.encoder.numbers else None
    codes = graph.input("codes", "int32", len(child.encoder.words)) if child.encoder.words else None
    scores = _core(graph, child, _encode(graph, child.encoder, numbers, codes, np.int32), precision)
    _outputs(graph, child, scores, with_label=False)
    return graph.model(version)


def core_graph(child: Child, version: str, precision: Precision) -> onnx.ModelProto:
    """``encoded`` [N, D] float32 to ``probabilities`` or ``value``."""
    graph = Graph("modelgpt_edge_core")
    scores = _core(graph, child, graph.input("encoded", "float32", child.encoder.width), precision)
    _outputs(graph, child, scores, with_label=False)
    return graph.model(version)


@dataclass(frozen=True)
class _Wide:
    """Number columns and their waves, gaps filled, and where the gaps were."""

    filled: str
    missing: str


def _encode(graph: Graph, encoder: Encoder, numbers: str | None, codes: str | None, code_type: type) -> str:
    parts = []
    if numbers is not None:
        wide = _fill(graph, encoder, numbers)
        shifted = graph.add("Sub", wide.filled, graph.constant("center", encoder.center))
        scaled = graph.add("Mul", shifted, graph.constant("scale", encoder.scale))
        low, high = graph.constant("clip_low", -CLIP), graph.constant("clip_high", CLIP)
        parts.append(graph.add("Clip", scaled, low, high, name="standard"))
        if len(encoder.rank_column):
            parts.append(_ranks(graph, encoder, wide.filled))
        if len(encoder.flag_column):
            flags = graph.add("Gather", wide.missing, graph.constant("flag_column", encoder.flag_column), axis=1)
            parts.append(graph.add("Cast", flags, name="flags", to=onnx.TensorProto.FLOAT))
    sizes = [len(v) for v in encoder.vocabularies]
    if codes is not None and any(sizes):
        owner = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        place = np.concatenate([np.arange(size) for size in sizes]).astype(code_type)
        spread = graph.add("Gather", codes, graph.constant("word_owner", owner), axis=1)
        hit = graph.add("Equal", spread, graph.constant("word_place", place))
        parts.append(graph.add("Cast", hit, name="one_hot", to=onnx.TensorProto.FLOAT))
    return graph.add("Concat", *parts, name="encoded", axis=1) if len(parts) > 1 else parts[0]


def _fill(graph: Graph, encoder: Encoder, numbers: str) -> _Wide:
    wide = numbers
    if len(encoder.wave_column):
        source = graph.add("Gather", numbers, graph.constant("wave_column", encoder.wave_column), axis=1)
        turns = graph.add("Mul", source, graph.constant("wave_frequency", encoder.wave_frequency))
        phased = graph.add("Add", turns, graph.constant("wave_phase", encoder.wave_phase))
        angle = graph.add("Mul", phased, graph.constant("full_turn", np.float32(2 * np.pi)))
        wide = graph.add("Concat", numbers, graph.add("Sin", angle), axis=1)
    missing = graph.add("IsNaN", wide, name="missing")
    return _Wide(graph.add("Where", missing, graph.constant("median", encoder.median), wide, name="filled"), missing)


def _ranks(graph: Graph, encoder: Encoder, filled: str) -> str:
    """Piecewise linear tables, all columns at once: first value plus the sum of each segment's rise times its share done."""
    widths = np.diff(encoder.rank_knots, axis=1)
    rises = np.where(widths > 0, np.diff(encoder.rank_values, axis=1), 0).astype(np.float32)
    inverse = (1 / np.where(widths > 0, widths, 1)).astype(np.float32)
    column = graph.add("Gather", filled, graph.constant("rank_column", encoder.rank_column), axis=1)
    deep = graph.add("Unsqueeze", column, graph.constant("last", np.array([2], np.int64)))  # (N, R) -> (N, R, 1)
    above = graph.add("Sub", deep, graph.constant("rank_knots", encoder.rank_knots[:, :-1]))
    done = graph.add("Mul", above, graph.constant("rank_inverse", inverse))
    share = graph.add("Clip", done, graph.constant("zero", np.float32(0)), graph.constant("one", np.float32(1)))
    rise = graph.add("Mul", share, graph.constant("rank_rise", rises))
    total = graph.add("ReduceSum", rise, graph.constant("axis", np.array([2], np.int64)), keepdims=0)  # (N, R, Q) -> (N, R)
    return graph.add("Add", total, graph.constant("rank_first", encoder.rank_values[:, 0]), name="rank")


def _core(graph: Graph, child: Child, encoded: str, precision: Precision) -> str:
    """Encoded columns to scores, always float32."""
    width, units = child.encoder.width, child.units
    weight, bias, unit = child.head_weight, child.head_bias, 1.0
    apart = not child.classes and precision.name == "fp16"
    if apart:
        # Values may be larger than a half float holds: the head computes them in units of its largest weight, offset apart.
        unit = float(np.abs(weight).max(initial=0)) or 1.0
        weight, bias = (weight / np.float32(unit)).astype(np.float32), np.zeros_like(bias)
    x = precision.enter(graph, encoded)
    scores = precision.gemm(graph, "skip", x, weight[:width], bias)
    if units.count:
        hidden = _hidden(graph, units, x, precision)
        scores = precision.gemm(graph, "head", hidden, weight[width:], scores)
    scores = precision.leave(graph, scores)
    if not apart:
        return scores
    stretched = graph.add("Mul", scores, graph.constant("unit", np.float32(unit)))
    return graph.add("Add", stretched, graph.constant("offset", child.head_bias), name="value_scores")


def _hidden(graph: Graph, units: Units, x: str, precision: Precision) -> str:
    dense = graph.add("Tanh", precision.gemm(graph, "dense", x, units.dense_weight, units.dense_bias))
    sparse = graph.add(
        "Tanh", _grouped(graph, "sparse", x, units.sparse_column, units.sparse_weight, units.sparse_bias, precision)
    )
    steps = graph.add("Sigmoid", _grouped(graph, "leaf", x, units.leaf_column, units.leaf_slope, units.leaf_bias, precision))
    size = units.leaf_offset.shape[1]
    last = graph.constant("last_axis", np.array([2], np.int64))
    cuts = [graph.constant("cut", np.array([i * size], np.int64)) for i in range(4)]
    total = graph.add("Sum", *(graph.add("Slice", steps, start, end, last) for start, end in pairwise(cuts)))
    offset = graph.constant("leaf_offset", units.leaf_offset[:, None].astype(precision.dtype))
    leaf = graph.add("Relu", graph.add("Sub", total, offset))
    return graph.add("Concat", dense, _ungroup(graph, sparse), _ungroup(graph, leaf), name="hidden", axis=1)


def _grouped(graph: Graph, name: str, x: str, column: Ints, weight: Floats, bias: Floats, precision: Precision) -> str:
    """Each group's eight columns times its block: (N, D) -> (N, G, 8) -> (G, N, 8) -> (G, N, B)."""
    picked = graph.add("Gather", x, graph.constant(f"{name}_column", column), axis=1)
    groups = graph.add("Transpose", picked, perm=[1, 0, 2])
    product = graph.add("MatMul", groups, graph.constant(f"{name}_weight", weight.astype(precision.dtype)))
    return graph.add("Add", product, graph.constant(f"{name}_bias", bias[:, None].astype(precision.dtype)))


def _ungroup(graph: Graph, x: str) -> str:
    """(G, N, B) -> (N, G B)."""
    return graph.add("Reshape", graph.add("Transpose", x, perm=[1, 0, 2]), graph.constant("flat", np.array([0, -1], np.int64)))


def _outputs(graph: Graph, child: Child, scores: str, with_label: bool) -> None:
    if not child.classes:
        axis = graph.constant("value_axis", np.array([1], np.int64))
        graph.output(graph.add("Squeeze", scores, axis), "value", "float32")
        return
    add_outputs(graph, scores, child.classes, with_label)
