"""Networks of pixels in C: bytes go in as they are, and both precisions are the reference on what the bytes stand for."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.network import MIDDLE, Dense, Flatten, Network, Softmax, centred
from modelgpt_edge.targets.backend import PixelNetwork
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.cortexm.emitted import form_of
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_network, emit_pixels
from modelgpt_edge.targets.native.toolchain import find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
NAMES = ("convolutions", "depthwise", "pools", "maps all the way", "relu first")


def model(drawn, name):
    """A network of pixels: the first layer sees them as if they had been brought to about one."""
    network = drawn.networks()[name]
    first = network.layers[0]
    layers = network.layers
    if hasattr(first, "weight"):
        layers = (replace(first, weight=first.weight / np.float32(64)), *layers[1:])
    return PixelNetwork(Network(network.input_shape, layers), pictures(network, 40, seed=2))


def pictures(network, count, seed=0):
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (count, *network.input_shape), np.uint8)
    made[0], made[1], made[2] = 0, 255, MIDDLE
    return made


def run(emitted, x):
    return open_on_host(emitted.files).run(np.zeros((len(x), 0), np.float32), x)


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_the_fp32_form_is_the_reference(drawn, name):
    given = model(drawn, name)
    x = pictures(given.network, 20)
    expected = given.network.forward(centred(x)).reshape(len(x), -1)
    assert np.abs(run(emit_pixels(given, "fp32"), x) - expected).max() < 1e-6 * max(1, np.abs(expected).max())


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_the_int8_form_is_near_the_reference(drawn, name):
    given = model(drawn, name)
    x = pictures(given.network, 60)
    expected = given.network.forward(centred(x)).reshape(len(x), -1)
    noise = run(emit_pixels(given, "int8"), x) - expected
    assert (noise**2).mean() < 1e-3 * (expected**2).mean()


@needs_compiler
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_each_byte_arrives_as_what_it_is_whatever_calibration_saw(precision):
    network = Network((2, 2, 3), (Flatten(), Dense(np.eye(12, dtype=np.float32), np.zeros(12, np.float32))))
    x = np.arange(256 * 12, dtype=np.uint32).reshape(256, 2, 2, 3).astype(np.uint8)
    given = PixelNetwork(network, np.full((3, 2, 2, 3), 130, np.uint8))
    got = run(emit_pixels(given, precision), x)
    # The head's weights are of 15 bits: half a thousandth of the largest value.
    assert np.abs(got - (x.reshape(256, 12).astype(int) - 128)).max() < 0.01


@needs_compiler
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_network_of_no_layers_but_a_softmax(precision):
    network = Network((1, 1, 3), (Flatten(), Softmax()))
    x = np.array([[[[128, 130, 127]]], [[[0, 255, 3]]]], np.uint8)
    got = run(emit_pixels(PixelNetwork(network, x), precision), x)
    assert np.abs(got - network.forward(centred(x))).max() < {"int8": 1e-3, "fp32": 1e-6}[precision]


@needs_compiler
@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_without_a_warning_and_says_what_goes_in(drawn, name, precision, tmp_path):
    given = model(drawn, name)
    emitted = emit_pixels(given, precision, "eye")
    (tmp_path / "eye.c").write_text(emitted.source, encoding="utf-8")
    (tmp_path / "eye.h").write_text(emitted.header, encoding="utf-8")
    check = '#include "eye.h"\nchar same[sizeof(eye_scratch) == EYE_SCRATCH_BYTES ? 1 : -1];\n'
    (tmp_path / "size.c").write_text(check)
    strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-fsyntax-only"]
    for standard, file in (("c99", "eye.c"), ("c11", "eye.c"), ("c99", "size.c")):
        subprocess.run([find_compiler(), f"-std={standard}", *strict, tmp_path / file], check=True)
    assert "eye_run(const uint8_t *pixels, float *outputs, eye_scratch *scratch);" in emitted.header
    assert "eye_run(pixels, outputs, &scratch);" in emitted.header
    assert "const float *input" not in emitted.source + emitted.header
    assert (form_of(emitted.files["model.h"]), form_of(b"model_run(const float *input")) == ("pixels", "numbers")


HOSTILE = ("bolt", 'a "quoted" \\ name', "*/ int x; /*", "??/ trigraph", "über 猫\n2")


@needs_compiler
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_header_names_colours_and_classes_in_their_order(precision, tmp_path):
    network = Network((2, 2, 3), (Flatten(), Dense(np.ones((12, 5), np.float32), np.zeros(5, np.float32)), Softmax()))
    given = PixelNetwork(network, np.full((3, 2, 2, 3), 130, np.uint8), HOSTILE)
    emitted = emit_pixels(given, precision, "eye")
    assert "2 rows of 2 places of 3 channels (red, green, blue), channels changing fastest." in emitted.header
    assert "Their classes, in order:\n *     0 bolt\n" in emitted.header
    (tmp_path / "eye.c").write_text(emitted.source, encoding="utf-8")
    (tmp_path / "eye.h").write_text(emitted.header, encoding="utf-8")
    (tmp_path / "names.c").write_text(
        '#include "eye.h"\nconst char *name(int32_t k);\nconst char *name(int32_t k) { return eye_class(k); }\n'
    )
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([find_compiler(), *strict, "-fsyntax-only", tmp_path / "eye.c"], check=True)
    subprocess.run(
        [find_compiler(), *strict, "-shared", "-fPIC", tmp_path / "names.c", "-o", tmp_path / "names.so"], check=True
    )
    name = ctypes.CDLL(str(tmp_path / "names.so")).name
    name.restype = ctypes.c_char_p
    assert [name(place).decode() for place in range(5)] == [*HOSTILE]


def test_a_network_without_classes_names_none(drawn):
    emitted = emit_pixels(model(drawn, "convolutions"), "int8", "eye")
    assert "eye_class" not in emitted.header
    assert "Their classes" not in emitted.header


@needs_compiler
def test_pictures_of_another_size_are_refused(drawn):
    given = model(drawn, "convolutions")
    with pytest.raises(ValueError, match="inputs of shapes"):
        run(emit_pixels(given, "int8"), np.zeros((2, 8, 8, 3), np.uint8))


def test_rows_are_no_pixels(drawn):
    with pytest.raises(InputError, match="maps"):
        emit_network(drawn.networks()["mlp"], "fp32", pixels=True)


def test_calibration_of_another_size_is_refused(drawn):
    given = model(drawn, "convolutions")
    with pytest.raises(InputError, match="calibration inputs don't fit"):
        emit_pixels(replace(given, calibration=np.zeros((2, 8, 8, 3), np.uint8)), "int8")


class Small:
    front = "pixels"

    def __init__(self, pixels):
        self.pixels = pixels


@needs_compiler
def test_the_backend_emits_it_and_stands_in_for_it(drawn, tmp_path):
    backend, (target, *_) = BACKENDS["c"], [target for target in BUILTIN if "c" in target.backends]
    assert "pixels" in backend.fronts
    given = model(drawn, "convolutions")
    artefact = backend.refit(None, Small(given), target, "int8")
    assert artefact.front == "pixels"
    assert artefact.facts == {"scratch_bytes": artefact.facts["scratch_bytes"], "table_bytes": artefact.facts["table_bytes"]}
    for name, content in artefact.files.items():
        (tmp_path / name).write_bytes(content)
    x = pictures(given.network, 5)
    got = backend.stand_in(lambda name: tmp_path / name, target).run(np.zeros((5, 0), np.float32), x)
    assert (got == run(emit_pixels(given, "int8"), x)).all()


def test_a_model_of_other_layers_is_refused_with_the_cure():
    class Large:
        front = "pixels"

        @property
        def pixels(self):
            raise TargetUnavailableError("it has layers that no microcontroller runs", cure="Build for x86.")

    target = next(target for target in BUILTIN if "c" in target.backends)
    with pytest.raises(TargetUnavailableError, match="Build for x86"):
        BACKENDS["c"].compile(Large(), target, "int8")
