"""Sensors and settings of boards, read from a folder tree that fakes theirs: what is there is read, and nothing is invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelgpt_edge.runtime.machine import read_machine
from modelgpt_edge.runtime.power_mode import read_power_mode, read_settings, read_throttling
from modelgpt_edge.runtime.sensors import Reading, find_sensors, summary, whole_rail

HWMON, CPUFREQ = "sys/class/hwmon/hwmon", "sys/devices/system/cpu/cpufreq/policy"
FAKE_JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    f"{HWMON}0/name": "gpu_thermal",
    f"{HWMON}0/in1_input": "1",
    f"{HWMON}0/curr1_input": "1",
    f"{HWMON}1/name": "ina3221",
    f"{HWMON}1/in1_label": "VDD_IN",
    f"{HWMON}1/in1_input": "5000",
    f"{HWMON}1/curr1_input": "1500",
    f"{HWMON}1/in2_label": "VDD_CPU_GPU_CV",
    f"{HWMON}1/in2_input": "4960",
    f"{HWMON}1/curr2_input": "400",
    f"{HWMON}1/in3_label": "NC",
    f"{HWMON}1/in3_input": "0",
    f"{HWMON}1/curr3_input": "0",
    f"{HWMON}1/in7_label": "sum of shunt voltages",
    f"{HWMON}1/in7_input": "12",
    f"{CPUFREQ}0/scaling_cur_freq": "1510400",
    f"{CPUFREQ}0/scaling_min_freq": "115200",
    f"{CPUFREQ}0/scaling_max_freq": "1510400",
    f"{CPUFREQ}0/scaling_governor": "schedutil",
    f"{CPUFREQ}4/scaling_cur_freq": "729600",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000",
    "sys/class/devfreq/17000000.gpu/max_freq": "624750000",
    "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov",
    "sys/class/devfreq/154c0000.nvenc/cur_freq": "1",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48500",
    "var/lib/nvpmodel/status": "pmode:0000 fmode:quiet",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=7W >\n",
}


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + ("" if content.endswith("\0") else "\n"), encoding="utf-8")
    return root


def _tool(root: Path, place: str, prints: str, code: int = 0) -> None:
    """A stand-in for a board's own tool, which prints what the real one would."""
    _tree(root, {place: f"#!/bin/sh\nprintf '%b' '{prints}'\nexit {code}"})
    (root / place).chmod(0o755)


def test_power_is_volts_times_amperes_of_every_connected_rail(tmp_path):
    read = find_sensors(_tree(tmp_path, FAKE_JETSON)).read()
    assert read.watts == pytest.approx({"VDD_IN": 7.5, "VDD_CPU_GPU_CV": 4.96 * 0.4})
    assert whole_rail(list(read.watts)) == "VDD_IN"


def test_clocks_are_megahertz_of_core_groups_and_gpu_alone(tmp_path):
    read = find_sensors(_tree(tmp_path, FAKE_JETSON)).read()
    assert read.mhz == pytest.approx({"cpu0": 1510.4, "cpu4": 729.6, "gpu 17000000.gpu": 306.0})
    assert read.celsius == pytest.approx({"cpu-thermal": 48.5})


def test_a_monitor_of_power_itself_needs_no_volts(tmp_path):
    read = find_sensors(_tree(tmp_path, {f"{HWMON}3/name": "ina238", f"{HWMON}3/power1_input": "12500000"})).read()
    assert read.watts == pytest.approx({"ina238 1": 12.5})


def test_rails_of_one_name_and_switched_off_ones_are_told_apart(tmp_path):
    files = {}
    for chip in (0, 1):
        files |= {
            f"{HWMON}{chip}/name": "ina3221",
            f"{HWMON}{chip}/in1_label": "VDD",
            f"{HWMON}{chip}/in1_input": "1000",
            f"{HWMON}{chip}/curr1_input": str(1000 * (chip + 1)),
            f"{HWMON}{chip}/in2_label": "OFF",
            f"{HWMON}{chip}/in2_input": "1000",
            f"{HWMON}{chip}/curr2_input": "1000",
            f"{HWMON}{chip}/in2_enable": "0",
        }
    assert find_sensors(_tree(tmp_path, files)).read().watts == {"VDD": 1.0, "VDD (hwmon1)": 2.0}


