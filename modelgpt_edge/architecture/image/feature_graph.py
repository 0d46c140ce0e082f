"""Read a feature extractor from ONNX: any network from one picture to numbers, as nodes that go into a graph of ours.

Whatever else a file may hold (more inputs, weights in other files, operators of one runtime alone) is refused, with what to do.
What is read is run beside what the file says before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, MutableSequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.onnx_nodes import IR_VERSION, OPSET, Graph
from modelgpt_edge.targets.onnxruntime import open_session

PREFIX = "encoder/"
# A network for an edge device; all of it goes into every form of a model.
MOST_BYTES = 512 << 20
LEAST_SIDE, MOST_SIDE = 8, 1024
# Weights of fewer numbers gain nothing by being halved, and biases and norms lose.
HALVED = 1024
# How far it may say something else of two pictures together than of each by itself, as a share of what it says at most.
APART, LEAST = 1e-3, 1e-6
STANDARD = ("", "ai.onnx")
CURE = "Export it from one float input [N, 3, S, S] to one output [N, D] or [N, D, H, W], N free, S fixed."


@dataclass(frozen=True, eq=False)
class FeatureGraph:
    """A network from pictures to features, in the opset of `onnx_nodes`; each of its names begins with `PREFIX`.

    Attributes:
        graph: its nodes and constants.
        size: S; width: D.
        maps: whether features are maps [N, D, H, W], to be averaged, instead of [N, D].
    """

    graph: onnx.GraphProto
    size: int
    width: int
    maps: bool

    @property
    def input(self) -> str:
        """Name of what goes in: [N, 3, S, S], float32."""
        return self.graph.input[0].name

    def add_to(self, graph: Graph, values: str, half: bool) -> str:
        """Add it to a graph, whose value `values` is called as `input`; the name of the features [N, D] is returned.

        Args:
            half: whether weights are stored in 16 bits, all that are within their range; what is computed stays in 32.
        """
        if values != self.input:
            raise ValueError(f"the value must be called {self.input!r}, not {values!r}")
        graph.graft(halved(self.graph) if half else self.graph)
        made = self.graph.output[0].name
        return graph.add("Flatten", graph.add("GlobalAveragePool", made)) if self.maps else made

    def model(self, batch: int | str = "N") -> onnx.ModelProto:
        """It alone, for a number of pictures."""
        graph = onnx.GraphProto()
        graph.CopyFrom(self.graph)
        _let_vary(graph, batch)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def parse_features(content: bytes, where: str) -> FeatureGraph:
    """A file's network.

    Args:
        content: of the file; where: its path, for errors.

    Raises:
        InputError: it is no ONNX, is damaged, or no network from pictures to features that can be taken over.
    """
    model = _parsed(content, where)
    value, size = _picture(model.graph, where)
    _require_plain(model, where)
    whole = _in_our_opset(model, where)
    graph = whole.graph
    _let_vary(graph, "N")
    ran = _ran(content, whole.SerializeToString(), value, size, where)
    fitting = [name for name, array in ran.items() if array.ndim in (2, 4) and array.shape[1] > 1]
    if len(fitting) != 1:
        seen = {name: ["N", *array.shape[1:]] for name, array in ran.items()}
        raise InputError("one output of the network must be features, and no other", where=where, seen=seen, cure=CURE)
    (features,) = fitting
    _rename(graph)
    _replace(graph.input, helper.make_tensor_value_info(PREFIX + value, TensorProto.FLOAT, ["N", 3, size, size]))
    _replace(graph.output, helper.make_tensor_value_info(PREFIX + features, TensorProto.FLOAT, None))
    return FeatureGraph(graph, size, ran[features].shape[1], ran[features].ndim == 4)


def halved(graph: onnx.GraphProto) -> onnx.GraphProto:
    """A graph whose larger weights are stored in 16 bits and cast to 32 first."""
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    nodes = []
    for tensor in made.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < HALVED or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        nodes.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}/cast", to=TensorProto.FLOAT))
    nodes += made.node
    del made.node[:]
    made.node.extend(nodes)
    return made


def _parsed(content: bytes, where: str) -> onnx.ModelProto:
    """A file's model, its functions written out where they are called."""
    cure = "Give a file that torch.onnx.export or another exporter wrote."
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node or not model.opset_import:
            raise InputError("this is no ONNX model", where=where, cure=cure)
        _require_whole(model, where)
        onnx.checker.check_model(model)
        return onnx.inliner.inline_local_functions(model) if model.functions else model
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise InputError("this is no ONNX model that can be read", where=where, seen=str(error), cure=cure) from error


