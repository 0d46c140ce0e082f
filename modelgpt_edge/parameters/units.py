"""Emit hidden units: four kinds, drawn from the table itself in one pass for all draws.

Units of one to three columns are drawn in groups that share eight: on the development sets as accurate as free choice, and
several times faster on a device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Floats, Ints, Units

LEAF_SLOPE = 4.0
# Bias of an unused step: sigmoid(-30) = 1e-13 adds nothing to the sum.
OFF = -30.0
# Rows that a pair unit's second row is chosen from.
CANDIDATES = 12
GROUP_COLUMNS, GROUP_UNITS = 8, 32


@dataclass(frozen=True)
class Widths:
    """Units of each kind in one draw."""

    sparse: int = 256
    dense: int = 128
    pair: int = 128
    leaf: int = 128

    @property
    def total(self) -> int:
        """Units of all kinds."""
        return self.sparse + self.dense + self.pair + self.leaf

    def scaled(self, total: int) -> Widths:
        """The same mix for `total` units."""
        ratio = total / self.total
        return Widths(*(round(w * ratio) for w in (self.sparse, self.dense, self.pair, self.leaf)))


# What one draw emits; smaller children are distilled from it.
DRAW = Widths()


def draw_units(encoded: Floats, targets: Floats, weight: Floats, widths: Widths, draws: int, rng: np.random.Generator) -> Units:
    """Draw the units of all draws at once; the units of draw d are ``units.part(d, draws)``.

    sparse: 1 to 3 columns in proportion to relevance, normal weights, scale log-uniform .5 to 3, kink at a random row.
    dense: all columns weighted by the root of their relevance, same scale, kink at a random row.
    pair: direction and kink between two rows of different classes that lie close (SWIM, Bolager et al. 2023, eq. 2).
    leaf: the AND of one to three thresholds through a random row, as a soft box that trees would cut.

    Args:
        encoded: (N, D) training rows.
        targets: one-hot classes (N, K), or standardised values (N, 1).
        weight: (D,) relevance of the columns, summing to one.
    """
    width = encoded.shape[1]
    dense, pair = widths.dense * draws, widths.pair * draws

    # One order for both tanh kinds in a draw: its dense units, then its pair units.
    w_dense, b_dense = _dense(encoded, weight, dense, rng)
    w_pair, b_pair = _pairs(encoded, targets, weight, pair, rng)
    w = np.concatenate([w_dense.reshape(width, draws, -1), w_pair.reshape(width, draws, -1)], axis=2)
    b = np.concatenate([b_dense.reshape(draws, -1), b_pair.reshape(draws, -1)], axis=1)
    sparse = _sparse(encoded, weight, widths.sparse, draws, rng)
    leaf = _leaves(encoded, weight, widths.leaf, draws, rng)
    return Units(w.reshape(width, -1), b.ravel(), *sparse, *leaf)  # type: ignore[arg-type]  # two tuples, as declared


def _scales(count: int, rng: np.random.Generator) -> Floats:
    return np.exp(rng.uniform(np.log(0.5), np.log(3.0), count)).astype(np.float32)


@dataclass(frozen=True)
class _Groups:
    """Columns (G, 8) of each group, and for each of its B units three of the eight, of which 1 to 3 are used.

    Attributes:
        column: (G, 8); place: (G, B, 3) into the eight; used: (G, B, 3) of 0 and 1; kink: (G, B, 8) values of a random row.
    """

    column: Ints
    place: Ints
    used: Floats
    kink: Floats

    @staticmethod
    def draw(encoded: Floats, weight: Floats, units: int, draws: int, rng: np.random.Generator) -> _Groups:
        """Groups for `units` units a draw; columns in proportion to weight, with repetition."""
        size = math.gcd(units, GROUP_UNITS)  # full groups, however many units are asked for
        groups = draws * (units // size)
        cumulative = np.cumsum(weight, dtype=np.float64)
        place = np.searchsorted(cumulative / cumulative[-1], rng.random((groups, GROUP_COLUMNS)))
        column = np.minimum(place, len(weight) - 1).astype(np.int32)
        chosen = np.argsort(rng.random((groups, size, GROUP_COLUMNS)), axis=2)[:, :, :3].astype(np.int32)
        used = (np.arange(3) < rng.integers(1, 4, (groups, size, 1))).astype(np.float32)
        # One column twice in a unit would be a unit of fewer columns.
        a, b, c = np.moveaxis(
            np.take_along_axis(column[:, None], chosen.reshape(groups, 1, 3 * size), 2).reshape(chosen.shape), 2, 0
        )
        used[:, :, 1] *= b != a
        used[:, :, 2] *= (c != a) & (c != b)
        kink = encoded[rng.integers(0, len(encoded), (groups, size))[:, :, None], column[:, None]]
        return _Groups(column, chosen, used, kink)


def _sparse(encoded: Floats, weight: Floats, units: int, draws: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    groups = _Groups.draw(encoded, weight, units, draws, rng)
    count, size = groups.used.shape[:2]
    values = rng.standard_normal(groups.used.shape).astype(np.float32) * groups.used
    values *= _scales(count * size, rng).reshape(count, size, 1)
    spread = np.zeros((count, size, GROUP_COLUMNS), np.float32)
    np.put_along_axis(spread, groups.place, values, axis=2)
    return groups.column, np.ascontiguousarray(spread.transpose(0, 2, 1)), -(spread * groups.kink).sum(2)


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


def _leaves(
    encoded: Floats, weight: Floats, units: int, draws: int, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats, Floats]:
    groups = _Groups.draw(encoded, weight, units, draws, rng)
    count, size = groups.used.shape[:2]
    slope = LEAF_SLOPE * rng.choice(np.array([-1, 1], np.float32), groups.used.shape) * groups.used
    threshold = np.take_along_axis(groups.kink, groups.place, axis=2)
    bias = np.where(groups.used > 0, -slope * threshold, np.float32(OFF))  # (H, B, 3)
    spread = np.zeros((count, size, 3, GROUP_COLUMNS), np.float32)
    np.put_along_axis(spread, groups.place[..., None], slope[..., None], axis=3)
    # (H, B, 3, 8) -> (H, 8, 3 B), steps of one rank side by side
    blocks = spread.transpose(0, 3, 2, 1).reshape(count, GROUP_COLUMNS, 3 * size)
    return groups.column, np.ascontiguousarray(blocks), bias.transpose(0, 2, 1).reshape(count, 3 * size), groups.used.sum(2) - 1
