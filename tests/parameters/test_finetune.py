"""Fine-tuning: a gradient that torch and finite differences confirm, a structure that stays, and the better child ships."""

from dataclasses import fields

import numpy as np
import pytest
import torch  # noqa: TID251 - the reference of the gradient

from modelgpt_edge.child import Child, Units
from modelgpt_edge.parameters import finetune as module
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.evidence import split_folds
from modelgpt_edge.parameters.finetune import RANDOM, Descent, finetune, random_child
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.gradient import Structure
from modelgpt_edge.parameters.likelihood import row_losses
from modelgpt_edge.parameters.prepare import Prepared, Standard
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.units import OFF, Widths

FAST = Descent(1e-2, 0.0, 32)


def columns_of(rows, seed=0, count=6):
    drawn = np.random.default_rng(seed).normal(size=(count, rows)).astype(np.float32)
    return {f"x{i}": drawn[i] for i in range(count)}


def labelled(classes, rows=200, seed=0):
    """Encoder, encoded rows, and targets that no line tells: one-hot classes, or values far from zero."""
    columns = columns_of(rows, seed)
    encoder = fit_encoder(columns, [], {})
    encoded = encoder.encode(*encoder.pack(columns, {}, rows))
    noise = 0.3 * np.random.default_rng([seed, 1]).normal(size=rows)
    signal = columns["x0"] * columns["x1"] + np.abs(columns["x2"]) + noise
    if not classes:
        return encoder, encoded, (40 + 7 * signal).astype(np.float32)[:, None]
    place = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    return encoder, encoded, np.eye(classes, dtype=np.float32)[place]


def generated(encoder, encoded, targets, units=40, seed=0):
    """A child of every kind of unit, as a build emits it."""
    classes = tuple(f"k{i}" for i in range(targets.shape[1])) if targets.shape[1] > 1 else ()
    standard = Standard(0.0, 1.0) if classes else Standard.of(targets[:, 0].astype(np.float64))
    aims = targets if classes else standard.targets(targets[:, 0].astype(np.float64))
    ready = Prepared(encoder, encoded, relevance(encoded, aims))
    emissions = {"linear": emit_linear(ready, aims)}
    emissions["floor"] = emissions["linear"]
    if units:
        emissions["floor"] = emit_floor(ready, aims, Widths().scaled(units), 1, np.random.default_rng(seed))
    heads = len(emissions["linear"].heads[0].bias)
    weights = {"linear": np.zeros(heads, np.float32), "floor": np.full(heads, 1 / heads, np.float32)}
    if not units:
        weights = {"linear": weights["floor"], "floor": weights["linear"]}
    return fuse(emissions, weights, standard, classes)


def made(classes, rows=200, units=40, seed=0):
    encoder, encoded, targets = labelled(classes, rows, seed)
    return generated(encoder, encoded, targets, units), encoded, targets


def shaken(structure, seed=0):
    """The structure's vector, moved a little, in float64."""
    start = structure.pack().astype(np.float64)
    return start + 0.05 * np.random.default_rng(seed).normal(size=start.shape)


def loss_of(structure, vector, encoded, targets):
    """Mean loss in float64, from the definition."""
    scores = structure.scores(vector, encoded)
    if targets.shape[1] == 1:
        return ((scores - targets) ** 2).mean()
    shifted = scores - scores.max(1, keepdims=True)
    return (np.log(np.exp(shifted).sum(1)) - (shifted * targets).sum(1)).mean()


def numbers_of(child):
    """All arrays of units and head."""
    units = [getattr(child.units, f.name) for f in fields(Units)]
    return [*units, child.head_weight, child.head_bias]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(numbers_of(one), numbers_of(other)))


def losses(child, encoded, targets):
    """Mean loss on the rows that fine-tuning holds out with seed 0."""
    standard = Standard(0.0, 1.0) if child.classes else Standard.of(targets[:, 0].astype(np.float64))
    aims = targets if child.classes else standard.targets(targets[:, 0].astype(np.float64))
    held = split_folds(aims, np.random.default_rng(0)) == 0
    scores = child.scores(encoded[held])
    return float(row_losses((scores - np.float32(standard.mean)) / np.float32(standard.deviation), aims[held]).mean())


@pytest.mark.parametrize("classes", [0, 2, 11])
def test_the_vector_says_what_the_child_says(classes):
    child, encoded, _ = made(classes)
    structure = Structure.of(child)
    scores = structure.scores(structure.pack(), encoded)
    assert np.abs(scores - child.scores(encoded)).max() <= 1e-5 * np.abs(child.scores(encoded)).max()
    assert same(structure.unpack(structure.pack()), child)