def _picture(graph: onnx.GraphProto, where: str) -> tuple[str, int]:
    """Name and S of the one input; InputError where there isn't one that takes pictures."""
    constants = {tensor.name for tensor in graph.initializer}  # files of before 2019 list weights as inputs too
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = [value.name for value in inputs]
        raise InputError("the network must have one input, the picture", where=where, seen=names, cure=CURE)
    (value,) = inputs
    kind = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
    seen = f"{value.name}: {TensorProto.DataType.Name(kind.elem_type).lower()} {sizes}"
    if kind.elem_type != TensorProto.FLOAT or len(sizes) != 4 or sizes[1] != 3:
        raise InputError("the network's input is no picture", where=where, seen=seen, cure=CURE)
    side, other = sizes[2:]
    if not isinstance(side, int) or not isinstance(other, int):
        cure = "Export it at one size, with only the first axis free."
        raise InputError("the network doesn't say which size of pictures it takes", where=where, seen=seen, cure=cure)
    if side != other or not LEAST_SIDE <= side <= MOST_SIDE:
        what = f"the network must take squares of {LEAST_SIDE} to {MOST_SIDE} pixels a side"
        raise InputError(what, where=where, seen=seen, cure=CURE)
    return value.name, side


def _require_whole(model: onnx.ModelProto, where: str) -> None:
    """InputError where a file isn't all there is: others aren't opened."""
    within = (tensor for function in model.functions for tensor in _held(function.node))
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in (*_tensors(model.graph), *within)):
        cure = "Save it as one file: torch.onnx.export(..., external_data=False), or onnx.save(onnx.load(OLD), NEW)."
        raise InputError("the network's weights lie in another file", where=where, cure=cure)


def _require_plain(model: onnx.ModelProto, where: str) -> None:
    """InputError where there is what a graph of ours can't hold."""
    if model.graph.sparse_initializer:
        raise InputError("the network's weights are sparse", where=where, cure="Export it with dense ones.")
    alien = sorted({f"{node.domain}.{node.op_type}" for node in _nodes(model.graph) if node.domain not in STANDARD})
    if alien:
        cure = "Export it with the operators of ONNX alone, before a runtime optimises it."
        raise InputError("the network has operators that ONNX doesn't define", where=where, seen=alien[:3], cure=cure)


def _in_our_opset(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    version = next((opset.version for opset in model.opset_import if opset.domain in STANDARD), 0)
    if version == OPSET:
        return model
    for node in model.graph.node:  # the converter leaves an attribute behind that older operators lack
        kept = [a for a in node.attribute if not (a.name == "noop_with_empty_axes" and a.i == 0)]
        if version > OPSET and len(kept) < len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)
    try:
        converted = onnx.version_converter.convert_version(model, OPSET)
        onnx.checker.check_model(converted)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        seen = f"opset {version}: {error}"
        cure = f"Export it with opset_version={OPSET}."
        raise InputError(f"the network can't be written in opset {OPSET}", where=where, seen=seen, cure=cure) from error
    return converted


def _ran(before: bytes, after: bytes, value: str, size: int, where: str) -> dict[str, Floats]:
    """What outputs say of two random pictures, once it is known to be what the file says of each by itself."""
    pictures = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    threads = os.cpu_count() or 1
    try:
        session = open_session(before, threads)
        names = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]
        alone = [session.run(names, {value: pictures[i : i + 1]}) for i in range(len(pictures))] if names else []
    except Exception as error:  # ONNX Runtime raises many types for a model that it can't load or run
        cure = f"Check that ONNX Runtime runs it on one picture. {CURE}"
        raise InputError("ONNX Runtime can't run the network", where=where, seen=str(error), cure=cure) from error
    if not all(np.isfinite(array).all() for each in alone for array in each):
        cure = "Check its weights: random pictures, centred and of deviation 1, gave this."
        raise InputError("the network gives NaN or infinite values", where=where, cure=cure)
    cure = f"Export it with a batch of any length (dynamic_shapes), and in opset {OPSET}."
    try:
        together = open_session(after, threads).run(names, {value: pictures}) if names else []
    except Exception as error:  # as above
        raise InputError("the network takes one picture at a time", where=where, seen=str(error), cure=cure) from error
    for got, *each in zip(together, *alone):
        wanted = np.concatenate([np.atleast_1d(one) for one in each])
        if got.shape != wanted.shape or np.abs(got - wanted).max() > APART * max(float(np.abs(wanted).max()), LEAST):
            raise InputError("the network says something else of two pictures than of each", where=where, cure=cure)
    return dict(zip(names, together))


def _let_vary(graph: onnx.GraphProto, batch: int | str) -> None:
    """Say of how many pictures a graph is, and leave out what it says of sizes within it and of results."""
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in constants:
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [batch, *sizes]))
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    del graph.value_info[:]


def _replace(values: MutableSequence[onnx.ValueInfoProto], by: onnx.ValueInfoProto) -> None:
    del values[:]
    values.append(by)


def _rename(graph: onnx.GraphProto) -> None:
    """Put `PREFIX` before every name of a graph and of those within its nodes; a name that is left out stays so."""
    for node in graph.node:
        node.name = node.name and PREFIX + node.name
        node.input[:] = [name and PREFIX + name for name in node.input]
        node.output[:] = [name and PREFIX + name for name in node.output]
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        named.name = PREFIX + named.name
    for inner in _inner(graph.node):
        _rename(inner)


def _inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """Graphs of branches and loops."""
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    yield from graph.node
    for inner in _inner(graph.node):
        yield from _nodes(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _held(graph.node)


def _held(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """Tensors in nodes, and in their branches and loops."""
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
        yield from attribute.tensors
    for inner in _inner(nodes):
        yield from _tensors(inner)
