"""`train images`: legs from the command line, what they leave, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.architecture.image.trunk import Trunk

SMALL = ("--batch", "5", "--steps", "3", "--threads", "1")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two classes in a zip, and few classes to draw, so that a leg takes a second."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "images" / "cifar10.zip", "w") as file:
        for part, count in (("train", 6), ("test", 26)):
            for k, name in enumerate(("dark", "light")):
                for i in range(count):
                    level = rng.integers(100 * k, 100 * k + 100, (32, 32, 3), np.uint8)
                    made = io.BytesIO()
                    Image.fromarray(level).save(made, "PNG")
                    file.writestr(f"{part}/{name}/{i}.png", made.getvalue())
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    monkeypatch.setattr("modelgpt_edge.training.image.train.draw_classes", lambda *a: np.zeros((400, 60, 32, 32), np.uint8))
    return tmp_path


def test_legs_train_to_the_last_step(cli, data):
    out = data / "training"
    ran = cli("train", "images", "--minutes", "0", "--out", out, *SMALL, "--json")
    assert ran.code == 0, ran.err
    first = json.loads(ran.out)
    assert (first["steps"], first["planned"], first["figures"]["step"], first["interrupted"]) == (1, 3, 1, False)
    assert first["bytes"] == (out / "trunk.safetensors").stat().st_size < 1_000_000
    assert [score["shots"] for score in first["scores"]] == [5, 20]
    again = cli("train", "images", "--minutes", "5", "--out", out, *SMALL)
    assert again.code == 0, again.err
    assert "going on from step 1" in again.err
    assert "Steps         2 in this leg, 3 of 3 in all, on CPU, 1 thread" in again.out
    assert "20 pictures a class" in again.out
    assert "all steps are taken" in again.out
    assert Trunk.read(out / "trunk.safetensors").story["steps"] == "3"
    other = cli("train", "images", "--minutes", "1", "--out", out, *SMALL, "--seed", "5")
    assert other.code == 1
    assert "the training was begun with other settings" in other.err


def test_without_pictures_it_says_where_they_go(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    ran = cli("train", "images", "--minutes", "1", "--out", tmp_path / "t")
    assert ran.code == 1
    assert "there are no pictures to learn from" in ran.err
    assert "images/cifar10.zip" in ran.err
    assert not (tmp_path / "t").exists()


def test_without_pillow_it_is_exit_4_with_the_cure(cli, data, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.commands.train_images.find_spec", lambda name: None)
    ran = cli("train", "images", "--minutes", "1", "--out", data / "t")
    assert ran.code == 4
    assert "pip install 'modelgpt-edge[images]'" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "50"], ["--rows", "for another generator", "train tabular"]),
        (["--encoder", "x"], ["--encoder", "train text"]),
        (["--steps", "0"], ["--steps", "Give 1 or more."]),
        (["--batch", "0"], ["--batch"]),
    ],
)
def test_a_bad_value_is_exit_1(arguments, words, cli):
    ran = cli("train", "images", "--minutes", "1", *arguments)
    assert ran.code == 1
    assert [word for word in words if word not in ran.err] == []


def test_steps_are_for_texts_and_images(cli):
    ran = cli("train", "tabular", "--minutes", "1", "--steps", "5")
    assert ran.code == 1
    assert "train text or images" in ran.err
