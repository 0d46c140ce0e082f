"""The C backend where its tools are missing or fail, and what it does without them."""

import os
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.cortexm.cores import CORES, core_of
from modelgpt_edge.targets.native.toolchain import find_compiler
from modelgpt_edge.targets.target import Target

TARGETS = [target for target in BUILTIN if "c" in target.backends]
APT = "sudo apt install gcc-arm-none-eabi"


class OneChild:
    front = "packed"

    def __init__(self, child):
        self.child = child

    def onnx(self, front, precision):
        raise AssertionError("the C backend takes no ONNX")


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def files_in(folder, contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return lambda name: folder / name


def fake(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_every_core_has_its_target():
    assert {core_of(target).name for target in TARGETS} == set(CORES)


def test_a_target_of_an_unknown_core_is_refused_with_the_nearest():
    target = Target("m3", "M3", "armv7-m", ("int8",), ("c",), facts={"core": "cortex-m5"})
    with pytest.raises(InputError, match="cortex-m55"):
        core_of(target)


def test_without_the_cross_compiler_it_says_how_to_get_it(no_tools, make_child):
    backend = BACKENDS["c"]
    found = backend.probe()
    assert not found.available
    assert APT in found.how_to_get_it
    with pytest.raises(TargetUnavailableError, match=APT) as raised:
        backend.compile(OneChild(make_child()), TARGETS[0], "int8")
    assert raised.value.exit_code == 4


def test_without_the_emulator_it_says_how_to_get_it(no_tools):
    emulator = EMULATORS["qemu-system-arm"]
    found = emulator.probe()
    assert not found.available
    assert "sudo apt install qemu-system-arm" in found.how_to_get_it
    assert APT in found.how_to_get_it
    with pytest.raises(TargetUnavailableError, match="apt install qemu-system-arm"):
        emulator.open("c", Path, TARGETS[0])
    with pytest.raises(TargetUnavailableError, match="not that of onnxruntime"):
        emulator.open("onnxruntime", Path, TARGETS[0])


def test_a_failing_cross_compiler_is_quoted(no_tools, make_child):
    fake(no_tools, "arm-none-eabi-gcc", "echo 'internal compiler error: it is Monday' >&2; exit 1")
    backend = BACKENDS["c"]
    assert not backend.probe().available
    with pytest.raises(TargetUnavailableError, match="it is Monday"):
        backend.compile(OneChild(make_child()), TARGETS[0], "int8")
    assert os.listdir(no_tools) == ["arm-none-eabi-gcc"]


def test_python_does_not_load_firmware(make_child):
    with pytest.raises(TargetUnavailableError, match=r"model\.c") as raised:
        BACKENDS["c"].load(Path, TARGETS[0])
    assert raised.value.exit_code == 4


def test_an_unknown_precision_is_refused(make_child):
    with pytest.raises(InputError, match="int8 or fp32"):
        BACKENDS["c"].compile(OneChild(make_child()), TARGETS[0], "fp16")


def test_refit_needs_no_tools(no_tools, make_child):
    a, b = (BACKENDS["c"].refit(Path, OneChild(make_child(seed=s)), TARGETS[0], "int8") for s in (0, 1))
    assert set(a.files) == {"model.c", "model.h"}
    assert a.files["model.c"] != b.files["model.c"]
    assert a.front == "native"


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
def test_the_stand_in_computes_the_child(make_child, make_rows, tmp_path):
    child = make_child()
    backend = BACKENDS["c"]
    files = files_in(tmp_path, backend.refit(Path, OneChild(child), TARGETS[0], "fp32").files)
    rows = make_rows(child)
    with np.errstate(all="ignore"):
        expected = child.outputs(child.encoder.encode(*rows))
    executor = backend.stand_in(files, TARGETS[0])
    assert np.abs(executor.run(*rows) - expected).max() < 1e-6
    with pytest.raises(ValueError, match="inputs of shapes"):
        executor.run(rows[0][:, :2], rows[1])
    (tmp_path / "model.h").unlink()
    with pytest.raises(PackageError, match="can't be read"):
        backend.stand_in(files, TARGETS[0])
