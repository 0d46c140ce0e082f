"""The corrector: begins as the floor, reads the context alone, and learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model
from threadpoolctl import threadpool_limits

from modelgpt_edge.parameters.cells import NAMED
from modelgpt_edge.training.batches import Batch, losses
from modelgpt_edge.training.corrector import ABSENT, Architecture, Corrector
from modelgpt_edge.training.learner import Learner
from modelgpt_edge.training.ranks import Ranks
from modelgpt_edge.training.shards import Recipe, draw_shard

TINY = Architecture(width=16, layers=2, heads=2, hidden=32)
CPU = torch.device("cpu")
ALONE = Ranks(0, 1, CPU)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def batch(one_thread) -> Batch:
    return Batch.of(draw_shard(Recipe(rows=40, columns=5, tables=3), 1), CPU)


@pytest.fixture(scope="module")
def model(batch) -> Corrector:
    """One whose every parameter says something, the last layer's too."""
    torch.manual_seed(0)
    model = Corrector(TINY)
    torch.nn.init.normal_(model.correction.weight)
    return model


def _corrections(model: Corrector, batch: Batch, **changed: torch.Tensor) -> torch.Tensor:
    given = {"cells": batch.cells, "labels": batch.labels, "scores": batch.scores, **changed}
    with torch.no_grad():
        return model(given["cells"], given["labels"], given["scores"], batch.context)


def test_step_zero_is_exactly_the_floor(batch):
    model = Learner(TINY, 0, CPU).model
    assert torch.equal(_corrections(model, batch), torch.zeros_like(batch.scores[:, batch.context :]))
    loss, floor = losses(model, batch)
    assert loss.item() == floor.item()


def test_the_floor_s_loss_is_the_log_loss_of_the_scores(batch):
    _, floor = losses(Corrector(TINY), batch)
    expected = []
    for labels, scores in zip(batch.labels.double().numpy(), batch.scores.double().numpy()):
        known = labels[: batch.context].any(0)
        chances = np.exp(scores[batch.context :, known])
        chances /= chances.sum(1, keepdims=True)
        expected.append(-np.log((chances * labels[batch.context :, known]).sum(1)))
    assert floor.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_query_row_changes_no_other_row(model, batch):
    before, row = _corrections(model, batch), batch.context + 3
    cells, scores = batch.cells.clone(), batch.scores.clone()
    cells[:, row] += 2
    scores[:, row] = -scores[:, row] + 1
    after = _corrections(model, batch, cells=cells, scores=scores)
    others = torch.arange(before.shape[1]) != 3
    assert (after[:, others] - before[:, others]).abs().max() < 1e-6
    assert (after[:, 3] - before[:, 3]).abs().max() > 1e-2


def test_labels_of_query_rows_are_not_read(model, batch):
    labels = batch.labels.clone()
    labels[:, batch.context :] = torch.eye(10)[(torch.arange(labels.shape[1] - batch.context) * 7) % 10]
    assert not torch.equal(labels, batch.labels)
    assert torch.equal(_corrections(model, batch, labels=labels), _corrections(model, batch))


def test_a_label_of_a_context_row_is_read(model, batch):
    labels = batch.labels.clone()
    labels[:, 0] = labels[:, 0].roll(1, dims=-1)
    assert (_corrections(model, batch, labels=labels) - _corrections(model, batch)).abs().max() > 1e-4


def test_the_order_of_context_rows_means_nothing(model, batch):
    order = torch.cat([torch.randperm(batch.context), torch.arange(batch.context, batch.cells.shape[1])])
    shuffled = {"cells": batch.cells[:, order], "labels": batch.labels[:, order], "scores": batch.scores[:, order]}
    torch.testing.assert_close(_corrections(model, batch, **shuffled), _corrections(model, batch), rtol=0, atol=1e-5)


def test_tables_of_a_batch_do_not_mix(model, batch):
    alone = next(batch.parts(1))
    torch.testing.assert_close(_corrections(model, alone)[0], _corrections(model, batch)[0], rtol=0, atol=1e-5)


def test_classes_that_a_table_has_not_stay_impossible(model, batch):
    absent = ~batch.labels[:, : batch.context].bool().any(1, keepdim=True)
    assert absent.any()
    correction = _corrections(model, batch)
    assert correction.masked_select(absent).abs().max() == 0
    floor = batch.scores[:, batch.context :].masked_fill(absent, ABSENT)
    assert (floor + correction).softmax(-1).masked_select(absent).max() == 0


def test_random_orders_keep_every_table(batch):
    shard = draw_shard(Recipe(rows=40, columns=5, tables=3), 1)
    mixed = Batch.of(shard, CPU, np.random.default_rng(0))
    assert not torch.equal(mixed.labels, batch.labels)
    shown = mixed.cells[..., NAMED].flatten(1).any(1)
    assert batch.cells[..., NAMED].flatten(1).any(1).all()
    assert 0 < shown.sum() < len(shown), "some requirements are dropped, whole"
    cells = batch.cells.clone()
    cells[~shown, :, :, NAMED] = 0
    for one, other in ((cells, mixed.cells), (batch.labels, mixed.labels), (batch.scores, mixed.scores)):
        torch.testing.assert_close(other.flatten(2).sort(-1)[0], one.flatten(2).sort(-1)[0], rtol=0, atol=0)
    assert losses(Corrector(TINY), mixed)[1].item() == pytest.approx(losses(Corrector(TINY), batch)[1].item(), rel=1e-6)


def test_a_few_dozen_steps_on_a_shard_beat_the_floor_on_it(batch):
    learner = Learner(TINY, 0, CPU)
    taken = [learner.learn(batch, ALONE, lambda: False) for _ in range(60)]
    assert all(step is not None for step in taken)
    assert taken[0].loss == taken[0].floor
    assert taken[-1].loss < taken[-1].floor - 0.02


def test_tables_gone_through_a_few_at_a_time_give_the_same_gradient(batch, monkeypatch):
    gradients = []
    for tables in (1, 3):
        monkeypatch.setattr("modelgpt_edge.training.learner.CPU_TABLES", tables)
        monkeypatch.setattr("modelgpt_edge.training.learner.Learner._update", lambda self: None)
        learner = Learner(TINY, 0, CPU)
        torch.nn.init.normal_(learner.model.correction.weight, generator=torch.Generator().manual_seed(0))
        learner.learn(batch, ALONE, lambda: False)
        gradients.append(torch.cat([p.grad.flatten() for p in learner.model.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_bfloat16_products_give_nearly_the_same_corrections(model, batch):
    with torch.autocast("cpu", torch.bfloat16):
        rough = losses(model, batch)
    exact = losses(model, batch)
    assert rough[0].item() != exact[0].item()
    assert rough[0].item() == pytest.approx(exact[0].item(), rel=0.02)
    assert rough[1].item() == exact[1].item()
