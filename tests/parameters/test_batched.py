"""Batched heads against refits in float64, scikit-learn, and what the host emits table by table."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch  # noqa: TID251 - what is tested runs in torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression, Ridge

from modelgpt_edge.child import Units
from modelgpt_edge.kernels.gram import GramSums, add_rows
from modelgpt_edge.parameters import batched, batched_launch, ridge
from modelgpt_edge.parameters.batched import Drawn, solve_batch
from modelgpt_edge.parameters.batched_logistic import solve_logistic
from modelgpt_edge.parameters.batched_ridge import Problems, inverse_factor, leave_one_out, smoothed_losses, temperatures
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.floor import Emission, emit_floor, emit_linear, fuse, group_scale
from modelgpt_edge.parameters.logistic import PENALTY
from modelgpt_edge.parameters.logistic import solve_logistic as solve_on_host
from modelgpt_edge.parameters.prepare import Prepared, Standard
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.units import Widths, draw_units

CPU = torch.device("cpu")
WIDTHS = Widths(sparse=16, dense=6, pair=10, leaf=8)
DRAWS = 2
# Rows, columns, classes: fewer rows than features and more, odd sizes, of one launch and of different ones.
SIZES = [(50, 3, 2), (56, 6, 2), (64, 5, 2), (90, 3, 3), (200, 7, 3), (45, 20, 1), (150, 4, 1), (64, 4, 2), (60, 2, 2)]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Threads that spin for one another make small products many times slower where processes share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def table_of(rows, columns, outputs, seed=0, constant=(), strength=1.0):
    """A prepared table and its targets: one-hot classes, or standardised values of one output."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    x[:, list(constant)] = 1
    said = strength * x @ rng.normal(size=(columns, outputs)) + np.sin(3 * x[:, :1]) + rng.gumbel(size=(rows, outputs))
    if outputs == 1:
        targets = Standard.of(said[:, 0]).targets(said[:, 0])
    else:
        truth = said.argmax(1)
        truth[:outputs] = np.arange(outputs)[:rows]
        targets = np.eye(outputs, dtype=np.float32)[truth]
    encoder = fit_encoder({f"c{c}": x[:, c] for c in range(columns)}, [], {})
    encoded = encoder.encode(x, np.zeros((rows, 0), np.int32))
    return Prepared(encoder, encoded, relevance(encoded, targets)), targets


def emit_batch(tables, widths, draws, seeds, device):
    """Units drawn as the host draws them, and the heads that are solved for all tables at once."""
    units = [
        draw_units(r.encoded, y, r.relevance, widths, draws, np.random.default_rng(seed))
        if draws
        else Units.none(r.encoded.shape[1])
        for (r, y), seed in zip(tables, seeds)
    ]
    each = max(1, draws)
    drawn = [Drawn(r.encoded, y, tuple(u.part(d, each) for d in range(each))) for (r, y), u in zip(tables, units)]
    heads = solve_batch(drawn, widths, device)
    return [found and Emission(r.encoder, own, found) for (r, _), own, found in zip(tables, units, heads)]


def fresh(ready, rows=300):
    """Encoded rows that nobody has seen, spread as the table's own."""
    rng = np.random.default_rng(99)
    own = ready.encoded
    mixed = own[rng.integers(0, len(own), rows)] + 0.5 * rng.normal(size=(rows, own.shape[1])) * own.std(0)
    return mixed.astype(np.float32)


def same_bits(one, other):
    return all(np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias) for a, b in zip(one.heads, other.heads))


def log_loss(scores, targets):
    return -(targets * log_softmax(scores.astype(np.float64), axis=-1)).sum(-1).mean(-1)


