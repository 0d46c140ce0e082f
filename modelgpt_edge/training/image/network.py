"""The trunk in torch: what learns, with batch norms, and the same trunk folded into plain convolutions, as it ships."""

from __future__ import annotations

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.architecture.image.trunk_shape import Step, TrunkShape
from modelgpt_edge.child import Floats
from modelgpt_edge.network import MIDDLE

# Pixels less `MIDDLE` are divided by this, which folding moves into the first convolution.
SPREAD = 64.0


class _Step(nn.Module):
    """A convolution without bias, a batch norm and ReLU."""

    def __init__(self, step: Step, inputs: int) -> None:
        super().__init__()
        self.step = step
        groups = inputs if step.depthwise else 1
        self.conv = nn.Conv2d(inputs, step.outputs, step.kernel, step.stride, step.kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(step.outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H', W')."""
        return torch.relu(self.norm(self.conv(maps)))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of a convolution that does what both do once the norm's statistics stand."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        gain = self.norm.weight.double() / torch.sqrt(self.norm.running_var.double() + self.norm.eps)
        bias = self.norm.bias.double() - self.norm.running_mean.double() * gain
        return self.conv.weight.double() * gain[:, None, None, None], bias


class TorchTrunk(nn.Module):
    """A trunk that learns."""

    def __init__(self, shape: TrunkShape) -> None:
        super().__init__()
        self.shape = shape
        self.steps = nn.ModuleList(_Step(step, inputs) for step, inputs in zip(shape.steps, shape.inputs))

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (N, D), as `Trunk.features` has them, of pictures (N, 3, 32, 32) from 0 to 1."""
        maps = (pictures * 255 - MIDDLE) / SPREAD
        for step in self.steps:
            maps = step(maps)
        part = self.shape.side // self.shape.grid
        parts = functional.avg_pool2d(maps, part).permute(0, 2, 3, 1).flatten(1) / self.shape.grid
        return torch.cat([maps.mean((2, 3)), parts], 1)

    def folded(self) -> dict[str, Floats]:
        """Arrays by the names of `TrunkShape.arrays`, norms and normalisation folded in."""
        arrays: dict[str, Floats] = {}
        for place, (step, sizes) in enumerate(zip(self.steps, self.shape.steps)):
            assert isinstance(step, _Step)
            weight, bias = (tensor.detach().cpu().numpy() for tensor in step.folded())
            if place == 0:
                weight = weight / SPREAD
            order = weight[:, 0].transpose(1, 2, 0) if sizes.depthwise else weight.transpose(2, 3, 1, 0)
            arrays[f"{place}.weight"] = np.ascontiguousarray(order, np.float32)
            arrays[f"{place}.bias"] = bias.astype(np.float32)
        return arrays
