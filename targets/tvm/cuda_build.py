"""The process that `cuda` builds in: ``python -m modelgpt_edge.targets.tvm.cuda_build FOLDER`` on what it wrote there."""

# ruff: noqa: TID251 - this is the folder that imports TVM, and only while a template is compiled
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import tvm
import tvm_ffi
from tvm.s_tir import dlight

from modelgpt_edge.targets.tvm.arguments import Plan
from modelgpt_edge.targets.tvm.graph import CORE, import_kernels, join_kernels
from modelgpt_edge.targets.tvm.linker import export, find_linker
from modelgpt_edge.targets.tvm.machine import processor_named
from modelgpt_edge.targets.tvm.template import Template

RULES = (
    dlight.gpu.Matmul(),
    dlight.gpu.GEMV(),
    dlight.gpu.Reduction(),
    dlight.gpu.GeneralReduction(),
    dlight.gpu.Fallback(),
)
LIMITS = {"max_threads_per_block": 1024, "max_shared_memory_per_block": 49152, "thread_warp_size": 32}


def main(folder: Path) -> None:
    """Write ``model.so``, ``plan.json`` and ``ptxas.txt`` beside the template."""
    described = json.loads((folder / "template.json").read_text(encoding="utf-8"))
    structure = (folder / "structure.onnx").read_bytes()
    template = Template(structure, tuple(described["inputs"]), tuple(described["outputs"]), {})

    def compile_cuda(code: str) -> bytearray:
        source, binary = folder / "kernels.cu", folder / "kernels.fatbin"
        source.write_text(code, encoding="utf-8")
        command = [described["nvcc"], f"-arch={described['sm']}", "-fatbin", "-Xptxas", "-v", str(source), "-o", str(binary)]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode != 0:
            raise SystemExit(f"nvcc failed: {ran.stderr.strip()[-700:]}")
        (folder / "ptxas.txt").write_text(ran.stderr, encoding="utf-8")
        return bytearray(binary.read_bytes())

    tvm_ffi.register_global_func("tvm_callback_cuda_compile", compile_cuda, override=True)
    host = processor_named("aarch64", "cortex-a78")
    target = tvm.target.Target({"kind": "cuda", "arch": described["sm"], **LIMITS}, host=tvm.target.Target(host.llvm()))
    with target:
        kernels = import_kernels(template)
        kernels.module = dlight.ApplyDefaultSchedule(*RULES)(kernels.module)
        function, arguments = join_kernels(kernels, template.outputs, on_cpu=False)
        built = tvm.compile(tvm.IRModule({CORE: function}), target=target)
    if not (folder / "ptxas.txt").is_file():
        raise SystemExit("TVM embedded CUDA source instead of machine code: its CUDA library didn't load")
    export(find_linker(host), built, folder / "model.so")
    plan = Plan(described["key"], tuple(arguments))
    (folder / "plan.json").write_text(plan.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
