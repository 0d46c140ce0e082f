"""Emit hidden units: four kinds, drawn from the table itself in one pass for all draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Floats, Ints, Units

LEAF_SLOPE = 4.0
# Bias of an unused step: sigmoid(-30) = 1e-13 adds nothing to the sum.
OFF = -30.0
CANDIDATES = 12


@dataclass(frozen=True)
class Widths:
    """Units of each kind in one draw."""

    sparse: int = 256
    dense: int = 128
    pair: int = 128
    leaf: int = 128

    def scaled(self, total: int) -> Widths:
        """The same mix for `total` units."""
        ratio = total / (self.sparse + self.dense + self.pair + self.leaf)
        return Widths(*(max(1, round(w * ratio)) for w in (self.sparse, self.dense, self.pair, self.leaf)))


def draw_units(
    encoded: Floats, targets: Floats, weight: Floats, widths: Widths, draws: int, rng: np.random.Generator
) -> Units:
    """Draw the units of all draws at once; the units of draw d are `part_of(units, d, draws)`.

    sparse: 1 to 3 columns in proportion to relevance, normal weights, scale log-uniform .5 to 3, kink at a random row.
    dense: all columns weighted by the root of their relevance, same scale, kink at a random row.
    pair: direction and kink between two rows of different classes that lie close (SWIM, Bolager et al. 2023, eq. 2).
    leaf: the AND of one to three thresholds through a random row, as a soft box that trees would cut.

    Args:
        encoded: (N, D) training rows.
        targets: one-hot classes (N, K), or standardised values (N, 1).
        weight: (D,) relevance of the columns, summing to one.
    """
    rows, width = encoded.shape
    dense, pair = widths.dense * draws, widths.pair * draws

    # One order for both tanh kinds in a draw: its dense units, then its pair units.
    w_dense, b_dense = _dense(encoded, weight, dense, rng)
    w_pair, b_pair = _pairs(encoded, targets, weight, pair, rng)
    w = np.concatenate([w_dense.reshape(width, draws, -1), w_pair.reshape(width, draws, -1)], axis=2)
    b = np.concatenate([b_dense.reshape(draws, -1), b_pair.reshape(draws, -1)], axis=1)
    sparse_column, sparse_weight, sparse_bias = _sparse(encoded, weight, widths.sparse * draws, rng)
    leaf = _leaves(encoded, weight, widths.leaf * draws, rng)
    return Units(w.reshape(width, -1), b.ravel(), sparse_column, sparse_weight, sparse_bias, *leaf)


def part_of(units: Units, draw: int, draws: int) -> Units:
    """The units of one draw out of `draws` equal ones."""

    def block(count: int) -> slice:
        size = count // draws
        return slice(draw * size, (draw + 1) * size)

    return units.part(block(len(units.dense_bias)), block(len(units.sparse_bias)), block(len(units.leaf_offset)))


def _scales(count: int, rng: np.random.Generator) -> Floats:
    return np.exp(rng.uniform(np.log(0.5), np.log(3.0), count)).astype(np.float32)


def _pick_columns(weight: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Columns (count, 3) in proportion to weight, and a 0/1 mask (count, 3) that keeps 1 to 3 distinct ones of them."""
    cumulative = np.cumsum(weight, dtype=np.float64)
    column = np.minimum(np.searchsorted(cumulative / cumulative[-1], rng.random((count, 3))), len(weight) - 1)
    mask = (np.arange(3) < rng.integers(1, 4, count)[:, None]).astype(np.float32)
    mask[:, 1] *= column[:, 1] != column[:, 0]
    mask[:, 2] *= (column[:, 2] != column[:, 0]) & (column[:, 2] != column[:, 1])
    return column.astype(np.int32), mask


def _sparse(encoded: Floats, weight: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    column, mask = _pick_columns(weight, count, rng)
    w = rng.standard_normal((count, 3)).astype(np.float32) * mask * _scales(count, rng)[:, None]
    kink = encoded[rng.integers(0, len(encoded), count)[:, None], column]
    return column, w, -(w * kink).sum(1)


def _dense(encoded: Floats, weight: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    # Roots of the relevances square to one in sum, so a unit's pre-activation has variance scale^2.
    w = rng.standard_normal((encoded.shape[1], count)).astype(np.float32) * np.sqrt(weight)[:, None]
    w *= _scales(count, rng)
    kink = encoded[rng.integers(0, len(encoded), count)]
    return w, -np.einsum("nd,dn->n", kink, w)


def _pairs(encoded: Floats, targets: Floats, weight: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    rows = len(encoded)
    a = rng.integers(0, rows, count)
    b = rng.integers(0, rows, (count, CANDIDATES))
    root = np.sqrt(weight)
    difference = (encoded[b] - encoded[a][:, None]) * root  # (count, CANDIDATES, D)
    distance = np.einsum("pcd,pcd->pc", difference, difference)
    # Rows of one class (or of alike values) are no pair: they are only taken when no candidate differs.
    alike = (np.abs(targets[b] - targets[a][:, None]).max(2) < 0.5) | (distance < 1e-9)
    best = np.argmin(distance + np.where(alike, np.float32(1e9), 0), axis=1)
    chosen = b[np.arange(count), best]
    # tanh reaches -1/2 at one row and +1/2 at the other: slope 2 * atanh(1/2) = ln 3 over their distance.
    delta = difference[np.arange(count), best] * root
    length = np.maximum(np.einsum("pd,pd->p", encoded[chosen] - encoded[a], delta), 1e-6)
    w = (np.log(3.0) / length)[:, None] * delta
    w = w.astype(np.float32)
    middle = (encoded[a] + encoded[chosen]) / 2
    return np.ascontiguousarray(w.T), -np.einsum("pd,pd->p", middle, w)


def _leaves(encoded: Floats, weight: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats, Floats]:
    column, mask = _pick_columns(weight, count, rng)
    slope = LEAF_SLOPE * rng.choice(np.array([-1, 1], np.float32), (count, 3)) * mask
    threshold = encoded[rng.integers(0, len(encoded), count)[:, None], column]
    bias = np.where(mask > 0, -slope * threshold, OFF).astype(np.float32)
    return column, slope.astype(np.float32), bias, (mask.sum(1) - 1).astype(np.float32)
