"""A device as data: what a build must know of it, in one frozen record that imports without any toolchain."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from modelgpt_edge.errors import InputError

# int8 is static (explicit QDQ, or integers in C); int8-dynamic finds the range of each batch as it runs.
PRECISIONS = ("fp32", "fp16", "int8", "int8-dynamic")
RUNS_HERE = "runs here"
RUNS_EMULATED = "runs under an emulator"
BUILT_NOT_RUN = "built, not run"
CHECKED = (RUNS_HERE, RUNS_EMULATED, BUILT_NOT_RUN)


def machine() -> str:
    """Instruction set of this machine, as targets name it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


@dataclass(frozen=True)
class Target:
    """A device, or a family of devices that take the same artefact.

    Attributes:
        name: canonical name, lower case with hyphens.
        aliases: other names in the same form; each belongs to one target only.
        title: the name on the box.
        arch: instruction set of the processor that runs the host code: ``x86_64``, ``aarch64``, ...
        sm: CUDA architecture of its GPU as ``sm_87``; None without an NVIDIA GPU.
        ram_bytes: memory of the smallest device of the name, so that what fits, fits them all; None where it is no limit.
        flash_bytes: storage for a model, likewise.
        precisions: what is built for it, of `PRECISIONS`, the first one preferred before anything is measured.
        backends: names of its backends, in order of preference.
        emulator: what runs its artefacts on the build machine; None where nothing does.
        checked: how an artefact is checked without the board, one of `CHECKED`.
        macs_per_second: multiply-accumulates of a small model that one core surely does in a second, for estimates before
            anything is measured; None where nothing is known.
        call_us: microseconds that a call takes whatever the model.
        fetched: whether it fetches a model before it runs it, as a page does.
        facts: versions and traits for the report, such as the CUDA and TensorRT of a JetPack.
    """

    name: str
    title: str
    arch: str
    precisions: tuple[str, ...]
    backends: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    sm: str | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    emulator: str | None = None
    checked: str = BUILT_NOT_RUN
    macs_per_second: float | None = None
    call_us: float = 0.0
    fetched: bool = False
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_here(self) -> bool:
        """Whether this machine's processor is of the target's kind."""
        return self.arch == machine()

    def to_json(self) -> dict[str, Any]:
        """The target as a dict of JSON values; `from_json` gives the same target back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Target:
        """Read what `to_json` wrote.

        Raises:
            InputError: a key is unknown or a needed one is absent.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError("a target has unknown keys", seen=unknown, cure="Remove them, or update modelgpt-edge.")
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            return cls(**arguments)
        except TypeError as error:
            raise InputError("a target lacks a key", seen=str(error), cure="Add the missing key.") from error
