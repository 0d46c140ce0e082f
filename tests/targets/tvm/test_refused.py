"""Damaged files, other boards and missing tools: each is told with its cure, and nothing half-made is left."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelgpt_edge.cache import cache_folder
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tvm import machine
from modelgpt_edge.targets.tvm.backend import Tvm

X86 = find_target("x86")


@pytest.fixture
def variant(make_child, source_of, tmp_path) -> Path:
    for name, content in Tvm().compile(source_of(make_child()), X86, "fp32").files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def load(folder: Path):
    return Tvm().load(lambda name: folder / name, X86)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["model.so", "weights.safetensors", "encoder.safetensors"])
def test_a_file_that_is_cut_short_is_named(variant, name, share):
    content = (variant / name).read_bytes()
    (variant / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PackageError, match=rf"^{name}: .*\S") as refused:
        load(variant)
    assert refused.value.cure


def test_a_file_that_is_no_library_is_named(variant):
    (variant / "model.so").write_bytes(b"not a library" * 100)
    with pytest.raises(PackageError, match=r"^model\.so: the compiled model can't be loaded"):
        load(variant)


def test_a_missing_file_is_named(variant):
    (variant / "weights.safetensors").unlink()
    with pytest.raises(PackageError, match=r"^weights\.safetensors: the file can't be read"):
        load(variant)


def test_a_library_for_another_board_is_told(variant):
    content = bytearray((variant / "model.so").read_bytes())
    struct.pack_into("<H", content, 18, 183)  # ELF's number of 64-bit ARM
    (variant / "model.so").write_bytes(content)
    with pytest.raises(PackageError, match="it was built for aarch64"):
        load(variant)


def test_an_older_processor_is_refused_before_it_meets_an_instruction_it_lacks(variant, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.targets.tvm.machine._X86_64_V3", ("fma", "warp9"))
    with pytest.raises(TargetUnavailableError, match=r"lacks warp9, which x86-64-v3 has"):
        load(variant)
    assert not machine.runs_here(machine.processor_named("x86_64"))


def test_a_device_runs_a_variant_without_tvm_and_onnx(variant):
    code = (
        "import sys; sys.modules.update(tvm=None, onnx=None)\n"
        "import numpy as np; from pathlib import Path\n"
        "from modelgpt_edge.targets.registry import find_target\n"
        "from modelgpt_edge.targets.tvm.backend import Tvm\n"
        "executor = Tvm().load(lambda name: Path(sys.argv[1]) / name, find_target('x86'))\n"
        "print(executor.run(np.zeros((3, 4), np.float32), np.zeros((3, 1), np.int32)).sum())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(variant)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) == pytest.approx(3, abs=1e-5)


def test_without_tvm_ffi_the_pip_line_is_told(variant, monkeypatch):
    monkeypatch.setitem(sys.modules, "tvm_ffi", None)
    with pytest.raises(TargetUnavailableError, match=r"pip install 'apache-tvm-ffi==0\.1\.14\.post1'"):
        load(variant)
    found = Tvm().probe()
    assert not found.available
    assert "apache-tvm-ffi" in found.how_to_get_it


@pytest.fixture
def uncached(make_child, source_of):
    """A source whose template no other test compiles."""
    return source_of(make_child(classes=4, widths=Widths(8, 8, 8, 4)))


def compiled_templates() -> set[str]:
    folder = cache_folder() / "tvm"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def test_without_tvm_the_pip_line_is_told(uncached, monkeypatch):
    monkeypatch.setitem(sys.modules, "tvm", None)
    with pytest.raises(TargetUnavailableError, match=r"pip install 'apache-tvm==0\.27\.0\.post1'"):
        Tvm().compile(uncached, X86, "fp32")
    found = Tvm().probe()
    assert found.available, "it still runs what was compiled elsewhere"
    assert "can't compile" in found.reason
    assert "apache-tvm==" in found.how_to_get_it


@pytest.mark.parametrize(
    ("target", "package"), [("x86", "apt install gcc"), ("raspberry-pi-5", "apt install gcc-aarch64-linux-gnu")]
)
def test_without_a_compiler_the_apt_line_is_told(uncached, monkeypatch, tmp_path, target, package):
    monkeypatch.setenv("PATH", str(tmp_path))
    before = compiled_templates()
    with pytest.raises(TargetUnavailableError, match=package):
        Tvm().compile(uncached, find_target(target), "fp32")
    assert compiled_templates() == before


@pytest.mark.parametrize(("target", "compiler"), [("x86", "cc"), ("raspberry-pi-5", "aarch64-linux-gnu-gcc")])
def test_the_message_of_a_failing_compiler_is_shown_and_nothing_is_kept(uncached, monkeypatch, tmp_path, target, compiler):
    program = tmp_path / compiler
    program.write_text("#!/bin/sh\necho 'ld: the disk is on fire' >&2\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    before = compiled_templates()
    with pytest.raises(TargetUnavailableError, match="ld: the disk is on fire") as refused:
        Tvm().compile(uncached, find_target(target), "fp32")
    assert str(program) in str(refused.value)
    assert compiled_templates() == before


def test_a_processor_without_a_rule_is_refused(uncached):
    with pytest.raises(TargetUnavailableError, match="compiles for no armv7e-m"):
        Tvm().compile(uncached, find_target("cortex-m4"), "fp32")


def test_a_newer_processor_of_a_target_is_compiled_for(make_child):
    assert machine.processor_of(find_target("raspberry-pi-5")).cpu == "cortex-a76"
    assert machine.processor_of(find_target("raspberry-pi-4")).cpu == "cortex-a72"
    assert machine.processor_of(replace(X86, facts={"cpu": "x86-64-v4"})).cpu == "x86-64-v4"


def test_nothing_stands_in_for_a_device(variant):
    with pytest.raises(TargetUnavailableError, match=r"the device \(Raspberry Pi 5\) or its emulator"):
        Tvm().stand_in(lambda name: variant / name, find_target("raspberry-pi-5"))


def test_the_probe_compiles_and_runs_for_real():
    found = Tvm().probe()
    assert found.available, found.reason
    assert [(c.name, c.passed) for c in found.checks] == [("compile", True)]
