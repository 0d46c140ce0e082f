"""Sequential networks as plain arrays, and their fp32 forward pass in numpy: the reference that a compiled network is held to.

Maps are (height, width, channels), the order that small devices like, and batches put N in front. Only numpy may come in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.errors import InputError

Shape: TypeAlias = tuple[int, ...]
Padding: TypeAlias = tuple[int, int, int, int]
NO_PADDING: Padding = (0, 0, 0, 0)
# What pixels are counted from: as int8 they then need no step of their own, and the zeros of a padding are middle grey.
MIDDLE = 128


class Layer(Protocol):
    """One step of a network."""

    def shape(self, before: Shape) -> Shape:
        """Shape of its output without N; ValueError, which says why, where it takes no such input."""

    def forward(self, x: Floats) -> Floats:
        """Outputs of inputs, N in front of both."""


@dataclass(frozen=True)
class Dense:
    """``x W + b``, then ReLU if asked.

    Attributes:
        weight: (inputs, outputs); bias: (outputs,).
    """

    weight: Floats
    bias: Floats
    relu: bool = False

    def shape(self, before: Shape) -> Shape:
        """(inputs,) to (outputs,)."""
        if before != self.weight.shape[:1]:
            raise ValueError(f"it takes {self.weight.shape[:1]}")
        return self.bias.shape

    def forward(self, x: Floats) -> Floats:
        """(N, inputs) to (N, outputs)."""
        return _activated(x @ self.weight + self.bias, self.relu)


@dataclass(frozen=True)
class Conv2D:
    """Convolution over all channels, then ReLU if asked.

    Attributes:
        weight: (kernel height, kernel width, channels in, channels out); bias: (channels out,).
        stride: in both directions; padding: zeros at top, left, bottom, right, as ONNX orders them.
    """

    weight: Floats
    bias: Floats
    stride: int = 1
    padding: Padding = NO_PADDING
    relu: bool = False

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels in) to (H', W', channels out)."""
        if len(before) != 3 or before[2] != self.weight.shape[2]:
            raise ValueError(f"it takes maps of {self.weight.shape[2]} channels")
        return (*_slid(before, self.weight.shape[:2], self.stride, self.padding), self.weight.shape[3])

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels in) to (N, H', W', channels out)."""
        windows = _windows(_padded(x, self.padding), self.weight.shape[:2], self.stride)
        return _activated(np.einsum("nhwcij,ijco->nhwo", windows, self.weight, optimize=True) + self.bias, self.relu)


@dataclass(frozen=True)
class DepthwiseConv2D:
    """A convolution of each channel with a kernel of its own, then ReLU if asked.

    Attributes:
        weight: (kernel height, kernel width, channels); bias: (channels,).
        stride, padding: as in `Conv2D`.
    """

    weight: Floats
    bias: Floats
    stride: int = 1
    padding: Padding = NO_PADDING
    relu: bool = False

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels) to (H', W', channels)."""
        if len(before) != 3 or before[2] != self.weight.shape[2]:
            raise ValueError(f"it takes maps of {self.weight.shape[2]} channels")
        return (*_slid(before, self.weight.shape[:2], self.stride, self.padding), before[2])

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels) to (N, H', W', channels)."""
        windows = _windows(_padded(x, self.padding), self.weight.shape[:2], self.stride)
        return _activated(np.einsum("nhwcij,ijc->nhwc", windows, self.weight, optimize=True) + self.bias, self.relu)


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window, channel by channel; windows that don't fit whole are left out."""

    size: int
    stride: int

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels) to (H', W', channels)."""
        return _pooled(before, self.size, self.stride)

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels) to (N, H', W', channels)."""
        return _windows(x, (self.size, self.size), self.stride).max((4, 5))


@dataclass(frozen=True)
class AveragePool:
    """The mean of each window, channel by channel; windows that don't fit whole are left out."""

    size: int
    stride: int

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels) to (H', W', channels)."""
        return _pooled(before, self.size, self.stride)

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels) to (N, H', W', channels)."""
        return _windows(x, (self.size, self.size), self.stride).mean((4, 5), dtype=np.float32)


