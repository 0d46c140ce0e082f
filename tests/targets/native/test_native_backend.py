"""The native backend: one compilation an architecture however many ask, and libraries looked at before they are loaded."""

from __future__ import annotations

import ctypes
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Files
from modelgpt_edge.targets.native import toolchain
from modelgpt_edge.targets.native.backend import Native
from modelgpt_edge.targets.native.executor import LIBRARY, TABLES
from modelgpt_edge.targets.native.library import MACHINES, built_for, fault
from modelgpt_edge.targets.native.tables import native_tables, scratch_floats
from modelgpt_edge.targets.native.toolchain import compile_library, find_compiler, warm
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import Target, machine

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
OTHER = "aarch64" if machine() == "x86_64" else "x86_64"


@dataclass(frozen=True)
class Given:
    child: Child

    def onnx(self, front: str, precision: str) -> bytes:
        raise AssertionError("the native form needs no ONNX")


@pytest.fixture
def source() -> Given:
    """Two plain columns, three classes, sparse units alone."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    none = np.zeros(0, np.int32)
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    encoder = Encoder(
        ("a", "b"), (), (), none, draw(0), draw(0), zeros, zeros, ones, none, draw(0, 4), draw(0, 4), none
    )  # fmt: skip
    empty = Units.none(2)
    units = replace(
        empty, sparse_column=rng.integers(0, 2, (3, 8)).astype(np.int32), sparse_weight=draw(3, 8, 5), sparse_bias=draw(3, 5)
    )
    return Given(Child(encoder, units, draw(2 + 15, 3), draw(3), ("x", "y", "z")))


@pytest.fixture
def here() -> Target:
    return find_target("x86" if machine() == "x86_64" else "linux-aarch64")


@pytest.fixture
def files(source, here, tmp_path) -> Files:
    for name, content in Native().compile(source, here, "fp32").files.items():
        (tmp_path / name).write_bytes(content)
    return lambda name: tmp_path / name


@pytest.fixture
def compiler(tmp_path, monkeypatch) -> Path:
    """A quick compiler that writes a line for each library it makes, and a cache of its own; gives the file of lines."""
    real, log = find_compiler(), tmp_path / "calls"
    log.touch()
    script = tmp_path / "cc"
    script.write_text(f'#!/bin/sh\ncase "$*" in *-shared*) echo "$$" >> {log}; sleep 0.3;; esac\nexec {real} "$@" -O0\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    toolchain._library.cache_clear()
    return log


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(1).normal(size=(count, 2)).astype(np.float32), np.zeros((count, 0), np.int32)


def test_it_computes_what_numpy_does_here_and_as_a_stand_in(source, here, files):
    numbers, codes = rows(20)
    expected = source.child.outputs(source.child.encoder.encode(numbers, codes))
    elsewhere = replace(here, arch=OTHER)
    for executor in (Native().load(files, here), Native().stand_in(files, elsewhere)):
        np.testing.assert_allclose(executor.run(numbers, codes), expected, atol=1e-6)


def test_it_says_what_it_compiled(source, here, files):
    artefact = Native().compile(source, here, "fp32")
    assert set(artefact.files) == {LIBRARY, TABLES}
    assert artefact.front == "native"
    library = ctypes.CDLL(str(files(LIBRARY)))
    tables = native_tables(source.child)
    model = (ctypes.c_int32 * 15)(*tables["sizes"])
    assert scratch_floats(tables["sizes"]) == library.tabular_scratch(model)
    scratch = 4 * library.tabular_scratch(model)
    # In memory lie the library, the tables and what one call writes to.
    loaded = sum(files(name).stat().st_size for name in (LIBRARY, TABLES))
    assert artefact.facts == {"scratch_bytes": scratch, "ram_bytes": scratch + loaded}


def test_a_refit_says_what_it_takes_as_the_first_build_did(source, here, files):
    again = Native().refit(files, source, here, "fp32")
    assert again.facts == Native().compile(source, here, "fp32").facts
    assert again.files[LIBRARY] == files(LIBRARY).read_bytes()


def test_another_precision_is_refused(source, here):
    with pytest.raises(InputError, match="fp32 only"):
        Native().compile(source, here, "int8")


def test_it_is_not_loaded_nor_timed_on_another_machine(here, files):
    elsewhere = replace(here, arch=OTHER)
    for use in (lambda: Native().load(files, elsewhere), lambda: Native().profile(files, elsewhere, *rows(1))):
        with pytest.raises(TargetUnavailableError, match=f"is for {OTHER}, and this machine is {machine()}"):
            use()


def test_one_row_is_timed_in_microseconds(here, files):
    profile = Native().profile(files, here, *rows(5))
    assert 0 < profile["p50_us"] <= profile["p90_us"] <= profile["p99_us"]


@pytest.mark.parametrize("share", [0, 0.0001, 0.001, 0.3, 0.9, 0.9999])
def test_a_cut_library_is_refused_and_not_loaded(here, files, share):
    """Loading it would end this process: the loader maps what isn't there."""
    content = files(LIBRARY).read_bytes()
    files(LIBRARY).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PackageError, match=rf"doesn't load on this machine \({machine()}\)"):
        Native().load(files, here)