@pytest.fixture(scope="module")
def tables():
    return [table_of(*size, seed=i) for i, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def emitted(tables):
    return emit_batch(tables, WIDTHS, DRAWS, range(len(tables)), CPU)


@pytest.fixture(scope="module")
def expected(tables):
    """What the host emits, one table after another."""
    return [emit_floor(r, y, WIDTHS, DRAWS, np.random.default_rng(i)) for i, (r, y) in enumerate(tables)]


def test_units_are_the_hosts_to_the_bit(emitted, expected):
    for got, wanted in zip(emitted, expected):
        assert got.encoder is wanted.encoder
        assert all(np.array_equal(getattr(got.units, f.name), getattr(wanted.units, f.name)) for f in fields(Units))


@pytest.mark.parametrize("place", range(len(SIZES)))
def test_heads_predict_what_the_hosts_do(tables, emitted, expected, place):
    ready, targets = tables[place]
    got, wanted = emitted[place], expected[place]
    rows = fresh(ready)
    mine, theirs = got.scores(rows), wanted.scores(rows)
    assert mine.shape == theirs.shape == (1 if targets.shape[1] == 1 else 2, len(rows), targets.shape[1])
    # The host's ridge is of a float32 spectrum, and its temperature is found to a thousandth.
    assert np.abs(mine[0] - theirs[0]).max() < 2e-3 * np.abs(theirs[0]).max()
    if targets.shape[1] > 1:
        # Both end within some 2e-5 nats a row of the least loss, where probabilities still differ in the third place, and in
        # the second where a row lies far from those that were given.
        apart = np.abs(softmax(mine[1], -1) - softmax(theirs[1], -1))
        assert apart.mean() < 2e-3
        assert apart.max() < 3e-2
        own = [emission.scores(ready.encoded) for emission in (got, wanted)]
        assert np.abs(softmax(own[0][1], -1) - softmax(own[1][1], -1)).max() < 5e-3
        assert np.abs(log_loss(own[0], targets) - log_loss(own[1], targets)).max() < 1e-3


def test_a_table_alone_and_in_any_batch_gives_the_same_bits(tables, emitted):
    for place, table in enumerate(tables):
        assert same_bits(emit_batch([table], WIDTHS, DRAWS, [place], CPU)[0], emitted[place])
    order = [4, 8, 0, 1, 7, 2]
    for place, got in zip(order, emit_batch([tables[p] for p in order], WIDTHS, DRAWS, order, CPU)):
        assert same_bits(got, emitted[place])


def test_sizes_that_share_a_launch_are_among_those_tested(tables):
    sizes = [batched_launch.Draw(0, r.encoded, y, Units.none(r.encoded.shape[1])).size for r, y in tables]
    shared = [s for s in sizes if sizes.count(s) > 1]
    assert shared
    assert len(set(sizes)) > 3


def test_every_launch_has_a_shape_that_follows_from_its_own_tables(tables, monkeypatch):
    """What is the same shape is the same kernel on a GPU too, where those for one matrix and for many differ."""
    shapes = set()
    whole = Problems.of_rows

    def noted(features, targets, mask):
        shapes.add((features.shape, targets.shape))
        return whole(features, targets, mask)

    monkeypatch.setattr(Problems, "of_rows", noted)
    emit_batch([tables[0]], WIDTHS, 1, [0], CPU)
    alone = set(shapes)
    emit_batch([tables[0], tables[2], tables[7]] * 3, WIDTHS, 2, range(9), CPU)
    assert shapes == alone
    assert len(alone) == 1
    emit_batch([tables[4]], WIDTHS, 1, [0], CPU)
    assert len(shapes) == 2


def test_a_launch_fits_into_a_small_gpu(monkeypatch):
    """How many draws share a launch follows from the device and their size, so it is the same in any company."""
    memory = {"cuda:0": 140 << 30, "cuda:1": 4 << 30}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda d: SimpleNamespace(total_memory=memory[str(d)]))
    size = batched_launch.Size(1024, 16, 2, (256, 256, 128), False)
    large, small = (size.slots(torch.device(name)) for name in memory)
    factors = 15 * size.features**2 * 8  # bytes, of all penalties
    assert 1 < small < large <= 64
    assert 4 * small * factors < memory["cuda:1"] / 2


def test_no_table_gives_nothing():
    assert emit_batch([], WIDTHS, DRAWS, [], CPU) == []


def test_more_tables_than_slots_keep_their_order(tables):
    many = [tables[0], tables[7]] * 4
    got = emit_batch(many, WIDTHS, 1, range(8), CPU)
    for seed, (table, emission) in enumerate(zip(many, got)):
        assert same_bits(emission, emit_batch([table], WIDTHS, 1, [seed], CPU)[0])
    assert not same_bits(got[0], got[2])


def test_without_draws_it_is_the_linear_model(tables):
    got = emit_batch(tables, WIDTHS, 0, range(len(tables)), CPU)
    for (ready, targets), emission in zip(tables, got):
        wanted = emit_linear(ready, targets)
        rows = fresh(ready)
        assert emission.units.count == 0
        mine, theirs = emission.scores(rows), wanted.scores(rows)
        assert np.abs(mine[0] - theirs[0]).max() < 2e-3 * np.abs(theirs[0]).max()
        assert np.abs(softmax(mine[-1], -1) - softmax(theirs[-1], -1)).max() < 1e-2


