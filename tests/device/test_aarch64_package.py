"""A package on a Raspberry Pi as a user meets it: the bare install's command line, and C++ programs without Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.child_file import CHILD, read_child
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.gate import compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN
from modelgpt_edge.targets import aarch64, native
from modelgpt_edge.targets.aarch64.emulator import QemuAarch64, run_program, run_python
from modelgpt_edge.targets.aarch64.root import root_folder
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.native.toolchain import FLAGS
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tvm.runner import build_runner

pytestmark = pytest.mark.device
ROOT = Path(__file__).parents[2]
BOARDS = {"cortex-a72": "raspberry-pi-4", "cortex-a76": "raspberry-pi-5"}


@pytest.fixture(scope="module", autouse=True)
def _userland() -> None:
    found = QemuAarch64().probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"


@pytest.fixture(scope="module")
def package(tmp_path_factory, patients) -> Path:
    out = tmp_path_factory.mktemp("packages") / "patients.edge"
    targets = tuple(BOARDS.values())
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target=targets, generator="floor").path


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """This project, installed from a copy of the checkout without what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("modelgpt_edge", "kernels", "targets"):
        shutil.copytree(ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "copy")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--no-build-isolation"]
    ran = subprocess.run([*command, "--target", folder / "site", folder / "copy"], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return folder / "site"


@pytest.mark.parametrize("cpu", BOARDS)
def test_the_bare_install_predicts_a_file_on_the_board(cpu, package, installed, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", [{k: v for k, v in row.items() if k != "outcome"} for row in patients])
    ran = run_python(cpu, ["-m", "modelgpt_edge", "predict", str(package), str(rows), "--json"], path=[installed])
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "", "a variant made for this board was passed over"
    there = json.loads(ran.stdout)
    truth = modelgpt_edge.load(package, "model")
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in there], truth.predict_proba(patients), atol=1e-4)
    assert len({row["label"] for row in there}) == 2
    code = "import importlib.util as u; print([n for n in ('onnx', 'torch', 'pyarrow', 'pandas', 'rich') if u.find_spec(n)])"
    assert run_python(cpu, ["-c", code], path=[installed]).stdout == "[]\n", "the install isn't bare"


@pytest.mark.parametrize("cpu", BOARDS)
def test_the_bare_install_verifies_every_variant_on_the_board(cpu, package, installed):
    ran = run_python(cpu, ["-m", "modelgpt_edge", "verify", str(package)], path=[installed])
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    for variant in json.loads((package / "manifest.json").read_text(encoding="utf-8"))["variants"]:
        name = f"{variant['target']} {variant['backend']} {variant['precision']} (here)"
        assert any(line.startswith("ok") and name in line for line in lines), f"{name} not in {lines}"


class Programs:
    """C++ programs, cross-compiled, and the rows that they are given: the package's golden ones."""

    def __init__(self, package: Path, folder: Path) -> None:
        self.child = read_child(package / CHILD)
        golden = Golden.read(package / GOLDEN)
        self.folder, self.golden, self.numbers = folder, golden, golden.numbers
        self.codes = self.child.encoder.codes([golden.words[:, s] for s in range(golden.words.shape[1])])
        np.ascontiguousarray(self.numbers, "<f4").tofile(folder / "numbers.f32")
        np.ascontiguousarray(self.codes, "<i4").tofile(folder / "codes.i32")
        self.source = ChildSource(self.child, "0.1", calibrate(self.child, self.child.encoder.encode(self.numbers, self.codes)))

    def compile(self, compiler: str, *arguments: str | Path) -> None:
        command = [f"aarch64-linux-gnu-{compiler}", "-O2", "-Wall", "-Wextra", "-Werror", *map(str, arguments)]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr

    def write(self, backend: str, precision: str) -> None:
        artefact = BACKENDS[backend].compile(self.source, find_target("linux-aarch64"), precision)
        for name, content in artefact.files.items():
            (self.folder / f"{backend}-{precision}-{name}").write_bytes(content)

    def run(self, cpu: str, program: str, model: str) -> np.ndarray:
        f = self.folder
        rows = len(self.golden.outputs)
        command = [f / program, f / model, rows, f / "numbers.f32", f / "codes.i32", f / f"{cpu}.f32"]
        ran = run_program(cpu, list(map(str, command)))
        assert ran.returncode == 0, ran.stderr
        return np.fromfile(f / f"{cpu}.f32", "<f4").reshape(self.golden.outputs.shape)


