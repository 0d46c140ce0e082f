"""Training the generator of LoRA: what is drawn, that it learns, legs that resume as if never stopped, and damage."""

from __future__ import annotations

import gzip
import json
import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model
from safetensors import safe_open
from safetensors.numpy import load_file

from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.parameters.text.head import Examples
from modelgpt_edge.parameters.text.judging import TEXTS
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape, describe_task
from modelgpt_edge.parameters.text.prior import PROMPTS, word_prior
from modelgpt_edge.training.stopping import Stop
from modelgpt_edge.training.text import judge
from modelgpt_edge.training.text.checkpoint import load_checkpoint
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.episodes import QUERIES, SUPPORT, Embedded, draw_episode
from modelgpt_edge.training.text.hypernetwork import Heads
from modelgpt_edge.training.text.judge import SHOTS, Judge
from modelgpt_edge.training.text.learner import RATE, WARM_UP, TextLearner, TextRecipe, rate
from modelgpt_edge.training.text.tasks import read_tasks
from modelgpt_edge.training.text.train import train_text

CPU = torch.device("cpu")
SHAPE = LoraShape(2, 32, rank=4, basis=3, hidden=6)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tasks(text_data, monkeypatch):
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(text_data))
    return read_tasks()


@pytest.fixture
def sets(tasks, tiny):
    return [Embedded.of(task, tiny) for task in tasks[0]]


@pytest.fixture
def train(tasks, tiny, monkeypatch):
    """Trains a folder for a number of steps in one leg; time is told by steps."""

    def run(folder: Path, steps: int, seed: int = 3, planned: int = 6):
        left = iter([*[False] * (steps - 1), True])
        monkeypatch.setattr(Stop, "late", lambda self: next(left))
        return train_text(folder, 1.0, tiny, *tasks, seed=seed, episodes=2, steps=planned, shape=SHAPE, threads=1)

    return run


def test_classes_that_are_learnt_from_are_not_judged_by(tasks):
    learnt, judged = tasks
    assert [(task.name, task.classes) for task in learnt] == [("clinc150", ("alarm_now", "cook_now", "exam_now"))]
    assert [(task.name, task.classes) for task in judged] == [("clinc150", ("bank_now", "dance_now", "film_now"))]
    assert [len(own) for own in judged[0].texts] == [10] * 3
    assert [len(own) for own in judged[0].asked] == [3] * 3
    assert not any("tomorrow" in text for own in learnt[0].texts for text in own), "the publisher's test part"


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"text,category,split\na,b,train\n"), gzip.compress(b"text,label,split\nx" * 99)[:40]],
    ids=["no gzip", "another column", "cut"],
)
def test_a_set_that_cannot_be_read_is_a_clear_error(content, tmp_path, monkeypatch):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "banking77.csv.gz").write_bytes(content)
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"banking77.csv.gz: a set of texts can't be read"):
        read_tasks()


@pytest.mark.parametrize("folder", ["", "/nowhere"])
def test_without_texts_there_is_nothing_to_learn_from(folder, monkeypatch):
    monkeypatch.setenv("MODELGPT_EDGE_DATA", folder)
    with pytest.raises(InputError, match="there are no texts to learn from"):
        read_tasks()


def test_an_episode_is_a_task_whose_queries_are_no_examples(sets, tiny):
    shots = set()
    for seed in range(60):
        episode = draw_episode(sets, np.random.default_rng(seed))
        classes = len(episode.names)
        assert 2 <= classes <= 3
        counts = np.bincount(episode.support.labels, minlength=classes)
        assert len(set(counts.tolist())) == 1
        assert len(episode.support.ids) <= SUPPORT
        assert 0 < len(episode.queries.ids) <= QUERIES
        shots.add(int(counts[0]))
        texts = [tuple(ids) for ids in [*episode.support.ids, *episode.queries.ids]]
        assert len(set(texts)) == len(texts)
        for part in (episode.support, episode.queries):
            for ids, embedding, label in zip(part.ids, part.embeddings, part.labels):
                place = sets[0].ids.index(ids)
                np.testing.assert_array_equal(embedding, sets[0].embeddings[place])
                assert sets[0].names[sets[0].owner[place]] == episode.names[label]
        np.testing.assert_array_equal(episode.task, describe_task(episode.directions, episode.support.embeddings))
    assert shots == {0, 1, 2, 4, 8, 9}, "sixteen are cut: one text of a class at least is asked"
    assert [len(own) for own in sets[0].names] == [len(PROMPTS)] * 3


