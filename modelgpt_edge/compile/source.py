"""What is compiled, in the forms that backends take: a child's arrays, or an ONNX graph by front and precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from modelgpt_edge.child import CLIP, Child, Floats, Ints
from modelgpt_edge.compile.golden import golden_codes
from modelgpt_edge.compile.graph import core_graph, packed_graph
from modelgpt_edge.compile.precision import Precision
from modelgpt_edge.golden import Golden
from modelgpt_edge.targets.backend import Backend, PictureFacts, PixelNetwork, Source, TextFacts
from modelgpt_edge.targets.target import Target


class Compilable(Source, Protocol):
    """A source with what the compiler itself asks of it."""

    @property
    def emulated_rows(self) -> int:
        """Rows beside the golden ones that an emulator, hundreds of times slower than the device, is given."""

    @property
    def plain_rows(self) -> int | None:
        """Rows beside the golden ones, which show what it computes, that a form in fp32 is given where each takes long."""

    def precisions(self, target: Target, backend: Backend) -> list[str]:
        """What a backend compiles of it for a target, the preferred one first."""

    def inputs(self, golden: Golden) -> Ints:
        """Codes of golden rows: positions of a table's words (N, S), token ids of texts (N, L), or pictures (N, S, S, 3)."""


@dataclass(frozen=True)
class ChildSource:
    """What is compiled.

    Attributes:
        child: the generated model.
        version: of the project, named in every graph as its producer.
        ranges: largest magnitude of the input of each quantised matrix product, by its name.
    """

    child: Child
    version: str
    ranges: dict[str, float]
    _made: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)
    front = "packed"
    emulated_rows = 256
    plain_rows = None

    @property
    def texts(self) -> TextFacts:
        """There are none: backends that ask for them take the front ``tokens``."""
        raise TypeError("a table's child takes no texts")

    @property
    def pictures(self) -> PictureFacts:
        """There are none: backends that ask for them take the front ``pixels``."""
        raise TypeError("a table's child takes no pictures")

    @property
    def pixels(self) -> PixelNetwork:
        """There is none: backends that ask for it take the front ``pixels``."""
        raise TypeError("a table's child takes no pictures")

    @property
    def beside(self) -> Mapping[str, bytes]:
        """Nothing: a table's encoding is in the graph, or in what each backend writes."""
        return {}

    def onnx(self, front: str, precision: str) -> bytes:
        """The graph as bytes, made once; see `targets.backend.Source`."""
        key = front, precision
        if key not in self._made:
            graph = {"packed": packed_graph, "encoded": core_graph}[front]
            self._made[key] = graph(self.child, self.version, Precision(precision, self.ranges)).SerializeToString()
        return self._made[key]

    def typed(self, precision: str) -> bytes:
        """The numeric core, see `targets.backend.Source`."""
        return self.onnx("encoded", precision)

    def precisions(self, target: Target, backend: Backend) -> list[str]:
        """See `Compilable`."""
        return precisions_of(target, backend, self.child)

    def inputs(self, golden: Golden) -> Ints:
        """See `Compilable`."""
        return golden_codes(self.child.encoder, golden.words)


def precisions_of(target: Target, backend: Backend, child: Child) -> list[str]:
    """What a backend compiles of a child for a target, the preferred one first."""
    if target.sm is not None and backend.name == "onnxruntime":
        return ["fp32"]  # the processor beside a GPU is only what it falls back to
    wanted = [p for p in target.precisions if p in backend.precisions]
    if backend.name != "c" and not child.units.count:
        # In ONNX the linear skip stays float: without hidden units there is nothing to quantise.
        return [p for p in wanted if not p.startswith("int8")] or ["fp32"]
    return wanted


def calibrate(child: Child, encoded: Floats) -> dict[str, float]:
    """Ranges of the quantised products' inputs on encoded rows (N, D) of the user.

    The template bounds every input (columns are clipped at 5, units end at 1), so a row unlike the table's saturates no
    further than the clip does; rows that stay below it let the steps be finer.
    """
    columns = min(float(np.abs(encoded).max(initial=0)), float(CLIP)) or float(CLIP)
    hidden = float(np.abs(child.units.activate(encoded)).max(initial=0)) if child.units.count and len(encoded) else 0.0
    return {"dense": columns, "head": min(hidden, 1.0) or 1.0}
