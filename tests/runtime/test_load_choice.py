"""Which form of a package runs where: the board's own first, then one for the kind of machine, then the ONNX model, aloud.

The machine and the board are told to the code here; the packages, ONNX Runtime and every prediction are real.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.runtime import model as runtime_model
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.runtime.verify import verify_forms
from modelgpt_edge.targets import plugins, running
from modelgpt_edge.targets.backend import Availability, Executor, Files
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.target import Target, machine

Rows = list[dict[str, Any]]


def build(rows: Rows, out: Path, *targets: str) -> Path:
    """A package of ONNX Runtime's variants, made without any emulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelgpt_edge.parameters.evidence.repeats_for", lambda *_: 1)
        patch.setattr(running, "EMULATORS", {})
        return modelgpt_edge.build(
            "predict the outcome", rows, out=out, draws=1, target=targets, backend="onnxruntime", generator="linear"
        ).path


@pytest.fixture(scope="module")
def boards(patients: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For two Raspberry Pis, the older one first, and a PC."""
    out = tmp_path_factory.mktemp("boards") / "boards.edge"
    return build(patients, out, "raspberry-pi-4", "raspberry-pi-5", "x86")


@pytest.fixture(scope="module")
def android(patients: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(patients, tmp_path_factory.mktemp("android") / "android.edge", "android-arm64")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Says what machine and board this is."""

    def be(kind: str, board: str = "") -> None:
        monkeypatch.setattr("platform.machine", lambda: kind)
        monkeypatch.setattr(runtime_model, "board_name", lambda: board)

    return be


def target_of(model: modelgpt_edge.runtime.model.Model) -> str | None:
    return model.variant.target if model.variant else None


@pytest.fixture
def quiet() -> Iterator[None]:
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("kind", "board", "target"),
    [
        ("x86_64", "", "x86"),
        ("AMD64", "", "x86"),
        ("aarch64", "Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5"),
        ("aarch64", "Raspberry Pi 4 Model B Rev 1.4", "raspberry-pi-4"),
        ("arm64", "", "raspberry-pi-4"),
        ("aarch64", "Orange Pi 5", "raspberry-pi-4"),
    ],
)
def test_this_very_board_s_variant_comes_first_then_the_first_of_its_kind(kind, board, target, on, boards):
    on(kind, board)
    assert target_of(modelgpt_edge.load(boards)) == target


def test_every_way_gives_the_same_predictions(on, boards, patients):
    expected = modelgpt_edge.load(boards, "model").predict_proba(patients)
    for kind, board in (("x86_64", ""), ("aarch64", "Raspberry Pi 5"), ("aarch64", "Raspberry Pi 4")):
        on(kind, board)
        np.testing.assert_allclose(modelgpt_edge.load(boards).predict_proba(patients), expected, atol=0.02)


@pytest.mark.parametrize("kind", ["x86_64", "aarch64", "riscv64"])
def test_a_package_for_another_kind_of_machine_runs_its_onnx_model_and_warns(kind, on, android, patients):
    on(kind)
    with pytest.warns(RuntimeWarning, match="no variant for this kind of machine") as caught:
        model = modelgpt_edge.load(android)
    (warning,) = caught
    assert kind in str(warning.message)
    assert "it has: android-arm64" in str(warning.message)
    assert warning.filename == __file__, "the warning points at who loads"
    assert model.variant is None
    np.testing.assert_array_equal(model.predict_proba(patients), modelgpt_edge.load(android, "model").predict_proba(patients))


def test_a_variant_of_another_device_by_name_stands_in_and_warns(on, boards, patients, monkeypatch):
    monkeypatch.setattr(running, "EMULATORS", {})
    on("x86_64")
    name = next(v.name for v in open_package(boards).manifest.variants if v.target == "raspberry-pi-5")
    with pytest.warns(RuntimeWarning, match=rf"{name} built, not run: this is no Raspberry Pi 5") as caught:
        model = modelgpt_edge.load(boards, name)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.variant is not None
    assert model.variant.name == name
    assert np.isfinite(model.predict_proba(patients)).all()


