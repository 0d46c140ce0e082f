"""BERT (Devlin et al. 2019) as an ONNX graph, from token ids to what a head takes, written node by node without torch.

Ids come as one int32 matrix ``codes`` [N, L], -1 after a text's end; mask, positions and token types follow from it inside the
graph, so that every runtime feeds one tensor. Of a pair the second text's ids are raised by the vocabulary's size: both go
through the layers at once, and neither attends to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.architecture.text.products import Products
from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph

# Added to the attention scores of what isn't there: exp of it is 0 in float32 and it is a number in float16.
FAR = -1e4
# How much the cosine of a pair counts beside products and differences, which have a column for each of the embedding's.
COSINE = 10.0


@dataclass(frozen=True)
class _Rows:
    """What follows from the codes.

    Attributes:
        ids: [N, L], 0 after the end; places: embeddings [N, L, D] or [L, D] to be added to the words'.
        masks: of each text [N, L], 1 where it is; bias: of the attention [N, 1, 1 or L, L].
    """

    ids: str
    places: str
    masks: tuple[str, ...]
    bias: str


def add_bert(
    graph: Graph, encoder: EncoderFiles, weights: Mapping[str, Floats], products: Products, pairs: bool = False
) -> str:
    """Add the encoder to a graph, whose input ``codes`` is declared here.

    Returns:
        Name of the pooled embedding of unit length [N, D]; of pairs, of what the two have in common [N, 2 D + 1].
    """
    shape = encoder.shape
    codes = graph.input("codes", "int32", "L")
    rows = (_read_pairs if pairs else _read_texts)(graph, encoder, weights, products, codes)
    x = graph.add("Add", products.lookup(graph, "words", weights["embeddings.word_embeddings.weight"], rows.ids), rows.places)
    if shape.kinds:  # every token is of the first kind: a pair is two texts here, not one of two parts
        x = graph.add("Add", x, products.constant(graph, "kind", weights["embeddings.token_type_embeddings.weight"][0]))
    x = _normalise(graph, products, "embedding_norm", x, weights, "embeddings.LayerNorm", shape.epsilon)
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}."
        own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
        x = _layer(graph, encoder, own, products, x, rows.bias, f"layer{layer}")
    x = products.leave(graph, x)
    pooled = [pool(graph, encoder.pooling, x, mask) for mask in rows.masks]
    return compare(graph, shape.width, *pooled) if pairs else pooled[0]


def _read_texts(graph: Graph, encoder: EncoderFiles, weights: Mapping[str, Floats], products: Products, codes: str) -> _Rows:
    nothing, first = graph.constant("nothing", np.int32(0)), graph.constant("first", np.array([0], np.int64))
    real = graph.add("Cast", graph.add("GreaterOrEqual", codes, nothing), name="mask", to=TensorProto.FLOAT)
    table = products.constant(graph, "places", weights["embeddings.position_embeddings.weight"][: encoder.length])
    length = graph.add("Gather", graph.add("Shape", codes), graph.constant("second", np.array([1], np.int64)), name="length")
    over = graph.constant("over_heads", np.array([1, 2], np.int64))
    return _Rows(
        ids=graph.add("Max", codes, nothing, name="ids"),
        places=graph.add("Slice", table, first, length, first),
        masks=(real,),
        bias=graph.add("Unsqueeze", products.enter(graph, _far(graph, real)), over, name="attention_bias"),
    )


def _read_pairs(graph: Graph, encoder: EncoderFiles, weights: Mapping[str, Floats], products: Products, codes: str) -> _Rows:
    """Two texts one after the other; the second's places start anew, and attention stays within each."""
    nothing, words = graph.constant("nothing", np.int32(0)), graph.constant("vocabulary", np.int32(encoder.shape.words))
    later = graph.add("Cast", graph.add("GreaterOrEqual", codes, words), name="of_second", to=TensorProto.INT32)
    real = graph.add("Cast", graph.add("GreaterOrEqual", codes, nothing), name="real", to=TensorProto.INT32)
    earlier = graph.add("Sub", real, later, name="of_first")
    along, ones = graph.constant("along", np.int64(1)), graph.constant("over_tokens_of_first", np.array([1], np.int64))
    count = graph.add("ReduceSum", earlier, ones, keepdims=1, name="length_of_first")
    steps = graph.add("CumSum", real, along, exclusive=1)
    place = graph.add("Sub", steps, graph.add("Mul", later, count))
    last = graph.constant("last_place", np.int32(encoder.length - 1))
    table = products.constant(graph, "places", weights["embeddings.position_embeddings.weight"][: encoder.length])
    masks = tuple(graph.add("Cast", m, name=f"mask{i}", to=TensorProto.FLOAT) for i, m in enumerate((earlier, later)))
    column, row = graph.constant("as_column", np.array([2], np.int64)), graph.constant("as_row", np.array([1], np.int64))
    both = [
        graph.add("Mul", graph.add("Unsqueeze", mask, column), graph.add("Unsqueeze", mask, row), name="within")
        for mask in masks
    ]
    within = graph.add("Add", *both)
    far, over = products.enter(graph, _far(graph, within)), graph.constant("over_heads", np.array([1], np.int64))
    return _Rows(
        ids=graph.add("Max", graph.add("Sub", codes, graph.add("Mul", later, words)), nothing, name="ids"),
        places=graph.add("Gather", table, graph.add("Min", place, last, name="place")),
        masks=masks,
        bias=graph.add("Unsqueeze", far, over),
    )