@pytest.mark.parametrize("classes", [0, 2, 11])
def test_the_gradient_is_that_of_finite_differences(classes):
    child, encoded, targets = made(classes)
    structure = Structure.of(child)
    vector, rows = shaken(structure), encoded[:50].astype(np.float64)
    aims = targets[:50].astype(np.float64)
    gradient = structure.gradient(vector, rows, aims)
    assert gradient.dtype == np.float64
    found = np.empty_like(gradient)
    for i in range(len(vector)):
        step = np.zeros_like(vector)
        step[i] = 1e-6
        above, below = (loss_of(structure, vector + s, rows, aims) for s in (step, -step))
        found[i] = (above - below) / 2e-6
    assert np.abs(gradient - found).max() < 1e-7 * max(1.0, np.abs(found).max())


def torch_scores(child, encoded, tensors):
    """The child's definition in torch, unit by unit, and no faster than that."""
    u, (dense, dense_bias, sparse, sparse_bias, slope, leaf_bias, head, head_bias) = child.units, tensors
    features = [encoded, torch.tanh(encoded @ dense + dense_bias)]
    features += [torch.tanh(encoded[:, c] @ w + b) for c, w, b in zip(u.sparse_column, sparse, sparse_bias)]
    for columns, weight, bias, offset in zip(u.leaf_column, slope, leaf_bias, u.leaf_offset):
        steps = torch.sigmoid(encoded[:, columns] @ weight + bias)
        features.append(torch.relu(sum(steps.split(len(offset), 1)) - torch.tensor(offset)))
    return torch.cat(features, 1) @ head + head_bias


@pytest.mark.parametrize("classes", [0, 2, 11])
def test_the_gradient_is_that_of_torch_for_every_kind_of_unit(classes):
    child, encoded, targets = made(classes, units=160)
    structure = Structure.of(child)
    child = structure.unpack(shaken(structure).astype(np.float32))
    structure, u = Structure.of(child), child.units
    arrays = [u.dense_weight, u.dense_bias, u.sparse_weight, u.sparse_bias, u.leaf_slope, u.leaf_bias]
    tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in [*arrays, child.head_weight, child.head_bias]]
    scores = torch_scores(child, torch.tensor(encoded, dtype=torch.float64), tensors)
    aims = torch.tensor(targets, dtype=torch.float64)
    reference = torch.nn.functional
    (reference.cross_entropy(scores, aims.argmax(1)) if classes else reference.mse_loss(scores, aims)).backward()
    dense, dense_bias, sparse, sparse_bias, slope, leaf_bias, head, head_bias = (t.grad.numpy() for t in tensors)
    reads, steps = (u.sparse_weight != 0).any(1), (u.leaf_slope != 0).any(1)
    expected = [
        dense.ravel(),
        dense_bias,
        sparse[u.sparse_weight != 0],
        slope[u.leaf_slope != 0],
        sparse_bias[reads],
        leaf_bias[steps],
        head.ravel(),
        head_bias,
    ]
    found = structure.gradient(structure.pack().astype(np.float64), encoded.astype(np.float64), targets.astype(np.float64))
    pieces = np.split(found, structure.cuts)
    weights, biases = int((u.sparse_weight != 0).sum()), int(reads.sum())
    pieces = [*pieces[:2], pieces[2][:weights], pieces[2][weights:], pieces[3][:biases], pieces[3][biases:], *pieces[4:]]
    for name, piece, reference in zip(("dense", "", "sparse", "leaf", "", "steps", "head", ""), pieces, expected):
        assert np.abs(reference).max() > 0, name
        assert np.abs(piece - reference).max() < 1e-9 * max(1.0, np.abs(reference).max()), name


def test_a_column_that_stands_twice_in_a_group_gets_its_gradient_in_each_place():
    child, encoded, targets = made(2)
    u = child.units
    u.sparse_column[0, 1] = u.sparse_column[0, 0]
    u.sparse_weight[0, :2, 0] = 0.3, 0.4
    structure = Structure.of(child)
    assert np.abs(structure.scores(structure.pack(), encoded) - child.scores(encoded)).max() < 1e-5
    vector, aims = structure.pack().astype(np.float64), targets.astype(np.float64)
    at = int(structure.cuts[1]) + int(np.flatnonzero(np.flatnonzero(u.sparse_weight.ravel()) == 0)[0])
    step = np.zeros_like(vector)
    step[at] = 1e-6
    rows = encoded.astype(np.float64)
    slope = (loss_of(structure, vector + step, rows, aims) - loss_of(structure, vector - step, rows, aims)) / 2e-6
    assert abs(structure.gradient(vector, rows, aims)[at] - slope) < 1e-8


