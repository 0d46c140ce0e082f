"""Training the generator of LoRA: what is drawn, that it learns, and how it is judged. Legs are in test_lora_legs.py."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.text.head import Examples
from modelgpt_edge.parameters.text.judging import TEXTS
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape, describe_task
from modelgpt_edge.parameters.text.prior import PROMPTS, word_prior
from modelgpt_edge.training.text import judge
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.episodes import QUERIES, SUPPORT, Embedded, draw_episode
from modelgpt_edge.training.text.hypernetwork import Heads
from modelgpt_edge.training.text.judge import SHOTS, Judge
from modelgpt_edge.training.text.learner import RATE, WARM_UP, TextLearner, TextRecipe, rate
from modelgpt_edge.training.text.tasks import read_tasks

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SHAPE = LoraShape(2, 32, rank=4, basis=3, hidden=6)


@pytest.fixture
def sets(tasks, tiny):
    return [Embedded.of(task, tiny) for task in tasks[0]]


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
