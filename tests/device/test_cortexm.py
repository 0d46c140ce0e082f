"""Emitted C on emulated Cortex-M cores: the host build's bits, the sizes it says, and another generator's answers."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.network_onnx import channels_first, network_to_onnx
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.cortexm import qemu
from modelgpt_edge.targets.cortexm.cores import CORES
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_network
from modelgpt_edge.targets.cortexm.qemu import Firmware
from modelgpt_edge.targets.cortexm.sizes import Counts, estimate
from modelgpt_edge.targets.cortexm.tabular import emit_child
from modelgpt_edge.targets.cortexm.toolchain import COMPILER, FLAGS, measure

pytestmark = pytest.mark.device
TESTS = Path(__file__).parents[1]
PRECISIONS = ("int8", "fp32")
TARGETS = [target for target in BUILTIN if "c" in target.backends]
SHAPES = {
    "everything": {"waves": 4},
    "no numbers": {"numbers": 0},
    "no words": {"vocabularies": (), "classes": 2},
    "no units": {"dense": 0, "sparse": 0, "leaf": 0},
    "regression": {"classes": 0, "dense": 13},
    "many": {"numbers": 30, "ranks": 25, "flags": 9, "dense": 200, "sparse": 200, "leaf": 100, "classes": 9},
}
NETWORKS = (
    "mlp",
    "mlp of odd sizes",
    "convolutions",
    "lopsided padding, odd channels",
    "depthwise",
    "pools",
    "maps all the way",
)


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


drawn = _module("drawn", TESTS / "targets" / "cortexm" / "drawn.py")
emx = _module("emx", TESTS.parent / "bench" / "emx.py")


def same_bits(a, b):
    return a.shape == b.shape and bool((a.view(np.int32) == b.view(np.int32)).all())


def no_codes(rows):
    return np.zeros((rows, 0), np.int32)


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_child_gives_the_host_build_s_bits_and_takes_what_it_says(core, precision, shape):
    child = drawn.random_child(**shape)
    rows = drawn.random_rows(child, rows=24)
    emitted = emit_child(child, precision)
    ran = Firmware(emitted.files, core).run(*rows)
    assert same_bits(ran.outputs, open_on_host(emitted.files).run(*rows))
    with np.errstate(all="ignore"):
        expected = child.outputs(child.encoder.encode(*rows))
    size = 1 if child.classes else max(1, np.abs(expected).max())
    assert np.abs(ran.outputs - expected).max() < {"int8": 2e-2, "fp32": 1e-6}[precision] * size
    taken = measure(emitted.files, core)
    assert taken.calls == ()
    assert taken.static_bytes == 0
    assert emitted.table_bytes < taken.flash_bytes < emitted.table_bytes + 3500
    assert 0 < ran.stack_bytes <= taken.stack_bytes < 300
    assert taken.ram_bytes == taken.scratch_bytes + taken.stack_bytes


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_host_build_s_bits(core, precision, name):
    network = drawn.networks()[name]
    x = drawn.inputs_of(network, rows=3).reshape(3, -1)
    emitted = emit_network(network, precision, drawn.inputs_of(network, rows=32, seed=2))
    ran = Firmware(emitted.files, core).run(x, no_codes(3))
    assert same_bits(ran.outputs, open_on_host(emitted.files).run(x, no_codes(3)))
    taken = measure(emitted.files, core)
    assert taken.calls == ()
    assert taken.static_bytes == 0
    assert 0 < ran.stack_bytes <= taken.stack_bytes


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "flags",
    [("-O0",), ("-Os",), ("-O3",), ("-O2", "-ffp-contract=fast"), ("-O2", "-DMODEL_PORTABLE"), ("-O2", "-flto")],
    ids=" ".join,
)
def test_no_flag_changes_a_bit(monkeypatch, precision, flags):
    child, network = drawn.random_child(waves=4), drawn.networks()["convolutions"]
    rows, x = drawn.random_rows(child, rows=20), drawn.inputs_of(network, rows=2)
    emitted = emit_child(child, precision), emit_network(network, precision, drawn.inputs_of(network, rows=32, seed=2))
    monkeypatch.setattr(qemu, "FLAGS", ("-std=gnu11", "-ffreestanding", *flags))
    for model, inputs in zip(emitted, (rows, (x.reshape(2, -1), no_codes(2)))):
        ran = Firmware(model.files, CORES["cortex-m4"]).run(*inputs)
        assert same_bits(ran.outputs, open_on_host(model.files).run(*inputs))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_cross_compiler_has_nothing_to_say(tmp_path, precision):
    for i, shape in enumerate(SHAPES.values()):
        emitted = emit_child(drawn.random_child(**shape), precision)
        (tmp_path / "model.c").write_text(emitted.source, encoding="utf-8")
        (tmp_path / "model.h").write_text(emitted.header, encoding="utf-8")
        (tmp_path / "use.cc").write_text('#include "model.h"\nint f(const float *n) { return model_predict(n, 0, 0, 0); }\n')
        strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-ffreestanding", "-c", "-o", str(tmp_path / "out.o")]
        for core in CORES.values():
            subprocess.run([COMPILER, "-std=c99", *core.flags, *strict, tmp_path / "model.c"], check=True)
        compiler = COMPILER.replace("gcc", "g++")
        subprocess.run([compiler, "-std=c++17", *CORES["cortex-m7"].flags, *strict, tmp_path / "use.cc"], check=True)
        assert i < len(SHAPES)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_estimate_is_never_below_what_is_compiled_nor_far_above(precision):
    shapes = [*SHAPES.values(), {"numbers": 12, "ranks": 9, "dense": 640, "sparse": 640, "leaf": 320, "classes": 2}]
    for shape in shapes:
        child = drawn.random_child(**shape)
        flash, ram = estimate(Counts.of(child), precision)
        for core in CORES.values():
            taken = measure(emit_child(child, precision).files, core)
            assert taken.flash_bytes <= flash <= 1.03 * taken.flash_bytes + 500
            assert taken.ram_bytes <= ram <= 1.03 * taken.ram_bytes + 260


def test_the_mlp_meets_its_figures_on_cortex_m4():
    network = drawn.networks()["mlp"]
    x = drawn.inputs_of(network, rows=4)
    emitted = emit_network(network, "int8", drawn.inputs_of(network, rows=64, seed=2))
    core = CORES["cortex-m4"]
    assert measure(emitted.files, core).flash_bytes <= 7_900
    ran = Firmware(emitted.files, core).run(x, no_codes(4), count=True)
    assert ran.instructions is not None
    assert ran.instructions <= 13_000


def test_instructions_are_counted_the_same_each_time():
    child = drawn.random_child()
    firmware = Firmware(emit_child(child, "int8").files, CORES["cortex-m33"])
    rows = drawn.random_rows(child, rows=10)
    assert firmware.run(*rows, count=True).instructions == firmware.run(*rows, count=True).instructions


@pytest.mark.parametrize("name", ["mlp", "convolutions", "depthwise", "pools"])
def test_another_generator_s_c_gives_the_same_answers(name):
    network = drawn.networks()[name]
    x = drawn.inputs_of(network, rows=3)
    before, after = channels_first(network.input_shape), channels_first(network.shapes()[-1])
    theirs = open_on_host(emx.emit(network_to_onnx(network).SerializeToString(), before, after), ("-w",))
    first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    other = theirs.run(np.ascontiguousarray(first).reshape(3, -1), no_codes(3))
    ours = Firmware(emit_network(network, "fp32").files, CORES["cortex-m7"]).run(x.reshape(3, -1), no_codes(3)).outputs
    assert np.abs(ours - other).max() < 1e-5 * max(1, np.abs(other).max())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_backend_and_emulator_work_together(target, precision, tmp_path):
    class Source:
        front = "packed"
        child = drawn.random_child()

    backend, emulator = BACKENDS["c"], EMULATORS["qemu-system-arm"]
    artefact = backend.compile(Source, target, precision)
    for file, content in artefact.files.items():
        (tmp_path / file).write_bytes(content)
    rows = drawn.random_rows(Source.child, rows=10)

    def files(file):
        return tmp_path / file

    emulated = emulator.open("c", files, target).run(*rows)
    assert same_bits(emulated, backend.stand_in(files, target).run(*rows))
    seen = backend.profile(files, target, *rows)
    assert seen["flash_bytes"] == artefact.facts["flash_bytes"]
    assert seen["scratch_bytes"] + seen["stack_bytes"] == seen["ram_bytes"] <= artefact.facts["ram_bytes"]
    assert 1_000 < seen["instructions_per_row"] < 50_000


def test_probes_say_that_all_is_there():
    assert shutil.which(COMPILER), "apt install gcc-arm-none-eabi"
    assert BACKENDS["c"].probe().available
    found = EMULATORS["qemu-system-arm"].probe()
    assert found.available, found.reason
    assert {check.name for check in found.checks} == set(CORES)
    assert FLAGS
