"""The nearest way to a device: on it, in its emulator, by a stand-in. Backends and emulators here are small fakes, named so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets import running
from modelgpt_edge.targets.backend import Availability
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS, Lazy
from modelgpt_edge.targets.running import Opened, open_nearest
from modelgpt_edge.targets.target import Target, machine

HERE = Target("here", "Machine here", machine(), ("fp32",), ("fake",), checked="runs here")
ELSEWHERE = replace(HERE, name="there", title="Machine there", arch="elsewhere", checked="built, not run")
EMULATED = replace(ELSEWHERE, emulator="fake-emulator", checked="runs under an emulator")


class FakeExecutor:
    """Says by what it was opened."""

    def __init__(self, by: str) -> None:
        self.by = by

    def run(self, numbers: object, codes: object) -> np.ndarray:
        return np.zeros((1, 1), np.float32)


class FakeBackend:
    """Opens on the device or as a stand-in; raises the error that it is given."""

    def __init__(self, load: Exception | None = None, stand_in: Exception | None = None) -> None:
        self._load, self._stand_in = load, stand_in

    def load(self, files: object, target: Target) -> FakeExecutor:
        return _made("device", self._load)

    def stand_in(self, files: object, target: Target) -> FakeExecutor:
        return _made("stand-in", self._stand_in)


class FakeEmulator:
    """There or not, and able to open or not."""

    name = "fake-emulator"

    def __init__(self, there: bool = True, opens: Exception | None = None) -> None:
        self._there, self._opens = there, opens

    def probe(self) -> Availability:
        return Availability(self._there, "1", "there is no fake emulator", "sudo apt install fake")

    def open(self, backend: str, files: object, target: Target) -> FakeExecutor:
        assert backend == "fake"
        return _made("emulator", self._opens)


def _made(by: str, error: Exception | None) -> FakeExecutor:
    if error is not None:
        raise error
    return FakeExecutor(by)


Open = Callable[..., Opened]


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens for a target by a fake backend and emulator."""

    def run(target: Target, backend: FakeBackend, emulator: FakeEmulator | None = None) -> Opened:
        monkeypatch.setattr(running, "BACKENDS", {"fake": backend})
        monkeypatch.setattr(running, "EMULATORS", {} if emulator is None else {"fake-emulator": emulator})
        return open_nearest("fake", lambda name: Path(name), target)

    return run


def by(opened: Opened) -> str:
    assert isinstance(opened.executor, FakeExecutor)
    return opened.executor.by


NO = TargetUnavailableError("its runtime isn't here", where="fake", cure="Install it.")


def test_on_the_device_nothing_else_is_asked(nearest: Open) -> None:
    opened = nearest(replace(HERE, emulator="fake-emulator"), FakeBackend(), FakeEmulator())
    assert (by(opened), opened.checked, opened.because) == ("device", "runs here", "")


def test_another_device_runs_in_its_emulator(nearest: Open) -> None:
    opened = nearest(EMULATED, FakeBackend(), FakeEmulator())
    assert (by(opened), opened.checked, opened.because) == ("emulator", "runs under an emulator", "in fake-emulator")


def test_without_its_emulator_something_that_computes_the_same_stands_in_and_tells_the_cure(nearest: Open) -> None:
    opened = nearest(EMULATED, FakeBackend(), FakeEmulator(there=False))
    assert (by(opened), opened.checked) == ("stand-in", "built, not run")
    assert opened.because == "there is no fake emulator; sudo apt install fake"


def test_a_device_without_an_emulator_gets_a_stand_in(nearest: Open) -> None:
    opened = nearest(ELSEWHERE, FakeBackend(load=AssertionError("asked a device that isn't here")))
    assert (by(opened), opened.checked, opened.because) == ("stand-in", "built, not run", "this is no Machine there")


def test_a_runtime_that_is_missing_on_the_device_leaves_the_stand_in_and_says_why(nearest: Open) -> None:
    opened = nearest(HERE, FakeBackend(load=NO))
    assert (by(opened), opened.checked) == ("stand-in", "built, not run")
    assert "its runtime isn't here" in opened.because
    assert "Install it." in opened.because


def test_what_an_emulator_cannot_run_a_stand_in_may(nearest: Open) -> None:
    cannot = TargetUnavailableError("it runs no such artefact", where="fake-emulator", cure="Use the board.")
    opened = nearest(EMULATED, FakeBackend(), FakeEmulator(opens=cannot))
    assert (by(opened), opened.checked) == ("stand-in", "built, not run")
    assert "it runs no such artefact" in opened.because


def test_where_nothing_can_run_it_the_stand_in_s_error_tells(nearest: Open) -> None:
    with pytest.raises(TargetUnavailableError, match="its runtime isn't here") as raised:
        nearest(ELSEWHERE, FakeBackend(stand_in=NO))
    assert raised.value.exit_code == 4


@pytest.mark.parametrize("target", [HERE, EMULATED, ELSEWHERE], ids=lambda t: t.name)
def test_a_damaged_file_is_an_error_and_never_a_reason_for_the_next_way(target: Target, nearest: Open) -> None:
    damaged = PackageError("the file is cut", where="model")
    backend = FakeBackend(damaged, damaged if target is ELSEWHERE else None)
    with pytest.raises(PackageError, match="the file is cut"):
        nearest(target, backend, FakeEmulator(opens=damaged))


def test_backends_are_imported_when_they_are_looked_up() -> None:
    places = Lazy[object]({"path": "nowhere:Nothing", "native": "native.backend:Native"})
    assert list(places) == ["path", "native"]
    assert len(places) == 2
    assert places["native"] is BACKENDS["native"], "one of each"
    assert "native" in places
    assert "abacus" not in BACKENDS
    assert EMULATORS.get("") is None
    with pytest.raises(ModuleNotFoundError):
        places["path"]
    with pytest.raises(KeyError):
        places["abacus"]