def test_a_child_is_fused_and_distilled_from_them(tables, emitted):
    ready, targets = tables[3]
    linear = emit_batch([tables[3]], WIDTHS, 0, [3], CPU)[0]
    weights = {"floor": np.array([0.4, 0.4], np.float32), "linear": np.array([0.1, 0.1], np.float32)}
    child = fuse({"floor": emitted[3], "linear": linear}, weights, Standard(0.0, 1.0), ("a", "b", "c"))
    rows = fresh(ready)
    wanted = 0.4 * emitted[3].scores(rows).sum(0) + 0.1 * linear.scores(rows).sum(0)
    assert np.abs(child.scores(rows) - wanted).max() < 1e-4
    small = Match.of(emitted[3], ready, np.random.default_rng(0)).distil(40)
    assert small.divergence < 0.05
    assert targets.shape[1] == small.emission.scores(rows).shape[2]


@pytest.mark.parametrize(("rows", "classes", "allowed"), [(2, 2, 1e-3), (50, 2, 1e-3), (230, 200, 3e-3)])
def test_few_rows_separable_ones_and_many_classes(rows, classes, allowed):
    """Losses stand where the host's do; of heads on a long flat tail, as for separable rows, no more can be said.

    Of 200 classes either solver stops a thousandth from where it would stop at last.
    """
    ready, targets = table_of(rows, 3, classes, strength=4.0)
    (emission,) = emit_batch([(ready, targets)], WIDTHS, 1, [0], CPU)
    wanted = emit_floor(ready, targets, WIDTHS, 1, np.random.default_rng(0))
    own, theirs = (log_loss(made.scores(ready.encoded), targets) for made in (emission, wanted))
    assert abs(own[0] - theirs[0]) < 1e-3
    assert abs(own[1] - theirs[1]) < allowed


def test_constant_columns_say_nothing():
    plain = table_of(60, 2, 2, seed=1)
    some, all_of_it = table_of(60, 4, 2, seed=1, constant=(1, 3)), table_of(60, 2, 2, seed=1, constant=(0, 1))
    one, mixed, none = emit_batch([plain, some, all_of_it], WIDTHS, 1, [0, 0, 0], CPU)
    assert np.isfinite(one.scores(fresh(plain[0]))).all()
    wanted = emit_floor(*some, WIDTHS, 1, np.random.default_rng(0))
    assert (
        np.abs(log_loss(mixed.scores(some[0].encoded), some[1]) - log_loss(wanted.scores(some[0].encoded), some[1])).max()
        < 1e-3
    )
    shares = softmax(none.scores(all_of_it[0].encoded)[1], -1)
    assert np.abs(shares - all_of_it[1].mean(0)).max() < 1e-3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # units of such rows overflow on the host
def test_a_table_whose_heads_overflow_has_none_and_spoils_no_others(tables):
    ready, targets = tables[0]
    huge = Prepared(ready.encoder, np.sign(ready.encoded) * np.float32(2e38), ready.relevance)
    good, bad = emit_batch([tables[0], (huge, targets)], WIDTHS, 1, [0, 1], CPU)
    assert bad is None
    assert same_bits(good, emit_batch([tables[0]], WIDTHS, 1, [0], CPU)[0])


# ---- the solvers

SHAPES = [
    pytest.param(14, 5, id="N>P"),
    pytest.param(12, 30, id="N<P"),
    pytest.param(9, 9, id="N=P"),
    pytest.param(4, 12, id="few"),
]


def problems_of(*cases):
    """Features and targets of several tables, rows padded to the most, as one set of problems."""
    most = max(len(f) for f, _ in cases)
    features, targets = (torch.zeros(len(cases), most, cases[0][k].shape[1], dtype=torch.float64) for k in (0, 1))
    mask = torch.zeros(len(cases), most, dtype=torch.float64)
    for s, (f, y) in enumerate(cases):
        features[s, : len(f)] = torch.from_numpy(f - f.mean(0))
        targets[s, : len(f)], mask[s, : len(f)] = torch.from_numpy(y), 1
    return Problems.of_rows(features, targets, mask)


def features_of(rows, width, outputs, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, outputs, rows)
    truth[:outputs] = np.arange(outputs)[:rows]
    y = rng.normal(size=(rows, 1)) if outputs == 1 else np.eye(outputs)[truth]
    return rng.normal(size=(rows, width)) * rng.uniform(0.2, 2, width) + truth[:, None] * (np.arange(width) < 2), y