def test_the_same_seed_draws_the_same_episode(sets):
    one, other = (draw_episode(sets, np.random.default_rng(5)) for _ in range(2))
    assert one.queries.ids == other.queries.ids
    np.testing.assert_array_equal(one.task, other.task)


def test_heads_in_closed_form_solve_what_they_say():
    torch.manual_seed(0)
    names, support, queries = (torch.nn.functional.normalize(torch.randn(n, 7), dim=1) for n in (3, 5, 4))
    labels = torch.tensor([0, 2, 2, 1, 0])
    heads = Heads()
    with torch.no_grad():
        cosines, ridge = heads(names, support, labels, queries)
        alone, same = heads(names, support[:0], labels[:0], queries)
    centroids = np.stack([support[labels == k].sum(0) + 2 * names[k] for k in range(3)])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, 20 * queries.numpy() @ centroids.T, atol=1e-5)
    # The primal: weights that minimise the squared error of what is left over, and their own squares, in float64.
    s, q, n = (t.double().numpy() for t in (support, queries, names))
    mean, said = s.mean(0), n - n.mean(0)
    said /= np.linalg.norm(said, axis=1, keepdims=True)
    rest = np.eye(3)[labels] - 1 / 3 - (s - mean) @ said.T
    weights = np.linalg.solve((s - mean).T @ (s - mean) + np.eye(7), (s - mean).T @ rest)
    np.testing.assert_allclose(ridge, 20 * (q - mean) @ (said.T + weights), atol=1e-4)
    np.testing.assert_array_equal(alone, same)
    np.testing.assert_allclose(alone, 20 * queries @ names.T, atol=1e-5)


def test_the_rate_rises_then_falls_to_nil():
    rates = [rate(step, 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(RATE / WARM_UP)
    assert max(rates) == rates[WARM_UP - 1]
    assert np.all(np.diff(rates[WARM_UP:]) < 0)
    assert (rates[1000], rate(2000, 1000)) == (0, 0)


def test_steps_lower_the_loss_and_the_plain_encoder_stays(sets, tiny):
    learner = TextLearner(SHAPE, TextRecipe(0, 4, 200, tiny.files.sha256, ""), TorchEncoder.of(tiny, CPU), CPU)
    frozen = {name: tensor.clone() for name, tensor in learner.encoder.weights.items()}
    episodes = [draw_episode(sets, np.random.default_rng(seed)) for seed in range(4)]
    steps = [learner.learn(episodes) for _ in range(80)]
    assert steps[0].loss == pytest.approx(steps[0].plain, abs=1e-5), "step nought is the plain encoder"
    heads_alone = steps[-1].plain
    assert steps[-1].loss < 0.8 * heads_alone
    assert steps[-1].loss < 0.6 * steps[0].loss
    assert all(torch.equal(frozen[name], tensor) for name, tensor in learner.encoder.weights.items())


def test_the_judge_compares_the_product_s_head_on_both_encoders(tasks, tiny, lora_file):
    generator = LoraGenerator.read(lora_file)
    (task,) = tasks[1]
    scores = Judge(tiny, [task], seed=0).scores(generator)
    assert [(s.task, s.classes, s.shots) for s in scores] == [("clinc150", 3, shots) for shots in SHOTS]
    assert scores == Judge(tiny, [task], seed=0).scores(generator)
    nothing = {name: np.zeros_like(array) for name, array in generator.weights.items()}
    same = Judge(tiny, [task], seed=0).scores(replace(generator, weights=nothing))
    assert all(score.adapted == score.plain for score in same)


def test_the_judge_s_accuracy_is_the_solved_head_s(tasks, tiny, lora_file, monkeypatch):
    monkeypatch.setattr(judge, "SHOTS", (10,))  # every text, so that all draws are the same
    generator = LoraGenerator.read(lora_file)
    (task,) = tasks[1]
    (score,) = Judge(tiny, [task], seed=0).scores(generator)
    texts, labels = [text for own in task.texts for text in own], np.repeat(np.arange(3), 10).astype(np.int32)
    asked, truth = [text for own in task.asked for text in own], np.repeat(np.arange(3), 3)
    adapted = generator.adapt(tiny, describe_task(word_prior(tiny, task.classes, {}), tiny.embed(texts)))
    right = []
    for encoder in (tiny, adapted):
        prior = word_prior(encoder, task.classes, {})
        head = Examples.with_words(encoder.embed(texts), labels, prior).solve(prior, TEXTS.usual(3))
        right.append((head.logits(encoder.embed(asked)).argmax(1) == truth).mean())
    assert [score.plain, score.adapted] == pytest.approx(right)


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