@pytest.mark.parametrize("classes", [0, 3])
def test_zeros_stay_zero_and_steps_that_are_off_stay_off(classes):
    child, encoded, targets = made(classes, units=80)
    after = finetune(random_child(child, encoded, np.random.default_rng(1)), encoded, targets, 60, 0, 200, None, FAST).child
    u, v = child.units, after.units
    off = (u.leaf_slope == 0).all(1)
    assert off.any()
    assert np.all(u.leaf_bias[off] == OFF)
    assert np.array_equal(v.leaf_bias[off], u.leaf_bias[off])
    for name in ("sparse_weight", "leaf_slope"):
        assert np.array_equal(getattr(v, name) == 0, getattr(u, name) == 0)
    assert np.array_equal(u.leaf_offset, v.leaf_offset)
    assert after.encoder is child.encoder


def test_everything_else_moves():
    child, encoded, targets = made(3, units=80)
    found = finetune(child, encoded, targets, 60, 0, 100, None, FAST)
    assert not found.kept
    u, v = child.units, found.child.units
    for name in ("dense_weight", "dense_bias", "sparse_weight", "sparse_bias", "leaf_slope", "leaf_bias"):
        assert not np.array_equal(getattr(u, name), getattr(v, name)), name
    assert not np.array_equal(child.head_weight, found.child.head_weight)
    assert not np.array_equal(child.head_bias, found.child.head_bias)
    assert {a.dtype for a in numbers_of(found.child)} == {np.dtype(np.float32), np.dtype(np.int32)}


@pytest.mark.parametrize("classes", [0, 2, 11])
def test_random_weights_learn(classes):
    child, encoded, targets = made(classes, rows=600, units=80)
    start = random_child(child, encoded, np.random.default_rng(1))
    found = finetune(start, encoded, targets, 60, 0, 600, None, RANDOM)
    assert found.before == pytest.approx(losses(start, encoded, targets), rel=1e-4)
    knows_labels_alone = np.log(classes) if classes else 1.0
    assert found.after < 0.95 * knows_labels_alone
    assert losses(found.child, encoded, targets) < 0.95 * knows_labels_alone
    assert np.isfinite(found.child.scores(encoded)).all()


@pytest.mark.parametrize("classes", [0, 2, 11])
@pytest.mark.parametrize("descent", [module.GENERATED, FAST, Descent(1.0, 0.0, 16)])
def test_never_worse_on_the_held_out_rows_than_before(classes, descent):
    encoder, encoded, targets = labelled(classes)
    child = generated(encoder, encoded, targets)

    def remake(rows):
        return generated(encoder, encoded[rows], targets[rows])

    found = finetune(child, encoded, targets, 60, 0, 60, remake, descent)
    assert found.after <= found.before
    assert found.kept == (found.steps == 0)
    assert same(found.child, child) == found.kept
    assert np.isfinite(found.child.scores(encoded)).all()


def test_a_child_at_its_optimum_is_kept():
    """Least squares on rows that a plane fits exactly: there is nothing to gain."""
    encoder, encoded, _ = labelled(0)
    weight = np.random.default_rng(3).normal(size=(encoded.shape[1], 1)).astype(np.float32)
    child = Child(encoder, Units.none(encoder.width), weight, np.zeros(1, np.float32), ())
    found = finetune(child, encoded, encoded @ weight, 60, 0, 100, None, FAST)
    assert found.kept
    assert found.child is child
    assert found.after == found.before


def test_the_linear_model_is_fine_tuned_too():
    child, encoded, targets = made(3, units=0)
    assert child.units.count == 0
    start = random_child(child, encoded, np.random.default_rng(0))
    found = finetune(start, encoded, targets, 60, 0, 100, None, FAST)
    assert not found.kept
    assert found.after < found.before


def test_the_search_starts_from_a_child_that_has_not_seen_the_held_out_rows():
    child, encoded, targets = made(2)
    asked = []

    def remake(rows):
        asked.append(rows)
        return child

    finetune(child, encoded, targets, 60, 0, 20, remake)
    (rows,) = asked
    assert np.array_equal(rows, np.flatnonzero(split_folds(targets, np.random.default_rng(0)) != 0))


@pytest.mark.parametrize("classes", [0, 3])
def test_unseen_rows_judge_instead_of_a_fifth_and_what_ships_is_what_they_judged(classes):
    child, encoded, targets = made(classes, rows=400)
    start = random_child(child, encoded, np.random.default_rng(0))
    fit, asked = (encoded[:300], targets[:300]), (encoded[300:], targets[300:])
    found = finetune(start, *fit, 60, 0, 200, None, FAST, asked)
    assert not found.kept
    standard = Standard(0.0, 1.0) if classes else Standard.of(targets[:300, 0].astype(np.float64))
    aims = asked[1] if classes else standard.targets(asked[1][:, 0].astype(np.float64))
    for model, loss in ((start, found.before), (found.child, found.after)):
        scores = (model.scores(asked[0]) - np.float32(standard.mean)) / np.float32(standard.deviation)
        assert row_losses(scores, aims).mean() == pytest.approx(loss, rel=1e-4)


