"""The Cortex-M cores as data: how the compiler is told of each, and the machine that QEMU has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.targets.target import Target


@dataclass(frozen=True)
class Core:
    """A core.

    Attributes:
        flags: for the compiler.
        machine: of qemu-system-arm.
        flash, ram: where that machine has memory to run code from and to write to, and the bytes used of each.
        instructions_a_tick: of SysTick, where QEMU lets an instruction take a nanosecond (``-icount shift=0``).
    """

    name: str
    flags: tuple[str, ...]
    machine: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    instructions_a_tick: float


def _core(name: str, fpu: str, machine: str, flash: tuple[int, int], ram: tuple[int, int], megahertz: int) -> Core:
    flags = (f"-mcpu={name}", "-mthumb", "-mfloat-abi=hard", *((f"-mfpu={fpu}",) if fpu else ()))
    return Core(name, flags, machine, flash, ram, 1000 / megahertz)


MIB = 1 << 20
CORES: Mapping[str, Core] = MappingProxyType(
    {
        core.name: core
        for core in (
            _core("cortex-m4", "fpv4-sp-d16", "mps2-an386", (0x0, 4 * MIB), (0x20000000, 4 * MIB), 25),
            _core("cortex-m7", "fpv5-sp-d16", "mps2-an500", (0x0, 4 * MIB), (0x20000000, 4 * MIB), 25),
            _core("cortex-m33", "fpv5-sp-d16", "mps2-an505", (0x10000000, 4 * MIB), (0x38000000, 4 * MIB), 20),
            _core("cortex-m55", "", "mps3-an547", (0x0, MIB // 2), (0x20000000, MIB // 2), 32),
        )
    }
)


def core_of(target: Target) -> Core:
    """The core of a target: its fact ``core``, else its name.

    Raises:
        InputError: it is none that is known.
    """
    name = target.facts.get("core", target.name)
    if name not in CORES:
        what = "the target names no core that the C emitter knows"
        raise InputError(what, where=f"target {target.name}", seen=name, cure=nearest(name, CORES))
    return CORES[name]
