"""The end of every graph that tells classes: scores in, ``probabilities`` and perhaps ``label`` out."""

from __future__ import annotations

from collections.abc import Sequence

from modelgpt_edge.onnx_nodes import Graph

ML = "ai.onnx.ml"


def add_outputs(graph: Graph, scores: str, classes: Sequence[str], with_label: bool) -> None:
    """Declare ``probabilities`` [N, K] of scores [N, K], and before them ``label`` [N] where asked for."""
    if with_label:
        best = graph.add("ArgMax", scores, axis=1, keepdims=0)
        places = list(range(len(classes)))
        name = graph.add("LabelEncoder", best, domain=ML, keys_int64s=places, values_strings=list(classes), default_string="")
        graph.output(name, "label", "string")
    graph.output(graph.add("Softmax", scores, axis=1), "probabilities", "float32", len(classes))
