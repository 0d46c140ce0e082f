"""Training in legs: resumed as if never stopped, safe from damage, interrupts, full disks and losses that are no numbers."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import safe_open
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits

from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.training import learner
from modelgpt_edge.training.checkpoint import export, load_checkpoint
from modelgpt_edge.training.corrector import Architecture
from modelgpt_edge.training.shards import Recipe, shard_path, write_shard
from modelgpt_edge.training.stopping import Stop
from modelgpt_edge.training.train import SHARDS, train_tabular

TINY = Architecture(width=16, layers=1, heads=2, hidden=32)
RECIPE = Recipe(seed=3, rows=24, columns=3, tables=2)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, one_thread) -> Path:
    """Shards enough for every leg here, so that no process need draw more."""
    folder = tmp_path_factory.mktemp("drawn") / SHARDS
    folder.mkdir()
    for number in range(7):
        write_shard(folder, RECIPE, number)
    return folder


@pytest.fixture
def folder(drawn, tmp_path) -> Path:
    shutil.copytree(drawn, tmp_path / "training" / SHARDS)
    return tmp_path / "training"


@pytest.fixture
def train(monkeypatch):
    """Trains a folder for a number of steps in one leg; time is told by steps."""

    def run(folder: Path, steps: int):
        left = iter([*[False] * (steps - 1), True])
        monkeypatch.setattr(Stop, "late", lambda self: next(left))
        return train_tabular(folder, 1.0, RECIPE, architecture=TINY, tables_ahead=1, threads=1)

    return run


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "checkpoint.safetensors")


def test_legs_end_where_one_run_ends_to_the_bit(folder, tmp_path, train):
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    train(whole, 5)
    for steps in (2, 1, 2):
        assert train(folder, steps).steps == steps
    one, legs = _tensors(whole), _tensors(folder)
    assert one.keys() == legs.keys()
    assert {name.split(".")[0] for name in one} == {"model", "average", "muon", "adamw"}
    assert [name for name in one if not np.array_equal(one[name], legs[name])] == []


def test_a_leg_says_and_logs_what_it_did(folder, train):
    leg = train(folder, 3)
    assert leg.figures.step == 3
    assert leg.figures.tables == 6
    assert leg.figures.shards == 3
    assert leg.figures.gain == pytest.approx(leg.figures.floor - leg.figures.loss)
    assert not leg.interrupted
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3]
    assert lines[0]["loss"] == pytest.approx(leg.figures.loss)


def test_shards_are_met_again_while_there_is_no_new_one(folder, train, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.training.supply.Supply.keep", lambda *_: None)
    for number in range(2, 7):
        shard_path(folder / SHARDS, number).unlink()
    figures = train(folder, 4).figures
    assert (figures.shards, figures.tables) == (2, 8)


def test_a_damaged_shard_is_passed_over_with_a_note(folder, train):
    path = shard_path(folder / SHARDS, 0)
    path.write_bytes(path.read_bytes()[:500])
    leg = train(folder, 2)
    assert leg.figures.shards == 3
    assert leg.steps == 2
    assert len(leg.notes) == 1
    assert "000000.safetensors: this shard can't be read" in leg.notes[0]


@pytest.mark.parametrize("kept", [0, 7, 3_000, -1])
def test_a_damaged_checkpoint_is_an_error_and_stays(kept, folder, train):
    train(folder, 1)
    path = folder / "checkpoint.safetensors"
    damaged = path.read_bytes()[:kept]
    path.write_bytes(damaged)
    for read in (lambda: train(folder, 1), lambda: export(path, folder / "out.safetensors")):
        with pytest.raises(InputError, match=r"checkpoint.safetensors: this checkpoint can't be read") as refused:
            read()
        assert "delete it to begin anew" in str(refused.value)
    assert path.read_bytes() == damaged
    assert not (folder / "out.safetensors").exists()


def test_other_settings_are_refused(folder, train):
    train(folder, 1)
    other = Recipe(seed=9, rows=24, columns=3, tables=2)
    with pytest.raises(InputError, match="begun with other settings"):
        load_checkpoint(folder / "checkpoint.safetensors", other, torch.device("cpu"))


def test_one_loss_that_is_no_number_is_a_step_skipped(folder, train, monkeypatch):
    real, turn = learner.losses, iter([False, True, False])
    monkeypatch.setattr(learner, "losses", lambda *a: (real(*a)[0] * (math.nan if next(turn) else 1), real(*a)[1]))
    leg = train(folder, 3)
    assert (leg.figures.step, leg.figures.skipped) == (3, 1)
    assert leg.notes == ("step 2 is skipped: its loss or a gradient isn't a finite number",)
    assert math.isfinite(leg.figures.loss)
    assert all(np.isfinite(t).all() for t in _tensors(folder).values())


def test_three_on_end_end_the_leg_and_leave_the_checkpoint(folder, train, monkeypatch):
    train(folder, 1)
    before = (folder / "checkpoint.safetensors").read_bytes()
    real = learner.losses
    monkeypatch.setattr(learner, "losses", lambda *a: (real(*a)[0] / 0, real(*a)[1]))
    with pytest.raises(ModelgptEdgeError, match="isn't a finite number in 3 steps on end"):
        train(folder, 6)
    assert (folder / "checkpoint.safetensors").read_bytes() == before


def test_an_interrupt_saves_and_ends_the_leg(folder, train, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    real, turn = learner.losses, iter([False, False, True])

    def losses(*arguments):
        if next(turn):
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(learner, "losses", losses)
    leg = train(folder, 7)
    assert leg.interrupted
    assert leg.steps == 3
    assert load_checkpoint(leg.checkpoint, RECIPE, torch.device("cpu")).progress.step == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk_leaves_the_old_checkpoint(folder, train, monkeypatch):
    train(folder, 1)
    before = (folder / "checkpoint.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("modelgpt_edge.training.checkpoint.os.fsync", full)
    with pytest.raises(InputError, match=r"can't be written; what lay there before is as it was \(seen: 'No space left"):
        train(folder, 1)
    assert (folder / "checkpoint.safetensors").read_bytes() == before
    assert list(folder.glob("*.partial")) == []


def test_the_generator_is_the_average_in_float16_with_its_story(folder, train):
    leg = train(folder, 3)
    tensors = _tensors(folder)
    exported = load_file(leg.generator)
    assert exported.keys() == {n.removeprefix("average.") for n in tensors if n.startswith("average.")}
    for name, tensor in exported.items():
        assert tensor.dtype == np.float16
        np.testing.assert_allclose(tensor, tensors[f"average.{name}"], rtol=2**-11, atol=1e-7)
    assert leg.size == leg.generator.stat().st_size < 16 << 20
    with safe_open(leg.generator, framework="np") as file:
        story = file.metadata()
    assert (story["seed"], story["steps"], story["tables_seen"], story["distinct_tables"]) == ("3", "3", "6", "6")
    assert json.loads(story["architecture"]) == {"width": 16, "layers": 1, "heads": 2, "hidden": 32}


def test_the_average_follows_the_parameters(folder, train):
    train(folder, 1)
    first = _tensors(folder)
    train(folder, 1)
    second = _tensors(folder)
    # After the second step the average keeps 3 / 22 of what it was.
    for name in (n.removeprefix("model.") for n in first if n.startswith("model.")):
        kept = 3 / 22
        expected = kept * first[f"average.{name}"] + (1 - kept) * second[f"model.{name}"]
        np.testing.assert_allclose(second[f"average.{name}"], expected, rtol=1e-5, atol=1e-7)
