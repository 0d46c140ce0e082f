"""Any network as a template: one that timm made, or a file of ONNX, its normalisation and its nodes in our graph.

Its convolutions aren't written one by one, as those of our own backbones are, so there is no int8 of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from modelgpt_edge.architecture.image.convolutions import Ranges
from modelgpt_edge.architecture.image.feature_graph import FeatureGraph
from modelgpt_edge.architecture.image.onnx_cost import count_macs
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.template import no_microcontroller
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.graph_session import GraphSession, open_graph
from modelgpt_edge.network import Network
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import run_on_pictures

WHITE = 255
Colour = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class OnnxTemplate:
    """A network in ONNX that says what is in a picture.

    Attributes:
        kind: ``timm`` or ``onnx``; name, sha256, classifier: as of `PictureTemplate`.
        features: the network.
        mean, deviation: of red, green and blue, which pixels of 0 to 1 are normalised by before they go in.
    """

    kind: str
    name: str
    sha256: str
    features: FeatureGraph = field(repr=False)
    mean: Colour
    deviation: Colour
    classifier: Floats | None = field(default=None, repr=False)
    linear = None
    beside = None
    precisions = ("fp32", "fp16")

    @property
    def size(self) -> int:
        """See `PictureTemplate`."""
        return self.features.size

    @cached_property
    def macs(self) -> int:
        """Of one picture, see `count_macs`."""
        return count_macs(self.features.model(batch=1))

    @cached_property
    def rooted(self) -> bool:
        """See `PictureTemplate`; told from sample pictures.

        Raises:
            InputError: it says nothing of them that can be used.
        """
        (seen,) = self.channels(sample_pictures(self.size))
        if not np.isfinite(seen).all():
            cure = "Check its weights, and that it takes pictures as --encoder gives them, see docs/images.md."
            raise InputError("the network gives NaN or infinite values", where="--encoder", seen=self.name, cure=cure)
        if not (seen.std(0) > 0).any():
            cure = "Check its weights: have they been loaded?"
            raise InputError("the network says the same of every picture", where="--encoder", seen=self.name, cure=cure)
        return bool((seen >= 0).all())

    def channels(
        self, pictures: NDArray[np.uint8], *, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[Floats, ...]:
        """See `PictureTemplate`; it tells of no stages."""
        made = np.empty((len(pictures), self.features.width), np.float32)
        for place, (outputs,) in run_on_pictures(self._session, pictures):
            made[place] = outputs
            progress(min(1.0, place.stop / len(pictures)))
        return (made,)

    def add_to(self, graph: Graph, pixels: str, precision: str, told: int, ranges: Ranges | None = None) -> tuple[str, ...]:
        """See `PictureTemplate`; it tells of no stages, and ``fp16`` is of its weights alone."""
        if precision not in self.precisions:
            raise ValueError(f"there is no {precision} of a network that isn't written here")
        mean, deviation = (np.array(own, np.float64)[:, None, None] * WHITE for own in (self.mean, self.deviation))
        turned = graph.add("Transpose", graph.add("Cast", pixels, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
        centred = graph.add("Sub", turned, graph.constant("pixel_mean", mean.astype(np.float32)))
        scale = graph.constant("pixel_scale", (1 / deviation).astype(np.float32))
        values = graph.add("Mul", centred, scale, name=self.features.input)
        return (self.features.add_to(graph, values, precision == "fp16"),)

    def calibrate(self, pictures: NDArray[np.uint8]) -> Ranges:
        """Of nothing: there is no int8 of it."""
        return {}

    def network(self, weight: Floats, bias: Floats) -> Network:
        """Never, see `PictureTemplate`."""
        raise no_microcontroller(self.name)

    @cached_property
    def _session(self) -> GraphSession:
        graph = Graph("modelgpt_edge_network")
        (made,) = self.add_to(graph, graph.input("pixels", "uint8", self.size, self.size, 3), "fp32", told=1)
        graph.output(made, "channels", "float32", self.features.width)
        return open_graph(graph)
