"""Legs of training the generator of LoRA: they resume as if never stopped, say what they did, and survive damage."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import safe_open
from safetensors.numpy import load_file

from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape
from modelgpt_edge.training.stopping import Stop
from modelgpt_edge.training.text.checkpoint import load_checkpoint
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.judge import SHOTS
from modelgpt_edge.training.text.learner import TextLearner, TextRecipe
from modelgpt_edge.training.text.train import train_text

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SHAPE = LoraShape(2, 32, rank=4, basis=3, hidden=6)


@pytest.fixture
def train(tasks, tiny, monkeypatch):
    """Trains a folder for a number of steps in one leg; time is told by steps."""

    def run(folder: Path, steps: int, seed: int = 3, planned: int = 6):
        left = iter([*[False] * (steps - 1), True])
        monkeypatch.setattr(Stop, "late", lambda self: next(left))
        return train_text(folder, 1.0, tiny, *tasks, seed=seed, episodes=2, steps=planned, shape=SHAPE, threads=1)

    return run


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "checkpoint.safetensors")


def test_legs_end_where_one_run_ends_to_the_bit(train, tmp_path):
    train(tmp_path / "whole", 5)
    for steps in (2, 1, 2):
        assert train(tmp_path / "legs", steps).steps == steps
    one, legs = _tensors(tmp_path / "whole"), _tensors(tmp_path / "legs")
    assert one.keys() == legs.keys()
    assert {name.split(".")[0] for name in one} == {"parameters", "adamw"}
    assert [name for name in one if not np.array_equal(one[name], legs[name])] == []


def test_the_last_step_ends_the_training(train, tmp_path):
    leg = train(tmp_path, 50)
    assert (leg.steps, leg.planned, leg.figures.step) == (6, 6, 6)
    before = _tensors(tmp_path)
    again = train(tmp_path, 50)
    assert (again.steps, again.figures.step, again.figures.loss) == (0, 6, None)
    assert again.scores == leg.scores
    assert [name for name, array in _tensors(tmp_path).items() if not np.array_equal(array, before[name])] == []


def test_a_leg_says_logs_and_exports_what_it_did(train, tmp_path, tiny):
    leg = train(tmp_path, 3)
    assert leg.figures.gain == pytest.approx(leg.figures.plain - leg.figures.loss)
    assert not leg.interrupted
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 3]
    assert lines[0]["loss"] == pytest.approx(leg.figures.loss)
    assert [score["shots"] for score in lines[1]["scores"]] == list(SHOTS)
    generator = LoraGenerator.read(leg.exported)
    assert (generator.shape, generator.default) == (SHAPE, False)
    assert generator.fits(tiny)
    for name, array in generator.weights.items():
        np.testing.assert_allclose(array, _tensors(tmp_path)[f"parameters.hypernetwork.{name}"], rtol=2**-11, atol=1e-7)
    assert leg.size == leg.exported.stat().st_size < 16 << 20
    with safe_open(leg.exported, framework="np") as file:
        story = file.metadata()
    assert (story["data"], story["seed"], story["steps"], story["episodes"]) == ("clinc150 (3 classes)", "3", "3", "6")
    assert json.loads(story["scores"]) == lines[1]["scores"]


@pytest.mark.parametrize("kept", [0, 7, 3_000, -1])
def test_a_damaged_checkpoint_is_an_error_and_stays(kept, train, tmp_path):
    train(tmp_path, 1)
    path = tmp_path / "checkpoint.safetensors"
    damaged = path.read_bytes()[:kept]
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"checkpoint.safetensors: this checkpoint can't be read.*delete it to begin anew"):
        train(tmp_path, 1)
    assert path.read_bytes() == damaged


def test_other_settings_are_refused(train, tmp_path, tiny):
    train(tmp_path, 1)
    with pytest.raises(InputError, match="begun with other settings"):
        train(tmp_path, 1, seed=4)
    other = TextRecipe(3, 2, 6, "another encoder", "clinc150 (3 classes)")
    with pytest.raises(InputError, match="begun with other settings"):
        load_checkpoint(tmp_path / "checkpoint.safetensors", other, TorchEncoder.of(tiny, CPU), CPU)


@pytest.fixture
def judge_times(monkeypatch):
    """Multiplies the loss of an episode, one after the other, by what a test names."""

    def by(factors):
        real, turn = TextLearner._judge, iter(factors)

        def judged(self, episode):
            loss, *others = real(self, episode)
            return loss * next(turn), *others

        monkeypatch.setattr(TextLearner, "_judge", judged)

    return by


def test_one_loss_that_is_no_number_is_a_step_skipped(train, judge_times, tmp_path):
    judge_times([1, 1, 1, math.nan, 1, 1])
    leg = train(tmp_path, 3)
    assert (leg.figures.step, leg.figures.skipped) == (3, 1)
    assert leg.notes == ("step 2 is skipped: its loss or a gradient isn't a finite number",)
    assert math.isfinite(leg.figures.loss)
    assert all(np.isfinite(array).all() for array in _tensors(tmp_path).values())


def test_three_on_end_end_the_leg_and_leave_the_checkpoint(train, judge_times, tmp_path):
    train(tmp_path, 1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    judge_times([math.inf] * 6)
    with pytest.raises(ModelgptEdgeError, match="isn't a finite number in 3 steps on end"):
        train(tmp_path, 5)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_an_interrupt_midway_saves_what_whole_steps_made(train, tmp_path, monkeypatch):
    before, real, turn = signal.getsignal(signal.SIGINT), TextLearner._judge, iter([False, False, True])

    def judged(self, episode):
        if next(turn):
            signal.raise_signal(signal.SIGINT)
        return real(self, episode)

    monkeypatch.setattr(TextLearner, "_judge", judged)
    leg = train(tmp_path, 5)
    assert (leg.interrupted, leg.steps) == (True, 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_leg_from_the_command_line_goes_on(cli, text_data, tiny_encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(text_data))
    options = ("--out", tmp_path / "t", "--encoder", tiny_encoder, "--threads", "1", "--steps", "4", "--batch", "2")
    ran = cli("train", "text", "--minutes", "0", *options, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["steps"], told["planned"], told["bytes"]) == (1, 4, (tmp_path / "t" / "lora.safetensors").stat().st_size)
    assert [score["shots"] for score in told["scores"]] == list(SHOTS)
    assert "embedding ..." in ran.err
    ran = cli("train", "text", "--minutes", "10", *options)
    assert ran.code == 0, ran.err
    assert "going on from step 1" in ran.err
    assert "Steps         3 in this leg, 4 of 4 in all, on CPU, 1 thread" in ran.out
    assert "clinc150, 3 classes, 8 shots:" in ran.out
    assert "all steps are taken" in ran.out
    ran = cli("train", "text", "--minutes", "1", *options, "--seed", "1")
    assert ran.code == 1
    assert "begun with other settings" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text", "--minutes", "1", "--rows", "50"], "--rows: this option is for another generator (seen: 'text')"),
        (["text", "--minutes", "1", "--tables-ahead", "5"], "--tables-ahead: this option is for another"),
        (["tabular", "--minutes", "1", "--encoder", "x"], "--encoder: this option is for another generator (seen: 'tabular')"),
        (["text", "--minutes", "1", "--steps", "0"], "--steps"),
        (["text", "--minutes", "1", "--encoder", "nowhere"], "there is no such encoder"),
        (["texts", "--minutes", "1"], "Did you mean 'text'?"),
    ],
)
def test_what_cannot_be_trained_is_exit_1(arguments, says, cli, tmp_path):
    ran = cli("train", *arguments, "--out", tmp_path / "t")
    assert ran.code == 1
    assert says in ran.err
    assert not (tmp_path / "t").exists()


def test_without_tokenizers_it_is_exit_4(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.commands.train_text.find_spec", lambda name: None)
    ran = cli("train", "text", "--minutes", "1", "--out", tmp_path / "t")
    assert ran.code == 4
    assert "training on texts needs tokenizers" in ran.err
