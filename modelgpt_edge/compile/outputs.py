"""The end of every graph that tells classes: scores of an embedding, ``probabilities`` and perhaps ``label`` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.text_head import TextHead

ML = "ai.onnx.ml"


def add_scores(graph: Graph, embedding: str, head: TextHead, half: bool) -> str:
    """Scores [N, K] of an embedding [N, D], float32 both; the product in float16 where asked for: Turing has no other."""
    kind: type = np.float16 if half else np.float32
    weight, bias = graph.constant("head_weight", head.weight.astype(kind)), graph.constant("head_bias", head.bias.astype(kind))
    if not half:
        return graph.add("Gemm", embedding, weight, bias, name="scores")
    narrow = graph.add("Gemm", graph.add("Cast", embedding, to=TensorProto.FLOAT16), weight, bias, name="half_scores")
    return graph.add("Cast", narrow, name="scores", to=TensorProto.FLOAT)


def add_outputs(graph: Graph, scores: str, classes: Sequence[str], with_label: bool) -> None:
    """Declare ``probabilities`` [N, K] of scores [N, K], and before them ``label`` [N] where asked for."""
    if with_label:
        best = graph.add("ArgMax", scores, axis=1, keepdims=0)
        places = list(range(len(classes)))
        name = graph.add("LabelEncoder", best, domain=ML, keys_int64s=places, values_strings=list(classes), default_string="")
        graph.output(name, "label", "string")
    graph.output(graph.add("Softmax", scores, axis=1), "probabilities", "float32", len(classes))
