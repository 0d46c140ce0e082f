"""Training the tiny trunk: what is read and drawn, that it learns, legs that resume as if never stopped, and damage."""

from __future__ import annotations

import io
import json
import math
import signal
import zipfile

import numpy as np
import pytest
import torch  # noqa: TID251 - what is trained is a torch model
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.architecture.image.trunk_shape import Step, TrunkShape
from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.network import centred
from modelgpt_edge.training.image.augment import Augment
from modelgpt_edge.training.image.checkpoint import CHECKPOINT, TRUNK, load_checkpoint, trunk_of
from modelgpt_edge.training.image.drawn import draw_classes
from modelgpt_edge.training.image.judge import SHOTS, Judge, balanced_accuracy
from modelgpt_edge.training.image.learner import RATE, ImageLearner, ImageRecipe, rate
from modelgpt_edge.training.image.pictures import Pictures, find_pictures, read_pictures
from modelgpt_edge.training.image.train import train_images
from modelgpt_edge.training.stopping import Stop

CPU = torch.device("cpu")
SHAPE = TrunkShape((Step(4, stride=2), Step(4, stride=2, depthwise=True), Step(6, kernel=1)))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stripes(count, seed):
    """Three classes that pixels can tell: rows, columns, and neither."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    wave = 60 * np.sign(np.sin(np.arange(32) * 0.9 + rng.uniform(0, 6, (count, 1))))
    levels = np.full((count, 32, 32, 3), 120.0) + rng.normal(0, 8, (count, 32, 32, 3))
    levels += (wave[:, :, None, None] * (labels == 0)[:, None, None, None]) + (
        wave[:, None, :, None] * (labels == 1)[:, None, None, None]
    )
    return Pictures(("rows", "columns", "none"), np.clip(levels, 0, 255).astype(np.uint8), labels)


@pytest.fixture
def learnt():
    return stripes(90, 0)


@pytest.fixture
def kept():
    return stripes(120, 1)


@pytest.fixture
def train(learnt, kept, monkeypatch):
    """Trains a folder for a number of steps in one leg; time is told by steps."""

    def run(folder, steps, seed=3, planned=6):
        left = iter([*[False] * (steps - 1), True])
        monkeypatch.setattr(Stop, "late", lambda self: next(left))
        options = {"seed": seed, "batch": 10, "steps": planned, "shape": SHAPE, "drawn": 4, "each": 3}
        return train_images(folder, 1.0, learnt, kept, **options, threads=1)

    return run


def recipe(**changed):
    return ImageRecipe(**{"seed": 0, "batch": 10, "steps": 6, "shape": SHAPE, "drawn": 4, "each": 3, "data": ""} | changed)


def tensors(folder):
    return load_file(folder / CHECKPOINT)


def zipped(path, names, picture=None):
    picture = picture or _png(0)
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, picture)


def _png(level):
    made = io.BytesIO()
    Image.new("RGB", (32, 32), (level, level, level)).save(made, "PNG")
    return made.getvalue()


def test_the_parts_of_the_zip_are_kept_apart(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "cifar10.zip"
    with zipfile.ZipFile(path, "w") as file:
        for i, name in enumerate(["train/b/1.png", "train/a/1.png", "train/a/2.png", "test/a/1.png", "test/b/9.png"]):
            file.writestr(name, _png(10 * i))
        file.writestr("README", "no picture")
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    learnt, kept = read_pictures(find_pictures())
    assert learnt.classes == kept.classes == ("a", "b")
    assert (learnt.labels.tolist(), kept.labels.tolist()) == ([0, 0, 1], [0, 1])
    assert learnt.levels[:, 0, 0, 0].tolist() == [10, 20, 0]
    assert kept.levels[:, 31, 31, 2].tolist() == [30, 40]


@pytest.mark.parametrize("folder", ["", "/nowhere"])
def test_without_pictures_there_is_nothing_to_learn_from(folder, monkeypatch):
    monkeypatch.setenv("MODELGPT_EDGE_DATA", folder)
    with pytest.raises(InputError, match=r"there are no pictures to learn from.*images/cifar10.zip"):
        find_pictures()


@pytest.mark.parametrize(
    "names", [["train/a/1.png", "test/a/1.png"], ["train/a/1.png", "train/b/1.png", "test/a/1.png"], ["a.png"]]
)
def test_a_zip_of_other_folders_is_refused(names, tmp_path):
    zipped(tmp_path / "z.zip", names)
    with pytest.raises(InputError, match="no two classes"):
        read_pictures(tmp_path / "z.zip")


def test_a_damaged_zip_and_a_damaged_picture_are_named(tmp_path):
    (tmp_path / "z.zip").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"z.zip: the pictures can't be read"):
        read_pictures(tmp_path / "z.zip")
    zipped(tmp_path / "y.zip", ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"], picture=b"no picture")
    with pytest.raises(InputError, match=r"train/a/1\.png"):
        read_pictures(tmp_path / "y.zip")


def test_a_drawn_class_is_alike_and_apart_from_others():
    drawn = draw_classes(20, 12, seed=0)
    assert drawn.shape == (20, 12, 32, 32)
    assert drawn.dtype == np.uint8
    assert (drawn == draw_classes(20, 12, seed=0)).all()
    assert (drawn[:2] != draw_classes(20, 12, seed=1)[:2]).any()
    assert drawn.reshape(240, -1).max(1).min() > 60, "something is drawn on each"
    rows = drawn.reshape(20, 12, -1).astype(np.float64)
    right = balanced_accuracy(
        *(f(part) for part in (rows[:, :6], rows[:, 6:]) for f in (_rows, _places)),  # by pixels alone
    )
    assert right > 0.5, "twenty classes: one in twenty by chance"
    assert (rows.std(1).max(1) > 20).all(), "no two pictures of a class are the same"


def _rows(part):
    return part.reshape(-1, part.shape[-1]).astype(np.float32) / 255


def _places(part):
    return np.repeat(np.arange(len(part)), part.shape[1])


def test_augmented_pictures_are_pictures_and_the_same_for_the_same_seed(learnt):
    levels = torch.from_numpy(learnt.levels)
    one, other = (Augment(torch.Generator().manual_seed(1)).photographs(levels) for _ in range(2))
    assert one.shape == (90, 3, 32, 32)
    assert torch.equal(one, other)
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    grey = (one.max(1).values - one.min(1).values).amax((1, 2))
    assert 0 < int((grey == 0).sum()) < 90, "some have lost their colours"
    drawn = Augment(torch.Generator().manual_seed(1)).drawn(torch.from_numpy(draw_classes(4, 10, 0).reshape(40, 32, 32)))
    assert drawn.shape == (40, 3, 32, 32)
    assert 0 <= float(drawn.min()) < float(drawn.max()) <= 1


def test_pictures_that_aren_t_moved_stay_as_they_are(learnt):
    from modelgpt_edge.training.image.augment import Moves

    pictures = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    augment = Augment(torch.Generator().manual_seed(0))
    still = augment._moved(pictures, Moves(0, 0, 0, 0, 0, 0, False, "zeros"))
    assert float((still - pictures).abs().max()) < 1e-5
    mirrored = augment._moved(pictures, Moves(0, 0, 0, 0, 0, 0, True, "zeros"))
    flipped = [float((m - p.flip(2)).abs().max()) < 1e-4 for m, p in zip(mirrored, pictures)]
    same = [float((m - p).abs().max()) < 1e-4 for m, p in zip(mirrored, pictures)]
    assert [a != b for a, b in zip(flipped, same)] == [True] * 5
    assert 0 < sum(flipped) < 5


def test_the_rate_rises_then_falls_to_nil():
    rates = [rate(step, 1000) for step in range(1001)]
    assert max(rates) == pytest.approx(RATE, rel=0.02)
    assert np.argmax(rates) in (99, 100, 101)
    assert np.all(np.diff(rates[101:]) < 0)
    assert (rates[1000], rate(2000, 1000)) == (0, 0)


def test_steps_lower_the_loss_of_photographs_and_of_drawn_ones(learnt):
    learner = ImageLearner(recipe(batch=50, steps=60), 3, CPU)
    drawn = draw_classes(4, 3, 0)
    steps = [learner.learn(learnt, drawn) for _ in range(60)]
    first, last = (np.mean([[s.loss, s.drawn_loss, s.right] for s in part], axis=0) for part in (steps[:5], steps[-10:]))
    assert last[0] < 0.75 * first[0]
    assert last[1] < 0.95 * first[1]
    assert last[2] > first[2]


def test_folding_gives_what_torch_gives_in_float64(learnt):
    learner = ImageLearner(recipe(), 3, CPU)
    for _ in range(4):
        learner.learn(learnt, draw_classes(4, 3, 0))
    trunk = Trunk(SHAPE, learner.trunk.folded(), {}, "")
    learner.trunk.double().eval()
    pictures = learnt.levels[:7]
    with torch.no_grad():
        expected = learner.trunk(torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255).numpy()
    assert expected.shape == (7, SHAPE.width)
    assert np.abs(trunk.features(pictures) - expected).max() < 1e-5 * np.abs(expected).max()
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(SHAPE.width, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    logits = trunk.network(weight, bias, probabilities=False).forward(centred(pictures))
    assert np.abs(logits - (expected @ weight + bias)).max() < 1e-5 * np.abs(expected @ weight).max()


def test_legs_end_where_one_run_ends_to_the_bit(train, tmp_path):
    train(tmp_path / "whole", 5)
    for steps in (2, 1, 2):
        leg = train(tmp_path / "legs", steps)
        assert leg.steps == steps
    whole, legs = tensors(tmp_path / "whole"), tensors(tmp_path / "legs")
    assert whole.keys() == legs.keys()
    assert all(np.array_equal(whole[name], legs[name]) for name in whole)
    assert any(name.startswith("momentum.") for name in whole)
    arrays = load_file(tmp_path / "whole" / TRUNK)
    assert all(np.array_equal(array, load_file(tmp_path / "legs" / TRUNK)[name]) for name, array in arrays.items())


def test_a_training_ends_with_its_last_step(train, tmp_path):
    assert train(tmp_path, 3, planned=2).steps == 2
    again = train(tmp_path, 3, planned=2)
    assert (again.steps, again.figures.step, again.planned, again.figures.loss) == (0, 2, 2, None)
    assert len(again.scores) == len(SHOTS)


def test_the_trunk_says_what_it_was_trained_on(train, tmp_path):
    leg = train(tmp_path, 2)
    trunk = Trunk.read(leg.exported)
    assert (leg.size, trunk.shape) == (leg.exported.stat().st_size, SHAPE)
    story = trunk.story
    assert (story["seed"], story["steps"], story["pictures"]) == ("3", "2", "20")
    assert "cifar10, 90 pictures of its training part" in story["data"]
    assert "4 drawn classes of 3 pictures" in story["data"]
    told = json.loads(story["scores"])
    assert [score["shots"] for score in told] == list(SHOTS)
    assert told == [{"shots": s.shots, "trunk": s.trunk, "pixels": s.pixels} for s in leg.scores]
    with safe_open(leg.exported, framework="np") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118 - no dict
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 2
    assert lines[-1]["scores"] == told


def test_the_judge_compares_the_trunk_with_pixels_on_pictures_kept(kept):
    learner = ImageLearner(recipe(), 3, CPU)
    judge, trunk = Judge(kept, 0), trunk_of(learner)
    scores = judge.scores(trunk)
    assert scores == Judge(kept, 0).scores(trunk)
    assert [s.shots for s in scores] == list(SHOTS)
    assert all(0 <= s.trunk <= 1 for s in scores)
    other = Judge(Pictures(kept.classes, kept.levels, np.random.default_rng(0).permutation(kept.labels)), 0)
    assert scores[-1].pixels > other.scores(trunk)[-1].pixels + 0.2, "labels that mean nothing can't be told"


def test_balanced_accuracy_counts_classes_alike():
    rng = np.random.default_rng(0)
    support = np.concatenate([rng.normal(k, 0.01, (10, 2)) for k in (0, 1)]).astype(np.float32)
    queries = np.array([[0, 0]] * 30 + [[1, 1], [0, 0]], np.float32)
    truth = np.array([0] * 30 + [1, 1])
    assert balanced_accuracy(support, np.repeat([0, 1], 10), queries, truth) == pytest.approx(0.75)


def test_an_interrupt_saves_and_stops(learnt, kept, tmp_path):
    def ask(stage, share):
        if stage == "training":
            signal.raise_signal(signal.SIGINT)

    options = {"seed": 0, "batch": 10, "steps": 1000, "shape": SHAPE, "drawn": 4, "each": 3, "threads": 1}
    leg = train_images(tmp_path, 60.0, learnt, kept, **options, progress=ask)
    assert (leg.interrupted, leg.steps) == (True, 1)
    assert load_checkpoint(leg.checkpoint, recipe(steps=1000, data=_data()), CPU).progress.step == 1


def _data():
    return "cifar10, 90 pictures of its training part"


def test_a_step_without_a_finite_loss_changes_nothing(learnt):
    learner = ImageLearner(recipe(), 3, CPU)
    drawn = draw_classes(4, 3, 0)
    learner.learn(learnt, drawn)
    with torch.no_grad():
        learner.heads["photographs"].bias[0] = math.inf
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    figures = learner.learn(learnt, drawn)
    assert math.isnan(figures.loss)
    assert learner.progress.step == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.model.state_dict().items())


def test_losses_that_stay_lost_end_the_leg_and_keep_the_checkpoint(train, tmp_path, monkeypatch):
    train(tmp_path, 2, planned=20)
    before = (tmp_path / CHECKPOINT).read_bytes()
    monkeypatch.setattr("modelgpt_edge.training.image.learner.nn.utils.clip_grad_norm_", lambda *a: torch.tensor(math.nan))
    with pytest.raises(ModelgptEdgeError, match="3 steps on end"):
        train(tmp_path, 9, planned=20)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_another_recipe_and_a_damaged_checkpoint_are_refused(train, tmp_path):
    train(tmp_path, 2)
    with pytest.raises(InputError, match="begun with other settings"):
        train(tmp_path, 1, seed=4)
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    for content in (whole[:-9], b"", whole.replace(b"image training 1", b"image training 0")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoint.safetensors: this checkpoint can't be read"):
            train(tmp_path, 1)


def test_a_place_that_can_t_be_made_is_refused(train, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="can't be kept here"):
        train(tmp_path / "taken", 1)
    assert (tmp_path / "taken").read_text() == "mine"
