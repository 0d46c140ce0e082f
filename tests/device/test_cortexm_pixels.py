"""Networks of pixels on emulated Cortex-M cores: the host build's bits, and what the shipped trunk takes of flash and RAM."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.network import centred
from modelgpt_edge.targets.backend import PixelNetwork
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.cortexm.cores import CORES
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_pixels
from modelgpt_edge.targets.cortexm.qemu import Firmware
from modelgpt_edge.targets.cortexm.toolchain import measure

pytestmark = pytest.mark.device
TESTS = Path(__file__).parents[1]
TARGETS = [target for target in BUILTIN if "c" in target.backends]
CLASSES = 10


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


emitting = _module("emitting", TESTS / "targets" / "cortexm" / "test_emit_pixels.py")
drawn = _module("drawn", TESTS / "targets" / "cortexm" / "drawn.py")


def same_bits(a, b):
    return a.shape == b.shape and bool((a.view(np.int32) == b.view(np.int32)).all())


def no_numbers(count):
    return np.zeros((count, 0), np.float32)


@pytest.fixture(scope="module")
def trunk():
    """The shipped trunk under a head for ten classes, calibrated on pictures of noise and light."""
    found, rng = Trunk.shipped(), np.random.default_rng(0)
    coarse = rng.integers(0, 256, (24, 4, 4, 3), np.uint8)
    pictures = np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))
    features = found.features(pictures)
    weight = (rng.normal(size=(found.width, CLASSES)) / features.std() / np.sqrt(found.width)).astype(np.float32)
    return PixelNetwork(found.network(weight, -(features.mean(0) @ weight)), pictures)


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("name", emitting.NAMES)
def test_a_network_gives_the_host_build_s_bits(core, precision, name):
    given = emitting.model(drawn, name)
    x = emitting.pictures(given.network, 3)
    emitted = emit_pixels(given, precision)
    ran = Firmware(emitted.files, core).run(no_numbers(3), x)
    assert same_bits(ran.outputs, open_on_host(emitted.files).run(no_numbers(3), x))
    taken = measure(emitted.files, core)
    assert (taken.calls, taken.static_bytes) == ((), 0)
    assert 0 < ran.stack_bytes <= taken.stack_bytes


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7"])
def test_the_shipped_trunk_fits_and_gives_the_host_build_s_bits(trunk, core):
    emitted, x = emit_pixels(trunk, "int8"), trunk.calibration[:2]
    ran = Firmware(emitted.files, CORES[core]).run(no_numbers(2), x, count=True)
    host = open_on_host(emitted.files)
    assert same_bits(ran.outputs, host.run(no_numbers(2), x))
    got, expected = host.run(no_numbers(24), trunk.calibration), trunk.network.forward(centred(trunk.calibration))
    assert np.abs(got - expected).max() < 0.15
    taken = measure(emitted.files, CORES[core])
    assert taken.flash_bytes <= 120_000
    assert taken.ram_bytes <= 60_000
    assert ran.instructions is not None
    assert ran.instructions < 20e6


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_backend_and_emulator_work_together(target, tmp_path):
    backend, emulator = BACKENDS["c"], EMULATORS["qemu-system-arm"]
    given = emitting.model(drawn, "convolutions")
    artefact = backend.compile(emitting.Small(given), target, "int8")
    assert artefact.front == "pixels"
    for file, written in artefact.files.items():
        (tmp_path / file).write_bytes(written)

    def files(file):
        return tmp_path / file

    x = emitting.pictures(given.network, 4)
    emulated = emulator.open("c", files, target).run(no_numbers(4), x)
    assert same_bits(emulated, backend.stand_in(files, target).run(no_numbers(4), x))
    seen = backend.profile(files, target, no_numbers(4), x)
    assert seen["flash_bytes"] == artefact.facts["flash_bytes"]
    assert seen["scratch_bytes"] + seen["stack_bytes"] == seen["ram_bytes"] <= artefact.facts["ram_bytes"]
    assert 10_000 < seen["instructions_per_row"] < 5_000_000


def test_a_build_tells_flash_ram_and_instructions_and_where_its_c_is_whose_header_names_the_classes(cli, tmp_path):
    for name, colour in (("bolt", (200, 60, 40)), ("nut", (40, 60, 200))):
        (tmp_path / "parts" / name).mkdir(parents=True)
        rng = np.random.default_rng(len(name))
        for place in range(6):
            noise = rng.normal(0, 30, (40, 40, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / "parts" / name / f"{place}.png")
    out = tmp_path / "parts.edge"
    ran = cli("build", "--task", "which part is it", "--data", tmp_path / "parts", "--target", "cortex-m4", "--out", out)
    assert ran.code == 0, ran.err
    checks = json.loads((out / "checks.json").read_text())
    (kept,) = [one for one in checks["candidates"] if one["kept"]]
    line = next(line for line in ran.out.splitlines() if line.startswith("  cortex-m4 c int8"))
    assert re.split(r"\s{2,}", line.strip())[1:4] == [
        f"{kept['flash_bytes'] / 1024:.0f} kB",
        f"{kept['ram_bytes'] / 1024:.0f} kB",
        f"{kept['profile']['instructions_per_row']:,} instr.",
    ]
    card = (out / "MODEL_CARD.md").read_text()
    assert f"| {kept['flash_bytes']:,} | {kept['ram_bytes']:,} |" in card
    (folder,) = (out / "variants").iterdir()
    header = (folder / "model.h").read_text()
    assert f"#define MODEL_INPUTS {32 * 32 * 3}\n" in header
    assert f"in your firmware: {folder} holds model.c and model.h; model_run takes 32 x 32 x 3 bytes" in ran.out
    assert f"compile `model.c` of `variants/{folder.name}` into your firmware" in card
    assert "`model_run` takes 32 x 32 x 3 bytes (`uint8_t`)" in card
    assert "32 rows of 32 places of 3 channels (red, green, blue)" in header
    assert header.index("0 bolt") < header.index("1 nut") < header.index('"bolt",') < header.index('"nut"')
