"""Read the arrays of a checkpoint without torch: a state dict as ``torch.save`` writes it, old or new, or safetensors.

Whatever a file says of itself is checked against what it holds before anything of that size is made; nothing in it is run.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided

from modelgpt_edge.architecture.image.unpickle import KINDS, Storage, Tensor, unpickle
from modelgpt_edge.errors import InputError

# A backbone for an edge device has some megabytes.
MOST_BYTES = 1 << 30
OLD_MAGIC, OLD_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# Where training scripts put the state dict beside other things.
WITHIN = ("state_dict", "model", "model_state_dict", "state_dict_ema")
CURE = "Give a state dict that torch.save wrote, or safetensors."

Arrays = dict[str, np.ndarray]


def read_checkpoint(path: Path) -> Arrays:
    """Every array of a checkpoint, by its name; bfloat16 as float32.

    Raises:
        InputError: it can't be read, is damaged, or holds more than a state dict.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, over {MOST_BYTES:,}")
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            return _safetensors(content)
        return _zipped(content) if zipfile.is_zipfile(io.BytesIO(content)) else _old(content)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OverflowError) as error:
        raise InputError("the checkpoint can't be read", where=str(path), seen=str(error), cure=CURE) from error


def _safetensors(content: bytes) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that numpy lacks
        raise ValueError(f"it is no safetensors that numpy can hold: {error}") from error


def _old(content: bytes) -> Arrays:
    """Before torch 1.6: four pickles, a list of keys, and the storages one after another."""
    file = io.BytesIO(content)
    if unpickle(file) != OLD_MAGIC:
        raise ValueError("it doesn't begin as a file of torch.save does")
    if unpickle(file) != OLD_PROTOCOL:
        raise ValueError("torch.save wrote it in a protocol that isn't known here")
    told = unpickle(file)
    if not isinstance(told, dict) or told.get("little_endian") is not True:
        raise ValueError("its numbers aren't little-endian")
    state = _state(unpickle(file))
    keys = unpickle(file)
    counts = {tensor.storage.key: tensor.storage for tensor in state.values()}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("its list of storages is damaged")
    bits: dict[str, bytes] = {}
    for key in keys:
        storage = counts.get(key)
        count = int.from_bytes(_taken(file, 8), "little")
        if storage is None or storage.count != count:
            raise ValueError(f"its storage {key[:40]!r} has another length than its tensors say")
        bits[key] = _taken(file, count * np.dtype(KINDS[storage.kind]).itemsize)
    return _arrays(state, bits.__getitem__)


def _zipped(content: bytes) -> Arrays:
    """Since torch 1.6: a zip of one folder with a pickle and a file for each storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        if sum(sizes.values()) > MOST_BYTES:
            raise ValueError("its entries unpack to too much")
        pickled = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise ValueError("there is no data.pkl in it")
        folder = pickled[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in sizes and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers aren't little-endian")
        return _arrays(_state(unpickle(io.BytesIO(archive.read(pickled[0])))), lambda key: archive.read(f"{folder}data/{key}"))


def _taken(file: BinaryIO, count: int) -> bytes:
    taken = file.read(count) if count <= MOST_BYTES else b""
    if len(taken) != count:
        raise ValueError("it ends too soon")
    return taken


def _state(value: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the one that lies within."""
    if isinstance(value, dict):
        value = next((value[name] for name in WITHIN if isinstance(value.get(name), dict)), value)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("it holds no state dict")
    state = {name: tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    if not state:
        raise ValueError("it holds no tensors")
    return state


def _arrays(state: Mapping[str, Tensor], read: Callable[[str], bytes]) -> Arrays:
    storages: dict[Storage, np.ndarray] = {}
    for tensor in state.values():
        if tensor.storage not in storages:
            storages[tensor.storage] = _numbers(tensor.storage, read)
    return {name: _viewed(name, storages[tensor.storage], tensor) for name, tensor in state.items()}


def _numbers(storage: Storage, read: Callable[[str], bytes]) -> np.ndarray:
    try:
        bits = read(storage.key)
    except KeyError as error:
        raise ValueError(f"its storage {storage.key[:40]!r} is missing") from error
    if len(bits) != storage.count * np.dtype(KINDS[storage.kind]).itemsize:
        raise ValueError(f"its storage {storage.key[:40]!r} has another length than its tensors say")
    numbers = np.frombuffer(bits, KINDS[storage.kind])
    if storage.kind == "BFloat16Storage":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers


def _viewed(name: str, numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The tensor as an array of its own, where it lies within its storage."""
    count = math.prod(tensor.sizes)
    last = tensor.start + sum((size - 1) * step for size, step in zip(tensor.sizes, tensor.steps))
    if count and (last >= len(numbers) or count > len(numbers) or len(tensor.sizes) > 8):
        raise ValueError(f"its tensor {name[:80]!r} reaches beyond its storage")
    if not count:
        return np.empty(tensor.sizes, numbers.dtype)
    steps = [step * numbers.itemsize for step in tensor.steps]
    return as_strided(numbers[tensor.start :], tensor.sizes, steps, writeable=False).copy()
