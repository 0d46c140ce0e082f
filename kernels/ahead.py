"""Every kernel in every configuration, compiled ahead of time for several GPUs: machine code, and what it takes of them.

No GPU is needed. Arguments are specialised as a launch specialises them, pointers as multiples of 16 bytes; otherwise loads
could not be pipelined and other code would be seen than runs. `python -m modelgpt_edge.kernels.ahead` prints a table.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.kernels.emit import triton as emit
from modelgpt_edge.kernels.gram import triton as gram
from modelgpt_edge.kernels.launch import INTERPRETED, Variant
from modelgpt_edge.kernels.merge import triton as merge

# A100, Jetson Orin, H100 and H200, B200.
CAPABILITIES = (80, 87, 90, 100)
# What a launch of any of them may ask of a multiprocessor, by compute capability (CUDA C++ Programming Guide, table of
# technical specifications): bytes of shared memory a block.
SHARED_BYTES = {80: 163 << 10, 87: 163 << 10, 90: 227 << 10, 100: 227 << 10}
OPERATIONS = {"emit": emit, "merge": merge, "gram": gram}
# Loads that go on while the program computes: asynchronous copies, or the tensor memory accelerator's.
PIPELINED = ("cp.async.ca", "cp.async.cg", "cp.async.bulk")
# Instructions of tensor cores: of a warp; of the four warps of a group on an H100, for tiles of 64 rows or more; a B200's.
TENSOR_CORES = ("mma.sync", "wgmma", "tcgen05")


@dataclass(frozen=True)
class Resource:
    """What one kernel in one configuration takes of one kind of GPU.

    Attributes:
        kernel: its name and types.
        cc: compute capability, 90 for 9.0.
        configuration: tile sizes, warps and stages.
        registers: of each thread.
        spills: bytes a thread that don't fit into registers.
        shared_bytes: shared memory of a program.
        aligned: compiled for operands whose rows begin at multiples of 16 bytes.
        stages: that the configuration asks to have in flight.
        pipelined: loads go on while the program computes.
        tensor_cores: which of their instructions it has.
    """

    kernel: str
    cc: int
    configuration: str
    registers: int
    spills: int
    shared_bytes: int
    aligned: bool
    stages: int
    pipelined: bool
    tensor_cores: tuple[str, ...] = ()


def resources(operations: Sequence[str] = tuple(OPERATIONS), capabilities: Sequence[int] = CAPABILITIES) -> list[Resource]:
    """Compile the kernels of some operations for some compute capabilities, and measure the machine code.

    Raises:
        TargetUnavailableError: in Triton's interpreter, which can't compile.
    """
    if INTERPRETED:
        cure = "Unset TRITON_INTERPRET in a process of its own."
        raise TargetUnavailableError("the interpreter can't compile", where="Triton", cure=cure)
    variants = [v for name in operations for v in OPERATIONS[name].variants()]
    return [r for variant in variants for cc in capabilities for r in _compiled(variant, cc)]


def _compiled(variant: Variant, cc: int) -> Iterator[Resource]:
    function = variant.kernel.fn
    names = function.arg_names
    aligned = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if variant.types.get(n, "").startswith("*")}
    for configuration in variant.kernel.configs:
        constants = {**variant.constants, **configuration.kwargs}
        signature = {name: variant.types.get(name, "constexpr") for name in names}
        source = ASTSource(function, signature, {(names.index(n),): v for n, v in constants.items()}, aligned)
        options = {"num_warps": configuration.num_warps, "num_stages": configuration.num_stages}
        made = triton.compile(source, target=GPUTarget("cuda", cc, 32), options=options)
        registers, spills = _usage(made.asm["cubin"])
        yield Resource(
            variant.name,
            cc,
            ", ".join(f"{key} {value}" for key, value in {**configuration.kwargs, **options}.items()),
            registers,
            spills,
            made.metadata.shared,
            variant.aligned,
            configuration.num_stages,
            any(word in made.asm["ptx"] for word in PIPELINED),
            tuple(word for word in TENSOR_CORES if word in made.asm["ptx"]),
        )


def _usage(cubin: bytes) -> tuple[int, int]:
    """Registers and spilled bytes of a thread, by the tool that comes with Triton."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        tool = triton.knobs.nvidia.cuobjdump.path
        said = subprocess.run([tool, "-res-usage", path], check=True, capture_output=True, text=True).stdout
    registers, spills = re.search(r"REG:(\d+) STACK:(\d+)", said).groups()  # type: ignore[union-attr]  # it always says
    return int(registers), int(spills)


def main() -> None:
    """Print a table of all kernels, or with `--json` and names of operations a list."""
    names = [a for a in sys.argv[1:] if a != "--json"] or list(OPERATIONS)
    found = resources(names)
    if "--json" in sys.argv:
        print(json.dumps([asdict(r) for r in found]))
        return
    for r in found:
        notes = "aligned" if r.aligned else "any size", "pipelined" if r.pipelined else "not pipelined", r.configuration
        print(
            f"{r.kernel:24} sm_{r.cc:<4}{r.registers:4} registers{r.spills:5} B spilt{r.shared_bytes:7} B shared ",
            *notes,
            sep="  ",
        )


if __name__ == "__main__":
    main()
