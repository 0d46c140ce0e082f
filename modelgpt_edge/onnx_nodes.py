"""A small builder of ONNX graphs: nodes in order of use, each constant stored once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # what TensorRT 10.3 (JetPack 6.2) parses, and the newest operator used needs
ML_OPSET = 3
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
    _constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def input(self, name: str, element: str, *columns: int | str) -> str:
        """Declare an input [N, *columns]; a name stands for a size that varies."""
        self._names.add(name)
        self._inputs.append(helper.make_tensor_value_info(name, ELEMENT[element], ["N", *columns]))
        return name

    def output(self, value: str, name: str, element: str, *columns: int) -> None:
        """Declare `value` as the output `name`, [N, *columns]; under another name where an input is called so."""
        name = self._unique(name)
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"out_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, ELEMENT[element], ["N", *columns]))

    def constant(self, name: str, array: Any) -> str:
        """Store an array under a name of its own; the name is returned."""
        unique = self._unique(name)
        self._constants[unique] = numpy_helper.from_array(np.ascontiguousarray(array), unique)
        return unique

    def scalar(self, name: str, number: np.generic) -> str:
        """Store one number, without an axis: what steps of a whole tensor must be, which ONNX Runtime for pages insists on."""
        unique = self._unique(name)
        self._constants[unique] = numpy_helper.from_array(np.asarray(number), unique)
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
        model = self._made(producer_version)
        onnx.checker.check_model(model)
        return model

    def content(self) -> bytes:
        """The same as bytes for a session here, unchecked: that takes as long as opening it, and ONNX Runtime checks too."""
        return self._made("").SerializeToString()

    def _made(self, producer_version: str) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values()))
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
