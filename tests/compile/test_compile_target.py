"""How a target's forms are made, run and measured: backends here are small fakes, named so, around the child in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.child import Units
from modelgpt_edge.compile import variants
from modelgpt_edge.compile.candidate import Probe
from modelgpt_edge.compile.golden import golden_rows
from modelgpt_edge.compile.selection import within
from modelgpt_edge.compile.source import ChildSource, precisions_of
from modelgpt_edge.compile.variants import compile_target
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError, PackageError, TargetUnavailableError
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets import backends as known
from modelgpt_edge.targets import running
from modelgpt_edge.targets.backend import Artefact, Availability
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.target import Target, machine

ROWS = 400


class ChildItself:
    """An executor that runs the reference, a constant added to its first output, and counts the rows that it is given."""

    def __init__(self, child, off):
        self.child, self.off, self.rows = child, off, []

    def run(self, numbers, codes):
        self.rows.append(len(numbers))
        outputs = self.child.outputs(self.child.encoder.encode(numbers, codes))
        return outputs + np.float32([self.off, -self.off])


class FakeBackend:
    """Compiles nothing: its artefact is one file of its name, its executor the child itself."""

    by_default = True
    fronts = ("packed",)

    def __init__(self, name, precisions=("fp32", "int8"), off=None, toolchain=True, runs=True, times=None, flash=None):
        self.name, self.precisions, self.off, self.toolchain, self.runs = name, precisions, off or {}, toolchain, runs
        self.times, self.flash = times or {}, flash or {}
        self.executor, self.profiled = None, []

    def probe(self):
        return Availability(self.toolchain, "1", "fake", "")

    def compile(self, source, target, precision):
        if not self.toolchain:
            raise TargetUnavailableError(f"no toolchain of {self.name}", where=self.name, cure="apt install it")
        self.child = source.child
        flash = {"flash_bytes": self.flash[precision]} if precision in self.flash else {}
        return Artefact({"model": precision.encode()}, "packed", {"made_by": self.name, **flash})

    def load(self, files, target):
        precision = files("model").read_text()
        self.executor = ChildItself(self.child, self.off.get(precision, 0.0))
        return self.executor

    def stand_in(self, files, target):
        if not self.runs:
            raise TargetUnavailableError("nothing here computes the same", where=self.name, cure="Use the board.")
        return self.load(files, target)

    def profile(self, files, target, numbers, codes):
        self.profiled.append(len(numbers))
        time = self.times.get(files("model").read_text())
        if time is None:
            raise TargetUnavailableError("its clock tells nothing", where=self.name, cure="Run it there.")
        return {"p50_us": time}


class FakeEmulator:
    """Runs what a fake backend would load."""

    name = "fake-emulator"

    def __init__(self, backends):
        self.backends = backends

    def probe(self):
        return Availability(True, "1", "fake", "")

    def open(self, backend, files, target):
        return self.backends[backend].load(files, target)


HERE = Target("here", "Machine here", machine(), ("fp32", "int8"), ("one", "two"), checked="runs here")
EMULATED = replace(HERE, name="emulated", arch="elsewhere", emulator="fake-emulator", checked="runs under an emulator")
ELSEWHERE = replace(HERE, name="elsewhere", arch="elsewhere", checked="built, not run")


@pytest.fixture(scope="module")
def ready():
    """Source, probe and golden rows of a child of two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32)
    labels = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int32)
    rows = Rows({f"c{i}": c for i, c in enumerate(x.T)}, {}, labels)
    schema = Schema(
        tuple(Column(n, "number") for n in rows.numbers), Column("y", "category"), "", "classification", "", ("a", "b")
    )
    targets = classification_targets(labels, 2)
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, Widths(16, 8, 8, 8), 1, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    child = fuse(emissions, Blend(0.5, 0.0, 1.0, 0.0).weights(2), Standard(0.0, 1.0), schema.classes)
    return ChildSource(child, "0", {}), Probe.of(child, rows), golden_rows(child, rows)


@pytest.fixture
def compiled(monkeypatch, ready):
    """Compiles a target by the fakes given."""

    def run(target, *fakes, wanted=(), flash_bytes=None):
        backends: Mapping[str, FakeBackend] = {fake.name: fake for fake in fakes}
        for module in (variants, running, known):
            monkeypatch.setattr(module, "BACKENDS", backends)
        monkeypatch.setattr(running, "EMULATORS", {"fake-emulator": FakeEmulator(backends)})
        return compile_target(target, *ready, wanted, flash_bytes)

    return run


