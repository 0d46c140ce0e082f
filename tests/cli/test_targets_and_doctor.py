"""`targets` and `doctor` as people and scripts read them: what a device has, how it is checked here, what can be set up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelgpt_edge.commands.printing import size
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets import backends
from modelgpt_edge.targets.aarch64 import root
from modelgpt_edge.targets.backend import Availability
from modelgpt_edge.targets.browser import emulator as browser
from modelgpt_edge.targets.builtin import BUILTIN


class FakeProbed:
    """A backend or an emulator that says what it is told to."""

    def __init__(self, found: Availability) -> None:
        self.found = found

    def probe(self) -> Availability:
        return self.found


HERE = Availability(True, "1.2", "it ran", "")
ABSENT = Availability(False, "", "there is none", "Run: apt install it")


@pytest.fixture
def probed(monkeypatch):
    """Every backend and emulator is here, but for those named."""

    def tell(*absent):
        for kind in ("BACKENDS", "EMULATORS"):
            names = list(getattr(backends, kind))
            fakes = {name: FakeProbed(ABSENT if name in absent else HERE) for name in names}
            monkeypatch.setattr(backends, kind, fakes)
        monkeypatch.setattr("platform.machine", lambda: "x86_64")

    return tell


def cells(out):
    """The table's rows by their first column: the text of each column, cut by the rule below the head."""
    head, rule, *lines = out.splitlines()
    ends = [end for end, mark in enumerate(rule + " ") if mark == " " and end and rule[end - 1] == "-"]
    starts = [start for start, mark in enumerate(rule) if mark == "-" and rule[start - 1] == " "]
    names = [head[a:b].strip() for a, b in zip(starts, ends)]
    rows = [[line[a:b].strip() for a, b in zip(starts, ends)] for line in lines[: len(BUILTIN)]]
    return {row[0]: dict(zip(names, row)) for row in rows}


def test_each_device_says_what_a_small_one_has_and_how_it_is_checked_here(probed, cli):
    probed()
    ran = cli("targets")
    assert ran.code == 0, ran.err
    found = cells(ran.out)
    assert list(found) == [t.name for t in BUILTIN]
    least = {name: row["at least"] for name, row in found.items()}
    assert least["jetson-orin-nano"] == "4 GB RAM"
    assert least["jetson-thor"] == "64 GB RAM"
    assert least["raspberry-pi-4"] == "1 GB RAM"
    assert least["cortex-m4"] == "256 kB flash, 64 kB RAM"
    assert least["x86"] == least["browser"] == ""
    checked = {name: row["checked here"] for name, row in found.items()}
    assert checked["x86"] == "runs here"
    for name in ("raspberry-pi-5", "cortex-m55", "browser"):
        assert checked[name] == "runs under an emulator"
    for name in ("jetson-orin-nano", "rtx", "android-arm64"):
        assert checked[name] == "built, not run"
    assert found["raspberry-pi-5"]["also called"] == "raspberry-pi, rpi5, rpi"
    assert found["x86"]["backends"] == "native, onnxruntime, tvm"


def test_without_its_emulator_a_device_is_built_and_not_run_and_the_missing_are_told_with_their_cure(probed, cli):
    probed("qemu-aarch64", "chromium", "tvm")
    ran = cli("targets")
    checked = {name: row["checked here"] for name, row in cells(ran.out).items()}
    assert checked["raspberry-pi-4"] == checked["linux-aarch64"] == "built, not run: no qemu-aarch64"
    assert checked["browser"] == "built, not run: no chromium"
    assert checked["cortex-m4"] == "runs under an emulator"
    lines = ran.out.splitlines()
    assert "tvm: not here: there is none. Run: apt install it" in lines
    assert "chromium: not here: there is none. Run: apt install it" in lines
    assert "native: works here, 1.2" in lines


def test_on_another_machine_what_runs_here_is_built_and_not_run(probed, cli, monkeypatch):
    probed()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cells(cli("targets").out)["x86"]["checked here"] == "built, not run"


def test_scripts_read_the_same(probed, cli):
    probed("qemu-system-arm", "tensorrt")
    values = {value["name"]: value for value in json.loads(cli("targets", "--json").out)}
    assert list(values) == [t.name for t in BUILTIN]
    assert values["x86"]["checked_here"] == "runs here"
    assert values["x86"]["available"] == {"native": True, "onnxruntime": True, "tvm": True}
    assert values["cortex-m4"]["checked_here"] == "built, not run: no qemu-system-arm"
    assert values["cortex-m4"]["checked"] == "runs under an emulator"
    assert (values["cortex-m4"]["flash_bytes"], values["cortex-m4"]["ram_bytes"]) == (262_144, 65_536)
    assert values["raspberry-pi-5"]["checked_here"] == "runs under an emulator"
    assert values["jetson-orin-nano"]["available"] == {"tensorrt": False, "onnxruntime": True}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 kB"),
        (65_536, "64 kB"),
        (1_572_864, "1.5 MB"),
        (1 << 30, "1 GB"),
        (3 << 29, "1.5 GB"),
        (64 << 30, "64 GB"),
    ],
)
def test_sizes_are_told_in_the_largest_unit_that_they_fill(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("name", "cure"), [("arch64", "Did you mean 'aarch64'?"), ("Browser", "Did you mean 'browser'?"), ("x", "Known: 'aarch64'")]
)
def test_there_is_nothing_to_set_up_by_an_unknown_name(name, cure, cli, monkeypatch):
    monkeypatch.setattr(root, "set_up", lambda *_: pytest.fail("something was set up"))
    for options in ((), ("--json",)):
        ran = cli("doctor", "--setup", name, *options)
        assert ran.code == 1
        assert f"--setup: there is nothing of this name to set up (seen: '{name}'). {cure}" in ran.err
        assert ran.out == ""


def test_the_arm_userland_is_set_up_with_its_progress_told(cli, monkeypatch):
    def set_up(progress):
        progress("fetching Debian's arm64 packages", 0.0)
        return Path("/cache/aarch64")

    monkeypatch.setattr(root, "set_up", set_up)
    ran = cli("doctor", "--setup", "aarch64")
    assert (ran.code, ran.out) == (0, "aarch64 is set up in /cache/aarch64\n")
    assert "fetching Debian's arm64 packages" in ran.err
    assert json.loads(cli("doctor", "--setup", "aarch64", "--json").out) == {"setup": "aarch64", "folder": "/cache/aarch64"}


def test_the_browser_s_library_is_set_up_into_the_cache(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fetched = []
    monkeypatch.setattr(browser, "fetch_library", fetched.append)
    ran = cli("doctor", "--setup", "browser")
    assert ran.code == 0, ran.err
    assert len(fetched) == 1
    assert str(tmp_path) in ran.out


def test_a_set_up_that_fails_is_exit_4_with_its_cure(cli, monkeypatch):
    def set_up(progress):
        raise TargetUnavailableError("there is no network", where="set-up of aarch64", cure="Check the network and try again.")

    monkeypatch.setattr(root, "set_up", set_up)
    ran = cli("doctor", "--setup", "aarch64")
    assert ran.code == 4
    assert ran.err == "error: set-up of aarch64: there is no network. Check the network and try again.\n"
