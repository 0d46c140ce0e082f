"""Fine-tune a generated child by gradient descent, for so many seconds: its weights are the start, and what it is pulled to.

How many steps help is found on a held-out fifth, by a child that was generated without it; the child itself then takes as many
steps on all rows. Where no number of steps helps, the child stays as it was generated. numpy alone, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.child import Child, Floats, Units
from modelgpt_edge.parameters.evidence import split_folds
from modelgpt_edge.parameters.gradient import STEPS, Structure
from modelgpt_edge.parameters.likelihood import row_losses
from modelgpt_edge.parameters.prepare import Standard

# AdamW's memory of the gradient and its square (Kingma and Ba 2015), and steps until the full rate.
FIRST, SECOND, TINY, WARM = 0.9, 0.999, 1e-8, 20
# Weights that are judged and shipped are a running mean of the last fifty steps or so.
MEAN = 0.98
# Steps between two looks at the held-out rows: an epoch, but not fewer; looks without a better one that end the search.
LOOK, PATIENCE = 20, 20
# Rows judged at once.
BLOCK = 4_096

Remake = Callable[[NDArray[np.intp]], Child]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Descent:
    """How steps are taken.

    Attributes:
        rate: step of each number in its own unit of the gradient, as Adam scales it.
        pull: towards the start (L2-SP, Li et al. 2018), decoupled from the gradient (Loshchilov and Hutter 2019): steps are of
            size one before the rate, so no number goes much farther than 1 / pull.
        batch: rows a step.
    """

    rate: float
    pull: float
    batch: int


# Set on the development sets. A generated child is near where it should be: faster steps or a weaker pull overfit.
GENERATED = Descent(3e-4, 30.0, 64)
# For random weights, which have a long way to go: the bench's contender.
RANDOM = Descent(3e-3, 0.0, 64)


@dataclass(frozen=True)
class Finetuned:
    """The better of a child before and after.

    Attributes:
        child: what ships.
        before, after: mean loss on the held-out rows, without any step and with the best number of them: log loss, or squared
            error of standardised values. NaN where there is none to tell: no row could be held out, or the time was up before
            any step was judged.
        steps: gradient steps that the child took on all rows; fewer than were best where time was up.
        kept: whether no number of steps was better than none, so that the child is as it was.
        seconds: what it was given.
    """

    child: Child
    before: float
    after: float
    steps: int
    kept: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values, without the child; null for NaN."""
        before, after = (loss if np.isfinite(loss) else None for loss in (self.before, self.after))
        return {"seconds": self.seconds, "steps": self.steps, "before": before, "after": after, "kept": self.kept}


def finetune(
    child: Child,
    encoded: Floats,
    targets: Floats,
    seconds: float,
    seed: int,
    steps: int | None = None,
    remake: Remake | None = None,
    descent: Descent = GENERATED,
    unseen: tuple[Floats, Floats] | None = None,
    progress: Progress = lambda share: None,
) -> Finetuned:
    """Fine-tune all units and the head of a child; its encoder and which weights are zero stay.

    The clock is looked at before every step, and the search leaves the time that the best steps will take once more.

    Args:
        encoded: (N, D) rows.
        targets: one-hot classes (N, K), or values (N, 1) in the child's own unit.
        seconds: wall clock for all of this; what ends early is still used.
        steps: the most steps of the search. Results that this ends, or patience, don't depend on the clock.
        remake: a child of the given rows alone, on the same encoder, which the search starts from. Without it the search
            starts from the child itself; if that has seen the held-out rows, they favour it as it is, so it is seldom changed.
        descent: how steps are taken.
        unseen: rows (M, D) and targets that the child has not seen, to be the held-out ones instead of a fifth of the rows.
        progress: called with the share of the time that is gone.
    """
    start = time.perf_counter()
    standard = Standard(0.0, 1.0) if child.classes else Standard.of(targets[:, 0].astype(np.float64))
    aims = _aims(child, targets, standard)
    held = np.zeros(len(aims), bool) if unseen is not None else split_folds(aims, np.random.default_rng(seed)) == 0
    fit = np.flatnonzero(~held)
    if seconds <= 0 or not len(fit):
        return Finetuned(child, np.nan, np.nan, 0, True, seconds)
    rows, wanted = (encoded[held], aims[held]) if unseen is None else (unseen[0], _aims(child, unseen[1], standard))
    clock = _Clock(start, seconds, progress)
    with threadpool_limits(1, "blas"):
        probe = child if remake is None else remake(fit)
        search = _Walk.of(_standardised(probe, standard), encoded[fit], aims[fit], descent, seed)
        found = _search(search, rows, wanted, clock, steps)
        walk = _Walk.of(_standardised(child, standard), encoded, aims, descent, seed)
        while walk.taken < found.steps and clock.spent() < seconds:
            walk.step()
            if walk.taken % LOOK == 0:
                clock.tell()
    if not walk.taken:
        return Finetuned(child, found.before, np.nan if found.steps else found.after, 0, True, seconds)
    return Finetuned(_undone(walk.child(), standard), found.before, found.after, walk.taken, False, seconds)


