"""Which network ``--encoder`` means where it is none of our own: one of timm, of the hub, or a file of ONNX."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelgpt_edge.architecture.image.feature_graph import MOST_BYTES, parse_features
from modelgpt_edge.architecture.image.onnx_template import Colour, OnnxTemplate
from modelgpt_edge.architecture.image.timm_models import HUB, TIMM, find_timm
from modelgpt_edge.errors import InputError

SUFFIX = ".onnx"
# Of ImageNet's pictures, which nearly every network from elsewhere was trained on so normalised.
MEAN: Colour = (0.485, 0.456, 0.406)
DEVIATION: Colour = (0.229, 0.224, 0.225)


def is_network(encoder: str) -> bool:
    """Whether an encoder's name is read here."""
    return encoder.startswith((TIMM, HUB)) or Path(encoder).suffix.lower() == SUFFIX


def find_network(encoder: str, size: int | None) -> OnnxTemplate:
    """The template of a network.

    Args:
        encoder: ``timm:NAME``, ``timm:NAME@FILE``, ``hf-hub:OWNER/NAME``, or a file of ONNX.
        size: pixels of a side that were asked for; None for what it was trained on. A file has but one.

    Raises:
        InputError: there is no such network, it isn't one of pictures, or doesn't take that size.
        TargetUnavailableError: what it takes isn't installed, or can't be fetched.
    """
    template = _of_timm(encoder, size) if encoder.startswith((TIMM, HUB)) else _of_file(Path(encoder).expanduser())
    if size not in (None, template.size):
        cure = f"Leave out --size, or give {template.size}."
        raise InputError("the network takes pictures of another size", where="--size", seen=size, cure=cure)
    return template


def _of_timm(encoder: str, size: int | None) -> OnnxTemplate:
    made = find_timm(encoder, size)
    features = parse_features(made.onnx, f"--encoder {encoder}")
    red, green, blue = made.mean
    deviation = made.deviation[0], made.deviation[1], made.deviation[2]
    return OnnxTemplate("timm", made.name, made.sha256, features, (red, green, blue), deviation, made.classifier)


def _of_file(path: Path) -> OnnxTemplate:
    if not path.is_file():
        cure = "Give the path of a file of ONNX."
        raise InputError("there is no such network", where="--encoder", seen=str(path), cure=cure)
    where, size = f"--encoder {path}", path.stat().st_size
    if size > MOST_BYTES:
        cure = f"Give one of {MOST_BYTES:,} bytes at most: all of it goes onto the device."
        raise InputError("the network is too large", where=where, seen=f"{size:,} bytes", cure=cure)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return OnnxTemplate("onnx", path.stem, sha256, parse_features(content, where), MEAN, DEVIATION)
