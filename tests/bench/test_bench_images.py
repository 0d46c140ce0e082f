"""The bench of images: what is drawn, peers that start from the product's backbone, its page and plot, and runs that resume."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from importlib.util import find_spec
from xml.etree import ElementTree

import image_tuning
import images
import numpy as np
import pytest
from image_contenders import CONTENDERS, FULL, OURS
from image_plot import draw
from image_report import percent, times_ours, write_page
from image_task import UNLABELLED, Asked, Settings, Task, drawn, open_backbone, open_template
from picture_sets import PictureSet, read_set
from processes import cpu_seconds
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

BY_KEY = {c.key: c for c in CONTENDERS}
MACHINE = {"cpu": "made", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11"}
needs_network = pytest.mark.skipif(find_spec("efficientnet_lite_pytorch") is None, reason=f"not installed ({images.EXTRA})")


@pytest.fixture(scope="module")
def digits():
    return read_set("digits")


def row(contender, shots, seed, accuracy, cpu, **more):
    size = 32 if contender.tiny else 224
    facts = {"last_cpu_seconds": cpu / 4} if contender is FULL else {}
    own = {"set": "digits", "shots": shots, "seed": seed, "contender": contender.title, "size": size}
    scores = {"accuracy": accuracy, "cpu_seconds": cpu, "wall_seconds": cpu / 2, "facts": facts}
    known = {"classes": 10, "learnt": 10 * shots, "asked": 1000, "versions": {"numpy": "2"}, "machine": MACHINE}
    return {**own, "settings": asdict(Settings()), **scores, **known, **more}


def test_what_is_learnt_shown_and_asked_are_apart_and_few_are_among_many(digits):
    before = None
    for shots in (0, 1, 10, 100):
        task, asked = drawn(digits, shots, 3, 96, Settings(asked=500))
        assert np.bincount(task.labels, minlength=10).tolist() == [shots] * 10
        assert (len(task.apart), len(asked.places)) == (UNLABELLED, 500)
        parts = [*task.learnt.tolist(), *task.apart.tolist(), *asked.places.tolist()]
        assert len(set(parts)) == len(parts)
        assert before is None or set(before) < set(task.learnt.tolist())
        before = task.learnt.tolist()
        assert (drawn(digits, shots, 3, 96, Settings(asked=500))[1].places == asked.places).all()
    assert set(drawn(digits, 10, 4, 96, Settings())[0].learnt) != set(drawn(digits, 10, 3, 96, Settings())[0].learnt)


def test_channels_of_asked_pictures_are_in_their_order_however_they_were_asked_before(digits):
    places = np.array([5, 900, 17, 3])
    known = Asked(digits, places[:2], 96).channels
    found = Asked(digits, places, 96).channels
    for made, first, expected in zip(found, known, open_template(96).channels(digits.at(96, places)), strict=True):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
        assert (made[:2] == first).all()


def test_cpu_time_holds_children_that_have_ended():
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert cpu_seconds() - before >= 0.39


def test_class_means_are_compared_by_cosine(digits):
    task, asked = drawn(digits, 2, 0, 96, Settings(asked=20))
    found = BY_KEY["prototypes"].fit(task).scores(asked)
    x, y = open_backbone().channels(task.pictures())[0].astype(np.float64), task.labels
    unit = (x - x.mean(0)) / np.linalg.norm(x - x.mean(0), axis=1)[:, None]
    means = np.stack([unit[y == k].mean(0) for k in range(10)])
    np.testing.assert_allclose(found, cosine_similarity(asked.channels[0] - x.mean(0), means), atol=1e-4)


def test_held_out_pictures_are_of_every_class_and_apart():
    labels = np.repeat(np.arange(3), [2, 10, 20])
    learn, apart = image_tuning.held_out(labels, np.random.default_rng(0))
    assert np.bincount(labels[apart]).tolist() == [1, 2, 4]
    assert sorted([*learn, *apart]) == list(range(32))
    learn, apart = image_tuning.held_out(np.array([0, 1, 1]), np.random.default_rng(0))
    assert (len(learn), len(apart)) == (3, 0)


def test_a_head_is_tuned_on_frozen_features():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3, dtype=np.int32), 10)
    features = (rng.random((30, 40)) + 2 * np.eye(3, 40)[labels]).astype(np.float32)
    tuned = image_tuning.tune_head(features, labels, 3, 0, 1)
    assert (tuned.scores(features).argmax(1) == labels).all()
    assert tuned.rate in image_tuning.HEAD_RATES
    assert 1 <= tuned.epochs <= image_tuning.HEAD_EPOCHS
    few = image_tuning.tune_head(features[[0, 10, 20]], labels[[0, 10, 20]], 3, 0, 1)
    assert few.epochs == image_tuning.USUAL_HEAD_EPOCHS


@needs_network
def test_what_is_fine_tuned_is_the_product_s_backbone(digits):
    torch = pytest.importorskip("torch")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    backbone = open_backbone()
    network = image_tuning.open_network(96, 10, backbone.weights).eval()
    with torch.inference_mode():
        features = network.extract_features(image_tuning.normalised(pictures)).mean((2, 3)).numpy()
        assert (network(image_tuning.normalised(pictures)).numpy() == 0).all(), "its head starts at nothing"
    np.testing.assert_allclose(features, backbone.channels(pictures)[0], rtol=1e-3, atol=1e-3)


@needs_network
def test_fine_tuning_learns_what_it_is_shown():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2, dtype=np.int32), 10)
    pictures = (rng.integers(0, 60, (20, 32, 32, 3)) + 190 * labels[:, None, None, None]).astype(np.uint8)
    weights = open_backbone().weights
    tuned = image_tuning.tune_whole(pictures, labels, 2, 0, 1, weights, mirror=True)
    assert (tuned.scores(pictures).argmax(1) == labels).all()
    assert image_tuning.LEAST_EPOCHS <= tuned.epochs <= image_tuning.MOST_EPOCHS
    assert tuned.rate in image_tuning.RATES


@needs_network
def test_training_keeps_the_statistics_of_batch_normalisation():
    pictures = np.random.default_rng(0).integers(0, 60, (4, 32, 32, 3), np.uint8)
    weights = open_backbone().weights
    network = image_tuning.open_network(32, 2, weights)
    image_tuning._learning(network)
    network(image_tuning.normalised(pictures))
    assert network._dropout.training
    state = network.state_dict()
    assert all((state[name].numpy() == array).all() for name, array in weights.items() if "running" in name)


def test_a_random_square_of_the_whole_is_the_picture_or_its_mirror(monkeypatch):
    monkeypatch.setattr(image_tuning, "LEAST_SEEN", 1.0)
    pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    whole = image_tuning.normalised(pictures).numpy()
    np.testing.assert_allclose(image_tuning._seen(pictures, False).numpy(), whole, atol=1e-4)
    turned = 0
    for made, one in zip(image_tuning._seen(pictures, True).numpy(), whole):
        same, mirrored = (np.abs(made - given).max() < 1e-4 for given in (one, one[..., ::-1]))
        assert same != mirrored
        turned += mirrored
    assert 0 < turned < 12


def test_slow_ones_are_limited_and_words_alone_start_from_nothing():
    scope = images.Scope((0, 10), 2, 224, (10,), 1, 128)
    chosen = [OURS, BY_KEY["logistic"], FULL, BY_KEY["trunk"]]
    units = images.plan(["digits"], chosen, scope)
    assert Counter((u.shots, u.contender, u.size) for u in units) == {
        (0, OURS.title, 224): 2, (10, OURS.title, 224): 2, (10, BY_KEY["logistic"].title, 224): 2,
        (10, FULL.title, 128): 1, (10, BY_KEY["trunk"].title, 32): 2,
    }  # fmt: skip
    every = images.plan(["digits"], chosen, scope.whole())
    assert sum(u.contender == FULL.title for u in every) == 2
    assert images._limits(chosen, every, dict.fromkeys(units))[0].startswith(FULL.title)
    assert images._limits(chosen, every, dict.fromkeys(every)) == []


def test_results_of_other_settings_are_not_done():
    rows = [row(OURS, 10, 0, 0.8, 2.0), row(FULL, 10, 0, 0.7, 90.0), row(OURS, 10, 1, 0.8, 2.0)]
    failed = row(OURS, 10, 1, 0.8, 2.0, error="made")
    assert {u.contender for u in images.finished([*rows, failed], Settings())} == {OURS.title, FULL.title}
    assert len(images.finished([*rows, failed], Settings())) == 2
    assert images.finished(rows, Settings(asked=50)) == {}


def test_ratios_are_of_the_seeds_that_both_have():
    ours = [row(OURS, 10, seed, 0.8, 2.0 + seed) for seed in range(3)]
    theirs = [row(FULL, 10, seed, 0.7, 100.0) for seed in (1, 7)]
    assert times_ours(theirs, ours) == "33"
    assert times_ours(theirs, ours, [6.0, 0.0]) == "2.00"
    assert times_ours(theirs[1:], ours) == ""
    assert percent([0.7, 0.8]) == "75.0 ± 7.1"
    assert percent([0.7]) == "70.0"


def made_rows():
    rows = [
        row(OURS, shots, seed, 0.6 + shots / 50, 2.0, int8=0.59 + shots / 50, int8_same=0.95)
        for shots in (0, 10)
        for seed in (0, 1)
    ]
    return [*rows, row(FULL, 10, 0, 0.75, 100.0, size=128), row(BY_KEY["trunk"], 10, 0, 0.9, 0.1)]


def test_the_page_tells_what_was_run_and_what_not():
    result = {"machine": MACHINE, "command": "python bench/images.py", "size": 224, "settings": asdict(Settings())}
    page = write_page(made_rows(), [OURS, FULL, BY_KEY["trunk"], BY_KEY["pixels"]], 2, result, ["mnist: not here"])
    assert "| **modelgpt-edge** | 60.0 ± 0.0 | 80.0 ± 0.0 |" in page
    assert "| fine-tuning, all weights at 128 px | needs pictures | 75.0 (1 seed) |" in page
    assert "| pixels of 32 x 32 + logistic regression | needs pictures | not run |" in page
    assert "| modelgpt-edge, tiny trunk |  | 0.10 (0.05 x), 0.05 |" in page
    assert "* Not run: mnist: not here" in page
    assert "| digits | 0 | 2 | 60.0 ± 0.0 | 59.0 ± 0.0 | -1.0 | 95.0 ± 0.0 |" in page
    assert "| digits | 80.0 ± 0.0 | 2.00 | 1.00 | 1 | 75.0 | 80.0 | 100.0 | 50 | 12 |" in page


def test_the_plot_has_a_point_for_every_number_of_shots():
    found = ElementTree.fromstring(draw(made_rows(), [OURS, FULL, BY_KEY["trunk"], BY_KEY["pixels"]]))
    circles = [e for e in found.iter() if e.tag.endswith("circle")]
    assert len(circles) == 4 + 3, "four points, and three in the legend"
    ours = next(e for e in found.iter() if e.tag.endswith("polyline")).get("points").split()
    (first, low), (second, high) = (map(float, point.split(",")) for point in ours)
    assert first == second, "the same CPU time"
    assert high < low, "more accurate is further up"
    assert "fine-tuning, all weights" in "".join(found.itertext())


def run(tmp_path, *arguments):
    files = [f"{option}={tmp_path / name}" for option, name in (("--out", "r.jsonl"), ("--table", "t.md"), ("--plot", "p.svg"))]
    images.main(["--sets", "digits", "--seeds", "1", "--asked", "40", "--size", "96", *arguments, *files])
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], (tmp_path / "t.md").read_text(encoding="utf-8")


def test_a_run_resumes_and_its_scores_are_those_of_the_contenders(tmp_path, capfd, digits):
    asked = ["--shots", "0,10", "--contenders", "ours,prototypes,trunk"]
    rows, page = run(tmp_path, *asked)
    assert [r["error"] for r in rows if "error" in r] == []
    assert Counter(r["shots"] for r in rows) == {0: 1, 10: 3}
    by = {(r["shots"], r["contender"]): r for r in rows}
    ours = by[10, OURS.title]
    assert ours["int8"] == pytest.approx(ours["accuracy"], abs=0.15)
    assert f"| **modelgpt-edge** | {100 * by[0, OURS.title]['accuracy']:.1f} | {100 * ours['accuracy']:.1f} |" in page

    task, others = drawn(digits, 10, 0, 96, Settings(asked=40))
    fit = BY_KEY["prototypes"].fit(task)
    truth = digits.labels[others.places]
    expected = balanced_accuracy_score(truth, fit.scores(others).argmax(1))
    assert by[10, BY_KEY["prototypes"].title]["accuracy"] == pytest.approx(expected)
    assert all(r["cpu_seconds"] > 0 and r["wall_seconds"] > 0 for r in rows)

    again, second = run(tmp_path, *asked)
    assert again == rows
    assert second.split("\n\n", 2)[2] == page.split("\n\n", 2)[2]
    assert "4 units, 4 of them done already" in capfd.readouterr().err


def test_a_contender_that_breaks_is_told():
    broken = images.one(images.Unit("digits", 0, 0, BY_KEY["pixels"].title, 32), Settings(asked=10))
    assert "error" in broken
    assert "accuracy" not in broken


def test_what_is_not_known_is_refused():
    for option, value in (("--sets", "imagenet"), ("--shots", "3"), ("--contenders", "gpt"), ("--slow-shots", "7")):
        with pytest.raises(SystemExit, match=f"{option}: unknown '?{value}"):
            images.main([option, value])


def test_pictures_of_a_set_are_read_at_places_alone():
    found = PictureSet("made", ("a", "b"), [np.full((4, 4), i, np.uint8) for i in range(5)], np.array([0, 1, 0, 1, 0]))
    assert found.at(2, np.array([4, 1]))[:, 0, 0, 0].tolist() == [4, 1]
    assert found.at(2, np.array([], int)).shape == (0, 2, 2, 3)
    assert Task(found, np.array([3, 2]), np.array([], int), 2, 0, 1).labels.tolist() == [1, 0]