@pytest.fixture(scope="module")
def programs(package, tmp_path_factory) -> Programs:
    made = Programs(package, tmp_path_factory.mktemp("programs"))
    base = root_folder() / "base" / "usr"
    runner = Path(aarch64.__path__[0]) / "ort_runner.cc"
    library = base / "lib" / "aarch64-linux-gnu" / "libonnxruntime.so.1"
    made.compile("g++", "-std=c++17", runner, f"-I{base}/include/onnxruntime", library, "-o", "ort_runner")
    template = Path(native.__path__[0])
    flags = [flag for flag in FLAGS if flag not in ("-shared", "-fPIC")]
    made.compile("gcc", *flags, "-c", template / "tabular.c", "-o", "tabular.o")
    made.compile("g++", "-std=c++17", template / "native_runner.cc", "tabular.o", "-o", "native_runner")
    made.write("native", "fp32")
    for precision in ("fp32", "int8"):
        made.write("onnxruntime", precision)
    return made


@pytest.mark.parametrize("cpu", BOARDS)
@pytest.mark.parametrize(
    ("program", "model", "precision"),
    [
        ("native_runner", "native-fp32-tables.safetensors", "fp32"),
        ("ort_runner", "onnxruntime-fp32-model.onnx", "fp32"),
        ("ort_runner", "onnxruntime-int8-model.onnx", "int8"),
    ],
    ids=["native", "onnxruntime fp32", "onnxruntime int8"],
)
def test_a_cpp_program_reproduces_the_golden_outputs(cpu, programs, program, model, precision):
    hop = compare(f"{cpu} {program}", programs.golden.outputs, programs.run(cpu, program, model), precision)
    assert hop.passed, hop.line()
    assert hop.max_abs is not None
    assert (hop.max_abs > 1e-5) == (precision == "int8"), "nothing was quantised"


@pytest.mark.parametrize("cpu", BOARDS)
def test_tvms_cpp_runner_reproduces_the_golden_outputs(cpu, programs, tmp_path):
    """It takes encoded rows as text, and needs tvm_ffi's library alone."""
    runner = build_runner(tmp_path / "runner", "aarch64-linux-gnu-g++", root_folder() / "site" / "tvm_ffi")
    artefact = BACKENDS["tvm"].compile(programs.source, find_target(BOARDS[cpu]), "fp32")
    for name, content in artefact.files.items():
        (tmp_path / name).write_bytes(content)
    encoded = programs.child.encoder.encode(programs.numbers, programs.codes)
    rows = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in encoded.tolist())
    ran = run_program(cpu, [str(runner), str(tmp_path / "model.so"), str(tmp_path / "weights.safetensors")], given=rows)
    assert ran.returncode == 0, ran.stderr
    outputs = np.array([line.split() for line in ran.stdout.splitlines()], np.float32)
    hop = compare(f"{cpu} tvm runner", programs.golden.outputs, outputs, "fp32")
    assert hop.passed, hop.line()


def test_a_cpp_program_says_what_is_wrong_with_its_files(programs):
    command = ["native_runner", "ort_runner"]
    for program, model in zip(command, ["native-fp32-tables.safetensors", "onnxruntime-fp32-model.onnx"]):
        content = (programs.folder / model).read_bytes()
        (programs.folder / "cut").write_bytes(content[: len(content) // 2])
        places = [programs.folder / name for name in ("numbers.f32", "codes.i32", "out.f32")]
        ran = run_program("cortex-a72", list(map(str, [programs.folder / program, programs.folder / "cut", 3, *places])))
        assert ran.returncode == 1
        assert ran.stderr.startswith("error: ")
        longer = run_program("cortex-a72", list(map(str, [programs.folder / program, programs.folder / model, 9999, *places])))
        assert longer.returncode == 1
        assert "numbers.f32" in longer.stderr
