"""Boards are told by the kernel's device tree, by every word of a target's title."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelgpt_edge.targets.board import board_name, is_board
from modelgpt_edge.targets.builtin import BUILTIN

# As the boards' kernels write them.
BOARDS = {
    "Raspberry Pi 5 Model B Rev 1.0": "raspberry-pi-5",
    "Raspberry Pi 4 Model B Rev 1.4": "raspberry-pi-4",
    "Raspberry Pi Compute Module 4 Rev 1.1": "raspberry-pi-4",
    "NVIDIA Jetson Orin Nano Developer Kit": "jetson-orin-nano",
    "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super": "jetson-orin-nano",
    "NVIDIA Jetson Orin NX Engineering Reference Developer Kit": "jetson-orin-nx",
    "NVIDIA Jetson AGX Orin Developer Kit": "jetson-agx-orin",
    "NVIDIA Jetson AGX Thor Developer Kit": "jetson-thor",
}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_one_target_and_no_other(name: str) -> None:
    assert [t.name for t in BUILTIN if is_board(t.title, name)] == [BOARDS[name]]


@pytest.mark.parametrize("name", ["", "QEMU Virtual Machine", "Raspberry Pi 3 Model B Plus Rev 1.3", "linux,dummy-virt", "4"])
def test_another_board_is_no_target(name: str) -> None:
    assert not [t.name for t in BUILTIN if is_board(t.title, name)]


def test_case_and_order_do_not_matter_but_whole_words_do() -> None:
    assert is_board("Raspberry Pi 5", "raspberry PI model 5")
    assert not is_board("Raspberry Pi 5", "Raspberry Pi 500 Rev 1.0")
    assert not is_board("NVIDIA Jetson Orin Nano", "NVIDIA Jetson Orin Nanosecond")


def test_the_name_is_read_without_its_final_zero(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert board_name(tmp_path / "model") == "Raspberry Pi 5 Model B Rev 1.0"
    (tmp_path / "model").write_bytes(b"odd \xff board\n\0")
    assert board_name(tmp_path / "model") == "odd \ufffd board"


def test_a_machine_without_a_device_tree_has_no_board(tmp_path: Path) -> None:
    assert board_name(tmp_path / "absent") == ""
    assert board_name(tmp_path) == "", "a folder is no name"
