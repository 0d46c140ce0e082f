"""`verify` as people and scripts use it: a line a hop that says how it ran, what couldn't and why, and the right exit code."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.evidence_file import PROFILES, add_evidence
from modelgpt_edge.manifest import CHECKS, MANIFEST, TRUTH, sealed
from modelgpt_edge.targets import running
from modelgpt_edge.targets.backend import Availability
from modelgpt_edge.targets.backends import BACKENDS as ALL_BACKENDS
from modelgpt_edge.targets.native.toolchain import find_compiler

BACKENDS = ("native", "onnxruntime") if find_compiler() else ("onnxruntime",)
JETSON = "jetson-orin-nano-onnxruntime-fp32"


@pytest.fixture(scope="module")
def built(tmp_path_factory, patients) -> Path:
    out = tmp_path_factory.mktemp("verify") / "patients.edge"
    targets = ("x86", "jetson")
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target=targets, backend=BACKENDS).path


@pytest.fixture
def copy(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy.edge"))


@pytest.fixture(scope="module")
def ort(built) -> str:
    """The x86 variant that ONNX Runtime runs: of which precision, the build's measurements decide."""
    manifest = json.loads((built / MANIFEST).read_text(encoding="utf-8"))
    return next(v["path"] for v in manifest["variants"] if v["path"].startswith("variants/x86-onnxruntime")).partition("/")[2]


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(values)
    (folder / MANIFEST).write_text(json.dumps(sealed(values)), encoding="utf-8")


def _title(variant: str) -> str:
    """A variant's hop is named without hyphens."""
    return variant.replace("-", " ", 2)


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Another content under the right checksum."""
    (folder / name).write_bytes(content)
    _edit(folder, lambda values: values["files"].update({name: hashlib.sha256(content).hexdigest()}))


def _move_to_a_pi(folder: Path) -> None:
    """Make the Jetson's variant one for a Raspberry Pi, which has an emulator."""

    def change(values: dict[str, Any]) -> None:
        (variant,) = (v for v in values["variants"] if v["target"] == "jetson-orin-nano")
        variant.update(target="raspberry-pi-5")

    _edit(folder, change)


class FakeEmulator:
    """Stands in for qemu: runs a variant by this machine's ONNX Runtime, or isn't installed."""

    name = "qemu-aarch64"

    def __init__(self, installed: bool = True, wrong: bool = False) -> None:
        self.installed, self.wrong = installed, wrong

    def probe(self) -> Availability:
        if self.installed:
            return Availability(True, "1", "it ran", "")
        return Availability(False, "", "qemu is not installed", "sudo apt install qemu-user-static")

    def open(self, backend, files, target):
        executor = ALL_BACKENDS[backend].stand_in(files, target)
        return FakeWrong(executor) if self.wrong else executor


class FakeWrong:
    """Computes everything a little wrong."""

    def __init__(self, executor) -> None:
        self.executor = executor

    def run(self, numbers, codes):
        return self.executor.run(numbers, codes) + np.float32(0.01)


def test_every_form_has_a_line_that_says_how_it_ran(cli, copy):
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert "files have the checksums that build wrote" in lines[0]
    assert lines[1].startswith("ok    onnx: matches, max difference ")
    assert len([line for line in lines if line.startswith("ok    x86 ") and " (here): matches" in line]) == len(BACKENDS)
    (jetson,) = (line for line in lines if line.startswith("ok    jetson-orin-nano"))
    assert "(by a stand-in here; not run on the device): matches, max difference" in jetson
    assert "(tolerance 1e-04), labels agree on 100.0% of" in jetson
    assert f"note  no nearer to the device here: this is no NVIDIA Jetson Orin Nano ({JETSON})" in lines


def test_an_emulated_variant_says_which_emulator(cli, copy, monkeypatch):
    _move_to_a_pi(copy)
    monkeypatch.setattr(running, "EMULATORS", {"qemu-aarch64": FakeEmulator()})
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert "ok    raspberry-pi-5 onnxruntime fp32 (in qemu-aarch64): matches" in ran.out
    assert "note" not in ran.out
    found = json.loads(cli("verify", copy, "--json").out)["hops"][-1]
    assert (found["variant"], found["checked"]) == ("raspberry-pi-5-onnxruntime-fp32", "runs under an emulator")


def test_an_emulator_that_is_missing_is_told_with_its_cure_and_a_stand_in_runs(cli, copy, monkeypatch):
    _move_to_a_pi(copy)
    monkeypatch.setattr(running, "EMULATORS", {"qemu-aarch64": FakeEmulator(installed=False)})
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert "raspberry-pi-5 onnxruntime fp32 (by a stand-in here; not run on the device): matches" in ran.out
    assert "qemu is not installed; sudo apt install qemu-user-static (raspberry-pi-5-onnxruntime-fp32)" in ran.out


