"""The gate's measures against computations by hand, and what each failure says."""

import json

import numpy as np
import pytest

from modelgpt_edge.errors import GateError
from modelgpt_edge.gate import TOLERANCES, compare, require


def probabilities(rows=50, classes=3, seed=0):
    p = np.random.default_rng(seed).dirichlet(np.ones(classes), rows)
    return p.astype(np.float32)


def test_equal_outputs_match():
    p = probabilities()
    hop = compare("onnx", p, p.copy(), "fp32")
    assert hop.passed
    assert (hop.bad, hop.max_abs, hop.relative_rms, hop.sqnr_db, hop.agreement, hop.rows) == (0, 0, 0, None, 1, 50)
    assert "matches" in hop.line()


def test_measures_equal_those_by_hand():
    reference = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], np.float32)
    got = reference + np.array([[0.125, -0.125], [0, 0], [0.0625, -0.0625]], np.float32)
    hop = compare("x", reference, got, "int8")
    noise = (2 * 0.125**2 + 2 * 0.0625**2) / 6
    power = (0.75**2 + 0.25**2 + 0.5**2 + 0.5**2 + 0.125**2 + 0.875**2) / 6
    assert hop.max_abs == 0.125
    assert hop.relative_rms == pytest.approx(np.sqrt(noise / power))
    assert hop.sqnr_db == pytest.approx(10 * np.log10(power / noise))


def test_sqnr_of_a_known_noise():
    reference = np.ones((100, 1), np.float32) * np.array([1, -1] * 50, np.float32)[:, None]
    hop = compare("x", reference, reference * np.float32(1.1), "int8")
    assert hop.sqnr_db == pytest.approx(20, abs=1e-3)
    assert hop.relative_rms == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_outputs_fail_and_are_counted(value):
    p = probabilities()
    got = p.copy()
    got[3, 1] = got[7, 0] = value
    hop = compare("onnx", p, got, "int8")
    assert not hop.passed
    assert hop.bad == 2
    assert "2 outputs are NaN or infinite" in hop.failure
    assert "2 outputs are NaN or infinite" in hop.line()


def test_another_shape_fails_with_both_shapes():
    hop = compare("onnx", probabilities(5), probabilities(4), "fp32")
    assert not hop.passed
    assert "(4, 3)" in hop.failure
    assert "(5, 3)" in hop.failure


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_difference_just_over_the_tolerance_fails_and_just_under_passes(precision):
    limit = TOLERANCES[precision].max_abs
    reference = np.tile(np.array([[0.9, 0.1]], np.float32), (4000, 1))
    for factor, passes in ((0.98, True), (1.05, False)):
        got = reference.astype(np.float64)
        got[0] += np.array([-factor, factor]) * limit
        hop = compare("x", reference, got.astype(np.float32), precision)
        assert hop.passed is passes, hop.failure
        if not passes:
            assert "max difference" in hop.failure
            assert f"{limit:.0e}" in hop.failure


def test_small_differences_everywhere_fail_by_their_root_mean_square():
    p = probabilities()
    sign = np.where(np.random.default_rng(1).random(p.shape) < 0.5, -1, 1)
    hop = compare("x", p, (p + 5e-5 * sign).astype(np.float32), "fp32")
    assert "relative RMS" in hop.failure
    assert "max difference" not in hop.failure


def test_labels_that_change_fail():
    reference = np.tile(np.array([[0.62, 0.38]], np.float32), (10, 1))
    got = reference.copy()
    got[:2] = [0.45, 0.55]
    hop = compare("x", reference, got, "int8")
    assert hop.agreement == pytest.approx(0.8)
    assert "labels agree on 80" in hop.failure


def test_ties_have_no_label_to_lose():
    reference = np.array([[0.500002, 0.499998], [0.9, 0.1]], np.float32)
    got = np.array([[0.499998, 0.500002], [0.9, 0.1]], np.float32)
    hop = compare("x", reference, got, "fp32")
    assert hop.agreement == 1
    assert hop.passed, hop.failure
    everything_ties = compare("x", reference[:1], got[:1], "fp32")
    assert everything_ties.agreement == 1


def test_values_are_measured_in_deviations_of_the_reference():
    reference = np.array([[0.0], [1000.0], [2000.0], [3000.0]], np.float32)
    hop = compare("x", reference, reference + np.float32(10), "fp16")
    assert hop.agreement is None
    assert hop.max_abs == pytest.approx(10 / reference.std(), rel=1e-5)
    assert not compare("x", reference, reference + np.float32(100), "fp16").passed


def test_values_may_be_measured_in_another_unit():
    reference = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    assert compare("x", reference, reference + np.float32(1), "fp16", 1000.0).passed
    assert not compare("x", reference, reference + np.float32(1), "fp16", 10.0).passed
    assert compare("x", reference, reference + np.float32(1), "fp16", 1000.0).max_abs == pytest.approx(1e-3)
    # Probabilities have their own.
    assert not compare("x", probabilities(), probabilities(seed=1), "int8", 1000.0).passed


def test_one_rounding_of_a_value_far_from_zero_passes():
    """A float32 a million away from zero has a step of 1/16: no runtime can do better than that."""
    reference = (1e6 + np.arange(100) % 7).astype(np.float32)[:, None]
    assert compare("x", reference, np.nextafter(reference, np.float32(np.inf)), "fp32").passed


def test_a_model_that_always_says_nearly_the_same_may_round():
    """Values on which nothing tells: the reference hardly varies, and its own rounding is no error."""
    reference = (5 + 1e-6 * np.random.default_rng(0).normal(size=(100, 1))).astype(np.float32)
    assert compare("x", reference, np.nextafter(reference, np.float32(0)), "fp32").passed


def test_constant_values_are_no_division_by_zero():
    constant = np.zeros((5, 1), np.float32)
    assert compare("x", constant, constant, "fp32").passed
    assert not compare("x", constant, constant + 1, "fp32").passed


def test_require_names_the_first_hop_that_failed():
    p = probabilities()
    good, bad = compare("emit", p, p, "fp32"), compare("onnx", p, 1 - p, "fp32")
    other = compare("x86 int8", p, p + np.float32(1), "int8")
    require([good])
    with pytest.raises(GateError, match="'onnx'") as raised:
        require([good, bad, other])
    assert raised.value.exit_code == 3
    assert "x86" not in str(raised.value)
    assert bad.failure in str(raised.value)


def test_a_hop_is_json():
    p = probabilities()
    values = json.loads(json.dumps(compare("onnx", p, p, "fp32").to_json(), allow_nan=False))
    assert values["passed"] is True
    assert values["sqnr_db"] is None
    nan = compare("onnx", p, p * np.float32(np.nan), "fp32")
    assert json.loads(json.dumps(nan.to_json(), allow_nan=False))["bad"] == 150
