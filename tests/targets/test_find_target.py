from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets import plugins
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.registry import find_target, list_targets
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_EMULATED, RUNS_HERE, Target

BOARD = Target("acme-board", "Acme Board", "aarch64", ("fp32",), ("onnxruntime",), aliases=("acme",))
TWO = (BOARD, Target("acme-mini", "Acme Mini", "aarch64", ("int8",), ("onnxruntime",)))
THIEF = Target("x86", "Not a PC", "x86_64", ("fp32",), ("onnxruntime",))
ALIAS_THIEF = Target("acme-nano", "Acme Nano", "aarch64", ("fp32",), ("onnxruntime",), aliases=("jetson",))


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module as an out-of-tree package would install it."""
    module = ModuleType("acme")
    vars(module).update(BOARD=BOARD, TWO=TWO, THIEF=THIEF, ALIAS_THIEF=ALIAS_THIEF, NOT_A_TARGET="jetson")
    monkeypatch.setitem(sys.modules, "acme", module)


def register(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    entries = [EntryPoint(f"plug{i}", value, plugins.GROUP) for i, value in enumerate(values)]
    monkeypatch.setattr(plugins, "registered", lambda: tuple(entries))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("x86", "x86"),
        ("X86_64", "x86"),
        ("amd64", "x86"),
        ("jetson", "jetson-orin-nano"),
        ("JETSON", "jetson-orin-nano"),
        ("Jetson Orin Nano", "jetson-orin-nano"),
        ("jetson_orin_nx", "jetson-orin-nx"),
        (" jetson  agx_orin ", "jetson-agx-orin"),
        ("jetson-thor", "jetson-thor"),
        ("Raspberry Pi", "raspberry-pi-5"),
        ("rpi4", "raspberry-pi-4"),
        ("ARM64", "linux-aarch64"),
        ("Cortex M4", "cortex-m4"),
        ("cortex_m55", "cortex-m55"),
        ("RTX PC", "rtx"),
        ("wasm", "browser"),
        ("Android", "android-arm64"),
    ],
)
def test_a_target_is_found_by_name_or_alias_however_it_is_written(given: str, name: str) -> None:
    assert find_target(given).name == name


@pytest.mark.parametrize(
    ("given", "offered"),
    [("jetsn", "'jetson'"), ("x68", "'x86'"), ("orin-nano", "'jetson-orin-nano'"), ("", "Known"), ("qqqqqq", "'aarch64'")],
)
def test_an_unknown_target_is_refused_with_the_nearest(given: str, offered: str) -> None:
    with pytest.raises(InputError, match="unknown target") as caught:
        find_target(given)
    assert offered in caught.value.cure
    assert caught.value.exit_code == 1


def test_targets_are_listed_with_the_host_first_and_families_together() -> None:
    names = [t.name for t in list_targets()]
    assert names == [t.name for t in BUILTIN]
    assert names[0] == "x86"
    families = [name.partition("-")[0] for name in names]
    assert all(families.index(f) + families.count(f) > i for i, f in enumerate(families)), "a family stands together"


def test_facts_of_the_boards() -> None:
    by_name = {t.name: t for t in BUILTIN}
    assert by_name["x86"].checked == RUNS_HERE
    for name, sm in [
        ("jetson-orin-nano", "sm_87"),
        ("jetson-orin-nx", "sm_87"),
        ("jetson-agx-orin", "sm_87"),
        ("jetson-thor", "sm_110"),
    ]:
        target = by_name[name]
        assert (target.sm, target.arch, target.checked) == (sm, "aarch64", BUILT_NOT_RUN)
        assert target.backends[0] == "tensorrt"
        assert "TensorRT 10.16" in target.facts["JetPack 7.2"]
    assert by_name["jetson-orin-nano"].facts["JetPack 6.2"] == "CUDA 12.6, TensorRT 10.3"
    assert "JetPack 6.2" not in by_name["jetson-thor"].facts
    for name, cpu in (("raspberry-pi-5", "cortex-a76"), ("raspberry-pi-4", "cortex-a72"), ("linux-aarch64", "cortex-a72")):
        target = by_name[name]
        assert (target.arch, target.checked, target.emulator) == ("aarch64", RUNS_EMULATED, "qemu-aarch64")
        assert target.facts["cpu"] == cpu
    for name, arch, flash, ram in (
        ("cortex-m4", "armv7e-m", 256, 64),
        ("cortex-m7", "armv7e-m", 512, 256),
        ("cortex-m33", "armv8-m.main", 256, 64),
        ("cortex-m55", "armv8.1-m.main", 512, 256),
    ):
        target = by_name[name]
        assert (target.arch, target.flash_bytes, target.ram_bytes) == (arch, flash * 1024, ram * 1024)
        assert (target.backends, target.emulator, target.facts["core"]) == (("c",), "qemu-system-arm", name)
        clock = float(target.facts["clock"].removesuffix(" MHz")) * 1e6
        assert target.macs_per_second == pytest.approx(clock / 3)
    assert (by_name["rtx"].arch, by_name["rtx"].backends[0], by_name["rtx"].checked) == (
        "x86_64",
        "tensorrt-rtx",
        BUILT_NOT_RUN,
    )
    assert (by_name["browser"].backends, by_name["browser"].emulator) == (("onnxruntime-web",), "chromium")
    android = by_name["android-arm64"]
    assert (android.backends, android.checked, android.emulator) == (("onnxruntime",), BUILT_NOT_RUN, None)


def test_only_targets_of_this_machine_s_kind_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    by_machine = {
        "x86_64": {"x86", "rtx"},
        "AMD64": {"x86", "rtx"},
        "riscv64": set(),
        "aarch64": {t.name for t in BUILTIN if t.name.startswith(("raspberry", "jetson", "linux"))},
    }
    by_machine["arm64"] = by_machine["aarch64"]
    for name, here in by_machine.items():
        monkeypatch.setattr("platform.machine", lambda name=name: name)
        assert {t.name for t in BUILTIN if t.is_here} == here, name


def test_targets_of_plugins_are_listed_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "acme:TWO")
    assert [t.name for t in list_targets()][-2:] == ["acme-board", "acme-mini"]
    assert find_target("ACME") == BOARD


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_of_acme:BOARD", "ModuleNotFoundError"),
        ("acme:NO_SUCH_NAME", "AttributeError"),
        ("acme:NOT_A_TARGET", "not a modelgpt_edge"),
        ("acme:THIEF", "belongs to the target x86"),
        ("acme:ALIAS_THIEF", "belongs to the target jetson-orin-nano"),
    ],
)
def test_a_broken_plugin_is_reported_by_name(monkeypatch: pytest.MonkeyPatch, value: str, why: str) -> None:
    register(monkeypatch, value)
    with pytest.raises(InputError, match=r"plug-in 'plug0' of package") as caught:
        list_targets()
    assert why in str(caught.value)
    assert "pip uninstall" in caught.value.cure
    with pytest.raises(InputError, match="plug0"):
        find_target("acme")
    assert find_target("jetson").name == "jetson-orin-nano"


def test_two_plugins_cannot_share_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "acme:BOARD", "acme:TWO")
    with pytest.raises(InputError, match=r"plug1.*registered already"):
        list_targets()


def test_targets_import_without_any_toolchain() -> None:
    code = (
        "import sys, modelgpt_edge.targets.registry, modelgpt_edge.targets.conformance, modelgpt_edge.targets.doctor\n"
        "heavy = {'numpy', 'onnxruntime', 'onnx', 'tensorrt', 'torch', 'tvm'} & set(sys.modules)\n"
        "raise SystemExit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
