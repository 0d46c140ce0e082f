"""How each product's input is smoothed before it is rounded to 8 bits: the exponent that errs least on sample texts.

SmoothQuant (Xiao et al. 2023, equation 4) divides channel j of the activations by  max|x_j|^a / max|w_j|^(1 - a)  and
multiplies the weights' row by it. Which a is best differs from product to product (outlier channels sit in the feed-forward
layers), so each gets its own, chosen by the error of its rounded output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import numpy_helper
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.text.products import LEAST, Smoothing, quantised
from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import open_session

EXPONENTS = (0.0, 0.25, 0.5, 0.65, 0.8, 0.95)
# What a range on the user's own texts may go beyond that of the samples.
HEADROOM = 1.05


def find_smoothings(add_encoder: Callable[[Graph], str], width: int, ids: Sequence[Ints]) -> dict[str, Smoothing]:
    """Smoothing of every product of an encoder, by its name.

    Args:
        add_encoder: adds the fp32 encoder to a graph, and returns its embedding's name; width: of the embedding.
        ids: token ids (1, L) of sample texts.
    """
    graph = Graph("modelgpt_edge_calibration")
    graph.output(add_encoder(graph), "embedding", "float32", width)
    model = graph.model("")
    weights = {t.name: t for t in model.graph.initializer}
    products = {
        n.input[1].removesuffix("_weight"): n.input[0]
        for n in model.graph.node
        if n.op_type == "MatMul" and n.input[1] in weights
    }
    for value in dict.fromkeys(products.values()):
        model.graph.output.append(onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None))
    session = open_session(model.SerializeToString())
    wanted = list(dict.fromkeys(products.values()))
    seen: dict[str, list[Floats]] = {value: [] for value in wanted}
    for text in ids:
        for value, states in zip(wanted, session.run(wanted, {"codes": text})):
            seen[value].append(states[0])
    with threadpool_limits(1, "blas"):
        return {name: _best(seen[value], numpy_helper.to_array(weights[f"{name}_weight"])) for name, value in products.items()}


def _best(texts: Sequence[Floats], weight: Floats) -> Smoothing:
    """The smoothing whose rounded output is nearest, each text rounded by its own range as at run time."""
    every = np.concatenate(texts)
    reach = np.maximum(np.abs(every).max(0), LEAST)
    rows = np.maximum(np.abs(weight).max(1), LEAST)
    exact = every @ weight
    tried = []
    for exponent in EXPONENTS:
        divisor = reach**exponent / rows ** (1 - exponent)
        divisor = np.clip(divisor / np.exp(np.log(divisor).mean()), 1e-4, 1e4).astype(np.float32)
        stored, channel = quantised(weight * divisor[:, None])
        inputs = np.concatenate([_round(x / divisor) for x in texts])
        error = float(((inputs @ (stored.astype(np.float32) * channel) - exact) ** 2).sum())
        tried.append((error, Smoothing(divisor, HEADROOM * float((reach / divisor).max()))))
    return min(tried, key=lambda one: one[0])[1]


def _round(x: Floats) -> Floats:
    """What DynamicQuantizeLinear makes of activations: 256 steps from the least to the largest, zero among them."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    step = max(high - low, LEAST) / 255
    zero = np.rint(-low / step)
    codes: Floats = np.clip(np.rint(x / np.float32(step)) + zero, 0, 255)
    return ((codes - zero) * step).astype(np.float32)
