from __future__ import annotations

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement import devices
from modelgpt_edge.requirement.devices import find_devices


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("predict churn on a jetson", ("jetson-orin-nano",)),
        ("predict churn on a Jetson Orin Nano", ("jetson-orin-nano",)),
        ("for my NVIDIA JETSON ORIN NANO Super dev kit", ("jetson-orin-nano",)),
        ("for an Orin Nano", ("jetson-orin-nano",)),
        ("target: jetson_orin_nx", ("jetson-orin-nx",)),
        ("Orin NX, 8 GB", ("jetson-orin-nx",)),
        ("on jetson-agx-orin", ("jetson-agx-orin",)),
        ("on an AGX Orin", ("jetson-agx-orin",)),
        ("Jetson Thor", ("jetson-thor",)),
        ("AGX Thor robot", ("jetson-thor",)),
        ("(jetson)", ("jetson-orin-nano",)),
        ("a jetson-based robot", ("jetson-orin-nano",)),
        ("runs on x86", ("x86",)),
        ("an x86-64 server", ("x86",)),
        ("x86_64 please", ("x86",)),
        ("amd64", ("x86",)),
        ("both x86 and Jetson", ("x86", "jetson-orin-nano")),
        ("jetson, I mean the Jetson Orin Nano", ("jetson-orin-nano",)),
        ("classify Jetsons cartoons", ()),
        ("jetsonified", ()),
        ("a non-jetson board", ()),
        ("predict the thorax width", ()),
        ("Thor is a god, Orin a dwarf, nano is small", ()),
        ("intel x8600", ()),
        ("on a Raspberry Pi 5", ("raspberry-pi-5",)),
        ("on a raspberry-pi", ("raspberry-pi-5",)),
        ("for a RaspberryPi 4 in the garden", ("raspberry-pi-4",)),
        ("on an rpi5", ("raspberry-pi-5",)),
        ("on a Cortex-M4 with 64 kB flash", ("cortex-m4",)),
        ("cortex m33 and Cortex M55", ("cortex-m33", "cortex-m55")),
        ("running in the browser", ("browser",)),
        ("run it in a web browser", ("browser",)),
        ("deploy the model to the browser", ("browser",)),
        ("running on Android", ("android-arm64",)),
        ("must work on an Android phone", ("android-arm64",)),
        ("inference in the browser and on a raspberry pi", ("raspberry-pi-5", "browser")),
        ("linux-aarch64", ("linux-aarch64",)),
        ("for an RTX PC", ("rtx",)),
        ("predict which browser a visitor uses", ()),
        ("predict the clicks in a browser", ()),
        ("predict the sales on Android", ()),
        ("sort android apps by price", ()),
        ("the resale price of an RTX 3060", ()),
        ("raspberry harvest per hectare", ()),
        ("prefrontal cortex, layer m4", ()),
        ("predict churn", ()),
        ("", ()),
    ],
)
def test_devices_that_are_targets(task: str, names: tuple[str, ...]) -> None:
    assert find_devices(task) == (names, ())


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("raspberry pi pico", "raspberry pi pico"),
        ("on a Raspberry Pi 3", "raspberry pi 3"),
        ("on a raspberry pi-zero", "raspberry pi zero"),
        ("an ESP32 at the gate", "esp32"),
        ("on a jetson nano", "jetson nano"),
        ("on a Jetson Xavier NX", "jetson xavier nx"),
        ("jetson tx2", "jetson tx2"),
    ],
)
def test_a_board_that_is_no_target_is_told_and_not_taken_for_another(task: str, said: str) -> None:
    names, notes = find_devices(task)
    assert names == ()
    assert len(notes) == 1
    assert f'"{said}"' in notes[0]
    assert "can't build for" in notes[0]
    assert "x86" in notes[0]


def test_a_broken_plugin_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise InputError("a plug-in's target can't be used", where="plug-in 'acme'", cure="Update it.")

    monkeypatch.setattr(devices, "list_targets", fail)
    names, notes = find_devices("on a jetson")
    assert names == ("jetson-orin-nano",)
    assert "plug-in 'acme'" in notes[0]


def test_a_long_text_takes_a_moment() -> None:
    assert find_devices("jetson orin " * 20_000)[0] == ("jetson-orin-nano",)