def random_child(child: Child, encoded: Floats, rng: np.random.Generator) -> Child:
    """A child of the same shapes that knows nothing of the table but its encoder: random columns and weights.

    Weights are uniform, of variance 2 / (inputs + outputs) of a unit (Glorot and Bengio 2010, eq. 16), four times as wide for
    sigmoids; steps start where their leaf's sum is half a step above its offset. A regression's head is scaled to the spread of
    what the child says of encoded rows (N, D).
    """
    units, width, outputs = child.units, child.encoder.width, len(child.head_bias)
    sparse, leaf = units.sparse_weight != 0, units.leaf_slope != 0

    def glorot(shape: tuple[int, ...], inputs: Floats | float, out: float) -> Floats:
        return (rng.uniform(-1, 1, shape) * np.sqrt(6 / (inputs + out))).astype(np.float32)

    steps = leaf.any(1)
    aim = (np.tile(units.leaf_offset, (1, STEPS)) + 0.5) / np.maximum(np.tile(units.leaf_offset, (1, STEPS)) + 1, 1)
    drawn = Units(
        dense_weight=glorot(units.dense_weight.shape, width, outputs),
        dense_bias=np.zeros_like(units.dense_bias),
        sparse_column=rng.integers(0, width, units.sparse_column.shape, dtype=np.int32),
        sparse_weight=glorot(sparse.shape, sparse.sum(1, keepdims=True).astype(np.float32), outputs) * sparse,
        sparse_bias=np.zeros_like(units.sparse_bias),
        leaf_column=rng.integers(0, width, units.leaf_column.shape, dtype=np.int32),
        leaf_slope=4 * glorot(leaf.shape, leaf.sum(1, keepdims=True).astype(np.float32), outputs) * leaf,
        leaf_bias=np.where(steps, np.log(aim / (1 - aim)), units.leaf_bias).astype(np.float32),
        leaf_offset=units.leaf_offset,
    )
    head = glorot(child.head_weight.shape, len(child.head_weight), outputs)
    plain = replace(child, units=drawn, head_weight=head, head_bias=np.zeros_like(child.head_bias))
    return plain if child.classes else _undone(plain, Standard.of(child.scores(encoded)[:, 0].astype(np.float64)))


