"""A child in the forms that backends take: the arrays themselves, or an ONNX graph by front and precision."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from modelgpt_edge.child import CLIP, Child, Floats
from modelgpt_edge.compile.graph import core_graph, packed_graph
from modelgpt_edge.compile.precision import Precision


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

    def onnx(self, front: str, precision: str) -> bytes:
        """The graph as bytes, made once; see `targets.backend.Source`."""
        key = front, precision
        if key not in self._made:
            graph = {"packed": packed_graph, "encoded": core_graph}[front]
            self._made[key] = graph(self.child, self.version, Precision(precision, self.ranges)).SerializeToString()
        return self._made[key]


def calibrate(child: Child, encoded: Floats) -> dict[str, float]:
    """Ranges of the quantised products' inputs on encoded rows (N, D) of the user.

    The template bounds every input (columns are clipped at 5, units end at 1), so a row unlike the table's saturates no
    further than the clip does; rows that stay below it let the steps be finer.
    """
    columns = min(float(np.abs(encoded).max(initial=0)), float(CLIP)) or float(CLIP)
    hidden = float(np.abs(child.units.activate(encoded)).max(initial=0)) if child.units.count and len(encoded) else 0.0
    return {"dense": columns, "head": min(hidden, 1.0) or 1.0}
