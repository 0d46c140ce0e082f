"""Networks of timm: created once with torch and written as ONNX, then read from the user's cache without either.

Weights come from a file, of which nothing is run, or from where timm fetches them. timm is imported here alone.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.architecture.image.checkpoint import read_checkpoint
from modelgpt_edge.cache import cached, keep
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError, TargetUnavailableError, nearest

if TYPE_CHECKING:
    import torch  # noqa: TID251 - types alone

TIMM, HUB = "timm:", "hf-hub:"
NEEDED = ("timm", "torch", "onnxscript")
INSTALL = "Run: pip install 'modelgpt-edge[timm]'"
FORMAT = "modelgpt-edge timm 1"
IMAGENET = 1000
WHERE = "--encoder"
# How far a classifier on the features may be off the network's own logits, as a share of the largest.
APART = 1e-4


@dataclass(frozen=True, eq=False)
class TimmModel:
    """A network of timm as it is kept.

    Attributes:
        sha256: of the file of its weights, or of the weights where timm fetched them.
        onnx: from [N, 3, S, S], normalised, to features [N, D].
        mean, deviation: that red, green and blue of 0 to 1 are normalised by.
        classifier: rows (1000, D) of ImageNet's classes on the features; None where it has none.
    """

    name: str
    sha256: str
    onnx: bytes = field(repr=False)
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    classifier: Floats | None = field(repr=False)

    def to_bytes(self) -> bytes:
        """As safetensors."""
        facts = {"name": self.name, "sha256": self.sha256, "mean": self.mean, "deviation": self.deviation}
        arrays = {"onnx": np.frombuffer(self.onnx, np.uint8), "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        return bytes(save(arrays if self.classifier is None else arrays | {"classifier": self.classifier}))

    @staticmethod
    def of(content: bytes) -> TimmModel:
        """What `to_bytes` wrote; SafetensorError, KeyError, TypeError or ValueError where it isn't that."""
        arrays = load(content)
        facts = json.loads(arrays["facts"].tobytes())
        mean, deviation = (tuple(map(float, facts[name])) for name in ("mean", "deviation"))
        onnx = arrays["onnx"].tobytes()
        return TimmModel(facts["name"], facts["sha256"], onnx, mean, deviation, arrays.get("classifier"))


def find_timm(encoder: str, size: int | None = None) -> TimmModel:
    """A network of timm, from the cache where it was made before.

    Args:
        encoder: ``timm:NAME``, ``timm:NAME@FILE`` or ``hf-hub:OWNER/NAME``, with ``timm:`` before it or not.
        size: pixels of a side where not what it was trained on.

    Raises:
        InputError: there is no such network, file or size, or the weights aren't its.
        TargetUnavailableError: timm or what it needs isn't installed, or weights can't be fetched.
    """
    name = encoder.removeprefix(TIMM)
    path = None
    if not name.startswith(HUB):  # where @ begins a revision
        name, at, file = name.partition("@")
        path = Path(file).expanduser() if at else None
    if path is not None and not path.is_file():
        cure = "Give timm:NAME@FILE with a .pth or .safetensors file, or timm:NAME for the weights that timm fetches."
        raise InputError("there is no such file of weights", where=WHERE, seen=str(path), cure=cure)
    weights = None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    told = json.dumps([FORMAT, _version(), name, weights, size])
    place = f"timm-{hashlib.sha256(told.encode()).hexdigest()[:32]}.safetensors"
    found = _kept(place)
    if found is None:
        found = _made(name, path, weights, size)
        keep(place, found.to_bytes())
    return found


def _version() -> str:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise TargetUnavailableError(f"{' and '.join(missing)} is not installed", where=WHERE, cure=INSTALL)
    try:
        return version("timm")
    except PackageNotFoundError:
        return ""


def _kept(place: str) -> TimmModel | None:
    content = cached(place)
    try:
        return None if content is None else TimmModel.of(content)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


def _made(name: str, path: Path | None, weights: str | None, size: int | None) -> TimmModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of timm's and torch's own doing
        model = _created(name, path)
        config = _import_timm().data.resolve_model_data_config(model)
        channels, *sides = config["input_size"]
        if channels != 3 or len(set(sides)) != 1:
            cure = "Choose one of square pictures."
            raise InputError("the network takes no square pictures of three colours", where=WHERE, seen=name, cure=cure)
        side = size or sides[0]
        if side != sides[0] and model.pretrained_cfg.get("fixed_input_size"):
            raise InputError(f"the network takes {sides[0]} pixels a side", where="--size", seen=size, cure="Leave out --size.")
        onnx, classifier = _exported(model, name, side)
    sha256 = weights or _checksum(model)
    return TimmModel(name, sha256, onnx, tuple(config["mean"]), tuple(config["std"]), classifier)


