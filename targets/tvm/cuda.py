"""Build the core for a Jetson's GPU on a machine without one, and tell what its kernels take of the GPU: built, not run.

TVM embeds CUDA source instead of machine code where its CUDA library doesn't load, and that wants the driver's libcuda. For the
build a stand-in with the functions it looks for does, none of which is called; it lives in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.tvm.arguments import Plan
from modelgpt_edge.targets.tvm.compiler import import_tvm
from modelgpt_edge.targets.tvm.linker import find_linker
from modelgpt_edge.targets.tvm.machine import processor_named

if TYPE_CHECKING:
    from modelgpt_edge.targets.tvm.template import Template

SECONDS = 600
WHEELS = ("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-runtime")
INSTALL = "Run: pip install " + " ".join(f"'{wheel}==13.0.*'" for wheel in WHEELS)
WHEEL_FOLDER = Path("nvidia") / "cu13"
CUDA_LIBRARY = Path("lib") / "libtvm_runtime_cuda.so"
_KERNEL = re.compile(
    r"entry function '(?P<name>\w+)' for '(?P<sm>sm_\w+)'.*? bytes stack frame, "
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Resources:
    """What a kernel takes on its GPU, as ptxas tells it.

    Attributes:
        registers: of one thread.
        spilled_bytes: stored to and loaded from memory for want of registers, of one thread.
        shared_bytes: of one block.
    """

    kernel: str
    sm: str
    registers: int
    spilled_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class GpuBuild:
    """A library for an aarch64 host with machine code for its GPU, the plan of its arguments, and each kernel's resources."""

    library: bytes
    plan: Plan
    resources: tuple[Resources, ...]


def build_for_gpu(template: Template, sm: str) -> GpuBuild:
    """Compile a template for a GPU such as ``sm_87`` beside a 64-bit ARM processor.

    Raises:
        TargetUnavailableError: nvcc, a C compiler, the cross-compiler or TVM is missing, or failed.
    """
    tvm = import_tvm()
    find_linker(processor_named("aarch64", "cortex-a78"))
    nvcc = find_nvcc()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "structure.onnx").write_bytes(template.structure)
        described = {"inputs": template.inputs, "outputs": template.outputs, "key": template.key, "sm": sm, "nvcc": str(nvcc)}
        (folder / "template.json").write_text(json.dumps(described), encoding="utf-8")
        _stand_in_for_the_driver(Path(tvm.__file__).parent / CUDA_LIBRARY, folder / "driver")
        # TVM's CUDA library needs libcudart too, which lies beside a wheel's nvcc; other installations tell the loader.
        folders = (str(folder / "driver"), str(nvcc.parent.parent / "lib"), os.environ.get("LD_LIBRARY_PATH", ""))
        search = os.pathsep.join(filter(None, folders))
        command = [sys.executable, "-m", "modelgpt_edge.targets.tvm.cuda_build", str(folder)]
        environment = {**os.environ, "LD_LIBRARY_PATH": search}
        _run(command, "the build for the GPU failed", environment)
        plan = Plan.from_json((folder / "plan.json").read_bytes())
        resources = read_resources((folder / "ptxas.txt").read_text(encoding="utf-8"))
        return GpuBuild((folder / "model.so").read_bytes(), plan, resources)


def find_nvcc() -> Path:
    """CUDA's compiler: on the path, or that of NVIDIA's wheels.

    Raises:
        TargetUnavailableError: there is none.
    """
    places = (Path(folder) / WHEEL_FOLDER / "bin" / "nvcc" for folder in sys.path)
    found = shutil.which("nvcc") or next((place for place in places if place.is_file()), None)
    if found is None:
        raise TargetUnavailableError("there is no nvcc here", where="tvm for a GPU", cure=INSTALL)
    return Path(found)


def read_resources(text: str) -> tuple[Resources, ...]:
    """What ``ptxas -v`` said of each kernel, in order of their names."""
    found = []
    for part in re.split(r"(?=ptxas info\s+: Compiling)", text):
        match = _KERNEL.search(part)
        if match:
            shared = re.search(r"(\d+) bytes smem", match["rest"])
            spilled = int(match["stores"]) + int(match["loads"])
            taken = int(match["registers"]), spilled, int(shared[1]) if shared else 0
            found.append(Resources(match["name"], match["sm"], *taken))
    return tuple(sorted(found, key=lambda r: r.kernel))


def _stand_in_for_the_driver(needing: Path, folder: Path) -> None:
    """A libcuda.so.1 with every function of the driver that a library looks for; each answers with an error."""
    folder.mkdir()
    symbols = _run(["nm", "-D", "--undefined-only", str(needing)], "TVM's CUDA library can't be read")
    names = sorted({word for word in symbols.split() if re.fullmatch(r"cu[A-Z]\w*", word)})
    source = folder / "driver.c"
    source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in names), encoding="utf-8")
    compiler = find_linker(processor_named("x86_64"))
    library = folder / "libcuda.so.1"
    command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(source)]
    _run(command, "the stand-in for the driver can't be compiled")


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailableError(f"{what}: {error}", where=command[0], cure="See its message.") from error
    if ran.returncode != 0:
        raise TargetUnavailableError(f"{what}: {ran.stderr.strip()[-800:]}", where=command[0], cure="See its message.")
    return ran.stdout