def test_more_pull_stays_nearer_to_the_start():
    child, encoded, targets = made(3)
    start = random_child(child, encoded, np.random.default_rng(0))
    moved = []
    for pull in (0.0, 10.0, 100.0):
        after = finetune(start, encoded, targets, 60, 0, 300, None, Descent(1e-3, pull, 32)).child
        moved.append(max(np.abs(a - b).max() for a, b in zip(numbers_of(after), numbers_of(start))))
    assert moved[0] > moved[1] > moved[2] > 0
    assert moved[2] < 1.1 / 100


def test_the_seed_and_the_steps_say_it_all():
    child, encoded, targets = made(2)
    start = random_child(child, encoded, np.random.default_rng(0))
    one, two, other = (finetune(start, encoded, targets, 60, seed, 60, None, FAST) for seed in (0, 0, 1))
    assert same(one.child, two.child)
    assert (one.before, one.after, one.steps) == (two.before, two.after, two.steps)
    assert not same(one.child, other.child)
    assert same(start, random_child(child, encoded, np.random.default_rng(0)))


class Clock:
    """A clock that goes on by one second whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


def test_the_budget_is_kept(monkeypatch):
    """Every step looks at the clock, and looking takes a second here: so does a step."""
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", clock)
    child, encoded, targets = made(2)
    start = random_child(child, encoded, np.random.default_rng(0))
    found = finetune(start, encoded, targets, 300, 0, None, None, FAST)
    assert 0 < found.steps < 300
    assert clock.now <= 300 + 2


def test_no_time_changes_nothing():
    child, encoded, targets = made(2)
    for seconds in (0, -1, 1e-9):
        found = finetune(child, encoded, targets, seconds, 0)
        assert found.kept
        assert np.isnan(found.after), "nothing was judged"
        assert found.to_json()["after"] is None
        assert found.child is child
        assert found.steps == 0


def test_targets_of_a_regression_are_in_the_childs_own_unit():
    child, encoded, targets = made(0)
    found = finetune(random_child(child, encoded, np.random.default_rng(0)), encoded, targets, 60, 0, 400, None, RANDOM)
    error = ((found.child.scores(encoded) - targets) ** 2).mean()
    assert error < 0.6 * targets.var()
    moved = finetune(child, encoded, targets * 1e4, 60, 0, 20, None)
    assert np.isfinite(moved.child.scores(encoded)).all()


@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (2, 2), (3, 3), (7, 7), (12, 11), (30, 2)])
def test_tables_of_few_rows_do_not_fail(rows, classes):
    encoder, encoded, _ = labelled(2, max(rows, 40))
    child = generated(encoder, encoded, np.eye(classes, dtype=np.float32)[np.arange(len(encoded)) % classes])
    few = np.eye(classes, dtype=np.float32)[np.arange(rows) % classes]
    found = finetune(child, encoded[:rows], few, 60, 0, 40, None, FAST)
    assert np.isfinite(found.child.scores(encoded)).all()
    assert found.kept or found.after < found.before


def test_a_class_with_a_single_row_does_not_fail():
    encoder, encoded, targets = labelled(2)
    targets = np.concatenate([targets, np.zeros((len(targets), 1), np.float32)], axis=1)
    targets[5] = 0, 0, 1
    for seed in range(3):
        found = finetune(generated(encoder, encoded, targets), encoded, targets, 60, seed, 40, None, FAST)
        assert np.isfinite(found.child.scores(encoded)).all()


def test_wild_steps_give_no_nan():
    child, encoded, targets = made(2)
    found = finetune(child, encoded * 1e3, targets, 60, 0, 60, None, Descent(1e3, 0.0, 8))
    assert all(np.isfinite(a).all() for a in numbers_of(found.child))


def test_random_children_know_nothing_but_the_shapes():
    child, encoded, _ = made(3, units=160)
    drawn = random_child(child, encoded, np.random.default_rng(0))
    for a, b in zip(numbers_of(child), numbers_of(drawn)):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
    assert drawn.units.counts == child.units.counts
    hidden = drawn.units.activate(encoded)
    assert (hidden.std(0) > 0).mean() > 0.95  # the units live
    assert not np.array_equal(drawn.units.sparse_column, child.units.sparse_column)
    assert drawn.head_weight.var() == pytest.approx(2 / (len(child.head_weight) + 3), rel=0.2)
