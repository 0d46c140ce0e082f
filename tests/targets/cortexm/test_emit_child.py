"""A child as C, compiled by this machine's compiler, against the numpy reference: every kind of column, unit and outcome."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from modelgpt_edge.child import Child, Units
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.tabular import emit_child
from modelgpt_edge.targets.native.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
PRECISIONS = ("fp32", "int8")
SHAPES = {
    "everything": {"waves": 4},
    "no numbers": {"numbers": 0},
    "no words": {"vocabularies": ()},
    "one number": {"numbers": 1, "ranks": 0, "flags": 0, "vocabularies": ()},
    "one word": {"numbers": 0, "vocabularies": (2,)},
    "a word column that knows no word": {"vocabularies": (0, 3, 0)},
    "many words": {"vocabularies": (200, 120)},
    "no units": {"dense": 0, "sparse": 0, "leaf": 0},
    "no numbers and no units": {"numbers": 0, "dense": 0, "sparse": 0, "leaf": 0},
    "dense units alone": {"sparse": 0, "leaf": 0},
    "sparse units alone": {"dense": 0, "leaf": 0},
    "leaf units alone": {"dense": 0, "sparse": 0},
    "ragged": {"numbers": 5, "dense": 13, "sparse": 12, "leaf": 4},
    "regression": {"classes": 0, "waves": 2},
    "regression of no units": {"classes": 0, "dense": 0, "sparse": 0, "leaf": 0},
    "two classes": {"classes": 2},
    "two hundred classes": {"classes": 200},
}
# int8 rounds to 1 in 127; the outputs, sums of many units, move by far less.
LIMITS = {"fp32": 1e-6, "int8": 2e-2}


def reference(child, rows):
    with np.errstate(all="ignore"):
        return child.outputs(child.encoder.encode(*rows))


def bits(outputs):
    return outputs.view(np.int32)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_the_reference(make_child, make_rows, shape, precision):
    child = make_child(**shape)
    rows = make_rows(child)
    expected = reference(child, rows)
    got = open_on_host(emit_child(child, precision).files).run(*rows)
    assert got.shape == expected.shape
    size = 1 if child.classes else max(1, np.abs(expected).max())
    assert np.abs(got - expected).max() < LIMITS[precision] * size


def test_every_precision_gives_probabilities(make_child, make_rows):
    child = make_child(classes=7)
    for precision in PRECISIONS:
        got = open_on_host(emit_child(child, precision).files).run(*make_rows(child))
        assert (got >= 0).all()
        assert np.allclose(got.sum(1), 1, atol=1e-6)


def test_scores_too_far_apart_for_a_float_still_give_probabilities(make_child, make_rows):
    child = make_child(classes=3)
    child = replace(child, head_weight=child.head_weight * 1000)
    for precision in PRECISIONS:
        got = open_on_host(emit_child(child, precision).files).run(*make_rows(child))
        assert np.isfinite(got).all()
        assert np.allclose(got.sum(1), 1, atol=1e-6)


def test_waves_of_huge_and_of_infinite_days_are_the_reference_s(make_child, make_rows):
    child = make_child(numbers=1, waves=6, ranks=0, flags=0, vocabularies=(), classes=0)
    days = np.array([0, 1e-30, -1e-30, 20_000.25, -3e7, 2e12, -7e19, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan], np.float32)
    rows = days[:, None], np.zeros((len(days), 0), np.int32)
    expected = reference(child, rows)
    got = open_on_host(emit_child(child, "fp32").files).run(*rows)
    assert np.abs(got - expected).max() < 1e-6 * np.abs(expected).max()


def test_a_word_that_is_unknown_is_as_if_it_were_missing(make_child):
    child = make_child(vocabularies=(3, 2))
    numbers = np.zeros((4, 4), np.float32)
    codes = np.array([[-1, -1], [3, 2], [7, 99], [-5, 2**31 - 1]], np.int32)
    for precision in PRECISIONS:
        got = open_on_host(emit_child(child, precision).files).run(numbers, codes)
        assert (bits(got) == bits(got)[0]).all()


def test_units_steeper_than_int8_can_tell_and_biases_out_of_reach(make_child, make_rows):
    child = make_child(classes=0)
    units = child.units
    dense, sparse = units.dense_weight.copy(), units.sparse_weight.copy()
    dense[:, 0] *= 1e4
    sparse[0] *= 1e4
    far, further = units.dense_bias.copy(), units.sparse_bias.copy()
    far[1], further[1, 0] = 1e6, -1e6
    steep = replace(units, dense_weight=dense, sparse_weight=sparse, dense_bias=far, sparse_bias=further)
    child = replace(child, units=steep)
    # Away from the kink, where a steep unit is one thing or the other.
    numbers, codes = make_rows(child)
    rows = numbers[10:], codes[10:]
    got = open_on_host(emit_child(child, "int8").files).run(*rows)
    assert np.abs(got - reference(child, rows)).mean() < 0.05


def test_a_dense_unit_s_sum_can_t_overflow(make_child):
    """All weights as large as they get and all inputs at the clip: the sum is at its bound."""
    child = make_child(numbers=700, ranks=0, flags=0, vocabularies=(), dense=4, sparse=0, leaf=0, classes=0)
    weight = np.full_like(child.units.dense_weight, 0.01) * np.array([1, -1, 1, -1], np.float32)
    child = replace(child, units=replace(child.units, dense_weight=weight, dense_bias=np.zeros(4, np.float32)))
    child = replace(child, encoder=replace(child.encoder, center=np.zeros(700, np.float32), scale=np.ones(700, np.float32)))
    numbers = np.array([[1e9] * 700, [-1e9] * 700], np.float32)
    rows = numbers, np.zeros((2, 0), np.int32)
    got = open_on_host(emit_child(child, "int8").files).run(*rows)
    expected = reference(child, rows)
    assert np.abs(got - expected).max() < 1e-2 * np.abs(expected).max()


def test_a_leaf_unit_of_another_form_is_refused(make_child):
    child = make_child()
    child = replace(child, units=replace(child.units, leaf_offset=child.units.leaf_offset + np.float32(0.5)))
    with pytest.raises(InputError, match="leaf unit"):
        emit_child(child, "int8")


@pytest.mark.parametrize("name", ["9lives", "Model", "a-b", "", "int main"])
def test_a_name_that_is_none_in_c_is_refused(make_child, name):
    with pytest.raises(InputError, match="name in C"):
        emit_child(make_child(), "int8", name)


def test_names_of_columns_and_classes_can_t_break_out_of_the_c(make_child, tmp_path):
    child = make_child(classes=2)
    wicked = ("*/ int evil; /*", 'quote " back \\', "line\nbreak", "??/", "\u202eü\x00")
    encoder = replace(child.encoder, numbers=wicked[:4], words=wicked[3:], vocabularies=(wicked[:3], wicked[1:3]))
    child = replace(child, encoder=encoder, classes=('a"\\\n??/*/', "ü"))
    emitted = emit_child(child, "int8")
    (tmp_path / "model.h").write_text(emitted.header, encoding="utf-8")
    (tmp_path / "names.c").write_text('#include "model.h"\nconst char *name(int32_t k) { return model_class(k); }\n')
    library = tmp_path / "names.so"
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-trigraphs", "-fPIC", "-shared"]
    subprocess.run([find_compiler(), *strict, "-o", library, tmp_path / "names.c"], check=True)
    name = ctypes.CDLL(str(library)).name
    name.restype = ctypes.c_char_p
    assert [name(k).decode() for k in range(2)] == list(child.classes)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_compiles_without_a_warning_as_c99_and_c11_and_its_header_as_cpp(make_child, shape, precision, tmp_path):
    emitted = emit_child(make_child(**shape), precision, "risk")
    (tmp_path / "risk.c").write_text(emitted.source, encoding="utf-8")
    (tmp_path / "risk.h").write_text(emitted.header, encoding="utf-8")
    strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-fsyntax-only"]
    for standard in ("c99", "c11"):
        subprocess.run([find_compiler(), f"-std={standard}", *strict, tmp_path / "risk.c"], check=True)
    # as C++ it is the same declarations; a C compiler that knows no C++ can't tell
    assert 'extern "C"' in emitted.header
    assert "#define RISK_SCRATCH_BYTES" in emitted.header
    assert "model_" not in emitted.source + emitted.header


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_scratch_is_as_large_as_the_header_says(make_child, precision, tmp_path):
    for shape in SHAPES.values():
        emitted = emit_child(make_child(**shape), precision)
        (tmp_path / "model.h").write_text(emitted.header, encoding="utf-8")
        check = '#include "model.h"\nchar same[sizeof(model_scratch) == MODEL_SCRATCH_BYTES ? 1 : -1];\n'
        (tmp_path / "size.c").write_text(check)
        subprocess.run([find_compiler(), "-fsyntax-only", tmp_path / "size.c"], check=True)
        assert f"SCRATCH_BYTES {emitted.scratch_bytes} " in emitted.header


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_child_gives_the_same_c(make_child, precision):
    assert emit_child(make_child(), precision) == emit_child(make_child(), precision)


def test_the_header_s_example_compiles(make_child, tmp_path):
    child = make_child()
    emitted = emit_child(child, "int8")
    example = [line.removeprefix(" *").strip() for line in emitted.header.splitlines() if line.startswith(" *     ")][:3]
    assert len(example) == 3
    body = "\n".join(example)
    code = f'#include "model.h"\nint32_t f(const float *numbers, const int32_t *categories) {{ {body} return place; }}\n'
    (tmp_path / "model.h").write_text(emitted.header, encoding="utf-8")
    (tmp_path / "example.c").write_text(code)
    subprocess.run([find_compiler(), "-std=c99", "-Wall", "-Werror", "-fsyntax-only", tmp_path / "example.c"], check=True)


def real(load, regression=False):
    """A scikit-learn set: a child generated from two thirds of it, and packed rows of the rest."""
    data = load()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = data.data[order].astype(np.float32), data.target[order]
    y = y.astype(np.float64) if regression else y.astype(np.int32)
    cut = 2 * len(y) // 3
    names = [f"c{i}" for i in range(x.shape[1])]
    kind, classes = ("regression", ()) if regression else ("classification", tuple(map(str, range(int(y.max()) + 1))))
    schema = Schema(tuple(Column(n, "number") for n in names), Column("y", "category"), "", kind, "", classes)
    rows = Rows(dict(zip(names, x[:cut].T.copy())), {}, y[:cut])
    table = Table(schema, cut, rows, None, (), None, None)
    child = generate(table, (640,), 2, 0, generator="floor").child
    return child, (x[cut:], np.zeros((len(x) - cut, 0), np.int32))


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_int8_labels_agree_on_held_out_rows(load, one_repeat):
    child, rows = real(load)
    assert child.units.count == 640
    expected = reference(child, rows)
    got = open_on_host(emit_child(child, "int8").files).run(*rows)
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.995
    assert np.abs(got - expected).max() < 2e-2


def test_int8_values_agree_on_held_out_rows(one_repeat):
    child, rows = real(load_diabetes, regression=True)
    expected = reference(child, rows)
    got = open_on_host(emit_child(child, "int8").files).run(*rows)
    assert np.sqrt(np.mean((got - expected) ** 2)) < 5e-3 * expected.std()


def test_no_units_at_all_is_the_linear_model(make_child, make_rows):
    child = make_child(dense=0, sparse=0, leaf=0)
    assert child.units.count == 0
    plain = Child(child.encoder, Units.none(child.encoder.width), child.head_weight, child.head_bias, child.classes)
    rows = make_rows(child)
    for precision in PRECISIONS:
        a, b = (open_on_host(emit_child(c, precision).files).run(*rows) for c in (child, plain))
        assert (bits(a) == bits(b)).all()