@pytest.mark.parametrize(("rows", "width"), SHAPES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_leave_one_out_equals_refits(rows, width, outputs):
    cases = [features_of(rows, width, outputs, 0), features_of(rows - 2, width, outputs, 1)]
    problems = problems_of(*cases)
    ratios = ridge.RATIOS[::2]
    penalties = problems.total[:, None] * torch.from_numpy(ratios)
    solutions, predictions = leave_one_out(problems, penalties)
    for s, (features, targets) in enumerate(cases):
        for k, penalty in enumerate(penalties[s].tolist()):
            peer = Ridge(alpha=penalty, solver="svd")
            left = [np.arange(len(features)) != i for i in range(len(features))]
            refits = [peer.fit(features[keep], targets[keep]).predict(features[~keep]) for keep in left]
            wanted = np.reshape(refits, targets.shape)
            assert np.abs(predictions[s, k, : len(features)].numpy() - wanted).max() < 1e-9
            weight = problems.weights(problems.coordinates(solutions[:, k]))[s].numpy()
            wanted = peer.fit(features, targets).coef_.reshape(outputs, -1)
            assert np.abs(weight.T - wanted).max() < 1e-9 * np.abs(wanted).max()


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_temperatures_and_losses_are_least(scale):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, (2, 120))
    logits = scale * (np.eye(3)[truth] + rng.normal(size=(2, 120, 3)))
    mask = np.ones((2, 120))
    mask[1, 90:] = 0
    given = [torch.from_numpy(a) for a in (logits, np.eye(3)[truth] * mask[..., None], mask)]
    factors = temperatures(*given)
    losses = smoothed_losses(given[0] * factors[:, None, None], *given[1:])
    for s, rows in enumerate((120, 90)):

        def loss(log_factor, s=s, rows=rows):
            log_p = log_softmax(logits[s, :rows] * np.exp(log_factor), axis=1)
            return -((1 - 1 / rows) * log_p[np.arange(rows), truth[s, :rows]] + log_p.mean(1) / rows).mean()

        best = minimize_scalar(loss, bounds=(-4, 6), method="bounded", options={"xatol": 1e-9})
        assert losses[s].item() == pytest.approx(best.fun, abs=1e-9)
        assert np.log(factors[s].item()) == pytest.approx(best.x, abs=1e-4)


@pytest.mark.parametrize(("rows", "width", "classes"), [(80, 5, 2), (60, 40, 2), (150, 8, 4), (90, 60, 12)])
def test_logistic_heads_are_those_of_numpy_and_scikit_learn(rows, width, classes):
    cases = [features_of(rows, width, classes, 0), features_of(rows - 7, width, classes, 1)]
    problems = problems_of(*cases)
    penalty = torch.tensor([3.0, 1.0], dtype=torch.float64)
    start = torch.zeros(2, problems.rows.shape[2] + 1, classes, dtype=torch.float64)
    solved = solve_logistic(problems.rows, problems.targets, problems.mask, penalty, start)
    for s, (features, targets) in enumerate(cases):
        z = problems.rows[s, : len(features)].numpy()
        truth = targets.argmax(1)

        def objective(w, z=z, targets=targets, s=s):
            loss = -(targets * log_softmax(z @ w[:-1] + w[-1], axis=1)).sum()
            return loss + 0.5 * penalty[s].item() * (w[:-1] ** 2).sum()

        peer = LogisticRegression(C=(2 if classes == 2 else 1) / penalty[s].item(), tol=1e-10, max_iter=10_000).fit(
            features, truth
        )
        wanted = peer.predict_proba(features)
        w = solved[s].numpy()
        assert np.abs(softmax(z @ w[:-1] + w[-1], axis=1) - wanted).max() < 1e-2
        arrays = [a.astype(np.float32) for a in (z, targets, start[s].numpy())]
        host = solve_on_host(arrays[0], arrays[1], penalty[s].item(), arrays[2])
        assert objective(w) < objective(host.astype(np.float64)) + 2e-5 * len(z)


def test_a_solution_does_not_depend_on_how_long_others_take():
    slow, quick = features_of(60, 40, 3, 0), features_of(60, 40, 3, 1)
    penalty = torch.tensor([1e-3, 30.0], dtype=torch.float64)
    both, alike = problems_of(slow, quick), problems_of(quick, quick)
    start = torch.zeros(2, both.rows.shape[2] + 1, 3, dtype=torch.float64)
    mixed = solve_logistic(both.rows, both.targets, both.mask, penalty, start)
    alone = solve_logistic(alike.rows, alike.targets, alike.mask, penalty[[1, 1]], start)
    assert torch.equal(mixed[1], alone[1])


