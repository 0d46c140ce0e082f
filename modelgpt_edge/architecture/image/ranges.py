"""Find how large a network's activations get, and their means: what int8's ranges and its corrected biases are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.convolutions import PICTURE, Range, Ranges
from modelgpt_edge.graph_session import open_graph
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import run_on_pictures

CLIPS = ("Clip", "Relu")
# What is asked of each activation [N, C, H, W]: over which of its axes, and what is left beside N.
ASKED: dict[str, tuple[list[int], tuple[str, ...]]] = {
    "ReduceMin": ([1, 2, 3], ()),
    "ReduceMax": ([1, 2, 3], ()),
    "ReduceMean": ([2, 3], ("C",)),
}


def find_ranges(graph: Graph, pictures: NDArray[np.uint8], picture: str = PICTURE) -> Ranges:
    """What every activation reaches on pictures (N, S, S, 3), N at least 1, the normalised picture among them.

    Args:
        graph: in fp32, from ``pixels``, its convolutions by `Convolutions`; it is changed.
        picture: what the normalised picture is called in it.
    """
    clipped = {node.input[0] for node in graph.nodes if node.op_type in CLIPS}
    made = [node.output[0] for node in graph.nodes if node.op_type in ("Conv", "Add", *CLIPS)]
    names = [picture, *(name for name in made if name not in clipped)]
    asked = []
    for name in names:
        for op, (axes, columns) in ASKED.items():
            asked.append(f"{name}:{op}")
            graph.output(graph.add(op, name, axes=axes, keepdims=0), asked[-1], "float32", *columns)
    parts = [outputs for _, outputs in run_on_pictures(open_graph(graph), pictures, asked)]
    every = [np.concatenate(part) for part in zip(*parts)]
    found = zip(names, *(every[place :: len(ASKED)] for place in range(len(ASKED))))
    return {name: Range(float(low.min()), float(high.max()), means.mean(0)) for name, low, high, means in found}
