"""Operators written for vector units: polynomials for tanh and its like, row statistics in two passes, narrow products.

Imported only while a template is compiled, as it needs TVM.
"""

# ruff: noqa: TID251 - this is the folder that imports TVM, and only while a template is compiled
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx, topi

Lower = Callable[[Any, Any], Any]


def _f32(value: float) -> Any:
    return tirx.const(value, "float32")


def narrow_product(x: Any, weight: Any) -> Any:
    """x (..., I) by a weight (O, I) of few outputs: each is a sum along memory, as O is too small to fill a vector."""
    k = te.reduce_axis((0, weight.shape[1]), "k")
    shape = (*x.shape[:-1], weight.shape[0])
    return te.compute(shape, lambda *i: te.sum(x(*i[:-1], k) * weight(i[-1], k), axis=k), name="narrow")


def layer_norm(x: Any, gain: Any, bias: Any, epsilon: float) -> Any:
    """Layer normalisation of the last axis; the deviation from the mean is squared, not the mean subtracted from squares."""
    *lead, size = x.shape
    inverse_size = _f32(1 / int(size))
    first, second = (te.reduce_axis((0, size), name) for name in ("k", "k2"))
    total = te.compute(lead, lambda *i: te.sum(x(*i, first), axis=first), name="total")
    mean = te.compute(lead, lambda *i: total(*i) * inverse_size, name="mean")

    def squared(*i: Any) -> Any:
        deviation = x(*i, second) - mean(*i)
        return te.sum(deviation * deviation, axis=second)

    square = te.compute(lead, squared, name="square")
    inverse = te.compute(lead, lambda *i: tirx.rsqrt(square(*i) * inverse_size + _f32(epsilon)), name="inverse")

    def normal(*i: Any) -> Any:
        return (x(*i) - mean(*i[:-1])) * inverse(*i[:-1]) * gain(i[-1]) + bias(i[-1])

    return te.compute(x.shape, normal, name="normal")


def _sigmoid(x: Any) -> Any:
    """(1 + tanh(x / 2)) / 2, which needs no guard against overflow."""
    half = _f32(0.5)
    return topi.add(topi.multiply(topi.fast_tanh(topi.multiply(x, half)), half), half)


def _gelu(x: Any) -> Any:
    bell = topi.add(topi.fast_erf(topi.multiply(x, _f32(2**-0.5))), _f32(1))
    return topi.multiply(topi.multiply(x, _f32(0.5)), bell)


def _one(name: str, function: Callable[[Any], Any], default: Lower) -> Lower:
    """Lower an operator of one float32 argument by a function; TVM's own way for other types."""

    def lower(builder: Any, call: Any) -> Any:
        (x,) = call.args
        if str(x.ty.dtype) != "float32":
            return default(builder, call)
        return builder.call_te(function, x, primfunc_name_hint=name)

    return lower


def _lower_softmax(builder: Any, call: Any) -> Any:
    return builder.call_te(topi.nn.fast_softmax, call.args[0], call.attrs.axis, primfunc_name_hint="softmax")


def _lower_layer_norm(default: Lower) -> Lower:
    def lower(builder: Any, call: Any) -> Any:
        x, gain, bias = call.args
        axes = [int(axis) % len(x.ty.shape) for axis in call.attrs.axes]
        if axes != [len(x.ty.shape) - 1] or str(x.ty.dtype) != "float32":
            return default(builder, call)
        return builder.call_te(layer_norm, x, gain, bias, float(call.attrs.epsilon), primfunc_name_hint="layer_norm")

    return lower


def _gather(x: Any, places: Any, axis: int) -> Any:
    """Rows of x along an axis by their places, which the importer has wrapped into range."""
    lead, rank = axis, len(places.shape)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return te.compute(shape, lambda *i: x(*i[:lead], places(*i[lead : lead + rank]), *i[lead + rank :]), name="gather")


def _lower_take(default: Lower) -> Lower:
    def lower(builder: Any, call: Any) -> Any:
        x, places = call.args
        if call.attrs.axis is None or call.attrs.mode != "fast":
            return default(builder, call)
        axis = int(call.attrs.axis) % len(x.ty.shape)
        return builder.call_te(_gather, x, places, axis, primfunc_name_hint="gather")

    return lower


def lowerings() -> dict[str, Lower]:
    """How operators are lowered otherwise than TVM would, by their names in Relax."""
    from tvm.ir import Op

    def default(name: str) -> Lower:
        return Op.get(name).get_attr("FLegalize")

    ones = {
        "relax.tanh": topi.fast_tanh,
        "relax.exp": topi.fast_exp,
        "relax.erf": topi.fast_erf,
        "relax.sigmoid": _sigmoid,
        "relax.nn.gelu": _gelu,
    }
    return {
        **{name: _one(name.rsplit(".", 1)[1], function, default(name)) for name, function in ones.items()},
        "relax.take": _lower_take(default("relax.take")),
        "relax.nn.softmax": _lower_softmax,
        "relax.nn.layer_norm": _lower_layer_norm(default("relax.nn.layer_norm")),
    }
