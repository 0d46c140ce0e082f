"""The tiny trunk: a feature extractor of our own for pictures of 32 x 32, small enough for a microcontroller.

Every layer is one that `modelgpt_edge.network` has and the C emitter knows. A linear head on its features folds into one last
layer, because means over the whole map are means of the means over its parts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from modelgpt_edge.architecture.image.colours import with_colours
from modelgpt_edge.architecture.image.trunk_shape import SIZE, Step, TrunkShape
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import PackageError
from modelgpt_edge.network import MIDDLE, AveragePool, Conv2D, Dense, DepthwiseConv2D, Flatten, Layer, Network, Softmax

if TYPE_CHECKING:  # a device has no onnx
    from modelgpt_edge.architecture.image.convolutions import Ranges
    from modelgpt_edge.onnx_nodes import Graph

SHIPPED = Path(__file__).with_name("trunk.safetensors")
FORMAT = "modelgpt-edge trunk 1"
# Pictures that ONNX Runtime is given at once, and between two reports of progress.
BATCH = 64
# The normalised picture, in graphs where another network may stand beside the trunk.
SMALL_PICTURE = "trunk_picture"


@dataclass(frozen=True, eq=False)
class Trunk:
    """A trained trunk. What goes in are pixels less `network.MIDDLE`; norms are folded into the weights.

    Attributes:
        weights: float32, by the names of `TrunkShape.arrays`.
        story: what it was trained on and how good it is, as its file says it.
        sha256: of its file.
    """

    shape: TrunkShape
    weights: Mapping[str, Floats] = field(repr=False)
    story: Mapping[str, str]
    sha256: str
    size = SIZE

    @staticmethod
    def read(path: Path) -> Trunk:
        """Read what `train images` exported.

        Raises:
            PackageError: the file is missing, cut short or no trunk.
        """
        try:
            content = path.read_bytes()
            story = _metadata(content)
            shape = TrunkShape.from_json(json.loads(story["shape"]))
            arrays = load(content)
            weights = {name: _checked(name, arrays[name], sizes) for name, sizes in shape.arrays.items()}
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            cure = "Give the file that `modelgpt-edge train images` writes; if it came with modelgpt-edge, install that anew."
            raise PackageError("the tiny trunk can't be read", where=str(path), seen=str(error), cure=cure) from error
        return Trunk(shape, weights, story, hashlib.sha256(content).hexdigest())

    @staticmethod
    def shipped() -> Trunk:
        """The one that comes with the package."""
        return Trunk.read(SHIPPED)

    def with_colours(self) -> Trunk:
        """This one with channels that hand the colours through, see `colours.with_colours`; of the same file."""
        shape, weights = with_colours(self.shape, self.weights)
        return replace(self, shape=shape, weights=weights)

    @property
    def width(self) -> int:
        """D, the length of its features."""
        return self.shape.width

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Pixels less `network.MIDDLE` (32, 32, 3) to the last map's parts, one after the other, channels changing fastest."""
        part = self.shape.side // self.shape.grid
        steps = [_layer(step, *self._arrays(place)) for place, step in enumerate(self.shape.steps)]
        return (*steps, AveragePool(part, part), Flatten())

    def features(self, pictures: NDArray[np.uint8], progress: Callable[[float], None] = lambda share: None) -> Floats:
        """Features (N, D) of pictures (N, 32, 32, 3) by ONNX Runtime: means of the last map, whole and then by parts.

        Parts are divided by how many a side has, so that all together weigh as much as the whole.
        """
        made = np.empty((len(pictures), self.width), np.float32)
        for start in range(0, len(pictures), BATCH):
            batch = slice(start, start + BATCH)
            made[batch] = self._session.run(None, {"pixels": pictures[batch]})[0]
            progress(min(1.0, (start + BATCH) / len(pictures)))
        return made

    def network(self, weight: Floats, bias: Floats, probabilities: bool = True) -> Network:
        """Trunk and head as one network, as the C emitter takes it; its inputs are ``network.centred(pictures)``.

        Args:
            weight: (D, K) on `features`; bias: (K,). Whatever linear was done to the features belongs in them.
            probabilities: whether a softmax ends it.
        """
        whole, parts = np.split(weight.astype(np.float64), [self.shape.channels])
        each = parts.reshape(-1, *whole.shape) / self.shape.grid + whole / self.shape.grid**2
        head = Dense(each.reshape(-1, whole.shape[1]).astype(np.float32), bias.astype(np.float32))
        return Network((SIZE, SIZE, 3), (*self.layers, head, *([Softmax()] if probabilities else [])))

    def add_to(self, graph: Graph, pixels: str, precision: str = "fp32", ranges: Ranges | None = None) -> str:
        """Add it to a graph, from pixels [N, 32, 32, 3]; the name of the features [N, D] is returned.

        Args:
            pixels: uint8; floats of the same values where the precision isn't ``int8``.
            precision: as for `Convolutions`, whose ranges, found by `find_ranges`, int8 needs.
        """
        from modelgpt_edge.architecture.image.convolutions import ALWAYS, ON_PROCESSORS, Convolutions

        convolutions = Convolutions(precision, ranges or {}, mean=MIDDLE, deviation=1, picture=SMALL_PICTURE)
        x = convolutions.enter(graph, pixels)
        for place, step in enumerate(self.shape.steps):
            weight, bias = self._arrays(place)
            order = weight.transpose(2, 0, 1)[:, None] if step.depthwise else weight.transpose(3, 2, 0, 1)
            around, rounded = step.kernel // 2, ALWAYS if place + 1 < len(self.shape.steps) else ON_PROCESSORS
            pads = (around, around, around, around)
            x = convolutions.convolve(graph, f"trunk_{place}", x, order, bias, step.stride, pads, np.inf, rounded)
        part, maps = self.shape.side // self.shape.grid, convolutions.leave(graph, x)
        parts = graph.add("AveragePool", maps, kernel_shape=[part] * 2, strides=[part] * 2)
        parts = graph.add("Flatten", graph.add("Transpose", parts, perm=[0, 2, 3, 1]))
        parts = graph.add("Mul", parts, graph.constant("share", np.float32(1 / self.shape.grid)))
        return graph.add("Concat", graph.add("Flatten", graph.add("GlobalAveragePool", maps)), parts, axis=1, name="features")

    def graph(self) -> Graph:
        """It alone in fp32: ``pixels`` to ``features``."""
        from modelgpt_edge.onnx_nodes import Graph

        graph = Graph("modelgpt_edge_trunk")
        graph.output(self.add_to(graph, graph.input("pixels", "uint8", SIZE, SIZE, 3)), "features", "float32", self.width)
        return graph

    @cached_property
    def _session(self) -> Any:
        from modelgpt_edge.graph_session import open_graph

        return open_graph(self.graph(), os.cpu_count() or 1)

    def _arrays(self, place: int) -> tuple[Floats, Floats]:
        return self.weights[f"{place}.weight"], self.weights[f"{place}.bias"]


def _layer(step: Step, weight: Floats, bias: Floats) -> Layer:
    around = step.kernel // 2
    kind = DepthwiseConv2D if step.depthwise else Conv2D
    return kind(weight, bias, step.stride, (around, around, around, around), relu=True)


def _metadata(content: bytes) -> dict[str, str]:
    """What the header of a safetensors file says beside its arrays; ValueError where it isn't that of a trunk."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    found = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"its format isn't {FORMAT!r}")
    return found


def _checked(name: str, array: NDArray[Any], sizes: tuple[int, ...]) -> Floats:
    """An array in float32; ValueError where it isn't of these sizes or not finite."""
    if array.shape != sizes:
        raise ValueError(f"{name} is {array.shape}, not {sizes}")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has values that are no finite numbers")
    return values