@pytest.mark.parametrize("size", [1, 31, 32, 33, 100])
def test_inverse_factors(size):
    rng = np.random.default_rng(size)
    x = rng.normal(size=(3, size, size + 2))
    matrices = x @ x.transpose(0, 2, 1)
    matrices[1] -= 2 * np.trace(matrices[1]) * np.eye(size)
    got = inverse_factor(torch.from_numpy(matrices)).numpy()
    for s in (0, 2):
        assert np.allclose(got[s], np.linalg.inv(np.linalg.cholesky(matrices[s])), rtol=1e-8, atol=1e-8)
    assert np.isnan(got[1]).any()


# ---- tables of more rows than are taken to the device


@pytest.fixture
def few_at_hand(monkeypatch):
    monkeypatch.setattr(batched_launch, "SAMPLE", 256)


def host_heads(ready, targets, units, sample):
    """Scores of the streamed form in numpy: sums over all rows, a sample's loss raised to that of all rows."""
    unscaled = np.concatenate([ready.encoded, units.activate(ready.encoded)], axis=1)
    scale = group_scale(unscaled, units, WIDTHS.dense)
    sums = GramSums.zeros(len(scale), targets.shape[1])
    add_rows(sums, unscaled * scale, targets, lambda rows: rows)
    problem = ridge.decompose_sums(sums, unscaled[sample] * scale, targets[sample])
    if targets.shape[1] == 1:
        head = ridge.regression_head(problem)
        found = [(head.coordinates, head.offset)]
    else:
        head = ridge.classification_head(problem)
        first = np.concatenate([head.coordinates, head.offset[None]])
        share = PENALTY * head.penalty * len(sample) / len(targets)
        w = solve_on_host(problem.left * problem.values, problem.targets, share, first, tolerance=1e-7)
        found = [(head.coordinates, head.offset), (w[:-1], w[-1])]
    pairs = [problem.weights(*solution) for solution in found]
    return np.stack([unscaled @ (w * scale[:, None]) + b for w, b in pairs])


@pytest.fixture(params=[0, 1e-7], ids=["exact", "float32"])
def _sums(request, monkeypatch):
    """Gram sums as they are on the CPU, and with errors as a GPU's float32 has."""
    whole = batched.gram

    def rounded(*given):
        made = whole(*given)
        for matrix in made.matrix:
            error = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0), dtype=matrix.dtype)
            matrix *= 1 + request.param * (error + error.T)
        return made

    monkeypatch.setattr(batched, "gram", rounded)


@pytest.mark.usefixtures("few_at_hand", "_sums")
def test_long_tables_are_summed_over_all_rows():
    tables = [table_of(700, 3, 2), table_of(100, 3, 2), table_of(300, 4, 1, seed=1), table_of(650, 5, 3, seed=2)]
    got = emit_batch(tables, WIDTHS, 2, range(4), CPU)
    for place in (0, 2, 3):
        ready, targets = tables[place]
        draws = [batched_launch.Draw(place, ready.encoded, targets, got[place].units.part(d, 2)) for d in range(2)]
        rows, _ = draws[0].at_hand()
        sample = [int(np.flatnonzero((ready.encoded == row).all(1))[0]) for row in rows]
        assert len(set(sample)) == 256
        wanted = np.mean([host_heads(ready, targets, draw.units, sample) for draw in draws], axis=0)
        mine = got[place].scores(ready.encoded)
        assert np.abs(mine[0] - wanted[0]).max() < 5e-3 * np.abs(wanted[0]).max()
        if len(mine) > 1:
            apart = np.abs(softmax(mine[1], -1) - softmax(wanted[1], -1))
            assert apart.mean() < 2e-3
            assert apart.max() < 5e-2
    for place, table in enumerate(tables):
        assert same_bits(emit_batch([table], WIDTHS, 2, [place], CPU)[0], got[place])


@pytest.mark.usefixtures("few_at_hand", "_sums")
@pytest.mark.parametrize("seed", range(4))
def test_long_tables_of_constants_say_nothing(seed):
    """A constant that isn't nil leaves no variance, and of sums in float32 but their errors."""
    ready, targets = table_of(400, 2, 2)
    values = np.random.default_rng(seed).uniform(1, 4, ready.encoded.shape[1]).astype(np.float32)
    constant = Prepared(ready.encoder, np.tile(values, (400, 1)), ready.relevance)
    (emission,) = emit_batch([(constant, targets)], WIDTHS, 1, [seed], CPU)
    shares = softmax(emission.scores(constant.encoded), -1)
    assert np.abs(shares[1] - targets.mean(0)).max() < 0.1
