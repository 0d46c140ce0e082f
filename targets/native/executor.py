"""The native form of a model, loaded: the template's shared library on the model's tables, through ctypes."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import PackageError
from modelgpt_edge.targets.native.library import fault
from modelgpt_edge.targets.target import machine

LIBRARY, TABLES = "model.so", "tables.safetensors"
ABI = 1
TILE, GROUP = 16, 8
_SIZES = (
    "numbers", "waves", "ranks", "knots", "flags", "words", "one_hots", "width", "dense_tiles",
    "sparse_groups", "sparse_tiles", "leaf_groups", "leaf_tiles", "outputs", "classes",
)  # fmt: skip
_ARRAYS = (
    "wave_column", "rank_column", "flag_column", "one_hot_word", "one_hot_place", "sparse_column", "leaf_column",
    "wave_frequency", "wave_phase", "median", "center", "scale", "rank_knots", "rank_values",
    "dense_weight", "dense_bias", "sparse_weight", "sparse_bias", "leaf_slope", "leaf_bias", "leaf_offset",
    "skip_weight", "head_weight", "head_bias",
)  # fmt: skip


class _Tabular(ctypes.Structure):
    """``tabular_model`` of tabular.h."""

    _fields_ = (*((name, ctypes.c_int32) for name in _SIZES), *((name, ctypes.c_void_p) for name in _ARRAYS))


class NativeExecutor:
    """The library and the tables it runs on; several threads may call it, each with buffers of its own."""

    def __init__(self, library: ctypes.CDLL, tables: dict[str, np.ndarray]) -> None:
        self._tables = tables  # the struct points into these arrays
        sizes = dict(zip(_SIZES, map(int, tables["sizes"])))
        self._model = _Tabular(**sizes, **{name: tables[name].ctypes.data for name in _ARRAYS})
        self._reference = ctypes.addressof(self._model)
        self._outputs, self._numbers, self._words = sizes["outputs"], sizes["numbers"], sizes["words"]
        self._scratch = int(library.tabular_scratch(ctypes.c_void_p(self._reference)))
        self._predict = library.tabular_predict
        self._predict.argtypes = (ctypes.c_void_p, ctypes.c_int32, *[ctypes.c_void_p] * 4)
        self._predict.restype = None
        self._buffers = threading.local()

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """Outputs (N, K) of numbers (N, C), NaN missing, and word positions (N, S), -1 unknown."""
        try:
            one = self._buffers.one
        except AttributeError:
            one = self._buffers.one = _OneRow(self._numbers, self._words, self._outputs, self._scratch)
        rows = len(numbers) if self._numbers else len(codes)
        if rows == 1:
            one.numbers[:] = numbers  # numpy refuses another width
            if self._words:
                one.codes[:] = codes
            self._predict(self._reference, 1, *one.pointers)
            return one.outputs.copy()
        numbers, codes = np.ascontiguousarray(numbers, np.float32), np.ascontiguousarray(codes, np.int32)
        if (self._numbers and numbers.shape != (rows, self._numbers)) or (self._words and codes.shape != (rows, self._words)):
            raise ValueError(
                f"inputs of shapes {numbers.shape} and {codes.shape} for {self._numbers} numbers, {self._words} words"
            )
        outputs = np.empty((rows, self._outputs), np.float32)
        self._predict(self._reference, rows, numbers.ctypes.data, codes.ctypes.data, one.pointers[2], outputs.ctypes.data)
        return outputs


class _OneRow:
    """Buffers for one row and their addresses: looking addresses up would cost more than the model."""

    def __init__(self, numbers: int, words: int, outputs: int, scratch: int) -> None:
        self.numbers = np.zeros((1, numbers), np.float32)
        self.codes = np.zeros((1, words), np.int32)
        self.outputs = np.zeros((1, outputs), np.float32)
        self._scratch = np.zeros(scratch, np.float32)
        arrays = (self.numbers, self.codes, self._scratch, self.outputs)
        self.pointers = [a.ctypes.data for a in arrays]


def open_native(library_path: Path, tables_path: Path) -> NativeExecutor:
    """Load the native form of a model.

    Raises:
        PackageError: the library is for another kind of machine or doesn't load, or the tables don't fit together.
    """
    what = f"the native library doesn't load on this machine ({machine()})"
    cure = "Load another variant, or build for this machine."
    try:
        why = fault(library_path.read_bytes(), machine())
        if why:
            raise PackageError(what, where=str(library_path), seen=why, cure=cure)
        library = ctypes.CDLL(str(library_path.resolve()))
        abi = int(library.tabular_abi())
    except (OSError, AttributeError) as error:
        raise PackageError(what, where=str(library_path), seen=str(error), cure=cure) from error
    anew = "Build the package anew."
    if abi != ABI:
        raise PackageError("the native library has another interface", where=str(library_path), seen=abi, cure=anew)
    try:
        tables = load_file(tables_path)
        wrong = _misfit(tables)
    except (SafetensorError, KeyError, OSError) as error:
        raise PackageError("the tables can't be read", where=str(tables_path), seen=str(error), cure=anew) from error
    if wrong:
        raise PackageError(
            "a table of the model has another size than the others say", where=str(tables_path), seen=wrong, cure=anew
        )
    return NativeExecutor(library, tables)


def _misfit(tables: dict[str, np.ndarray]) -> str:
    """The first table that isn't as long as the sizes say, "" where all are: C reads them without looking."""
    if tables["sizes"].shape != (len(_SIZES),) or tables["sizes"].dtype != np.int32 or (tables["sizes"] < 0).any():
        return "sizes"
    s = dict(zip(_SIZES, map(int, tables["sizes"])))
    wide = s["numbers"] + s["waves"]
    sparse, leaf = s["sparse_groups"] * s["sparse_tiles"] * TILE, s["leaf_groups"] * s["leaf_tiles"] * TILE
    dense = s["dense_tiles"] * TILE
    lengths = {
        "wave_column": s["waves"], "rank_column": s["ranks"], "flag_column": s["flags"], "one_hot_word": s["one_hots"],
        "one_hot_place": s["one_hots"], "sparse_column": s["sparse_groups"] * GROUP, "leaf_column": s["leaf_groups"] * GROUP,
        "wave_frequency": s["waves"], "wave_phase": s["waves"], "median": wide, "center": wide, "scale": wide,
        "rank_knots": s["ranks"] * s["knots"], "rank_values": s["ranks"] * s["knots"],
        "dense_weight": dense * s["width"], "dense_bias": dense, "sparse_weight": sparse * GROUP, "sparse_bias": sparse,
        "leaf_slope": 3 * leaf * GROUP, "leaf_bias": 3 * leaf, "leaf_offset": leaf,
        "skip_weight": s["outputs"] * s["width"], "head_weight": s["outputs"] * (dense + sparse + leaf),
        "head_bias": s["outputs"],
    }  # fmt: skip
    if s["width"] != wide + s["ranks"] + s["flags"] + s["one_hots"]:
        return "width"
    limits = {"wave_column": s["numbers"], "rank_column": wide, "flag_column": wide, "one_hot_word": s["words"],
              "sparse_column": s["width"], "leaf_column": s["width"]}  # fmt: skip
    for name, length in lengths.items():
        table = tables[name]
        places = name.endswith("column") or name.startswith("one_hot")
        outside = name in limits and table.size and (table.min() < 0 or table.max() >= limits[name])
        if table.size != length or table.dtype != (np.int32 if places else np.float32) or outside:
            return name
    return ""
