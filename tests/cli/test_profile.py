"""`profile` as people and scripts use it: every figure, what can't be profiled and why, bad input, the evidence it leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelgpt_edge
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.evidence_file import check_seals, read_evidence
from modelgpt_edge.manifest import CHECKS, MANIFEST, sealed
from modelgpt_edge.runtime import executors
from modelgpt_edge.runtime.profile import profile_package
from modelgpt_edge.targets.native.toolchain import find_compiler

BACKENDS = ("native", "onnxruntime") if find_compiler() else ("onnxruntime",)
JETSON = "jetson-orin-nano-onnxruntime-fp32"
SHORT = ("--seconds", "0.1")


@pytest.fixture(scope="module")
def built(tmp_path_factory, patients) -> Path:
    out = tmp_path_factory.mktemp("profile") / "patients.edge"
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


@pytest.fixture
def one_start(monkeypatch):
    """One cold start instead of several, where its figures aren't the point."""
    monkeypatch.setattr("modelgpt_edge.runtime.profile.STARTS", 1)


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(values)
    (folder / MANIFEST).write_text(json.dumps(sealed(values)), encoding="utf-8")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_json_has_every_figure_of_every_variant_made_for_this_machine(cli, copy):
    ran = cli("profile", copy, *SHORT, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert {"date", "machine", "versions", "rows"} <= set(report)
    assert report["machine"]["cores"] == os.cpu_count()
    assert "golden rows" in report["rows"]
    variants = {v["variant"]: v for v in report["variants"]}
    here = [name for name in variants if name.startswith("x86-")]
    assert set(variants) == {*here, JETSON}
    assert len(here) == len(BACKENDS)
    for name in here:
        found = variants[name]
        cold = found["cold"]
        assert min(cold[f"{part}_ms"] for part in ("start", "import", "load", "first_row", "total")) > 0
        assert cold["total_ms"] > cold["import_ms"]
        assert cold["processes"] == 3
        for times in (found["warm"], found["batch"], found["sustained"]["first_third"], found["sustained"]["last_third"]):
            assert 0 < times["p50_us"] <= times["p90_us"] <= times["p99_us"]
        assert found["batch"]["rows"] == 256
        assert found["warm"]["warm_up_calls"] > 0
        assert found["sustained"]["seconds"] >= 0.1
        assert found["sustained"]["rows_per_s"] > 0
        assert found["memory"]["peak_bytes"] > found["memory"]["numpy_alone_bytes"] > 1 << 20
    assert "can't be timed from here" in variants[JETSON]["reason"]
    assert not {"warm", "cold", "sustained"} & set(variants[JETSON])


@pytest.mark.usefixtures("one_start")
def test_tables_explain_their_columns_and_say_what_is_not_there(cli, copy, ort):
    _edit(copy, lambda values: values.update(variants=[v for v in values["variants"] if v["backend"] == "onnxruntime"]))
    ran = cli("profile", copy, *SHORT)
    assert ran.code == 0, ran.err
    for words in ("warm p50", "last p50", "first row", "peak memory", "p50, p90, p99:", "cold: from the start of a process"):
        assert words in ran.out
    assert f"-     {JETSON}: not profiled here" in ran.out
    assert all(len(line) < 130 for line in ran.out.splitlines() if JETSON not in line)


@pytest.mark.usefixtures("one_start")
def test_the_evidence_is_sealed_dated_and_leaves_the_package_whole(cli, copy, ort):
    before = _contents(copy)
    assert cli("profile", copy, *SHORT, "--variant", ort).code == 0
    after = _contents(copy)
    assert [name for name in after if after[name] != before.get(name)] == [CHECKS]
    checks = read_evidence(copy)
    assert len(checks["profiles"]) == 1
    assert check_seals(checks).kept["profiles"] == 1
    assert check_seals(checks).broken == ()
    entry = checks["profiles"][0]
    assert entry["variant"] == ort
    assert {"date", "machine", "versions", "warm", "cold", "sustained", "memory"} <= set(entry)
    assert entry["package_checksum"] == json.loads(before[MANIFEST])["checksum"]
    older = json.loads(before[CHECKS])
    assert {name: checks[name] for name in older} == older


@pytest.mark.usefixtures("one_start")
def test_the_onnx_model_itself_is_profiled_when_asked_for(cli, copy):
    report = json.loads(cli("profile", copy, *SHORT, "--variant", "model", "--json").out)
    assert [v["variant"] for v in report["variants"]] == ["model"]
    assert report["variants"][0]["warm"]["p50_us"] > 0


@pytest.mark.usefixtures("one_start")
def test_a_users_rows_are_run_instead_of_the_golden_ones(cli, copy, ort, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", [*patients[:7], {**patients[7], "city": "Atlantis"}])
    ran = cli("profile", copy, *SHORT, "--variant", ort, "--rows", rows, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["rows"] == "8 rows of rows.csv"
    assert "Atlantis" in ran.err


@pytest.mark.usefixtures("one_start")
def test_a_boards_sensors_are_read_before_and_during_the_run(copy, ort, tmp_path):
    fake = tmp_path / "fake"
    for name, content in {
        "sys/class/hwmon/hwmon1/name": "ina3221",
        "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
        "sys/class/hwmon/hwmon1/in1_input": "5000",
        "sys/class/hwmon/hwmon1/curr1_input": "1500",
        "var/lib/nvpmodel/status": "pmode:0002",
    }.items():
        (fake / name).parent.mkdir(parents=True, exist_ok=True)
        (fake / name).write_text(content, encoding="utf-8")
    report = profile_package(copy, ort, seconds=1.0, root=fake)
    (profile,) = report.profiles
    rail = profile.figures["sensors"]["watts"]["VDD_IN"]
    assert (rail["before"], rail["during"]) == (7.5, 7.5)
    assert rail["readings"] >= 1
    energy = profile.figures["energy"]["VDD_IN"]
    assert energy["mj_per_row"] == pytest.approx(7.5e3 / profile.figures["sustained"]["rows_per_s"])
    assert energy["mj_per_row_above_idle"] == pytest.approx(0)
    assert report.settings == {"power_mode": "mode 2"}


class FakeCounter:
    """A backend whose emulator counts, as that of microcontrollers does."""

    name = "c"

    def profile(self, files, target, numbers, codes):
        return {"instructions": 23_000, "flash_bytes": 7_900, "ram_bytes": 512}


class FakeUncountable:
    """A backend whose emulator tells nothing that counts."""

    name = "c"

    def profile(self, files, target, numbers, codes):
        raise TargetUnavailableError("an emulator's clock tells nothing", where="profile", cure="Run it on the board.")


def test_what_an_emulator_counts_is_shown_and_it_never_tells_a_time(cli, copy, monkeypatch):
    def for_a_microcontroller(values):
        (variant,) = (v for v in values["variants"] if v["target"] == "jetson-orin-nano")
        variant.update(target="cortex-m4", backend="c")

    _edit(copy, for_a_microcontroller)
    monkeypatch.setattr(executors, "BACKENDS", {"c": FakeCounter()})
    ran = cli("profile", copy, "--variant", "cortex-m4-c-fp32")
    assert ran.code == 0, ran.err
    assert "cortex-m4-c-fp32 (in qemu-system-arm): instructions 23,000, flash 8 kB, ram 512 B" in ran.out
    assert "warm" not in ran.out
    assert read_evidence(copy)["profiles"][-1]["instructions"] == 23_000
    monkeypatch.setattr(executors, "BACKENDS", {"c": FakeUncountable()})
    ran = cli("profile", copy, "--variant", "cortex-m4-c-fp32")
    assert ran.code == 4
    assert ran.err.splitlines()[-1] == "error: profile: an emulator's clock tells nothing. Run it on the board."
    assert len(read_evidence(copy)["profiles"]) == 1


def test_a_variant_of_another_device_alone_is_exit_4_and_leaves_no_evidence(cli, copy):
    before = _contents(copy)
    ran = cli("profile", copy, "--variant", JETSON)
    assert ran.code == 4
    assert ran.err.splitlines()[-1].startswith("error: profile: NVIDIA Jetson Orin Nano can't be timed from here")
    assert _contents(copy) == before


@pytest.mark.usefixtures("one_start")
def test_a_backend_that_this_version_does_not_know_is_listed_and_no_damage(cli, copy):
    def shorten(values):
        values["variants"] = values["variants"][-2:]
        values["variants"][-1].update(backend="quantum")

    _edit(copy, shorten)
    ran = cli("profile", copy, *SHORT)
    assert ran.code == 0, ran.err
    assert "jetson-orin-nano-quantum-fp32: not profiled here: load: a variant needs a backend that isn't known" in ran.out


@pytest.mark.usefixtures("one_start")
def test_a_variant_that_does_not_load_is_exit_1_and_the_others_are_profiled(cli, copy, ort):
    import hashlib

    name = f"variants/{ort}/model.onnx"
    (copy / name).write_bytes(b"not a model")
    _edit(copy, lambda values: values["files"].update({name: hashlib.sha256(b"not a model").hexdigest()}))
    ran = cli("profile", copy, *SHORT, "--json")
    assert ran.code == 1
    assert "ONNX Runtime can't load the model" in ran.err
    variants = {v["variant"]: v for v in json.loads(ran.out)["variants"]}
    assert "ONNX Runtime can't load the model" in variants[ort]["reason"]
    if "native" in BACKENDS:
        assert variants["x86-native-fp32"]["warm"]["p50_us"] > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--variant", "model2"], ["no such variant", "Did you mean 'model'?"]),
        (["--rows", "nowhere.csv"], ["no such file"]),
        (["--rows", "other.csv"], ["the model needs column 'age'", "other.csv"]),
        (["--rows", "."], ["this is a folder"]),
        (["--seconds", "abc"], ["--seconds", "seen: 'abc'", "Give a number, such as 10"]),
        (["--seconds", "nan"], ["--seconds", "no number of seconds"]),
        (["--seconds", "0"], ["--seconds", "Give 0.1 to 3,600 seconds"]),
        (["--seconds", "-3"], ["--seconds", "Give 0.1 to 3,600 seconds"]),
        (["--seconds", "inf"], ["--seconds", "Give 0.1 to 3,600 seconds"]),
    ],
)
def test_bad_input_is_exit_1_with_a_cure_and_changes_nothing(options, words, cli, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("height,shoe size\n180,44\n", encoding="utf-8")
    before = _contents(copy)
    ran = cli("profile", copy, *options)
    assert ran.code == 1
    assert ran.out == ""
    assert [word for word in words if word not in ran.err] == []
    assert _contents(copy) == before


@pytest.mark.parametrize("damage", ["model.onnx", CHECKS, "whole"])
def test_a_damaged_package_is_refused_before_anything_is_measured(damage, cli, copy):
    if damage == "whole":
        shutil.rmtree(copy)
    else:
        (copy / damage).write_bytes(b"{")
    ran = cli("profile", copy)
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("error: ")


@pytest.mark.usefixtures("one_start")
def test_a_package_that_can_not_be_written_is_profiled_all_the_same(cli, copy, ort, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    before = _contents(copy)
    monkeypatch.setattr("modelgpt_edge.evidence_file.tempfile.mkstemp", read_only)
    ran = cli("profile", copy, *SHORT, "--variant", ort, "--json")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["variants"][0]["warm"]["p50_us"] > 0
    assert not report["evidence"]["kept"]
    assert "Read-only file system" in report["evidence"]["reason"]
    assert "warning: " in ran.err
    assert _contents(copy) == before


def _processes_about(folder: Path) -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended in between
            continue
    return [line for line in lines if str(folder) in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_file_and_no_process(number, copy, tmp_path):
    before = _contents(copy)
    command = [sys.executable, "-m", "modelgpt_edge", "profile", str(copy), "--seconds", "600"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while (line := process.stderr.readline()) and "sustained" not in line:
            pass
        assert len(_processes_about(copy)) == 2
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.strip() == "error: interrupted: nothing is left half-written"
    assert _contents(copy) == before
    assert _processes_about(copy) == []


def test_help_needs_no_runtime():
    code = (
        "import contextlib, sys\nfrom modelgpt_edge.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['profile', '--help'])\n"
        "assert not {'numpy', 'onnxruntime', 'safetensors'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "--seconds" in ran.stdout
