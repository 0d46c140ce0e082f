from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.conformance import check_target
from modelgpt_edge.targets.target import Target

GOOD = Target(
    name="acme-board",
    title="Acme Board",
    arch="aarch64",
    precisions=("int8",),
    backends=("onnxruntime",),
    aliases=("acme",),
    sm="sm_90a",
    ram_bytes=1 << 20,
    flash_bytes=1 << 18,
    emulator="qemu-aarch64",
    checked="runs under an emulator",
    macs_per_second=1e9,
    call_us=20,
    facts={"clock": "1 GHz"},
)


@pytest.mark.parametrize("target", BUILTIN, ids=lambda t: t.name)
def test_every_built_in_target_conforms(target: Target) -> None:
    assert check_target(target) == ()


def test_the_list_of_built_in_targets_is_whole() -> None:
    names = {"x86", "raspberry-pi-4", "raspberry-pi-5", "linux-aarch64", "rtx", "browser", "android-arm64"}
    names |= {f"jetson-{n}" for n in ("orin-nano", "orin-nx", "agx-orin", "thor")} | {f"cortex-m{n}" for n in (4, 7, 33, 55)}
    assert {t.name for t in BUILTIN} == names


def test_a_good_target_conforms_and_survives_json() -> None:
    assert check_target(GOOD) == ()
    assert Target.from_json(GOOD.to_json()) == GOOD
    assert hash(Target.from_json(GOOD.to_json())) == hash(GOOD)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"name": "Acme_Board"}, "lower-case"),
        ({"name": ""}, "name must be a text"),
        ({"name": "-acme"}, "lower-case"),
        ({"name": "4acme"}, "a letter first"),
        ({"name": "jetson"}, "belongs to the target jetson-orin-nano"),
        ({"aliases": ("x86",)}, "belongs to the target x86"),
        ({"aliases": ("acme", "acme")}, "stands twice"),
        ({"aliases": ("acme-board",)}, "stands twice"),
        ({"aliases": "acme"}, "aliases must be a tuple"),
        ({"aliases": (1,)}, "aliases must be a tuple"),
        ({"title": ""}, "title must be a text"),
        ({"arch": None}, "arch must be a text"),
        ({"sm": "87"}, "sm must look like"),
        ({"sm": 87}, "sm must be a text or None"),
        ({"precisions": ()}, "at least one precision"),
        ({"precisions": ("fp64",)}, "precision 'fp64' is unknown"),
        ({"precisions": ("int8", "int8")}, "precision stands twice"),
        ({"backends": ()}, "at least one backend"),
        ({"backends": ("abacus",)}, "backend 'abacus' is unknown"),
        ({"ram_bytes": 0}, "ram_bytes must be a whole number"),
        ({"flash_bytes": -1}, "flash_bytes must be a whole number"),
        ({"flash_bytes": 1.5}, "flash_bytes must be a whole number"),
        ({"ram_bytes": True}, "ram_bytes must be a whole number"),
        ({"emulator": None}, "emulator must be named exactly"),
        ({"checked": "runs here"}, "emulator must be named exactly"),
        ({"checked": "trust me"}, "checked must be one of"),
        ({"emulator": "dream"}, "emulator 'dream' is unknown"),
        ({"backends": ("native",)}, "native compiles none of its precisions ['int8']"),
        ({"macs_per_second": 0}, "macs_per_second must be a number above 0"),
        ({"macs_per_second": "fast"}, "macs_per_second must be a number above 0"),
        ({"macs_per_second": float("nan")}, "macs_per_second must be a number above 0"),
        ({"call_us": -1}, "call_us must be a number of 0 or more"),
        ({"call_us": None}, "call_us must be a number of 0 or more"),
        ({"call_us": True}, "call_us must be a number of 0 or more"),
        ({"facts": {"cores": 4}}, "facts must be a dict of texts"),
        ({"facts": ["4 cores"]}, "facts must be a dict of texts"),
    ],
)
def test_each_fault_is_found(change: dict[str, Any], finding: str) -> None:
    findings = check_target(replace(GOOD, **change))
    assert any(finding in f for f in findings), findings


def test_what_is_no_target_is_said() -> None:
    assert "dict" in check_target({"name": "acme"})[0]


def test_json_with_unknown_or_missing_keys_is_refused() -> None:
    with pytest.raises(InputError, match="unknown keys"):
        Target.from_json({**GOOD.to_json(), "colour": "green"})
    without = {k: v for k, v in GOOD.to_json().items() if k != "arch"}
    with pytest.raises(InputError, match="arch"):
        Target.from_json(without)
