"""The trained corrector in numpy says what torch's says, and corrects no row by its own label."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch  # noqa: TID251 - the reference
from safetensors import safe_open
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.parameters.cells import SLOTS
from modelgpt_edge.parameters.correction import correct
from modelgpt_edge.parameters.corrector import CLASSES, FORMAT, SHIPPED, Corrector
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.floor import emit_floor
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.likelihood import smoothed_loss
from modelgpt_edge.parameters.prepare import Prepared, classification_targets, encode
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.request import Request
from modelgpt_edge.table_pipeline import understand
from modelgpt_edge.training import corrector as trained
from modelgpt_edge.training.checkpoint import export, save_checkpoint
from modelgpt_edge.training.learner import Learner
from modelgpt_edge.training.shards import Recipe

TINY = trained.Architecture(width=16, layers=2, heads=2, hidden=32)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)
    with threadpool_limits(1, "blas"):
        yield


def loud(seed: int = 0) -> trained.Corrector:
    """A torch corrector whose every parameter says something."""
    torch.manual_seed(seed)
    model = trained.Corrector(TINY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def in_numpy(model: trained.Corrector) -> Corrector:
    return Corrector({name: p.detach().numpy() for name, p in model.named_parameters()}, TINY.heads)


def inputs(rows: int, context: int, columns: int, classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns, SLOTS)).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(rows) % classes]
    scores = np.zeros((rows, CLASSES), np.float32)
    scores[:, :classes] = rng.normal(size=(rows, classes)) * 3
    labels[context:] = 0
    return values, labels, scores


@pytest.mark.parametrize(
    ("rows", "context", "columns", "classes"), [(40, 25, 6, 3), (30, 12, 5, 10), (9, 8, 1, 2), (20, 2, 3, 2)]
)
def test_numpy_says_what_torch_says(rows, context, columns, classes):
    model = loud()
    values, labels, scores = inputs(rows, context, columns, classes)
    with torch.no_grad():
        expected = model(*(torch.from_numpy(a)[None] for a in (values, labels, scores)), context)[0].numpy()
    found = in_numpy(model).forward(values, labels, scores, context)
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_an_exported_training_is_read_as_it_was(tmp_path):
    learner = Learner(TINY, 0, torch.device("cpu"))
    save_checkpoint(learner, Recipe(), tmp_path / "c.safetensors")
    export(tmp_path / "c.safetensors", tmp_path / "corrector.safetensors")
    read = Corrector.read(tmp_path / "corrector.safetensors")
    assert read.heads == 2
    assert set(read.weights) == {name for name, _ in learner.model.named_parameters()}
    for name, parameter in learner.model.named_parameters():
        assert np.array_equal(read.weights[name], parameter.detach().numpy().astype(np.float16).astype(np.float32))
    values, labels, scores = inputs(30, 20, 4, 3)
    assert not read.forward(values, labels, scores, 20).any(), "an untrained corrector is the floor"


@pytest.mark.parametrize("damage", ["missing", "cut", "another format"])
def test_a_damaged_file_is_an_error_with_a_cure(tmp_path, damage):
    path = tmp_path / "corrector.safetensors"
    if damage != "missing":
        facts = {"format": FORMAT if damage == "cut" else "x", "architecture": str(asdict(TINY))}
        save_file({"a": np.zeros(100, np.float32)}, path, facts)
        content = path.read_bytes()
        path.write_bytes(content[:60] if damage == "cut" else content)
    with pytest.raises(PackageError, match="trained generator can't be read"):
        Corrector.read(path)


def test_corrections_are_means_over_orders_of_columns_and_classes():
    corrector = in_numpy(loud())
    values, labels, scores = inputs(30, 20, 4, 3)
    values[..., 4:] = 0
    labels, scores = labels[:20, :3], scores[:, :3]
    found = [corrector.corrections(values, labels, scores, np.random.default_rng(seed)) for seed in range(400)]
    # Classes or columns in another order are corrected alike, but for the orders that happen to be drawn.
    turned = [
        corrector.corrections(values[:, ::-1], labels[:, ::-1], scores[:, ::-1], np.random.default_rng(1000 + seed))[:, ::-1]
        for seed in range(400)
    ]
    assert found[0].shape == (10, 3)
    spread = np.std(found, axis=0) + np.std(turned, axis=0)
    assert (spread > 0.01).all()
    assert (np.abs(np.mean(found, axis=0) - np.mean(turned, axis=0)) < 5 * spread / np.sqrt(400)).all()


@pytest.fixture(scope="module")
def table(one_thread):
    rng = np.random.default_rng(3)
    numbers = {f"n{i}": rng.normal(size=160).astype(np.float32) for i in range(3)}
    words = {"w": rng.choice(["a", "b", "c"], 160).astype(object)}
    labels = ((numbers["n0"] > 0) + 2 * (words["w"] == "a")).astype(np.int32)
    encoder = fit_encoder(numbers, [], words)
    encoded = encoder.encode(*encoder.pack(numbers, words, 160))
    targets = classification_targets(labels, 4)
    ready = Prepared(encoder, encoded, relevance(encoded, targets))
    wide = emit_floor(ready, targets, Widths().scaled(40), 1, rng)
    return ready, targets, Match.of(wide, ready, rng)


def test_corrections_join_the_scores_of_every_row(table):
    ready, targets, match = table
    corrected = correct(match, in_numpy(loud()), ready, targets, (), np.random.default_rng(0))
    change = corrected.scores - match.scores
    assert (np.abs(change).max((0, 2)) > 1e-3).all()
    np.testing.assert_allclose(change[0], change[1], atol=1e-5)


def test_no_row_is_corrected_by_its_own_label(table):
    ready, targets, match = table
    flipped = targets.copy()
    flipped[7] = np.roll(flipped[7], 1)
    corrector = in_numpy(loud())
    one = correct(match, corrector, ready, targets, (), np.random.default_rng(0)).scores
    other = correct(match, corrector, ready, flipped, (), np.random.default_rng(0)).scores
    assert np.array_equal(one[:, 7], other[:, 7])
    assert (np.abs(one - other).max((0, 2)) > 1e-6).mean() > 0.5


def test_named_columns_matter_to_the_corrector(table):
    ready, targets, match = table
    corrector = in_numpy(loud())
    plain = correct(match, corrector, ready, targets, (), np.random.default_rng(0)).scores
    named = correct(match, corrector, ready, targets, ("n1",), np.random.default_rng(0)).scores
    assert np.abs(plain - named).max() > 1e-3


def test_of_a_wide_table_the_most_relevant_columns_are_read(table, monkeypatch):
    ready, targets, match = table
    monkeypatch.setattr("modelgpt_edge.parameters.correction.COLUMNS", 2)
    weight = np.where(np.isin(ready.encoder.owners(), ["n2", "w"]), 0.9, 0.01).astype(np.float32)
    monkeypatch.setattr("modelgpt_edge.parameters.correction.relevance", lambda encoded, labels: weight)
    corrector = in_numpy(loud())
    scores = [
        correct(match, corrector, ready, targets, named, np.random.default_rng(0)).scores for named in ((), ("n0",), ("n2",))
    ]
    assert np.array_equal(scores[0], scores[1]), "n0 isn't read"
    assert not np.array_equal(scores[0], scores[2])


def table_of():
    rng = np.random.default_rng(3)
    rows = [{"a": f"{x:.3f}", "b": f"{y:.3f}", "y": f"k{int(x * 1.9) % 4}"} for x, y in rng.uniform(0, 4, (160, 2))]
    return understand(Request("predict y from a", rows, "y", "classification", None, ("x86",), 0)).table


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """A loud corrector in the place of the shipped one."""
    path = tmp_path / "corrector.safetensors"
    facts = {"format": FORMAT, "architecture": json.dumps(asdict(TINY))}
    save_file({name: p.detach().numpy() for name, p in loud().named_parameters()}, path, facts)
    monkeypatch.setattr("modelgpt_edge.parameters.emissions.SHIPPED", path)


def test_the_trained_generator_competes_and_ships_where_it_is_asked_for(shipped):
    table = table_of()
    floor, made = (generate(table, (40,), 1, 0, generator=name) for name in ("floor", "trained"))
    assert (floor.generator, made.generator) == ("floor", "trained")
    assert set(floor.losses) == {"floor", "linear"}
    assert set(made.losses) == {"floor", "linear", "trained"}
    assert floor.child.units.count == made.child.units.count == 40
    encoded = encode(floor.child.encoder, table.sample)
    assert np.abs(floor.child.scores(encoded) - made.child.scores(encoded)).max() > 0.1
    # A corrector of random weights does harm, and the held-out rows say so.
    assert made.losses["trained"] > made.losses["floor"]
    assert made.losses["trained"] == pytest.approx(smoothed_loss(made.held_out, np.asarray(made.truth)))
    assert made.losses["floor"] == floor.losses["floor"]


@pytest.mark.parametrize("labels", ["amounts", "eleven classes"])
def test_tables_that_the_trained_generator_does_not_know_are_refused(labels):
    rows = [{"a": str(i % 7), "y": str(i * 1.5) if labels == "amounts" else f"k{i % 11}"} for i in range(120)]
    kind = "regression" if labels == "amounts" else "classification"
    table = understand(Request("predict y", rows, "y", kind, None, ("x86",), 0)).table
    with pytest.raises(InputError, match="2 to 10 classes"):
        generate(table, (40,), 1, 0, generator="trained")


def test_the_shipped_generator_is_read_and_says_what_it_was_trained_on():
    corrector = Corrector.read(SHIPPED)
    assert corrector.heads == trained.Architecture().heads
    assert SHIPPED.stat().st_size < 16 << 20
    with safe_open(SHIPPED, framework="np") as file:
        facts = file.metadata()
    assert int(facts["tables_seen"]) > 0
    assert "seed" in facts
    assert "data" in facts