@dataclass(frozen=True)
class GlobalAveragePool:
    """The mean of each channel."""

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels) to (channels,)."""
        if len(before) != 3:
            raise ValueError("it takes maps")
        return before[2:]

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels) to (N, channels)."""
        return x.mean((1, 2), dtype=np.float32)


@dataclass(frozen=True)
class ReLU:
    """``max(x, 0)`` on its own, where no layer before it can take it along."""

    def shape(self, before: Shape) -> Shape:
        """As before."""
        return before

    def forward(self, x: Floats) -> Floats:
        """As before."""
        return np.maximum(x, 0)


@dataclass(frozen=True)
class Flatten:
    """Maps as one row, channels changing fastest."""

    def shape(self, before: Shape) -> Shape:
        """(H, W, channels) to (H W channels,)."""
        return (int(np.prod(before)),)

    def forward(self, x: Floats) -> Floats:
        """(N, H, W, channels) to (N, H W channels)."""
        return x.reshape(len(x), -1)


@dataclass(frozen=True)
class Softmax:
    """Scores to probabilities; only at the end."""

    def shape(self, before: Shape) -> Shape:
        """(K,) as before."""
        if len(before) != 1:
            raise ValueError("it takes a row of scores")
        return before

    def forward(self, x: Floats) -> Floats:
        """(N, K) as before."""
        return softmax(x)


@dataclass(frozen=True)
class Network:
    """Layers in the order they are applied.

    Attributes:
        input_shape: (features,) or (height, width, channels).
        layers: at least one; `Softmax` at the end or nowhere.

    Raises:
        InputError: a layer doesn't take what the one before it gives; names both.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("a network has no layers", where="network", cure="Give it one.")
        if any(isinstance(layer, Softmax) for layer in self.layers[:-1]):
            raise InputError("Softmax stands before the end of a network", where="network", cure="Put it last.")
        self.shapes()

    def shapes(self) -> tuple[Shape, ...]:
        """Shape after each layer, without N."""
        shapes, shape = [], self.input_shape
        for place, layer in enumerate(self.layers):
            try:
                shape = layer.shape(shape)
            except ValueError as error:
                where = f"layer {place} of the network ({type(layer).__name__})"
                raise InputError(f"{error}", where=where, seen=shape, cure="Mend the layer before it.") from error
            shapes.append(shape)
        return tuple(shapes)

    def forward(self, x: Floats) -> Floats:
        """Outputs (N, ...) of inputs (N, *input_shape)."""
        for layer in self.layers:
            x = layer.forward(x)
        return x


def centred(pictures: NDArray[np.uint8]) -> Floats:
    """Pictures (N, H, W, channels) as inputs of a network of pixels: bytes less `MIDDLE`."""
    return pictures.astype(np.float32) - np.float32(MIDDLE)


def _activated(x: Floats, relu: bool) -> Floats:
    return np.maximum(x, 0) if relu else x


def _padded(x: Floats, padding: Padding) -> Floats:
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


def _windows(x: Floats, kernel: Shape, stride: int) -> Floats:
    """Windows (N, H', W', C, kernel height, kernel width) of maps (N, H, W, C)."""
    windows: Floats = sliding_window_view(x, kernel, axis=(1, 2))[:, ::stride, ::stride]  # type: ignore[call-overload]
    return windows


def _slid(before: Shape, kernel: Shape, stride: int, padding: Padding) -> tuple[int, int]:
    top, left, bottom, right = padding
    height, width = (before[0] + top + bottom - kernel[0]) // stride + 1, (before[1] + left + right - kernel[1]) // stride + 1
    if before[0] + top + bottom < kernel[0] or before[1] + left + right < kernel[1] or stride < 1:
        raise ValueError(f"a kernel of {kernel} doesn't fit")
    return height, width


def _pooled(before: Shape, size: int, stride: int) -> Shape:
    if len(before) != 3:
        raise ValueError("it takes maps")
    return (*_slid(before, (size, size), stride, NO_PADDING), before[2])