def test_a_library_for_another_machine_names_it(here, files):
    content = bytearray(files(LIBRARY).read_bytes())
    content[18:20] = next(n for n, arch in MACHINES.items() if arch == OTHER).to_bytes(2, "little")
    files(LIBRARY).write_bytes(bytes(content))
    with pytest.raises(PackageError, match=f"it was built for {OTHER}"):
        Native().load(files, here)


def test_what_is_no_library_is_refused(here, files):
    files(LIBRARY).write_text("not a library")
    with pytest.raises(PackageError, match="doesn't load on this machine"):
        Native().load(files, here)


def test_a_32_bit_library_is_told():
    header = bytearray(64)
    header[:6], header[18] = b"\x7fELF\x01\x01", 40
    assert built_for(bytes(header)) == "arm"
    assert fault(bytes(header), "aarch64") == "it was built for arm"
    assert fault(bytes(header), "arm") == "it is a library of 32 bits"


def test_all_who_ask_at_once_wait_for_one_compilation(compiler, here):
    begun = warm(here)
    with ThreadPoolExecutor(4) as pool:
        libraries = list(pool.map(lambda _: compile_library(), range(4)))
    assert set(libraries) == {begun.result()}
    assert len(compiler.read_text().splitlines()) == 1


def test_it_is_compiled_once_though_the_cache_cannot_be_written(compiler, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compile_library() == compile_library()
    assert len(compiler.read_text().splitlines()) == 1


def test_a_library_in_the_cache_is_taken_unless_it_is_damaged(compiler, tmp_path):
    content = compile_library()
    (kept,) = (tmp_path / "cache" / "modelgpt-edge").iterdir()
    toolchain._library.cache_clear()
    assert compile_library() == content
    assert len(compiler.read_text().splitlines()) == 1
    kept.write_bytes(content[:1000])
    toolchain._library.cache_clear()
    assert compile_library() == content
    assert len(compiler.read_text().splitlines()) == 2
    assert kept.read_bytes() == content


def test_a_compiler_that_fails_is_quoted_and_nothing_is_kept(compiler, here, source, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'tabular.c:1: error: out of luck' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(TargetUnavailableError) as failed:
        Native().compile(source, here, "fp32")
    assert "the C compiler failed: tabular.c:1: error: out of luck" in str(failed.value)
    assert "Set CC to a working C compiler" in str(failed.value)
    assert not (tmp_path / "cache").exists()
    assert "out of luck" in str(warm(here).exception())


def test_a_compiler_for_another_machine_is_found_out(compiler, here, source, monkeypatch, tmp_path):
    content = bytearray(compile_library())
    content[18:20] = next(n for n, arch in MACHINES.items() if arch == OTHER).to_bytes(2, "little")
    (tmp_path / "made.so").write_bytes(bytes(content))
    crossed = tmp_path / "crossed"
    crossed.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncp {tmp_path / "made.so"} "$2"\n')
    crossed.chmod(0o755)
    monkeypatch.setenv("CC", str(crossed))
    with pytest.raises(TargetUnavailableError, match=f"makes no library for {machine()}: it was built for {OTHER}"):
        Native().compile(source, here, "fp32")


def test_an_absent_cross_compiler_tells_the_apt_line(source, here, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None if name.startswith(OTHER) else os.devnull)
    with pytest.raises(TargetUnavailableError) as absent:
        Native().compile(source, replace(here, arch=OTHER), "fp32")
    assert f"there is no C compiler for {OTHER} here" in str(absent.value)
    assert "sudo apt install gcc-" in str(absent.value)
    with pytest.raises(TargetUnavailableError, match="no native form for this architecture"):
        Native().compile(source, replace(here, arch="riscv64"), "fp32")
