"""The arguments of a compiled function, in order: which weight each is made of and how it lies in memory.

They are kept with a compiled template, and in every weights file, so that new weights need neither TVM nor the ONNX graph that
it compiled. A weights file holds every argument, inputs, outputs and scratch memory too (as zeros): whoever runs the function
reads the file and passes what it holds, sorted by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.errors import PackageError

INPUT, WEIGHT, CONSTANT, OUTPUT, SCRATCH = ROLES = ("input", "weight", "constant", "output", "scratch")
# Not the metadata: a reader of tensors alone shall do. The name sorts behind the arguments' numbers.
_PLAN = "plan"


@dataclass(frozen=True)
class Argument:
    """One argument of a compiled function.

    Attributes:
        role: one of `ROLES`.
        name: name in the ONNX graph; "" for scratch memory.
        dtype, shape: as the function takes it.
        axes: for a weight, the order of its axes in the graph that the function wants; () for the graph's own.
        value: for a constant, what it holds, flat.
    """

    role: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    value: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def fill(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """The argument's content for a model's weights by name; zeros for what the caller or the function writes.

        Raises:
            PackageError: the weight is absent or of another shape.
        """
        if self.role == CONSTANT:
            return np.array(self.value, self.dtype).reshape(self.shape)
        if self.role != WEIGHT:
            return np.zeros(self.shape, self.dtype)
        weight = weights.get(self.name)
        if weight is not None and self.axes and weight.ndim == len(self.axes):
            weight = weight.transpose(self.axes)
        if weight is None or weight.shape != self.shape or weight.dtype != self.dtype:
            seen = None if weight is None else f"{weight.dtype}{list(weight.shape)}"
            what = f"the compiled template takes {self.dtype}{list(self.shape)} for {self.name!r}"
            raise PackageError(what, where="tvm weights", seen=seen, cure="Build anew: the model has other shapes.")
        return np.ascontiguousarray(weight)


@dataclass(frozen=True)
class Plan:
    """All arguments of a compiled function, and the template that it was compiled from (`template.Template.key`)."""

    template: str
    arguments: tuple[Argument, ...]

    def memory(self, role: str) -> int:
        """Bytes that the arguments of a role take."""
        return sum(a.size for a in self.arguments if a.role == role)

    def to_json(self) -> str:
        """The plan as JSON; `from_json` gives it back."""
        return json.dumps({"template": self.template, "arguments": [asdict(a) for a in self.arguments]})

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read what `to_json` wrote; KeyError, TypeError or ValueError where it isn't that."""
        read = json.loads(text)
        keys = ("shape", "axes", "value")
        rows: list[dict[str, Any]] = [{k: tuple(v) if k in keys else v for k, v in a.items()} for a in read["arguments"]]
        return cls(read["template"], tuple(Argument(**row) for row in rows))


def weights_file(plan: Plan, weights: Mapping[str, np.ndarray]) -> bytes:
    """A model's weights as the compiled function wants them, as safetensors.

    Raises:
        PackageError: the weights are of other shapes.
    """
    filled = {f"{i:04d}.{a.role}.{a.name}": a.fill(weights) for i, a in enumerate(plan.arguments)}
    return bytes(save({**filled, _PLAN: np.frombuffer(plan.to_json().encode(), np.uint8)}))


@dataclass(frozen=True)
class Weights:
    """What a weights file holds: the plan and each argument's content, in order."""

    plan: Plan
    arrays: tuple[np.ndarray, ...]


def read_file(path: Path) -> bytes:
    """A variant's file; PackageError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackageError("the file can't be read", where=path.name, seen=str(error), cure="Build anew.") from error


def read_weights(path: Path) -> Weights:
    """Read what `weights_file` wrote; PackageError where it can't be."""
    content, name = read_file(path), path.name
    try:
        tensors: dict[str, Any] = load(content)
        plan = Plan.from_json(tensors.pop(_PLAN).tobytes())
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PackageError("the weights can't be read", where=name, seen=str(error), cure="Build anew.") from error
    arrays = tuple(tensors[key] for key in sorted(tensors))
    if [(a.shape, a.dtype) for a in arrays] != [(a.shape, a.dtype) for a in plan.arguments]:
        raise PackageError("the weights don't match their plan", where=name, cure="Build anew.")
    return Weights(plan, arrays)