def test_a_hop_that_fails_is_exit_3_and_named(cli, copy, monkeypatch, ort):
    _move_to_a_pi(copy)
    monkeypatch.setattr(running, "EMULATORS", {"qemu-aarch64": FakeEmulator(wrong=True)})
    ran = cli("verify", copy)
    assert ran.code == 3
    assert "FAIL  raspberry-pi-5 onnxruntime fp32 (in qemu-aarch64): FAILED (max difference 1.00e-02 > 1e-04" in ran.out
    assert f"ok    {_title(ort)} (here): matches" in ran.out
    assert "the numeric gate failed at hop 'raspberry-pi-5 onnxruntime fp32 (in qemu-aarch64)'" in ran.err
    assert ran.err.count("\n") == 1
    report = json.loads(cli("verify", copy, "--json").out)
    assert not report["passed"]
    assert [h["passed"] for h in report["hops"]] == [True] * (len(report["hops"]) - 1) + [False]


def test_outputs_of_a_wrong_shape_are_a_failed_hop(cli, copy, monkeypatch):
    class FakeNarrow:
        def run(self, numbers, codes):
            return np.zeros((len(numbers), 1), np.float32)

    _move_to_a_pi(copy)
    emulator = FakeEmulator()
    monkeypatch.setattr(emulator, "open", lambda *_: FakeNarrow())
    monkeypatch.setattr(running, "EMULATORS", {"qemu-aarch64": emulator})
    ran = cli("verify", copy)
    assert ran.code == 3
    assert "FAILED (shape" in ran.out


def test_one_variant_alone_is_checked_by_its_name(cli, copy, ort):
    for name, hop in ((ort, f"{_title(ort)} (here)"), ("model", "onnx")):
        report = json.loads(cli("verify", copy, "--variant", name, "--json").out)
        assert [h["name"] for h in report["hops"]] == [hop]
    ran = cli("verify", copy, "--variant", "model2")
    assert ran.code == 1
    assert "Did you mean 'model'?" in ran.err


def test_a_runtime_that_is_missing_is_listed_and_exit_4_where_it_was_asked_for(cli, copy, monkeypatch, ort):
    backend = ALL_BACKENDS["onnxruntime"]

    def missing(*_):
        raise TargetUnavailableError("its runtime isn't here", where="load", cure="Run: pip install it")

    monkeypatch.setattr(type(backend), "load", missing)
    monkeypatch.setattr(type(backend), "stand_in", missing)
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert f"-     {ort}: not run here: load: its runtime isn't here. Run: pip install it" in ran.out
    assert set(json.loads(cli("verify", copy, "--json").out)["not_run"]) == {ort, JETSON}
    ran = cli("verify", copy, "--variant", ort)
    assert ran.code == 4
    assert "its runtime isn't here" in ran.err


@pytest.mark.parametrize("which", ["truth", "variant"])
def test_a_form_that_can_not_be_opened_is_exit_1_after_the_others_were_checked(which, cli, copy, ort):
    name, form = (TRUTH, "model") if which == "truth" else (f"variants/{ort}/model.onnx", ort)
    _replace(copy, name, b"not a model")
    ran = cli("verify", copy)
    assert ran.code == 1
    assert f"FAIL  {form}: not run here: " in ran.out
    assert "ok    jetson-orin-nano onnxruntime fp32" in ran.out
    assert "ONNX Runtime can't load the model" in ran.err
    assert not json.loads(cli("verify", copy, "--json").out)["passed"]


def test_a_model_that_does_not_run_is_exit_1_and_one_clear_line(cli, copy, ort):
    name = f"variants/{ort}/model.onnx"
    _replace(copy, name, (copy / TRUTH).read_bytes())  # it opens, and takes other inputs
    ran = cli("verify", copy)
    assert ran.code == 1
    assert f"error: {ort}: the variant failed to run" in ran.err
    assert ran.err.count("\n") == 1


def test_a_variant_of_a_newer_version_is_listed_and_no_damage(cli, copy):
    _edit(copy, lambda values: values["variants"][-1].update(backend="quantum"))
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert "-     jetson-orin-nano-quantum-fp32: not run here: load: a variant needs a backend that isn't known here" in ran.out


def test_evidence_is_held_against_its_seals(cli, copy, ort):
    add_evidence(copy, PROFILES, [{"variant": ort, "warm": {"p50_us": 90.0}}, {"variant": JETSON}])
    ran = cli("verify", copy)
    assert ran.code == 0, ran.err
    assert "ok    checks.json: 2 profiles as written" in ran.out
    checks = json.loads((copy / CHECKS).read_text(encoding="utf-8"))
    checks["profiles"][0]["warm"]["p50_us"] = 9.0
    del checks["profiles"][1]["checksum"]
    (copy / CHECKS).write_text(json.dumps(checks), encoding="utf-8")
    ran = cli("verify", copy)
    assert ran.code == 1
    assert f"FAIL  checks.json: profile 1 of {ort} was changed since it was written" in ran.out
    assert "-     checks.json: 1 profile without a seal" in ran.out
    assert ran.err.startswith("error: checks.json: evidence was changed")
    report = json.loads(cli("verify", copy, "--json").out)
    assert report["evidence"]["broken"] == [f"profile 1 of {ort}"]
    assert not report["passed"]


def test_a_package_without_evidence_is_fine_and_damaged_evidence_is_not(cli, copy):
    (copy / CHECKS).write_text("[1", encoding="utf-8")
    ran = cli("verify", copy)
    assert ran.code == 1
    assert "the evidence can't be read" in ran.err
    (copy / CHECKS).unlink()
    assert cli("verify", copy).code == 0
