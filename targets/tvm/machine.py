"""The processors that TVM compiles for: what LLVM calls them, the tiles that fit their registers, and who links for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.target import Target, machine


@dataclass(frozen=True, order=True)
class Tile:
    """Sums that one step of a product keeps in registers: `rows` times `vector` neighbouring outputs.

    A product that has no second axis keeps as many sums along the first.
    """

    vector: int
    rows: int


@dataclass(frozen=True)
class Processor:
    """What a library is compiled for.

    Attributes:
        arch: instruction set, as targets name it.
        triple, cpu: what LLVM calls the system and the processor; any processor of the kind runs the library.
        tiles: tiles to choose from by measurement; the first is taken where nothing can be measured.
        linkers: C compilers that can link for it, in order of preference.
        linker_cure: how to get one.
    """

    arch: str
    triple: str
    cpu: str
    tiles: tuple[Tile, ...]
    linkers: tuple[str, ...]
    linker_cure: str

    def llvm(self) -> dict[str, str]:
        """The processor as TVM takes it."""
        return {"kind": "llvm", "mtriple": self.triple, "mcpu": self.cpu}


_OWN_LINKERS = ("cc", "gcc", "clang")
# AVX2: 16 registers of 8 floats. A tile takes 8 to 12 of them, for the inputs need some, and two products a cycle with a
# latency of four keep eight sums busy.
_X86 = Processor(
    "x86_64",
    "x86_64-linux-gnu",
    "x86-64-v3",
    (Tile(16, 4), Tile(16, 6), Tile(32, 3), Tile(32, 2), Tile(8, 8)),
    ("x86_64-linux-gnu-gcc",),
    "Run: sudo apt install gcc",
)
# NEON: 32 registers of 4 floats.
_ARM = Processor(
    "aarch64",
    "aarch64-linux-gnu",
    "cortex-a72",
    (Tile(16, 4),),
    ("aarch64-linux-gnu-gcc",),
    "Run: sudo apt install gcc-aarch64-linux-gnu",
)
PROCESSORS: Mapping[str, Processor] = {p.arch: p for p in (_X86, _ARM)}
# What x86-64-v3 has over older processors, as Linux lists it.
_X86_64_V3 = ("avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")


def processor_named(arch: str, cpu: str = "") -> Processor:
    """The processor of an instruction set: the least one compiled for, or a newer one by LLVM's name.

    Raises:
        TargetUnavailableError: there is no rule for the instruction set.
    """
    base = PROCESSORS.get(arch)
    if base is None:
        what = f"the tvm backend compiles for no {arch}"
        raise TargetUnavailableError(what, where="tvm backend", cure=f"Choose a target of {' or '.join(PROCESSORS)}.")
    linkers = (*_OWN_LINKERS, *base.linkers) if arch == machine() else base.linkers
    return replace(base, cpu=cpu or base.cpu, linkers=linkers)


def processor_of(target: Target) -> Processor:
    """The processor of a target, whose ``cpu`` fact names one that is newer than the least of its kind."""
    return processor_named(target.arch, target.facts.get("cpu", ""))


def missing_features(wanted: Processor) -> tuple[str, ...]:
    """What this machine's processor lacks of the wanted one's instructions, as far as Linux lists them."""
    if wanted.cpu != _X86.cpu:
        return ()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), None)
    return () if flags is None else tuple(f for f in _X86_64_V3 if f not in flags)


def runs_here(wanted: Processor) -> bool:
    """Whether this machine surely runs what is compiled for the processor: the least of its kind, which it has all of."""
    return wanted.arch == machine() and wanted.cpu == PROCESSORS[wanted.arch].cpu and not missing_features(wanted)
