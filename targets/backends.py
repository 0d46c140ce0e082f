"""The backends and emulators there are, by name; each is imported when it is first looked up, and no sooner."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from modelgpt_edge.errors import InputError, TargetUnavailableError, nearest
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.target import Target

if TYPE_CHECKING:
    from modelgpt_edge.targets.backend import Backend, Emulator

T = TypeVar("T")

# What models are of, by their front.
MADE_OF = {"packed": "tables", "tokens": "texts", "pixels": "pictures"}


class Lazy(Mapping[str, T], Generic[T]):
    """A mapping from names to objects whose modules are imported on first use.

    Args:
        places: for each name ``module:Class``, the module inside `modelgpt_edge.targets`.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> T:
        """The object of a name; KeyError for an unknown one."""
        return _made(self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@functools.cache
def _made(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"modelgpt_edge.targets.{module}"), name)()


BACKENDS: Mapping[str, Backend] = Lazy(
    {
        "native": "native.backend:Native",
        "onnxruntime": "onnxruntime:OnnxRuntime",
        "tvm": "tvm.backend:Tvm",
        "tensorrt": "tensorrt.backend:TensorRt",
        "tensorrt-rtx": "tensorrt_rtx.backend:TensorRtRtx",
        "c": "cortexm.backend:CEmitter",
        "onnxruntime-web": "browser.backend:OnnxRuntimeWeb",
    }
)
EMULATORS: Mapping[str, Emulator] = Lazy(
    {
        "qemu-aarch64": "aarch64.emulator:QemuAarch64",
        "qemu-system-arm": "cortexm.emulator:QemuSystemArm",
        "chromium": "browser.emulator:Chromium",
    }
)


def backends_of(target: Target, wanted: Sequence[str]) -> list[str]:
    """The backends of a target that a build uses, in order of preference.

    Args:
        wanted: names asked for; empty for those that are used unasked.

    Raises:
        InputError: there is no backend of a name.
        TargetUnavailableError: the target has none of those asked for.
    """
    for name in wanted:
        if name not in BACKENDS:
            raise InputError("there is no such backend", where="--backend", seen=name, cure=nearest(name, BACKENDS))
    chosen = [name for name in target.backends if (name in wanted if wanted else BACKENDS[name].by_default)]
    if not chosen:
        raise TargetUnavailableError(
            f"the target {target.name} has no such backend",
            where="--backend",
            seen=", ".join(wanted),
            cure=f"It has: {', '.join(target.backends)}.",
        )
    return chosen


def require_front(target: Target, wanted: Sequence[str], front: str) -> None:
    """Told before any work: a target, or a backend asked for, that takes no such models at all.

    Args:
        wanted: as for `backends_of`; front: what the model starts from, ``tokens`` of texts or ``pixels`` of pictures.

    Raises:
        TargetUnavailableError: nothing of the target takes them, or one of the backends asked for doesn't.
        InputError: as `backends_of`.
    """
    names = backends_of(target, wanted)
    able = [name for name in names if front in BACKENDS[name].fronts]
    if able and (able == names or not wanted):
        return
    made_of = MADE_OF[front]
    others = [name for name in target.backends if front in BACKENDS[name].fronts]
    if wanted and others:
        odd = next(name for name in names if name not in able)
        cure = f"Leave it out, or give {' or '.join(others)}."
        raise TargetUnavailableError(f"this backend takes no models of {made_of}", where="--backend", seen=odd, cure=cure)
    known = [t.name for t in BUILTIN if any(front in BACKENDS[name].fronts for name in t.backends)]
    cure = f"Build for another target: {', '.join(known)}."
    what = f"models of {made_of} don't run there yet ({target.title})"
    raise TargetUnavailableError(what, where=f"target {target.name}", cure=cure)


def require_toolchain(target: Target, names: Sequence[str]) -> None:
    """TargetUnavailableError where what a target can't do without isn't here: its only backend, or its GPU's compiler."""
    name = names[0]
    if name in ("tensorrt", "tvm") or (len(names) > 1 and target.sm is None):
        return  # engines are built on the board; a probe of TVM compiles, as slow as the real thing; or there is another way
    found = BACKENDS[name].probe()
    if not found.available:
        raise TargetUnavailableError(found.reason, where=f"target {target.name}", cure=found.how_to_get_it)