def test_a_sensor_that_stops_answering_is_left_out_and_not_zero(tmp_path):
    sensors = find_sensors(_tree(tmp_path, FAKE_JETSON))
    (tmp_path / f"{HWMON}1/curr1_input").unlink()
    (tmp_path / f"{CPUFREQ}0/scaling_cur_freq").write_text("<unknown>\n", encoding="utf-8")
    read = sensors.read()
    assert set(read.watts) == {"VDD_CPU_GPU_CV"}
    assert set(read.mhz) == {"cpu4", "gpu 17000000.gpu"}


def test_nothing_readable_is_nothing_told(tmp_path):
    sensors = find_sensors(tmp_path)
    assert not sensors
    assert sensors.read() == Reading({}, {}, {})
    assert read_settings(tmp_path) == {}
    assert summary([], []) == {}
    assert "board" not in read_machine(tmp_path)


def test_a_summary_has_means_before_and_means_and_extremes_during():
    before = [Reading({"VDD_IN": 4.0}, {}, {}), Reading({"VDD_IN": 5.0}, {}, {})]
    during = [Reading({"VDD_IN": w}, {"cpu0": m}, {}) for w, m in ((7.0, 1500.0), (9.0, 1000.0), (8.0, 1100.0))]
    found = summary(before, during)
    assert set(found) == {"watts", "mhz"}
    assert found["watts"]["VDD_IN"] == {"before": 4.5, "during": 8.0, "least": 7.0, "most": 9.0, "readings": 3}
    assert found["mhz"]["cpu0"] == {"before": None, "during": 1200.0, "least": 1000.0, "most": 1500.0, "readings": 3}


def test_the_power_mode_is_the_tools_word_and_else_the_status_files(tmp_path):
    _tree(tmp_path, FAKE_JETSON)
    assert read_power_mode(tmp_path) == "15W (0)"
    _tool(tmp_path, "usr/sbin/nvpmodel", r"NV Power Mode: MAXN_SUPER\n2\n")
    assert read_power_mode(tmp_path) == "MAXN_SUPER (2)"
    _tool(tmp_path, "usr/sbin/nvpmodel", "must be root", code=1)
    assert read_power_mode(tmp_path) == "15W (0)"
    (tmp_path / "etc/nvpmodel.conf").unlink()
    assert read_power_mode(tmp_path) == "mode 0"


def test_settings_hold_governors_and_the_bounds_of_clocks(tmp_path):
    settings = read_settings(_tree(tmp_path, FAKE_JETSON))
    assert settings["clocks"] == {
        "cpu0": {"governor": "schedutil", "least_mhz": 115.2, "most_mhz": 1510.4},
        "gpu 17000000.gpu": {"governor": "nvhost_podgov", "least_mhz": 306.0, "most_mhz": 624.75},
    }
    assert "throttling" not in settings
    assert read_machine(tmp_path)["board"] == "NVIDIA Jetson Orin Nano Developer Kit"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("0x0", []),
        ("0x50005", ["under-voltage now", "throttled now"]),
        ("0x80000", ["soft temperature limit since the start"]),
        ("0xe0002", ["clock capped now", "throttled since the start", "soft temperature limit since the start"]),
    ],
)
def test_throttling_flags_of_a_raspberry_pi_are_words(flags, told, tmp_path):
    _tool(tmp_path, "usr/bin/vcgencmd", rf"throttled={flags}\n")
    assert read_throttling(tmp_path) == told
    other = tmp_path / "other"
    _tree(other, {"sys/devices/platform/soc/soc:firmware/get_throttled": flags.removeprefix("0x")})
    assert read_throttling(other) == told
