"""The sizes of a tiny trunk: convolutions one after the other, as small devices run them, and the arrays that they call for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SIZE, COLOURS = 32, 3


@dataclass(frozen=True)
class Step:
    """A convolution with zeros around it, so that only its stride makes maps smaller, and ReLU.

    Attributes:
        outputs: channels after it; kernel: 1 or 3, of a side; stride: 1 or 2.
        depthwise: whether each channel has a kernel of its own; there are as many after it as before.
    """

    outputs: int
    kernel: int = 3
    stride: int = 1
    depthwise: bool = False


@dataclass(frozen=True)
class TrunkShape:
    """All sizes of a trunk.

    Attributes:
        steps: at least one.
        grid: the last map is pooled whole, and in so many parts of each side.
    """

    steps: tuple[Step, ...]
    grid: int = 2

    def __post_init__(self) -> None:
        """ValueError where steps don't follow from one another, or the last map can't be parted."""
        for step, inputs in zip(self.steps, self.inputs):
            if step.kernel not in (1, 3) or step.stride not in (1, 2) or step.outputs < 1:
                raise ValueError(f"{step} is no step of a trunk")
            if step.depthwise and step.outputs != inputs:
                raise ValueError(f"{step} has {inputs} channels before it")
        if not self.steps or self.grid < 1 or self.side % self.grid:
            raise ValueError(f"a last map of {self.side} x {self.side} can't be pooled in {self.grid} parts of a side")

    @property
    def inputs(self) -> tuple[int, ...]:
        """Channels before each step."""
        return (COLOURS, *(step.outputs for step in self.steps[:-1]))

    @property
    def side(self) -> int:
        """Of the last map."""
        side = SIZE
        for step in self.steps:
            side = -(-side // step.stride)
        return side

    @property
    def channels(self) -> int:
        """Of the last map."""
        return self.steps[-1].outputs

    @property
    def width(self) -> int:
        """D, what a picture becomes: the last map's means, whole and by parts."""
        return self.channels * (1 + self.grid**2)

    @property
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the arrays by name; weights are as `network.Conv2D` and `network.DepthwiseConv2D` have them."""
        found: dict[str, tuple[int, ...]] = {}
        for place, (step, inputs) in enumerate(zip(self.steps, self.inputs)):
            kernel = (step.kernel, step.kernel)
            found[f"{place}.weight"] = (*kernel, step.outputs) if step.depthwise else (*kernel, inputs, step.outputs)
            found[f"{place}.bias"] = (step.outputs,)
        return found

    @property
    def parameters(self) -> int:
        """Numbers in all arrays."""
        total = 0
        for shape in self.arrays.values():
            size = 1
            for length in shape:
                size *= length
            total += size
        return total

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the features of one picture."""
        side, total = SIZE, 0
        for step, inputs in zip(self.steps, self.inputs):
            side = -(-side // step.stride)
            total += side**2 * step.kernel**2 * step.outputs * (1 if step.depthwise else inputs)
        return total

    def to_json(self) -> dict[str, Any]:
        """For the metadata of a file."""
        return asdict(self)

    @staticmethod
    def from_json(facts: Mapping[str, Any]) -> TrunkShape:
        """What `to_json` gave; KeyError, TypeError or ValueError where it is something else."""
        return TrunkShape(tuple(Step(**step) for step in facts["steps"]), facts["grid"])


def separable(outputs: int, inputs: int, stride: int = 1) -> Sequence[Step]:
    """A depthwise convolution and a 1 x 1 one, which together do for a fraction what one over all channels does."""
    return Step(inputs, stride=stride, depthwise=True), Step(outputs, kernel=1)


# What ships.
TINY = TrunkShape((Step(16), Step(32, stride=2), Step(32), Step(64, stride=2), Step(64), Step(128, kernel=1)))
