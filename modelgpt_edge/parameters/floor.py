"""The floor: hidden units drawn from the table, heads solved in closed or convex form, draws merged losslessly.

The plain linear model is the same thing with no hidden unit, so the guard compares like with like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Child, Encoder, Floats, Units
from modelgpt_edge.parameters import ridge
from modelgpt_edge.parameters.logistic import logistic_head
from modelgpt_edge.parameters.prepare import Prepared, Standard
from modelgpt_edge.parameters.ridge import Problem, decompose
from modelgpt_edge.parameters.spread import spread
from modelgpt_edge.parameters.units import Widths, draw_units

SKIP = 0.5


@dataclass(frozen=True)
class Heads:
    """Solved heads of one draw: the ridge head, then for classification the logistic head, so H is 1 or 2.

    Attributes:
        weight: (H, P, K) on the D encoded columns and the draw's units; bias: (H, K).
    """

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class Emission:
    """Units of all draws and the heads solved on each draw: a child in the making.

    Attributes:
        heads: one a draw; all have the same H.
    """

    encoder: Encoder
    units: Units
    heads: tuple[Heads, ...]

    def scores(self, encoded: Floats) -> Floats:
        """Scores (H, N, K) of encoded rows (N, D) under each kind of head, averaged over the draws."""
        draws = len(self.heads)
        total = 0.0
        for d, heads in enumerate(self.heads):
            features = np.concatenate([encoded, self.units.part(d, draws).activate(encoded)], axis=1)
            total = total + (features @ heads.weight + heads.bias[:, None])
        return np.asarray(total / draws, np.float32)

    def merge(self, mix: Floats) -> tuple[Floats, Floats]:
        """Head weight (D + P, K) and bias (K,) of one child whose scores are ``mix @ scores``.

        Heads are linear in the units, so nothing is lost. The child's units lie all dense, all sparse, all leaf.
        """
        draws, width = len(self.heads), self.encoder.width
        mixed = [np.tensordot(mix, h.weight, axes=1) / np.float32(draws) for h in self.heads]
        bias = np.sum([mix @ h.bias for h in self.heads], axis=0) / np.float32(draws)
        cuts = np.cumsum([count // draws for count in self.units.counts])[:-1]
        pieces = [np.split(w[width:], cuts) for w in mixed]  # by draw: dense, sparse, leaf
        blocks = [piece[kind] for kind in range(3) for piece in pieces]
        return np.concatenate([np.sum([w[:width] for w in mixed], axis=0), *blocks]), bias


def fuse(
    emissions: Mapping[str, Emission], weights: Mapping[str, Floats], standard: Standard, classes: tuple[str, ...]
) -> Child:
    """One child out of the floor and the linear model, by the weights (H,) on their heads.

    Where the floor's weights are nil the child has no hidden unit.

    Args:
        standard: undoes the standardisation of a regression's values.
    """
    line, floor = emissions["linear"], emissions["floor"]
    weight, bias = line.merge(weights["linear"])
    units = line.units
    if weights["floor"].any():
        floor_weight, floor_bias = floor.merge(weights["floor"])
        floor_weight[: len(weight)] += weight
        weight, bias, units = floor_weight, bias + floor_bias, floor.units
    if not classes:
        weight, bias = weight * standard.deviation, bias * standard.deviation + standard.mean
    return Child(line.encoder, units, weight.astype(np.float32), np.asarray(bias, np.float32), classes)


def emit_floor(
    ready: Prepared,
    targets: Floats,
    widths: Widths,
    draws: int,
    rng: np.random.Generator,
    workers: int = 1,
) -> Emission:
    """Emit the floor for prepared rows and targets: one-hot classes (N, K), or standardised values (N, 1).

    Args:
        workers: threads that share the draws; the result doesn't depend on it.
    """
    units = draw_units(ready.encoded, targets, ready.relevance, widths, draws, rng)
    return solve_floor(ready, targets, units, widths, draws, workers)


def solve_floor(ready: Prepared, targets: Floats, units: Units, widths: Widths, draws: int, workers: int = 1) -> Emission:
    """The same for units that are drawn already."""

    def solve_draw(d: int) -> Heads:
        part = units.part(d, draws)
        unscaled = np.concatenate([ready.encoded, part.activate(ready.encoded)], axis=1)
        scale = group_scale(unscaled, part, widths.dense)
        return solve_heads(decompose(unscaled * scale, targets), scale)

    return Emission(ready.encoder, units, tuple(spread(solve_draw, range(draws), workers)))


def emit_linear(ready: Prepared, targets: Floats) -> Emission:
    """Emit the plain linear model: ridge and logistic heads on the encoded columns alone."""
    features = LinearFeatures.of(ready.encoded)
    heads = solve_heads(decompose(features(ready.encoded), targets), features.scale)
    return Emission(ready.encoder, Units.none(ready.encoder.width), (heads,))


def solve_heads(problem: Problem, scale: Floats) -> Heads:
    """Solve every kind of head on scaled features; the heads returned apply to unscaled ones."""
    if problem.targets.shape[1] == 1:
        head = ridge.regression_head(problem)
        solved = [(head.coordinates, head.offset)]
    else:
        head = ridge.classification_head(problem)
        solved = [(head.coordinates, head.offset), logistic_head(problem, head)]
    pairs = [problem.weights(*coordinates) for coordinates in solved]
    return Heads(np.stack([w * scale[:, None] for w, _ in pairs]), np.stack([b for _, b in pairs]))


def group_scale(features: Floats, units: Units, dense: int) -> Floats:
    """Factors (D + P,) that give skip, dense, pair, sparse and leaf columns equal total variance, the skip half the weight.

    Args:
        features: (N, D + P) encoded columns and units, unscaled.
        dense: how many of the dense units are of the kind of that name; pair units follow them.
    """
    tanh, sparse, leaf = units.counts
    sizes = [features.shape[1] - units.count, dense, tanh - dense, sparse, leaf]
    factors = []
    for i, group in enumerate(np.split(features.var(0), np.cumsum(sizes)[:-1])):
        total = max(float(group.sum(dtype=np.float64)), 1e-9)
        factors.append(np.full(len(group), (SKIP if i == 0 else 1) / np.sqrt(total), np.float32))
    return np.concatenate(factors)


@dataclass(frozen=True)
class DrawFeatures:
    """Encoded columns and the units of one draw, scaled by `group_scale`: a map from rows to features, for streamed solves."""

    units: Units
    scale: Floats

    @staticmethod
    def of(units: Units, encoded: Floats, widths: Widths) -> DrawFeatures:
        """Scale by the variances on encoded rows (N, D)."""
        unscaled = np.concatenate([encoded, units.activate(encoded)], axis=1)
        return DrawFeatures(units, group_scale(unscaled, units, widths.dense))

    def __call__(self, encoded: Floats) -> Floats:
        """Scaled features (N, D + P) of encoded rows (N, D)."""
        return np.concatenate([encoded, self.units.activate(encoded)], axis=1) * self.scale


@dataclass(frozen=True)
class LinearFeatures:
    """The encoded columns alone, scaled to total variance one."""

    scale: Floats

    @staticmethod
    def of(encoded: Floats) -> LinearFeatures:
        """Scale by the variances on encoded rows (N, D)."""
        total = max(float(encoded.var(0).sum(dtype=np.float64)), 1e-9)
        return LinearFeatures(np.full(encoded.shape[1], 1 / np.sqrt(total), np.float32))

    def __call__(self, encoded: Floats) -> Floats:
        """Scaled features (N, D) of encoded rows (N, D)."""
        return encoded * self.scale
