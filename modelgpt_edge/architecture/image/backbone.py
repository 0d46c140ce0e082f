"""A backbone at work: pictures in, channels out, by ONNX Runtime on the graph that a package will carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.convolutions import Convolutions, Ranges
from modelgpt_edge.architecture.image.efficientnet import add_efficientnet, fold, widths
from modelgpt_edge.architecture.image.files import BackboneFiles
from modelgpt_edge.architecture.image.ranges import find_ranges
from modelgpt_edge.child import Floats
from modelgpt_edge.graph_session import GraphSession, open_graph
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import run_on_pictures


@dataclass(frozen=True, eq=False)
class Backbone:
    """A backbone with its weights at hand."""

    files: BackboneFiles
    weights: Mapping[str, Floats] = field(repr=False)
    _sessions: dict[int, GraphSession] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(files: BackboneFiles) -> Backbone:
        """Read a backbone's weights."""
        return Backbone(files, files.weights())

    @property
    def classifier(self) -> Floats:
        """Rows (1000, D) of ImageNet's classes on the last layer's channels."""
        return self.weights["_fc.weight"]

    def add_to(
        self, graph: Graph, pixels: str, size: int, precision: str, stages: bool, ranges: Ranges | None = None
    ) -> tuple[str, ...]:
        """Add it to a graph, see `add_efficientnet`; `ranges`, by `calibrate`, are needed by int8."""
        convolutions = Convolutions(precision, ranges or {})
        return add_efficientnet(graph, pixels, size, self.files.shape, self._folded, convolutions, stages)

    def channels(
        self, pictures: NDArray[np.uint8], *, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[Floats, ...]:
        """What it says of pictures (N, S, S, 3): of the last layer (N, D), and of the stages before it (N, 2 C) each."""
        size = pictures.shape[1]
        if size not in self._sessions:
            self._sessions[size] = open_graph(self._graph(size))
        made = tuple(np.empty((len(pictures), width), np.float32) for width in widths(self.files.shape))
        for place, outputs in run_on_pictures(self._sessions[size], pictures):
            for whole, got in zip(made, outputs):
                whole[place] = got
            progress(min(1.0, place.stop / len(pictures)))
        return made

    def calibrate(self, pictures: NDArray[np.uint8]) -> Ranges:
        """Least and largest value of every activation on pictures (N, S, S, 3), N at least 1."""
        return find_ranges(self._graph(pictures.shape[1]), pictures)

    @cached_property
    def _folded(self) -> Callable[[str, str], tuple[Floats, Floats]]:
        """As `add_efficientnet` takes it; a build writes several graphs, and folds once."""
        return lru_cache(maxsize=None)(partial(fold, self.weights))

    def _graph(self, size: int) -> Graph:
        graph = Graph("modelgpt_edge_backbone")
        names = self.add_to(graph, graph.input("pixels", "uint8", size, size, 3), size, "fp32", stages=True)
        for place, (name, width) in enumerate(zip(names, widths(self.files.shape))):
            graph.output(name, f"channels{place}", "float32", width)
        return graph
