"""Variants for 64-bit ARM run by the runtime's own Python under qemu, as a Raspberry Pi 4 and 5 would, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.aarch64.emulator import QemuAarch64
from modelgpt_edge.targets.backend import Artefact, Files
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.native.toolchain import compile_library
from modelgpt_edge.targets.registry import find_target

pytestmark = pytest.mark.device
ROWS = 96
BOARDS = ("raspberry-pi-4", "raspberry-pi-5")
FORMS = (
    ("native", "fp32"),
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("onnxruntime", "int8-dynamic"),
    ("tvm", "fp32"),
)


@pytest.fixture(scope="module")
def emulator() -> QemuAarch64:
    found = QemuAarch64().probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"
    return QemuAarch64()


@pytest.fixture(scope="module")
def children() -> dict[str, tuple[Child, Floats, Ints]]:
    """Children of each kind of column and label, and rows to run: gaps, infinities and unknown words among them."""
    rng = np.random.default_rng(3)
    gaps = rng.normal(size=ROWS).astype(np.float32)
    gaps[::6] = np.nan
    wild = rng.exponential(2, ROWS).astype(np.float32)
    wild[:3] = np.inf, -np.inf, np.nan
    numbers = {"gaps": gaps, "wild": wild, "when": rng.integers(9_000, 20_000, ROWS).astype(np.float32)}
    words = {n: rng.choice(np.array(["a", "b", "c", "", "ü"], object), ROWS) for n in ("u", "v")}
    labels = (np.arange(ROWS) % 3).astype(np.int32)
    return {
        "classes of mixed columns": make_child(Rows(numbers, words, labels), 3),
        "values of numbers": make_child(Rows(numbers, {}, rng.normal(300, 20, ROWS)), 0),
        "classes of words": make_child(Rows({}, words, labels % 2), 2),
    }


def make_child(rows: Rows, classes: int) -> tuple[Child, Floats, Ints]:
    columns = [Column(n, "date" if n == "when" else "number") for n in rows.numbers]
    columns += [Column(n, "category") for n in rows.words]
    names = tuple(f"k{i}" for i in range(classes))
    kind = "classification" if classes else "regression"
    schema = Schema(tuple(columns), Column("y", "category"), "", kind, "", names)
    standard = Standard(0.0, 1.0) if classes else Standard.of(rows.labels)
    targets = classification_targets(rows.labels, classes) if classes else standard.targets(rows.labels)
    with np.errstate(all="ignore"):
        ready = prepare(rows, targets, schema)
        floor = emit_floor(ready, targets, Widths(32, 16, 7, 12), 2, np.random.default_rng(0))
        emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    blend = Blend(0.5 if classes else 1.0, 0.0, 1.0, 0.0)
    child = fuse(emissions, blend.weights(2 if classes else 1), standard, names)
    numbers, codes = child.encoder.pack(rows.numbers, rows.words, ROWS)
    codes[::9] = -1
    return child, numbers, codes


def source_of(child: Child, numbers: Floats, codes: Ints) -> ChildSource:
    return ChildSource(child, "0.1", calibrate(child, child.encoder.encode(numbers, codes)))


def written(artefact: Artefact, folder: Path) -> Files:
    for name, content in artefact.files.items():
        (folder / name).write_bytes(content)
    return lambda name: folder / name


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("backend", "precision"), FORMS, ids=[" ".join(form) for form in FORMS])
def test_a_variant_computes_on_the_board_what_numpy_does(emulator, children, board, backend, precision, tmp_path):
    target = find_target(board)
    child, numbers, codes = children["classes of mixed columns"]
    files = written(BACKENDS[backend].compile(source_of(child, numbers, codes), target, precision), tmp_path)
    expected = child.outputs(child.encoder.encode(numbers, codes))
    executor = emulator.open(backend, files, target)
    hop = compare(f"{board} {backend}", expected, executor.run(numbers, codes), precision)
    assert hop.passed, hop.line()
    alone = executor.run(numbers[7:8], codes[7:8])
    assert compare("one row", expected[7:8], alone, precision).passed


@pytest.mark.parametrize("kind", ["values of numbers", "classes of words"])
@pytest.mark.parametrize("backend", ["native", "onnxruntime", "tvm"])
def test_columns_of_one_kind_run_on_the_board(emulator, children, kind, backend, tmp_path):
    target = find_target("raspberry-pi-4")
    child, numbers, codes = children[kind]
    files = written(BACKENDS[backend].compile(source_of(child, numbers, codes), target, "fp32"), tmp_path)
    expected = child.outputs(child.encoder.encode(numbers, codes))
    hop = compare(kind, expected, emulator.open(backend, files, target).run(numbers, codes), "fp32")
    assert hop.passed, hop.line()


@pytest.mark.parametrize("fault", ["cut", "for x86"])
def test_a_library_that_the_board_cannot_load_is_refused_there(emulator, children, fault, tmp_path):
    target = find_target("raspberry-pi-4")
    artefact = BACKENDS["native"].compile(source_of(*children["classes of words"]), target, "fp32")
    files = written(artefact, tmp_path)
    library = artefact.files["model.so"]
    (tmp_path / "model.so").write_bytes(library[: len(library) // 2] if fault == "cut" else compile_library("x86_64"))
    with pytest.raises(PackageError) as refused:
        emulator.open("native", files, target)
    assert {"cut": "the file is cut short", "for x86": "it was built for x86_64"}[fault] in str(refused.value)
    assert "on this machine (aarch64)" in str(refused.value)


def test_a_crash_on_the_board_is_told_with_its_signal(emulator, children, tmp_path):
    """A library with an entry that isn't code: it loads, and dies when it is called."""
    target = find_target("raspberry-pi-4")
    child, numbers, codes = children["classes of words"]
    artefact = BACKENDS["native"].compile(source_of(child, numbers, codes), target, "fp32")
    files = written(artefact, tmp_path)
    (tmp_path / "model.so").write_bytes(with_broken_function(artefact.files["model.so"], b"tabular_predict"))
    executor = emulator.open("native", files, target)
    with pytest.raises(TargetUnavailableError, match=r"was ended by SIG(ILL|SEGV)"):
        executor.run(numbers, codes)


def with_broken_function(library: bytes, name: bytes) -> bytes:
    """The library with a function's first instructions overwritten by zeros, which no ARM processor runs."""

    def read(at: int, size: int) -> int:
        return int.from_bytes(library[at : at + size], "little")

    sections = read(40, 8)
    headers = [sections + 64 * i for i in range(read(60, 2))]
    symbols = next(h for h in headers if read(h + 4, 4) == 11)  # SHT_DYNSYM
    names = read(headers[read(symbols + 40, 4)] + 24, 8)
    start, size = read(symbols + 24, 8), read(symbols + 32, 8)
    for entry in range(start, start + size, 24):
        at = names + read(entry, 4)
        if library[at : at + len(name) + 1] == name + b"\0":
            address = read(entry + 8, 8)
            return library[:address] + bytes(16) + library[address + 16 :]
    raise AssertionError(f"no function {name!r}")


def test_files_that_the_package_does_not_vouch_for_are_not_used(emulator, children):
    def files(name: str) -> Path:
        raise PackageError("the package has no checksum for this file", where=name)

    with pytest.raises(PackageError, match=r"model\.onnx: the package has no checksum"):
        emulator.open("onnxruntime", files, find_target("raspberry-pi-5"))