def test_each_backend_keeps_its_best_and_measures_what_it_kept(compiled, ready):
    _, probe, golden = ready
    one, two = FakeBackend("one", times={"fp32": 10.0, "int8": 5.0}), FakeBackend("two", ("fp32",), times={"fp32": 7.0})
    candidates, notes = compiled(HERE, one, two)
    assert notes == ()
    assert [(c.backend, c.precision, c.kept) for c in candidates] == [
        ("one", "int8", True),
        ("one", "fp32", False),
        ("two", "fp32", True),
    ]
    for candidate in candidates:
        assert candidate.checked == "runs here"
        assert candidate.hop.name == f"here {candidate.backend} {candidate.precision}"
        assert candidate.hop.max_abs == 0
        assert candidate.hop.rows == len(golden.outputs)
        assert (candidate.agreement, candidate.loss) == (1, 0)
        assert candidate.training_accuracy == (probe.outputs.argmax(1) == probe.labels).mean()
        assert candidate.facts == {"made_by": candidate.backend}


def test_golden_and_table_rows_go_in_one_call(compiled, ready):
    _, probe, golden = ready
    one = FakeBackend("one", ("fp32",))
    compiled(HERE, one, FakeBackend("two"))
    assert one.executor.rows == [len(golden.outputs) + len(probe.labels)] == [len(golden.outputs) + ROWS]


def test_an_emulator_gets_fewer_rows_and_its_clock_may_tell_nothing(compiled, ready):
    _, _, golden = ready
    one = FakeBackend("one", ("fp32",))
    candidates, _ = compiled(EMULATED, one, FakeBackend("two", ("fp32",)))
    assert one.executor.rows == [len(golden.outputs) + ChildSource.emulated_rows]
    assert one.profiled == [ChildSource.emulated_rows]
    assert candidates[0].checked == "runs under an emulator"
    assert candidates[0].note == "in fake-emulator"
    assert candidates[0].profile == {}
    assert candidates[0].cost is None


def test_a_form_too_large_for_the_device_is_not_run(compiled):
    fake = FakeBackend("one", times={"fp32": 10.0, "int8": 10.0}, flash={"fp32": 300, "int8": 200})
    candidates, notes = compiled(replace(EMULATED, backends=("one",)), fake, flash_bytes=200)
    assert [(c.precision, c.kept, c.checked) for c in candidates] == [
        ("int8", True, "runs under an emulator"),
        ("fp32", False, "built, not run"),
    ]
    assert notes == ()
    assert len(fake.profiled) == 1, "the one that fits alone is run"
    assert candidates[1].bytes == 300


def test_forms_all_too_large_are_all_told(compiled):
    fake = FakeBackend("one", flash={"fp32": 300, "int8": 200})
    candidates, _ = compiled(replace(EMULATED, backends=("one",)), fake, flash_bytes=100)
    assert [(c.precision, c.kept, c.bytes) for c in candidates] == [("fp32", False, 300), ("int8", False, 200)]
    with pytest.raises(BudgetError, match="fits the budget") as raised:
        within(candidates, 100, None, None)
    assert "int8: over the limit of 100 bytes of flash by 100" in str(raised.value)


def test_a_stand_in_is_measured_but_not_timed(compiled):
    one = FakeBackend("one", ("fp32",), times={"fp32": 3.0})
    candidates, _ = compiled(ELSEWHERE, one, FakeBackend("two", ("fp32",)))
    assert candidates[0].checked == "built, not run"
    assert candidates[0].note == "this is no Machine here"
    assert candidates[0].hop.passed
    assert candidates[0].latency_us is None
    assert one.profiled == []


def test_what_nothing_here_can_run_is_built_and_says_so(compiled):
    candidates, _ = compiled(ELSEWHERE, FakeBackend("one", runs=False), FakeBackend("two", ("fp32",)))
    unrun = [c for c in candidates if c.backend == "one"]
    assert [(c.precision, c.kept) for c in unrun] == [("fp32", True), ("int8", True)]
    for candidate in unrun:
        assert candidate.checked == "built, not run"
        assert "nothing here computes the same" in candidate.note
        assert (candidate.hop, candidate.agreement, candidate.loss, candidate.training_accuracy) == (None,) * 4
        assert candidate.passed
        assert candidate.to_json()["relative_rms"] is None


@pytest.mark.parametrize(("off", "passes"), [(0.0, True), (5e-6, True), (5e-2, False)])
def test_wrong_numbers_are_seen(off, passes, compiled):
    candidates, _ = compiled(HERE, FakeBackend("one", ("fp32",), {"fp32": off}), FakeBackend("two", ("fp32",)))
    assert candidates[0].hop.max_abs == pytest.approx(off, abs=1e-6)
    assert candidates[0].passed is passes
    assert candidates[1].passed