@pytest.mark.usefixtures("quiet")
def test_the_onnx_model_asked_for_by_name_needs_no_warning(on, android):
    on("riscv64")
    assert modelgpt_edge.load(android, "model").variant is None


def test_a_variant_that_this_board_cannot_use_is_passed_over_aloud(on, boards, monkeypatch):
    on("aarch64", "Raspberry Pi 5 Model B")
    real = BACKENDS["onnxruntime"].load

    def load(files: Files, target: Target) -> Executor:
        if target.name == "raspberry-pi-5":
            raise TargetUnavailableError("its operators aren't here", where="onnxruntime", cure="Update it.")
        return real(files, target)

    monkeypatch.setattr(BACKENDS["onnxruntime"], "load", load)
    with pytest.warns(RuntimeWarning, match=r"can't be used, the next one is: .*its operators aren't here") as caught:
        model = modelgpt_edge.load(boards)
    passed_over = [v.name for v in open_package(boards).manifest.variants if v.target == "raspberry-pi-5"]
    assert [str(w.message).split()[1] for w in caught] == passed_over
    assert target_of(model) == "raspberry-pi-4"


class FakeEmulator:
    """Runs ONNX Runtime's variants here and calls that an emulator."""

    name = "fake-emulator"

    def probe(self) -> Availability:
        return Availability(True, "1", "fake", "")

    def open(self, backend: str, files: Files, target: Target) -> Executor:
        return BACKENDS[backend].load(files, target)


@pytest.mark.parametrize(("emulator", "how"), [(False, "by a stand-in"), (True, "in fake-emulator")])
def test_verify_says_how_near_to_the_device_each_form_ran(emulator, how, on, boards, monkeypatch):
    on("x86_64")
    monkeypatch.setattr(running, "EMULATORS", {"qemu-aarch64": FakeEmulator()} if emulator else {})
    forms = verify_forms(open_package(boards))
    assert all(form.error is None for form in forms)
    hops = [form.hop for form in forms if form.hop]
    assert all(hop.passed for hop in hops)
    names = [hop.name for hop in hops]
    assert names[0] == "onnx"
    assert [how in name for name in names] == ["raspberry" in name for name in names]


ACME = Target("acme-board", "Acme Board", machine(), ("fp32",), ("onnxruntime",), checked="runs here")


@pytest.fixture(scope="module")
def acme(patients: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package for a plug-in's target and a PC, built where the plug-in is installed; here it isn't."""
    module = ModuleType("acme")
    module.BOARD = ACME  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "acme", module)
        patch.setattr(plugins, "registered", lambda: (EntryPoint("acme", "acme:BOARD", plugins.GROUP),))
        return build(patients, tmp_path_factory.mktemp("acme") / "acme.edge", "acme-board", "x86")


@pytest.mark.usefixtures("quiet")
def test_a_plug_in_s_variant_is_passed_over_where_the_plug_in_is_absent(on, acme):
    on("x86_64")
    assert target_of(modelgpt_edge.load(acme)) == "x86"


def test_a_package_for_a_plug_in_s_board_alone_runs_its_onnx_model(on, acme):
    on("riscv64")
    with pytest.warns(RuntimeWarning, match="it has: acme-board, x86"):
        assert modelgpt_edge.load(acme).variant is None


def test_a_plug_in_s_variant_by_name_says_that_the_plug_in_is_missing(acme):
    with pytest.raises(PackageError, match="target isn't known here") as raised:
        modelgpt_edge.load(acme, "acme-board-onnxruntime-fp32")
    assert raised.value.seen == "acme-board"
    assert "Install the plug-in" in raised.value.cure


def test_verify_tells_a_plug_in_s_variant_from_a_wrong_one(on, acme):
    on("x86_64")
    forms = verify_forms(open_package(acme))
    hops, left_out = [f.hop for f in forms if f.hop], {f.form: str(f.error) for f in forms if f.error}
    assert list(left_out) == ["acme-board-onnxruntime-fp32"]
    assert "Install the plug-in" in left_out["acme-board-onnxruntime-fp32"]
    assert [hop.passed for hop in hops] == [True, True]
