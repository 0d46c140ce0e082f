"""A template and a head in the forms that backends take: one graph from the pixels of pictures to probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.convolutions import HALF, SIGNED, Ranges
from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.compile.outputs import add_outputs, add_scores
from modelgpt_edge.golden import Golden
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.image.space import LEAST, Block, Space
from modelgpt_edge.targets.backend import Backend, PictureFacts, PixelNetwork, TextFacts
from modelgpt_edge.targets.target import Target
from modelgpt_edge.text_head import TextHead

# Pictures that activation ranges are found on.
CALIBRATED = 32
# How convolutions are written for compilers of GPUs, by precision.
TYPED = {"fp32": "fp32", "fp16": HALF, "int8": SIGNED}


@dataclass(frozen=True, eq=False)
class PictureSource:
    """What is compiled.

    Attributes:
        template: what the head was solved on.
        calibration: pictures (N, S, S, 3) that int8's ranges are found on.
        tight: whether the device's storage is limited, so that halved weights are worth a form.
        version: of the project, named in every graph as its producer.
    """

    template: PictureTemplate
    space: Space
    head: TextHead
    classes: tuple[str, ...]
    calibration: NDArray[np.uint8]
    tight: bool
    version: str
    _made: dict[str, bytes] = field(default_factory=dict, repr=False)
    front = "pixels"
    emulated_rows = 2
    plain_rows = 16

    @property
    def child(self) -> Child:
        """There is none: backends that ask for one don't take the front ``pixels``."""
        raise TypeError("a model of pictures is no table's child")

    @property
    def texts(self) -> TextFacts:
        """There are none: backends that ask for them take the front ``tokens``."""
        raise TypeError("a model of pictures takes no texts")

    @property
    def pictures(self) -> PictureFacts:
        """What feeds its graph."""
        return PictureFacts(self.classes, self.template.size)

    @property
    def pixels(self) -> PixelNetwork:
        """Its layers, the head folded into the last; TargetUnavailableError where no small device runs them."""
        head = self.head.weight, self.head.bias
        network = self.template.network(*(self.space.folded(*head) if self.template.linear is not None else head))
        return PixelNetwork(network, self.calibration, self.classes)

    @property
    def beside(self) -> Mapping[str, bytes]:
        """Nothing: all but reading the picture is in the graph."""
        return {}

    @cached_property
    def ranges(self) -> Ranges:
        """Ranges of the template's activations, found once."""
        return self.template.calibrate(self.calibration[:CALIBRATED])

    def onnx(self, front: str, precision: str) -> bytes:
        """The graph as bytes, made once; see `targets.backend.Source`."""
        if front != self.front:
            raise ValueError(f"a model of pictures has no front {front!r}")
        return self._graph(precision)

    def typed(self, precision: str) -> bytes:
        """See `targets.backend.Source`."""
        return self._graph(TYPED[precision])

    def _graph(self, precision: str) -> bytes:
        if precision not in self._made:
            self._made[precision] = picture_graph(self, precision, with_label=False).SerializeToString()
        return self._made[precision]

    def precisions(self, target: Target, backend: Backend) -> list[str]:
        """What convolutions are worth on a device: ranges that are fixed beforehand, not found for each picture."""
        known = self.template.precisions
        if target.sm is not None:  # the processor beside a GPU is only what it falls back to
            typed = [p for p in target.precisions if p in backend.precisions and TYPED[p] in known]
            return ["fp32"] if backend.name == "onnxruntime" else typed
        wanted = ("fp32", "int8", "fp16") if self.tight else ("fp32", "int8")
        return [p for p in wanted if p in backend.precisions and p in known]

    def inputs(self, golden: Golden) -> Ints:
        """See `Compilable`."""
        assert golden.pictures is not None, "golden rows of a model of pictures are pictures"
        return golden.pictures

    def probabilities(self, channels: Sequence[Floats]) -> Floats:
        """The reference (N, K): space and head in numpy, on what the backbone said in fp32."""
        return self.head.probabilities(self.space.of(channels))


def picture_graph(source: PictureSource, precision: str, with_label: bool) -> onnx.ModelProto:
    """``pixels`` [N, S, S, 3] uint8 to ``probabilities`` [N, K], and ``label`` [N] where asked for."""
    graph = Graph("modelgpt_edge_pictures")
    pixels = graph.input("pixels", "uint8", source.template.size, source.template.size, 3)
    ranges = source.ranges if precision.startswith("int8") else None
    channels = source.template.add_to(graph, pixels, precision, len(source.space.blocks), ranges)
    parts = [_block(graph, value, block) for value, block in zip(channels, source.space.blocks)]
    embedding = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)
    scores = add_scores(graph, embedding, source.head, precision == HALF)
    add_outputs(graph, scores, source.classes, with_label)
    return graph.model(source.version)


def _block(graph: Graph, value: str, block: Block) -> str:
    """A stage's channels [N, D] as `Block.of` has them."""
    if block.root:
        value = graph.add("Sqrt", graph.add("Relu", value))
    moved = graph.add("Sub", value, graph.constant("mean", block.mean))
    if not (block.scale == 1).all():
        moved = graph.add("Mul", moved, graph.constant("scale", block.scale))
    if not block.unit:
        return moved
    length = graph.add("Max", graph.add("ReduceL2", moved, axes=[1], keepdims=1), graph.constant("least", np.float32(LEAST)))
    share = graph.add("Div", graph.constant("weight", np.float32(block.weight)), length)
    return graph.add("Mul", moved, share)
