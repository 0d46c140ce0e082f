"""Distil wide emissions into small ones: keep the units that matter, and solve heads that say what the wide ones say.

Labels don't come in. Scores are matched on the training rows and on rows crossed from them, so the small child learns no
more, and overfits no more, than the wide one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.parameters.floor import Emission, Heads
from modelgpt_edge.parameters.packing import keep_units
from modelgpt_edge.parameters.prepare import Prepared
from modelgpt_edge.parameters.units import Widths

# Rows crossed from the training rows, the share of raw columns that one takes from a neighbour, and how many rows that is
# chosen from.
CROSSED, SWAPPED, CANDIDATES = 1_500, 0.3, 4
# The most training rows that are matched on.
MOST_ROWS = 4_000
# Penalty of the match as a share of the features' total variance. There is no noise to smooth over, but a smaller one makes
# heads so large that int8 loses labels (development sets).
PENALTY = 1e-6
# Added to a row's weight p (1 - p), so that rows of sure class count too.
SURE = 0.02
# The most that a faithful child's outputs may differ by, in nats a row or as a share of the values' variance. On the
# development sets such children are as accurate as the wide one, at a quarter of its size on average.
FAITHFUL = 0.0002


@dataclass(frozen=True)
class Distilled:
    """A small emission, and how far its outputs are from the wide one's.

    Attributes:
        divergence: mean Kullback-Leibler divergence in nats over training rows; for regression the mean squared difference as
            a share of the values' variance.
    """

    emission: Emission
    divergence: float

    @property
    def faithful(self) -> bool:
        """Whether the difference is too small to matter."""
        return self.divergence <= FAITHFUL


@dataclass(frozen=True)
class Match:
    """Rows to match a wide emission on, and what it says there: made once, for children of any size.

    Attributes:
        encoded: (M, D) rows, the training rows first.
        rows: how many of them are training rows.
        origin: (M,) the training row that each is, or was crossed from: its place among all of them.
        scores: (H, M, K) of the wide emission.
        worth: (P,) how much each of its units moves the scores.
        weight: (M,) of each row.
    """

    wide: Emission
    encoded: Floats
    rows: int
    origin: NDArray[np.intp]
    scores: Floats
    worth: Floats
    weight: Floats

    @staticmethod
    def of(wide: Emission, ready: Prepared, rng: np.random.Generator) -> Match:
        """Cross rows from prepared ones and ask the wide emission."""
        places = np.arange(len(ready.encoded))
        if len(places) > MOST_ROWS:
            places = np.sort(rng.permutation(len(places))[:MOST_ROWS])
        crossed, parents = cross_rows(ready.encoded[places], ready, CROSSED, rng)
        encoded = np.concatenate([ready.encoded[places], crossed])
        hidden = wide.units.activate(encoded)
        merged = [wide.merge(mix) for mix in np.eye(len(wide.heads[0].bias), dtype=np.float32)]  # each kind of head alone
        width = encoded.shape[1]
        scores = np.stack([encoded @ w[:width] + hidden @ w[width:] + b for w, b in merged])
        head = np.mean([w[width:] for w, _ in merged], axis=0)
        if head.shape[1] > 1:
            head = head - head.mean(1, keepdims=True)  # a shift of all classes alike says nothing
        worth = np.linalg.norm(head, axis=1) * hidden.std(0)
        return Match(
            wide, encoded, len(places), np.concatenate([places, places[parents]]), scores, worth, _curvature(scores.mean(0))
        )

    def smallest(self, units: Sequence[int], most: int) -> Distilled:
        """In the first number of units that is faithful, or else the last; `most` units are the wide emission itself."""
        for count in units:
            distilled = Distilled(self.wide, 0.0) if count >= most else self.distil(count)
            if distilled.faithful:
                break
        return distilled

    def distil(self, units: int) -> Distilled:
        """The wide emission in `units` hidden units."""
        kept = keep_units(self.wide.units, self.worth, Widths().scaled(units))
        features = np.concatenate([self.encoded, kept.activate(self.encoded)], axis=1)
        heads, rows, outputs = self.scores.shape
        flat = self.scores.transpose(1, 0, 2).reshape(rows, heads * outputs)
        weight, bias = _solve(features, flat, self.weight)
        said = (features[: self.rows] @ weight + bias).reshape(self.rows, heads, outputs).mean(1)
        solved = Heads(
            np.ascontiguousarray(weight.reshape(-1, heads, outputs).transpose(1, 0, 2)), bias.reshape(heads, outputs)
        )
        return Distilled(Emission(self.wide.encoder, kept, (solved,)), _divergence(self.scores[:, : self.rows].mean(0), said))


def cross_rows(encoded: Floats, ready: Prepared, count: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.intp]]:
    """Rows (count, D), each a random one of encoded (N, D) with some raw columns taken from another that lies near.

    Also which one it was, (count,).

    The encoded columns of one raw column move together, so a category stays one.
    """
    first = rng.integers(0, len(encoded), count)
    root = np.sqrt(ready.relevance)
    near, least = first.copy(), np.full(count, np.inf, np.float32)
    for candidate in rng.integers(0, len(encoded), (CANDIDATES, count)):
        difference = (encoded[candidate] - encoded[first]) * root
        distance = np.einsum("nd,nd->n", difference, difference)
        nearer = (distance < least) & (distance > 1e-9)  # not the row itself, or one like it
        near, least = np.where(nearer, candidate, near), np.where(nearer, distance, least)
    owner = np.unique(ready.encoder.owners(), return_inverse=True)[1]
    taken = rng.random((count, int(owner.max()) + 1)) < SWAPPED
    return np.where(taken[:, owner], encoded[near], encoded[first]), first


def _curvature(scores: Floats) -> Floats:
    """Weights (M,) of rows by how much their outputs move with scores (M, K): p (1 - p) of the least sure class."""
    if scores.shape[1] == 1:
        return np.ones(len(scores), np.float32)
    p = softmax(scores)
    return (p * (1 - p)).max(1) + np.float32(SURE)


def _solve(features: Floats, scores: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weights (P, J) and bias (J,) on features (M, P) closest to scores (M, J), rows weighted (M,)."""
    share = weight / weight.sum()
    mean, target = share @ features, share @ scores
    root = np.sqrt(share)[:, None]
    centred, wanted = (features - mean) * root, (scores - target) * root
    gram: NDArray[np.float64] = (centred.T @ centred).astype(np.float64)
    gram[np.diag_indices_from(gram)] += PENALTY * np.trace(gram) + 1e-12
    solved = np.linalg.solve(gram, (centred.T @ wanted).astype(np.float64)).astype(np.float32)
    return solved, target - mean @ solved


def _divergence(wide: Floats, small: Floats) -> float:
    if wide.shape[1] == 1:
        return float(((wide - small) ** 2).mean(dtype=np.float64) / max(float(wide.var(dtype=np.float64)), 1e-12))
    p, q = softmax(wide).astype(np.float64), softmax(small).astype(np.float64)
    # Shares that are rounded sum to one but nearly, so that equal ones could be less than nothing apart.
    return max(0.0, float((p * (np.log(np.maximum(p, 1e-12)) - np.log(np.maximum(q, 1e-12)))).sum(1).mean()))