def _import_timm() -> Any:
    try:
        import timm
        import timm.data
        import timm.models
    except (ImportError, RuntimeError, OSError) as error:  # RuntimeError: torchvision that was built for another torch
        cure = "Install timm, torch and torchvision anew, so that they fit each other: import timm must succeed."
        raise TargetUnavailableError("timm can't be imported", where=WHERE, seen=str(error), cure=cure) from error
    return timm


def _created(name: str, path: Path | None) -> Any:
    """The network in torch, its weights loaded."""
    timm = _import_timm()
    overlay: dict[str, Any] | None = None
    classes: dict[str, int] = {}
    if not name.startswith(HUB):
        _require_known(timm, name, path)
    if path is not None:
        state, count = _state(timm, name, path)
        overlay = {"state_dict": state, "custom_load": False, "num_classes": count}
        classes = {"num_classes": count}
    try:
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, exportable=True, **classes)
    except Exception as error:  # timm raises the hub's, the network library's and torch's own types
        if path is not None:
            cure = f"Give a whole checkpoint of timm's {name}."
            what = "the weights aren't those of this network"
            raise InputError(what, where=f"{WHERE} {path}", seen=str(error), cure=cure) from error
        cure = f"Check the name and the network, or give weights of your own: {TIMM}NAME@FILE."
        what = "the network's weights can't be fetched"
        raise TargetUnavailableError(what, where=WHERE, seen=f"{name}: {error}", cure=cure) from error
    return model.eval()


def _require_known(timm: Any, name: str, path: Path | None) -> None:
    """InputError where timm has no such network, or no weights of it and none are given."""
    tagged = "." in name
    with_weights: list[str] = timm.list_models(pretrained=True)
    known = name in with_weights if tagged else timm.models.is_model(name)
    if not known:
        names = [*timm.list_models(), *with_weights] if tagged else timm.list_models()
        raise InputError("timm has no such network", where=WHERE, seen=name, cure=nearest(name, names))
    config = timm.models.get_pretrained_cfg(name)
    if path is None and (config is None or not config.has_weights):
        cure = f"Give some of your own: {TIMM}{name}@FILE."
        raise InputError("timm has no weights of this network", where=WHERE, seen=name, cure=cure)


def _state(timm: Any, name: str, path: Path) -> tuple[dict[str, Any], int]:
    """Weights of a file, and how many classes its classifier has: as many as timm's where it has no such layer."""
    import torch  # noqa: TID251 - timm's networks are torch's

    arrays = timm.models.clean_state_dict(read_checkpoint(path))
    config = timm.models.get_pretrained_cfg(name)
    layers = config.classifier if config is not None else None
    layer = layers if isinstance(layers, str) else layers[0] if layers else ""
    weight = arrays.get(f"{layer}.weight")
    count = config.num_classes if weight is None and config is not None else 0 if weight is None else len(weight)
    return {key: torch.from_numpy(array) for key, array in arrays.items()}, count


def _exported(model: Any, name: str, side: int) -> tuple[bytes, Floats | None]:
    """Its features as ONNX, and its classifier of ImageNet where it is one linear layer on them."""
    import torch  # noqa: TID251

    class Features(torch.nn.Module):
        """What lies before the classifier."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            """(N, 3, S, S) to (N, D)."""
            return self.model.forward_head(self.model.forward_features(pictures), pre_logits=True)

    features = Features().eval()
    pictures = torch.randn((2, 3, side, side), generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            said = features(pictures)
            if not isinstance(said, torch.Tensor) or said.ndim != 2:
                raise TypeError("it has no features (N, D) before its classifier")
            classifier = _classifier(model, said, model(pictures))
        program = torch.onnx.export(
            features,
            (pictures,),
            input_names=["pictures"],
            output_names=["features"],
            opset_version=18,  # the exporter's least; it is converted when it is read
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None, "torch.onnx.export gives a program where dynamo is asked for"
        proto = program.model_proto
    except Exception as error:  # the exporter and the networks raise many types
        cure = "Choose another, or export it yourself and give the .onnx file."
        raise InputError("torch can't write this network as ONNX", where=WHERE, seen=f"{name}: {error}", cure=cure) from error
    for node in proto.graph.node:  # where in whose files it came from
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.metadata_props[:], proto.metadata_props[:], proto.graph.value_info[:]
    return proto.SerializeToString(), classifier


def _classifier(model: Any, features: torch.Tensor, logits: torch.Tensor) -> Floats | None:
    """Rows (1000, D) of its last layer, where that on the features (N, D) is what its logits are."""
    import torch  # noqa: TID251

    layer = model.get_classifier()
    if model.num_classes != IMAGENET or not isinstance(layer, torch.nn.Linear) or layer.in_features != features.shape[1]:
        return None
    if logits.shape[1] != IMAGENET or (layer(features) - logits).abs().max() > APART * logits.abs().max():
        return None
    rows: Floats = layer.weight.detach().numpy().astype(np.float32)
    return rows


def _checksum(model: Any) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()
