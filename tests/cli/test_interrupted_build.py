"""A real build that is interrupted, or whose disk fills up: exit 1, one line, nothing left behind."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "modelgpt_edge"]


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose cross-validation takes seconds."""
    draw = random.Random(3)
    lines = ["a,b,c,d,e,f,outcome"]
    for _ in range(800):
        cells = [draw.gauss(0, 1) for _ in range(6)]
        lines.append(",".join(f"{c:.3f}" for c in cells) + (",yes" if cells[0] * cells[1] > 0 else ",no"))
    path = tmp_path_factory.mktemp("long") / "table.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_an_interrupt_while_cross_validating_leaves_nothing(signals, long_table, tmp_path):
    command = [*COMMAND, "build", "--task", "predict the outcome", "--data", str(long_table), "--out", "model.edge"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while (line := process.stderr.readline()) and "cross-validating" not in line:
            pass
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.strip() == "error: interrupted: nothing is left half-written"
    assert os.listdir(tmp_path) == []


def _build_small(patients, write_csv, folder: Path, **options) -> subprocess.CompletedProcess[str]:
    table = write_csv(folder.parent / "table.csv", patients)
    command = [*COMMAND, "build", "--task", "predict the outcome", "--target", "jetson", "--draws", "1", "--data", str(table)]
    prefix = options.pop("prefix", [])
    out = options.pop("out", str(folder / "model.edge"))
    return subprocess.run([*prefix, *command, "--out", out], capture_output=True, text=True, timeout=60, **options)


def test_files_that_may_not_grow_leave_nothing_of_the_package(patients, write_csv, tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))

    ran = _build_small(patients, write_csv, folder, preexec_fn=limit)
    assert ran.returncode == 1, ran.stderr
    assert "the package can't be written, and nothing was left behind" in ran.stderr
    assert "Free some space" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert os.listdir(folder) == []


def test_a_full_disk_leaves_nothing_of_the_package(patients, write_csv, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=16k none "{folder}" && "$@"; code=$?; ls -A "{folder}" >&2; exit $code'
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if not shutil.which("unshare") or subprocess.run([*shell, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk of their own")
    ran = _build_small(patients, write_csv, folder, prefix=shell)
    assert ran.returncode == 1, ran.stderr
    assert "No space left on device" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("error: "), "the disk holds something that the build left"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_predictions_into_a_full_disk_are_one_clear_line(package, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = subprocess.run(
            [*COMMAND, "predict", str(package), str(rows)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert ran.returncode == 1
    cure = f"Free some space where the output goes, and in {tempfile.gettempdir()} for temporary files"
    assert ran.stderr == f"error: No space left on device. {cure}\n"


def test_a_reader_that_goes_away_is_no_error(package, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients * 200)
    command = [*COMMAND, "predict", str(package), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("label,")
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 0
    assert "Broken pipe" not in err
    assert "error" not in err
