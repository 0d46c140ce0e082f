"""What both precisions of an emitted network share: activations fused, and two buffers that take turns in one scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from modelgpt_edge.network import Conv2D, Dense, DepthwiseConv2D, Layer, Network, ReLU
from modelgpt_edge.targets.cortexm.literals import Table
from modelgpt_edge.targets.cortexm.quantise import round_up


@dataclass(frozen=True)
class NetworkCode:
    """What fills the network template.

    Attributes:
        tables: constants; layers: structs that point to them; calls: body of the function.
        flags: of the template; scratch_bytes, window_bytes: RAM, the latter at the end of the former.
    """

    tables: tuple[Table, ...]
    layers: tuple[str, ...]
    calls: tuple[str, ...]
    flags: frozenset[str]
    scratch_bytes: int


def fused(network: Network) -> Network:
    """The same network with each ReLU inside the layer before it, where that can take it."""
    layers: list[Layer] = []
    for layer in network.layers:
        last = layers[-1] if layers else None
        if isinstance(layer, ReLU) and isinstance(last, (Dense, Conv2D, DepthwiseConv2D)):
            layers[-1] = replace(last, relu=True)
        else:
            layers.append(layer)
    return Network(network.input_shape, tuple(layers))


@dataclass(frozen=True)
class Buffers:
    """Places in the scratch of values that follow one another: at its start and at its end in turn, so that any two
    neighbours lie apart. A window for convolutions follows.

    Attributes:
        offsets: in bytes, of each value; window: of the window; total: bytes of all.
    """

    offsets: tuple[int, ...]
    window: int
    total: int

    @staticmethod
    def of(sizes: Sequence[int], window: int) -> Buffers:
        """Buffers for values of so many bytes, each on a whole word."""
        words = [round_up(size, 4) for size in sizes]
        room = max([a + b for a, b in pairwise(words)] or [sum(words)])
        offsets = [0 if i % 2 == 0 else room - size for i, size in enumerate(words)]
        return Buffers(tuple(offsets), room, room + round_up(window, 4))


def initialiser(kind: str, name: str, fields: Sequence[object]) -> str:
    """A constant struct of a layer."""
    return f"static const {kind} {name} = {{{', '.join(map(str, fields))}}};"
