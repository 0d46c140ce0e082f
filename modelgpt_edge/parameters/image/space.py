"""The space in which heads of pictures are solved: what a backbone says of a picture, block by block, each of length one.

The last layer's channels mostly are counts of a kind (means of values that are never negative), and then their root is taken:
it lifts a few points of accuracy out of few pictures. Stages before it say less, but on grey or drawn pictures what it missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Floats

# How much the last layer counts beside an earlier stage, and what is added to a channel's deviation, as a share of their mean.
LAST_WEIGHT, SMOOTHED = 2.0, 0.1
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
    def around(channels: Sequence[Floats], rooted: bool = True) -> Space:
        """The space around pictures, labelled or not.

        Args:
            channels: of the last layer (N, D), and of earlier stages where they count too. Without any picture (N = 0) nothing
                is taken off.
            rooted: whether roots of the last layer's are taken, which then are never negative.
        """
        weights = np.array([LAST_WEIGHT, *[1.0] * (len(channels) - 1)])
        weights /= np.linalg.norm(weights)
        blocks = []
        for place, (own, weight) in enumerate(zip(channels, weights)):
            root = rooted and place == 0
            values = np.sqrt(np.maximum(own, 0)) if root else own
            mean, scale = np.zeros(own.shape[1], np.float32), np.ones(own.shape[1], np.float32)
            if len(own):
                mean = values.mean(0).astype(np.float32)
                if place:
                    deviation = values.std(0)
                    scale = (1 / (deviation + SMOOTHED * deviation.mean() + LEAST)).astype(np.float32)
            blocks.append(Block(mean, scale, float(weight), root))
        return Space(tuple(blocks))

    @staticmethod
    def linear(channels: Floats, weights: Floats) -> Space:
        """Channels (N, D), N at least 1, standardised, times weights (D,): a head on it folds into one on bare channels."""
        mean, deviation = channels.mean(0), channels.std(0)
        scale = weights / ((deviation + SMOOTHED * deviation.mean() + LEAST) * np.sqrt(channels.shape[1]))
        return Space((Block(mean.astype(np.float32), scale.astype(np.float32), 1.0, root=False, unit=False),))

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
        linear: how much each channel (D,) weighs where all must be linear, as on the tiny trunk; None where it need not be.
        rooted: whether the last layer's channels are never negative, so that their roots may be taken.
    """

    linear: Floats | None = None
    rooted: bool = True

    def space(self, channels: Sequence[Floats]) -> Space:
        """The space around pictures, at least one where it must be linear; of the last layer alone then."""
        return Space.around(channels, self.rooted) if self.linear is None else Space.linear(channels[0], self.linear)


PLAIN = Traits()
