"""The targets that ship with the project, as data."""

from __future__ import annotations

from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_EMULATED, RUNS_HERE, Target

KIB, GIB = 1 << 10, 1 << 30
JETPACK_6_2 = {"JetPack 6.2": "CUDA 12.6, TensorRT 10.3"}
JETPACK_7_2 = {"JetPack 7.2": "CUDA 13.2, TensorRT 10.16"}
ORIN = {**JETPACK_6_2, **JETPACK_7_2}


def _pi(name: str, title: str, cpu: str, ram: int, speed: float, aliases: tuple[str, ...] = ()) -> Target:
    """A 64-bit ARM computer under Linux; `cpu` is what the emulator stands in for."""
    return Target(
        name=name,
        aliases=aliases,
        title=title,
        arch="aarch64",
        ram_bytes=ram * GIB,
        precisions=("fp32", "int8"),
        backends=("native", "onnxruntime", "tvm"),
        emulator="qemu-aarch64",
        checked=RUNS_EMULATED,
        macs_per_second=speed,
        call_us=20,
        facts={"cpu": cpu},
    )


def _jetson(name: str, title: str, sm: str, ram: int, memory: str, jetpacks: dict[str, str], alias: str = "") -> Target:
    """A Jetson: fp16 first, as its tensor cores want it; the engine is built on the board by `finalize`."""
    return Target(
        name=name,
        aliases=(alias,) if alias else (),
        title=title,
        arch="aarch64",
        sm=sm,
        ram_bytes=ram * GIB,
        precisions=("fp16", "int8", "fp32"),
        backends=("tensorrt", "onnxruntime"),
        checked=BUILT_NOT_RUN,
        macs_per_second=1e9,
        call_us=200,
        facts={**jetpacks, "memory": memory},
    )


def _cortex_m(core: str, title: str, arch: str, flash: int, ram: int, clock_mhz: int, example: str) -> Target:
    """A microcontroller: flash and RAM of a small device of its kind, one multiply-accumulate in three cycles."""
    return Target(
        name=f"cortex-{core}",
        title=title,
        arch=arch,
        ram_bytes=ram * KIB,
        flash_bytes=flash * KIB,
        precisions=("int8", "fp32"),
        backends=("c",),
        emulator="qemu-system-arm",
        checked=RUNS_EMULATED,
        macs_per_second=clock_mhz * 1e6 / 3,
        facts={"core": f"cortex-{core}", "clock": f"{clock_mhz} MHz", "such as": example},
    )


BUILTIN: tuple[Target, ...] = (
    Target(
        name="x86",
        aliases=("x86-64", "amd64"),
        title="PC or server (x86-64)",
        arch="x86_64",
        precisions=("fp32", "int8", "int8-dynamic", "fp16"),
        backends=("native", "onnxruntime", "tvm"),
        checked=RUNS_HERE,
        macs_per_second=8e9,
        call_us=5,
    ),
    _pi("raspberry-pi-5", "Raspberry Pi 5", "cortex-a76", 2, 1e9, ("raspberry-pi", "rpi5", "rpi")),
    _pi("raspberry-pi-4", "Raspberry Pi 4", "cortex-a72", 1, 5e8, ("rpi4",)),
    _pi("linux-aarch64", "64-bit ARM computer under Linux", "cortex-a72", 1, 5e8, ("aarch64", "arm64")),
    _jetson("jetson-orin-nano", "NVIDIA Jetson Orin Nano", "sm_87", 4, "4 or 8 GB, shared with the GPU", ORIN, alias="jetson"),
    _jetson("jetson-orin-nx", "NVIDIA Jetson Orin NX", "sm_87", 8, "8 or 16 GB, shared with the GPU", ORIN),
    _jetson("jetson-agx-orin", "NVIDIA Jetson AGX Orin", "sm_87", 32, "32 or 64 GB, shared with the GPU", ORIN),
    _jetson("jetson-thor", "NVIDIA Jetson Thor", "sm_110", 64, "64 or 128 GB, shared with the GPU", JETPACK_7_2),
    Target(
        name="rtx",
        aliases=("rtx-pc",),
        title="PC with an NVIDIA RTX GPU (Turing to Blackwell)",
        arch="x86_64",
        sm="sm_75",
        precisions=("fp16", "int8", "fp32"),
        backends=("tensorrt-rtx", "onnxruntime"),
        checked=BUILT_NOT_RUN,
        macs_per_second=2e9,
        call_us=200,
        facts={"engines": "one ahead of time for SM 80, 86, 89, 120, 121; in fp16 for SM 75 too"},
    ),
    _cortex_m("m4", "Arm Cortex-M4 microcontroller", "armv7e-m", 256, 64, 84, "STM32F401, nRF52840"),
    _cortex_m("m7", "Arm Cortex-M7 microcontroller", "armv7e-m", 512, 256, 216, "STM32F746, i.MX RT1062"),
    _cortex_m("m33", "Arm Cortex-M33 microcontroller", "armv8-m.main", 256, 64, 110, "STM32L552, nRF5340"),
    _cortex_m("m55", "Arm Cortex-M55 microcontroller", "armv8.1-m.main", 512, 256, 160, "Alif Ensemble E1"),
    Target(
        name="browser",
        aliases=("wasm",),
        title="Web browser (WebAssembly)",
        arch="wasm32",
        precisions=("fp32", "int8"),
        backends=("onnxruntime-web",),
        emulator="chromium",
        checked=RUNS_EMULATED,
        macs_per_second=5e8,
        call_us=100,
        fetched=True,
    ),
    Target(
        name="android-arm64",
        aliases=("android",),
        title="64-bit ARM Android",
        arch="aarch64-android",
        precisions=("fp32", "int8"),
        backends=("onnxruntime",),
        checked=BUILT_NOT_RUN,
        macs_per_second=5e8,
        call_us=50,
        facts={"checked with": "ONNX Runtime on this machine: Android's libc isn't here"},
    ),
)