def test_labels_that_change_are_counted(compiled, ready):
    _, probe, _ = ready
    candidates, _ = compiled(HERE, FakeBackend("one", off={"int8": 0.03}), FakeBackend("two"))
    int8 = next(c for c in candidates if c.precision == "int8" and c.backend == "one")
    moved = probe.outputs + np.float32([0.03, -0.03])
    expected = (moved.argmax(1) == probe.outputs.argmax(1)).mean()
    assert expected < 0.995
    assert int8.agreement == expected
    assert not int8.kept
    assert int8.because.startswith("gives fp32's label to")
    right = (probe.outputs.argmax(1) == probe.labels).mean() - (moved.argmax(1) == probe.labels).mean()
    assert int8.loss == pytest.approx(right)


def test_a_backend_without_its_toolchain_is_told_and_the_others_ship(compiled):
    candidates, notes = compiled(HERE, FakeBackend("one", toolchain=False), FakeBackend("two", ("fp32",)))
    assert {c.backend for c in candidates} == {"two"}
    (note,) = notes
    assert "no here variant" in note
    assert "no toolchain of one" in note
    assert "apt install it" in note


def test_a_backend_asked_for_by_name_must_work(compiled):
    fakes = FakeBackend("one", toolchain=False), FakeBackend("two")
    with pytest.raises(TargetUnavailableError, match="no toolchain of one") as raised:
        compiled(HERE, *fakes, wanted=("one",))
    assert raised.value.exit_code == 4
    candidates, _ = compiled(HERE, *fakes, wanted=("two",))
    assert {c.backend for c in candidates} == {"two"}


def test_no_backend_at_all_is_the_first_one_s_error(compiled):
    with pytest.raises(TargetUnavailableError, match="no toolchain of one"):
        compiled(HERE, FakeBackend("one", toolchain=False), FakeBackend("two", toolchain=False))


def test_a_backend_that_waits_to_be_asked_is_not_used_unasked(compiled):
    two = FakeBackend("two")
    two.by_default = False
    candidates, notes = compiled(HERE, FakeBackend("one"), two)
    assert {c.backend for c in candidates} == {"one"}
    assert notes == ()
    assert {c.backend for c in compiled(HERE, FakeBackend("one"), two, wanted=("two",))[0]} == {"two"}


def test_a_file_that_a_backend_did_not_make_is_no_file_of_the_variant(compiled):
    class Greedy(FakeBackend):
        def load(self, files, target):
            return files("other")

    with pytest.raises(PackageError, match="no such file"):
        compiled(HERE, Greedy("one"), FakeBackend("two"))


def test_precisions_are_those_of_both_in_the_target_s_order(ready):
    child = ready[0].child
    gpu = replace(ELSEWHERE, sm="sm_87", precisions=("fp16", "int8", "fp32"))
    assert precisions_of(gpu, FakeBackend("one", ("fp32", "int8", "fp16", "int8-dynamic")), child) == ["fp16", "int8", "fp32"]
    assert precisions_of(HERE, FakeBackend("one", ("int8",)), child) == ["int8"]
    assert precisions_of(gpu, FakeBackend("onnxruntime", ("fp32", "int8")), child) == ["fp32"]


@pytest.mark.parametrize("target", BUILTIN, ids=[t.name for t in BUILTIN])
def test_without_hidden_units_only_c_has_int8(target, ready):
    """Its linear part is integers too; in ONNX the linear skip stays float, so there is nothing to quantise."""
    child = ready[0].child
    linear = replace(child, units=Units.none(child.encoder.width), head_weight=child.head_weight[: child.encoder.width])
    for name in target.backends:
        units, none = (precisions_of(target, BACKENDS[name], c) for c in (child, linear))
        assert none == (units if name == "c" else [p for p in units if p not in ("int8", "int8-dynamic")])
        assert none, "something is left to build"
        assert ("int8" in units) == (name not in ("native", "tvm") and not (name == "onnxruntime" and target.sm is not None))


def test_a_backend_of_int8_alone_gets_fp32_of_a_child_without_hidden_units(ready):
    child = ready[0].child
    linear = replace(child, units=Units.none(child.encoder.width), head_weight=child.head_weight[: child.encoder.width])
    assert precisions_of(replace(HERE, precisions=("int8",)), FakeBackend("one"), linear) == ["fp32"]
