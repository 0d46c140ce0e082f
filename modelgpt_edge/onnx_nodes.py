"""A small builder of ONNX graphs: nodes in order of use, each constant stored once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # what TensorRT 10.3 (JetPack 6.2) parses, and the newest operator used needs
ML_OPSET = 3
# Constants of so many bytes may be kept apart from a graph's own.
LARGE = 1 << 10
IR_VERSION = 8
ELEMENT = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "string": TensorProto.STRING,
}


@dataclass
class Graph:
    """A graph under construction; values are named by the node that makes them."""

    name: str
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _constants: dict[str, onnx.TensorProto | NDArray[Any]] = field(default_factory=dict)
    _inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """Those that there are, in order of use."""
        return tuple(self._nodes)

    def input(self, name: str, element: str, *columns: int | str) -> str:
        """Declare an input [N, *columns]; a name stands for a size that varies."""
        self._names.add(name)
        self._inputs.append(helper.make_tensor_value_info(name, ELEMENT[element], ["N", *columns]))
        return name

    def output(self, value: str, name: str, element: str, *columns: int | str) -> None:
        """Declare `value` as the output `name`, [N, *columns] as of `input`; under another name where an input is called so."""
        name = self._unique(name)
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"out_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, ELEMENT[element], ["N", *columns]))

    def constant(self, name: str, array: Any) -> str:
        """Store an array, not a copy, under a name of its own; the name is returned."""
        unique = self._unique(name)
        self._constants[unique] = np.ascontiguousarray(array)
        return unique

    def scalar(self, name: str, number: np.generic) -> str:
        """Store one number, without an axis: what steps of a whole tensor must be, which ONNX Runtime for pages insists on."""
        unique = self._unique(name)
        self._constants[unique] = np.asarray(number)
        return unique

    def add(self, op: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Append a node with one output; the output's name is returned."""
        return self.add_many(op, *inputs, outputs=1, name=name, domain=domain, **attributes)[0]

    def add_many(
        self, op: str, *inputs: str, outputs: int, name: str = "", domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Append a node with several outputs; their names are returned."""
        made = tuple(self._unique(name or op.lower()) for _ in range(outputs))
        self._nodes.append(helper.make_node(op, list(inputs), list(made), name=f"{made[0]}_node", domain=domain, **attributes))
        return made

    def graft(self, other: onnx.GraphProto) -> None:
        """Take over another graph's nodes and constants under their names, its inputs being values of this one.

        Raises:
            ValueError: a name is taken here.
        """
        names = {name for node in other.node for name in node.output if name} | {tensor.name for tensor in other.initializer}
        if not names.isdisjoint(self._names):
            raise ValueError(f"names are taken: {sorted(names & self._names)[:3]}")
        self._names |= names
        self._nodes.extend(other.node)
        self._constants.update({tensor.name: tensor for tensor in other.initializer})

    def model(self, producer_version: str) -> onnx.ModelProto:
        """The finished model, checked."""
        model = self._made(producer_version, {})
        onnx.checker.check_model(model)
        return model

    def apart(self) -> tuple[bytes, dict[str, NDArray[Any]]]:
        """The model for a session here: bytes without the data of large constants, and those by their names.

        The bytes are unchecked: that takes as long as opening them, and ONNX Runtime checks too.
        """
        arrays = {name: held for name, held in self._constants.items() if isinstance(held, np.ndarray)}
        large = {name: array for name, array in arrays.items() if array.dtype.kind in "fiu" and array.nbytes >= LARGE}
        return self._made("", large).SerializeToString(), large

    def _made(self, producer_version: str, apart: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
        constants = [
            _elsewhere(name, apart[name]) if name in apart else _tensor(name, held) for name, held in self._constants.items()
        ]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="modelgpt-edge", producer_version=producer_version
        )

    def _unique(self, name: str) -> str:
        base, count = name, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def _tensor(name: str, held: onnx.TensorProto | NDArray[Any]) -> onnx.TensorProto:
    return held if isinstance(held, onnx.TensorProto) else numpy_helper.from_array(held, name)


def _elsewhere(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    """A constant that says what it is like, and that its data is given when the graph is opened."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=name)
    return tensor
