"""A graph at work on this machine, its constants read where they lie: written as bytes they would be copied five times first.

What goes into a package is written as bytes all the same, by `onnx_nodes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import open_session


@dataclass(frozen=True, eq=False)
class GraphSession:
    """An ONNX Runtime session, and the arrays that it reads."""

    _session: Any
    _arrays: Mapping[str, NDArray[Any]]

    def run(self, names: Sequence[str] | None, given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs of these names, every one where not given, for inputs by name."""
        outputs: list[NDArray[Any]] = self._session.run(names, given)
        return outputs


def open_graph(graph: Graph, threads: int = 1) -> GraphSession:
    """A session on a graph, see `open_session`."""
    content, arrays = graph.apart()
    return GraphSession(open_session(content, threads, apart=arrays), arrays)
