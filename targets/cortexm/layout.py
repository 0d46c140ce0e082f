"""Lay a child out for a small core, whatever the precision: columns that are always on apart from one-hot ones, units with
few inputs as lists of taps sorted by their count, constant units folded away, two classes as one score.

Shape letters as in `modelgpt_edge.child`, and: A columns always on (numbers, waves, ranks, flags), V one-hot columns,
L scores (K, but 1 for two classes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Encoder, Floats, Ints, Units
from modelgpt_edge.errors import InputError

Doubles = NDArray[np.float64]
STEPS = 3


@dataclass(frozen=True)
class Taps:
    """Sums of a few columns, sorted by how many.

    Attributes:
        units: (most,) how many units have one tap (or step), two, ...
        column: (taps,) into the D columns, unit by unit; weight: (taps,); bias: one a sum: a unit, or a step of leaf units.
        taps_a_sum: taps of each sum.
        order: places of the units among those of the child, constant ones left out.
    """

    units: tuple[int, ...]
    column: Ints
    weight: Doubles
    bias: Doubles
    taps_a_sum: Ints
    order: Ints


@dataclass(frozen=True)
class Layout:
    """A child in the order of its C tables, in real numbers.

    Attributes:
        knots, values: of each rank column, without the padding that ends a table of few values.
        one_hot_start: (S + 1,) first one-hot column of each word column.
        dense_weight: (A, T); dense_row: (V, T); dense_bias: (T,).
        head_weight: (A + P, L), over what is always on; head_row: (V, L); head_bias: (L,).
    """

    encoder: Encoder
    knots: tuple[Floats, ...]
    values: tuple[Floats, ...]
    one_hot_start: Ints
    dense_weight: Doubles
    dense_row: Doubles
    dense_bias: Doubles
    sparse: Taps
    leaf: Taps
    head_weight: Doubles
    head_row: Doubles
    head_bias: Doubles
    classes: tuple[str, ...]

    @property
    def always(self) -> int:
        """A, the columns that are always on."""
        return self.encoder.width - self.one_hots

    @property
    def one_hots(self) -> int:
        """V, the one-hot columns."""
        return int(self.one_hot_start[-1])


def lay_out(child: Child) -> Layout:
    """Lay a child out.

    Raises:
        InputError: a leaf unit's offset isn't the count of its steps less one, which the template builds upon.
    """
    encoder, units = child.encoder, child.units
    starts = np.cumsum([0, *map(len, encoder.vocabularies)]).astype(np.int32)
    always = encoder.width - int(starts[-1])
    head = child.head_weight.astype(np.float64)
    bias = child.head_bias.astype(np.float64)
    if len(child.classes) == 2:
        head, bias = head[:, 1:] - head[:, :1], bias[1:] - bias[:1]
    skip, dense_head, sparse_head, leaf_head = np.split(head, np.cumsum([encoder.width, *units.counts[:2]]))
    sparse, sparse_constant = _sparse(units)
    leaf, leaf_constant = _leaves(units)
    return Layout(
        encoder=encoder,
        knots=tuple(k[: _distinct(k, v)] for k, v in zip(encoder.rank_knots, encoder.rank_values)),
        values=tuple(v[: _distinct(k, v)] for k, v in zip(encoder.rank_knots, encoder.rank_values)),
        one_hot_start=starts,
        dense_weight=units.dense_weight[:always].astype(np.float64),
        dense_row=units.dense_weight[always:].astype(np.float64),
        dense_bias=units.dense_bias.astype(np.float64),
        sparse=sparse,
        leaf=leaf,
        head_weight=np.concatenate([skip[:always], dense_head, sparse_head[sparse.order], leaf_head[leaf.order]]),
        head_row=skip[always:],
        head_bias=bias + sparse_constant @ sparse_head + leaf_constant @ leaf_head,
        classes=child.classes,
    )


def _distinct(knots: Floats, values: Floats) -> int:
    """Length of a rank table without the repetitions of its last knot."""
    same = (knots == knots[-1]) & (values == values[-1])
    return int(np.argmax(same)) + 1


def _sparse(units: Units) -> tuple[Taps, Doubles]:
    """Sparse units as taps, and the value of each unit that has none, 0 for the others."""
    columns = np.repeat(units.sparse_column, units.sparse_bias.shape[1], axis=0)  # (units, 8)
    weights = units.sparse_weight.transpose(0, 2, 1).reshape(-1, units.sparse_weight.shape[1])
    bias = units.sparse_bias.ravel().astype(np.float64)
    used = weights != 0
    count = used.sum(1)
    order = np.argsort(count, kind="stable")
    order = order[count[order] > 0]
    most = int(count.max(initial=0))
    taps = Taps(
        units=tuple(int((count == n).sum()) for n in range(1, most + 1)),
        column=columns[order][used[order]].astype(np.int32),
        weight=weights[order][used[order]].astype(np.float64),
        bias=bias[order],
        taps_a_sum=count[order].astype(np.int32),
        order=order.astype(np.int32),
    )
    return taps, np.where(count == 0, np.tanh(bias), 0.0)


def _leaves(units: Units) -> tuple[Taps, Doubles]:
    """Leaf units as steps, slopes and biases halved for tanh, and the value of each unit without steps, 0 for the others."""
    groups, size = units.leaf_offset.shape
    eight = units.leaf_column.shape[1]
    blocks = units.leaf_slope.reshape(groups, eight, STEPS, size).transpose(0, 3, 2, 1)  # (H, B, 3, 8)
    slopes = blocks.reshape(groups * size, STEPS, eight).astype(np.float64)
    bias = units.leaf_bias.reshape(groups, STEPS, size).transpose(0, 2, 1).reshape(-1, STEPS).astype(np.float64)
    live = (slopes != 0).any(2)
    count = live.sum(1)
    constant = np.where(live, 0, 0.5 + 0.5 * np.tanh(bias / 2)).sum(1)
    offset = units.leaf_offset.ravel() - constant
    if np.abs(np.where(count > 0, offset - (count - 1), 0)).max(initial=0) > 1e-6:
        what = "a leaf unit's offset isn't the count of its steps less one"
        raise InputError(what, where="the C emitter", cure="Build the package anew with this version.")
    order = np.argsort(count, kind="stable")
    order = order[count[order] > 0]
    place = np.abs(slopes).argmax(2)
    column = np.take_along_axis(np.repeat(units.leaf_column, size, axis=0)[:, None], place[..., None], 2)[..., 0]
    slope = np.take_along_axis(slopes, place[..., None], 2)[..., 0]
    kept = live[order]
    taps = Taps(
        units=tuple(int((count == n).sum()) for n in range(1, STEPS + 1)),
        column=column[order][kept].astype(np.int32),
        weight=slope[order][kept] / 2,
        bias=bias[order][kept] / 2,
        taps_a_sum=np.ones(int(kept.sum()), np.int32),
        order=order.astype(np.int32),
    )
    return taps, np.where(count == 0, np.maximum(-offset, 0.0), 0.0)