def _far(graph: Graph, near: str) -> str:
    """0 where something is, far below nil where not."""
    absent = graph.add("Sub", graph.constant("one", np.float32(1)), near)
    return graph.add("Mul", absent, graph.constant("far", np.float32(FAR)))


def _layer(
    graph: Graph, encoder: EncoderFiles, own: Mapping[str, Floats], products: Products, x: str, bias: str, name: str
) -> str:
    """One transformer layer, normalised after each half."""
    shape = encoder.shape
    attended = _attend(graph, encoder, own, products, x, bias, name)
    out = products.linear(graph, f"{name}_out", attended, *_pair(own, "attention.output.dense"))
    x = _normalise(graph, products, f"{name}_norm", graph.add("Add", out, x), own, "attention.output.LayerNorm", shape.epsilon)
    inner = _gelu(graph, products, products.linear(graph, f"{name}_up", x, *_pair(own, "intermediate.dense")))
    outer = products.linear(graph, f"{name}_down", inner, *_pair(own, "output.dense"))
    return _normalise(graph, products, f"{name}_end", graph.add("Add", outer, x), own, "output.LayerNorm", shape.epsilon)


def _attend(
    graph: Graph, encoder: EncoderFiles, own: Mapping[str, Floats], products: Products, x: str, bias: str, name: str
) -> str:
    """Softmax attention [N, L, D]; queries, keys and values are one product, the scale is in the queries' weights."""
    heads, width = encoder.shape.heads, encoder.shape.width
    depth = width // heads
    scale = np.float32(depth**-0.5)
    (q, q_bias), (k, k_bias), (v, v_bias) = (_pair(own, f"attention.self.{part}") for part in ("query", "key", "value"))
    weight, biases = np.concatenate([q * scale, k, v], 1), np.concatenate([q_bias * scale, k_bias, v_bias])
    every = products.linear(graph, f"{name}_qkv", x, weight, biases)
    split = graph.add("Reshape", every, graph.constant("by_head", np.array([0, 0, 3 * heads, depth], np.int64)))
    turned = graph.add("Transpose", split, perm=[0, 2, 1, 3])
    thirds = graph.constant("thirds", np.array([heads] * 3, np.int64))
    queries, keys, values = graph.add_many("Split", turned, thirds, outputs=3, axis=1)
    scores = graph.add("MatMul", queries, graph.add("Transpose", keys, perm=[0, 1, 3, 2]))
    shares = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", shares, values), perm=[0, 2, 1, 3])
    return graph.add("Reshape", mixed, graph.constant("joined", np.array([0, 0, width], np.int64)))


def _gelu(graph: Graph, products: Products, x: str) -> str:
    """x / 2 (1 + erf(x / sqrt 2)), in the order that ONNX Runtime knows as one operator."""
    root = graph.add("Div", x, products.constant(graph, "root_two", np.sqrt(2)))
    raised = graph.add("Add", graph.add("Erf", root), products.constant(graph, "unit", 1))
    return graph.add("Mul", graph.add("Mul", x, raised), products.constant(graph, "half", 0.5))


def _normalise(
    graph: Graph, products: Products, name: str, x: str, weights: Mapping[str, Floats], prefix: str, epsilon: float
) -> str:
    weight = products.constant(graph, f"{name}_weight", weights[f"{prefix}.weight"])
    bias = products.constant(graph, f"{name}_bias", weights[f"{prefix}.bias"])
    return graph.add("LayerNormalization", x, weight, bias, name=name, axis=-1, epsilon=epsilon)


def _pair(own: Mapping[str, Floats], prefix: str) -> tuple[Floats, Floats]:
    """Weight (I, O) and bias (O,) of a linear layer."""
    return own[f"{prefix}.weight"].T, own[f"{prefix}.bias"]


def pool(graph: Graph, pooling: str, x: str, mask: str) -> str:
    """One vector of unit length for a text [N, D]: the mean of its tokens' states, or the first one."""
    if pooling == "cls":  # the first token is real, and none was before it
        before = graph.add("CumSum", mask, graph.constant("over_all", np.int64(1)), exclusive=1)
        start = graph.add("Equal", graph.add("Sub", mask, before), graph.constant("alone", np.float32(1)))
        mask = graph.add("Cast", start, name="start", to=TensorProto.FLOAT)
    over, deep = graph.constant("over_tokens", np.array([1], np.int64)), graph.constant("deep", np.array([2], np.int64))
    summed = graph.add("ReduceSum", graph.add("Mul", x, graph.add("Unsqueeze", mask, deep)), over, keepdims=0)
    # Its length is all that a mean adds to a sum, and it is scaled away.
    length = graph.add("ReduceL2", summed, axes=[1], keepdims=1)
    return graph.add("Div", summed, graph.add("Max", length, graph.constant("least", np.float32(1e-12))), name="embedding")


def compare(graph: Graph, width: int, first: str, second: str) -> str:
    """Cosine, products and distances of two embeddings [N, 2 D + 1], each of about the same size."""
    product = graph.add("Mul", first, second)
    cosine = graph.add("ReduceSum", product, graph.constant("over_columns", np.array([1], np.int64)), keepdims=1)
    parts = [
        graph.add("Mul", part, graph.constant("weight_of_part", np.float32(weight)))
        for part, weight in (
            (cosine, COSINE),
            (product, np.sqrt(width)),
            (graph.add("Abs", graph.add("Sub", first, second)), np.sqrt(width) / 2),
        )
    ]
    return graph.add("Concat", *parts, name="pair", axis=1)
