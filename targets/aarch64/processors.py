"""The ARM processors that are emulated, and what the kernel of a board would tell of them.

Libraries choose their kernels by ``/proc/cpuinfo``. Where it disagrees with the emulated processor they run instructions
that it lacks (SIGILL), and where it is the build machine's, they crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

CORES = 4
_CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Processor:
    """A processor as its main ID register and the kernel name it.

    Attributes:
        title: what has it.
        board: what the device tree of such a board calls it.
        variant, part, revision: of the main ID register that qemu's model of it has; ARM's implementer code is 0x41.
        features: names of the extensions that qemu's model of it has, as the kernel spells them.
    """

    title: str
    board: str
    variant: int
    part: int
    revision: int
    features: str


_ARMV8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
PROCESSORS: Mapping[str, Processor] = MappingProxyType(
    {
        "cortex-a72": Processor("Raspberry Pi 4", "Raspberry Pi 4 Model B Rev 1.4", 0, 0xD08, 3, _ARMV8_0),
        "cortex-a76": Processor(
            "Raspberry Pi 5, Jetson Orin class",
            "Raspberry Pi 5 Model B Rev 1.0",
            4,
            0xD0B,
            1,
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        ),
    }
)
DEFAULT = "cortex-a72"  # the least of them: what runs on it runs on every 64-bit ARM


def kernel_files(processor: Processor) -> Iterator[tuple[Path, str]]:
    """Files that a board's kernel would show, by their place under the root: four cores of one processor."""
    core = "\n".join(
        (
            "processor\t: {core}",
            "BogoMIPS\t: 108.00",
            f"Features\t: {processor.features}",
            "CPU implementer\t: 0x41",
            "CPU architecture: 8",
            f"CPU variant\t: {processor.variant:#x}",
            f"CPU part\t: {processor.part:#x}",
            f"CPU revision\t: {processor.revision}",
            "",
            "",
        )
    )
    everyone = f"0-{CORES - 1}\n"
    yield Path("proc/cpuinfo"), "".join(core.format(core=i) for i in range(CORES))
    yield Path("proc/device-tree/model"), processor.board + "\0"
    for name in ("possible", "present", "online"):
        yield Path(_CPUS, name), everyone
    for i in range(CORES):
        yield Path(_CPUS, f"cpu{i}", "topology", "physical_package_id"), "0\n"
        yield Path(_CPUS, f"cpu{i}", "topology", "core_siblings_list"), everyone
