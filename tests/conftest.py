"""What the outside's tests share: the command line in this process, a table of patients, and packages built from it."""

from __future__ import annotations

import contextlib
import io
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# A shell without job control starts what runs in its background with SIGINT ignored, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Row = dict[str, Any]
# What tests record by this name is shown at the end, whether they pass or not.
SHOWN = "ahead of time"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.getreports(outcome)]
    lines = [str(line) for report in reports for name, line in report.user_properties if name == SHOWN]
    if lines:
        terminalreporter.section(f"kernels {SHOWN}")
        for line in lines:
            terminalreporter.write_line(line)


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def cli() -> Callable[..., Ran]:
    """Runs `modelgpt-edge` in this process."""
    from modelgpt_edge.cli import main

    def run(*arguments: str | Path) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return run


def _patients() -> Iterator[Row]:
    draw = random.Random(7)
    for _ in range(60):
        age, city = round(draw.uniform(20, 80), 1), draw.choice(["Rome", "Paris", "Oslo"])
        risk = age + (15 if city == "Oslo" else 0) + draw.gauss(0, 6)
        yield {"age": age, "weight": round(draw.gauss(70, 9), 2), "city": city, "outcome": "ill" if risk > 55 else "well"}


@pytest.fixture(scope="session")
def patients() -> list[Row]:
    """Sixty rows of two number columns, a word column and a label of two classes."""
    return list(_patients())


@pytest.fixture(scope="session")
def write_csv() -> Callable[[Path, list[Row]], Path]:
    """Writes rows to a CSV file."""

    def write(path: Path, rows: list[Row]) -> Path:
        lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, patients: list[Row]) -> Path:
    """A package of the patients for x86 and a Jetson."""
    import modelgpt_edge

    out = tmp_path_factory.mktemp("packages") / "patients.edge"
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target=("x86", "jetson")).path


@pytest.fixture
def one_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cross-validation instead of several, where a build's score isn't the point."""
    monkeypatch.setattr("modelgpt_edge.parameters.evidence.repeats_for", lambda *_: 1)


@pytest.fixture
def few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest size of every number of draws, and the linear one alone, where the frontier isn't the point."""
    monkeypatch.setattr("modelgpt_edge.architecture.architecture.SIZES", (2560, 1280, 640, 0))


@pytest.fixture(scope="session")
def probes() -> dict[str, Any]:
    """What every backend and emulator really says of this machine: some compile and run something, so it is asked once."""
    from modelgpt_edge.targets.backends import BACKENDS, EMULATORS

    return {name: probed.probe() for known in (BACKENDS, EMULATORS) for name, probed in known.items()}


class Probed:
    """Says what a backend or an emulator has said."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def probe(self) -> Any:
        return self.found


@pytest.fixture
def probed_once(monkeypatch: pytest.MonkeyPatch, probes: dict[str, Any]) -> None:
    """`targets` and `doctor` take what was really found here from `probes`."""
    from modelgpt_edge.targets import backends, doctor

    for kind in ("BACKENDS", "EMULATORS"):
        said = {name: Probed(probes[name]) for name in getattr(backends, kind)}
        for module in (backends, doctor):
            monkeypatch.setattr(module, kind, said)
