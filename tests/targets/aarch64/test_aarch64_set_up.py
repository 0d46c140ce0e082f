"""Setting up the arm64 userland, with stand-ins for apt, dpkg-deb and pip: what is left behind, and what is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tomllib

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.aarch64 import emulator, root
from modelgpt_edge.targets.aarch64.emulator import QemuAarch64, run_program, run_python
from modelgpt_edge.targets.aarch64.processors import PROCESSORS
from modelgpt_edge.targets.aarch64.sources import source_tree

APT = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
  *indextargets*) echo "bookworm-security main http://mirror/security"; echo "bookworm main http://mirror/debian" ;;
  *download*) for name; do case "$name" in */bookworm|*/trixie) touch "${name%%/*}_1_arm64.deb" ;; esac; done ;;
esac
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/aarch64-linux-gnu" "$3/lib"
"""
PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/onnxruntime/capi"
touch "$2/onnxruntime/capi/libonnxruntime.so.1.32.0"
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder of stand-ins, the only one on the PATH beside the system's shell tools; gives a function to replace one."""
    folder = tmp_path / "tools"
    folder.mkdir()

    def put(name: str, script: str) -> Path:
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)
        return folder / name

    put("apt-get", APT)
    put("dpkg-deb", DPKG)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", str(put("python", PYTHON)))
    return put


def test_it_is_made_whole_and_only_once(tools, tmp_path):
    stages = []
    place = root.set_up(lambda stage, share: stages.append((stage, share)))
    assert root.is_set_up()
    assert place.parent == tmp_path / "cache" / "modelgpt-edge"
    assert [p.name for p in place.parent.iterdir()] == [place.name], "downloads or half a userland stayed"
    assert stages[-1] == ("set up", 1.0)
    assert [share for _, share in stages] == sorted(share for _, share in stages)
    log = (tmp_path / "log").read_text()
    assert "APT::Architecture=arm64" in log
    assert "manylinux_2_28_aarch64" in log
    assert root.set_up() == place
    assert (tmp_path / "log").read_text() == log, "it was fetched again"


def test_a_board_shows_its_own_processor_and_the_shared_userland(tools):
    place = root.set_up()
    for cpu, processor in PROCESSORS.items():
        board = root.processor_root(cpu)
        lines = (board / "proc" / "cpuinfo").read_text().splitlines()
        assert lines.count(f"CPU part\t: {processor.part:#x}") == 4
        assert (board / "usr" / "bin").samefile(place / "base" / "usr" / "bin")
    assert (place / "base/usr/lib/aarch64-linux-gnu/libonnxruntime.so.1").exists(), "a C++ program has nothing to load"


@pytest.mark.parametrize(
    ("tool", "script", "words"),
    [
        ("apt-get", APT.replace("*download*)", "*download*) echo 'E: no network' >&2; exit 100;;\n *never*)"), "E: no network"),
        ("apt-get", APT.replace("touch", "true"), "apt fetched no such package"),
        ("dpkg-deb", "#!/bin/sh\necho damaged >&2; exit 2", "dpkg-deb failed: damaged"),
        ("python", "#!/bin/sh\necho 'ERROR: No matching distribution' >&2; exit 1", "pip failed: ERROR: No matching"),
        ("python", "#!/bin/sh\necho 'No module named pip' >&2; exit 1", "-m ensurepip"),
    ],
)
def test_a_failure_is_passed_on_and_leaves_no_half_userland(tools, tool, script, words, tmp_path):
    tools(tool, script)
    with pytest.raises(TargetUnavailableError) as failed:
        root.set_up()
    assert words in str(failed.value)
    assert not root.is_set_up()
    assert [p.name for p in (tmp_path / "cache" / "modelgpt-edge").iterdir()] == ["aarch64-fetched"], "only downloads may stay"


def test_what_was_fetched_before_a_failure_is_there_for_the_next_try(tools, tmp_path):
    tools("dpkg-deb", "#!/bin/sh\nexit 2")
    with pytest.raises(TargetUnavailableError):
        root.set_up()
    assert (tmp_path / "cache/modelgpt-edge/aarch64-fetched/libc6_1_arm64.deb").is_file()
    tools("dpkg-deb", DPKG)
    assert root.set_up().is_dir()


def test_a_system_that_is_no_debian_is_told_so(tools, monkeypatch, tmp_path):
    tools("apt-get", "#!/bin/sh\necho 'jammy main http://mirror/other'")
    with pytest.raises(TargetUnavailableError, match="no Debian among its sources"):
        root.set_up()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(TargetUnavailableError, match=r"there is no apt-get here\. Set it up on Debian"):
        root.set_up()


def test_a_cache_that_cannot_be_written_is_told(tools, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(TargetUnavailableError, match=r"the cache can't be written.*XDG_CACHE_HOME"):
        root.set_up()


def test_the_wheels_are_those_of_the_bare_install_and_tvms_loader():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    loader = [r for r in project["optional-dependencies"]["tvm"] if r.startswith("apache-tvm-ffi")]
    assert sorted(root.REQUIREMENTS) == sorted(project["dependencies"] + loader)


def test_the_probe_tells_the_lines_that_are_missing_and_fetches_nothing(tools, monkeypatch, tmp_path):
    monkeypatch.setattr(emulator, "NAMES", ("qemu-that-is-not-here",))
    found = QemuAarch64().probe()
    assert not found.available
    assert found.how_to_get_it == "sudo apt install qemu-user-static && modelgpt-edge doctor --setup aarch64"
    tools("qemu-here", "#!/bin/sh\necho 'qemu-aarch64 version 7.2.22 (Debian)'")
    monkeypatch.setattr(emulator, "NAMES", ("qemu-here",))
    found = QemuAarch64().probe()
    assert (found.available, found.version) == (False, "7.2.22")
    assert found.how_to_get_it == "modelgpt-edge doctor --setup aarch64"
    assert not (tmp_path / "cache").exists()
    for run in (run_python, run_program):
        with pytest.raises(TargetUnavailableError, match=r"no arm64 userland here\. Run: modelgpt-edge doctor --setup aarch64"):
            run("cortex-a72", ["-V"])


def test_a_userland_that_does_not_run_is_not_called_available(tools, monkeypatch):
    root.set_up()
    emulator._greet.cache_clear()
    tools("qemu-broken", "#!/bin/sh\nkill -ILL $$")
    monkeypatch.setattr(emulator, "NAMES", ("qemu-broken",))
    found = QemuAarch64().probe()
    assert not found.available
    assert "SIGILL" in found.reason
    assert found.how_to_get_it.endswith("&& modelgpt-edge doctor --setup aarch64")
    assert [c.passed for c in found.checks] == [False, False]


def test_an_unknown_processor_names_those_there_are(tools):
    with pytest.raises(TargetUnavailableError, match="cortex-a72"):
        run_python("cortex-a7", ["-V"])


def test_the_sources_are_one_folder_made_once(tmp_path):
    tree = source_tree(tmp_path / "sources")
    assert (tree / "modelgpt_edge" / "child.py").is_file()
    assert (tree / "modelgpt_edge" / "targets" / "native" / "tabular.c").is_file()
    assert (tree / "modelgpt_edge" / "kernels" / "__init__.py").is_file()
    assert source_tree(tmp_path / "sources") == tree
    assert len(list((tmp_path / "sources").iterdir())) == 1