@dataclass
class _Walk:
    """AdamW over shuffled minibatches, and the running mean of where it has been."""

    structure: Structure
    encoded: Floats
    targets: Floats
    descent: Descent
    rng: np.random.Generator
    start: Floats
    place: Floats
    mean: Floats
    gradient: Floats
    square: Floats
    order: NDArray[np.intp]
    taken: int = 0

    @staticmethod
    def of(child: Child, encoded: Floats, targets: Floats, descent: Descent, seed: int) -> _Walk:
        structure = Structure.of(child)
        start = structure.pack()
        zeros = np.zeros_like(start)
        none = np.zeros(0, np.intp)
        rng = np.random.default_rng(seed)
        return _Walk(structure, encoded, targets, descent, rng, start, start.copy(), start.copy(), zeros, zeros.copy(), none)

    def step(self) -> None:
        """One step, and the mean after it."""
        self.taken += 1
        batch = min(self.descent.batch, len(self.encoded))
        if len(self.order) < batch:
            self.order = self.rng.permutation(len(self.encoded))
        rows, self.order = self.order[:batch], self.order[batch:]
        gradient = self.structure.gradient(self.place, self.encoded[rows], self.targets[rows])
        f = np.float32
        self.gradient += f(1 - FIRST) * (gradient - self.gradient)
        self.square += f(1 - SECOND) * (gradient * gradient - self.square)
        spread = np.sqrt(self.square * f(1 / (1 - SECOND**self.taken))) + f(TINY)
        move = self.gradient * f(1 / (1 - FIRST**self.taken)) / spread
        move += f(self.descent.pull) * (self.place - self.start)
        self.place -= f(self.descent.rate * min(1.0, self.taken / WARM)) * move
        # Young means are of all steps alike.
        self.mean += f(1 - min(MEAN, self.taken / (self.taken + 10))) * (self.place - self.mean)

    def loss(self, encoded: Floats, targets: Floats) -> float:
        """Mean loss of the running mean on rows."""
        blocks = range(0, len(encoded), BLOCK)
        losses = [row_losses(self.structure.scores(self.mean, encoded[b : b + BLOCK]), targets[b : b + BLOCK]) for b in blocks]
        return float(np.concatenate(losses).mean())

    def child(self) -> Child:
        """The running mean as a child."""
        return self.structure.unpack(self.mean)


@dataclass(frozen=True)
class _Clock:
    """When fine-tuning began, the seconds it has, and who is told."""

    start: float
    seconds: float
    progress: Progress

    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    def tell(self) -> None:
        """Say what share of the time is gone."""
        self.progress(min(1.0, self.spent() / self.seconds))


@dataclass(frozen=True)
class _Found:
    """Loss on held-out rows without a step and at best, NaN where no step was judged, and the steps to there."""

    before: float
    after: float
    steps: int


def _search(walk: _Walk, encoded: Floats, targets: Floats, clock: _Clock, most: int | None) -> _Found:
    """Walk until held-out rows have not gained for long, or the time left is what the best steps will take again."""
    look = max(LOOK, len(walk.encoded) // walk.descent.batch)
    before = best = walk.loss(encoded, targets)
    judged, best_steps, best_at, began = False, 0, 0.0, clock.spent()
    # Going to the best steps once more takes as long as it took.
    while clock.spent() + best_at < clock.seconds and (most is None or walk.taken < most):
        walk.step()
        if walk.taken % look and walk.taken != most:
            continue
        clock.tell()
        judged, loss = True, walk.loss(encoded, targets)
        if not np.isfinite(loss):
            break
        if loss < best:
            best, best_steps, best_at = loss, walk.taken, clock.spent() - began
        if walk.taken - best_steps >= PATIENCE * look:
            break
    return _Found(before, best if judged else np.nan, best_steps)


def _aims(child: Child, targets: Floats, standard: Standard) -> Floats:
    """One-hot classes as they are, or values (N, 1) standardised."""
    return targets if child.classes else standard.targets(targets[:, 0].astype(np.float64))


def _standardised(child: Child, standard: Standard) -> Child:
    """A regression's child that says standardised values."""
    scale, shift = np.float32(1 / standard.deviation), np.float32(standard.mean)
    return replace(child, head_weight=child.head_weight * scale, head_bias=(child.head_bias - shift) * scale)


def _undone(child: Child, standard: Standard) -> Child:
    """The same in the values' own unit."""
    return replace(
        child, head_weight=child.head_weight * np.float32(standard.deviation), head_bias=standard.undo(child.head_bias)
    )
