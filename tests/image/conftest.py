"""A backbone of random weights, small enough to run anywhere, and coloured pictures that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import BackboneFiles
from modelgpt_edge.architecture.image.shape import STAGES, Block, Shape
from modelgpt_edge.targets.browser.emulator import Chromium

CLASSES = ("blue", "green", "red")
COLOURS = {"blue": (20, 40, 220), "green": (30, 200, 60), "red": (220, 40, 30)}
WIDTHS = (8, 12, 16, 20, 24, 28, 32)


def small_shape() -> Shape:
    """EfficientNet-Lite's stages, a block or two each, of few channels."""
    blocks, before = [], 8
    for stage, ((kernel, stride, expansion, _, _), after) in enumerate(zip(STAGES, WIDTHS)):
        for place in range(2 if stage == 3 else 1):
            inner = before * min(expansion, 2)
            blocks.append(Block(stage, kernel, 1 if place else stride, before, inner, after))
            before = after
    return Shape(8, tuple(blocks), 32, 1000)


@pytest.fixture(scope="session")
def small_weights() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    made = {}
    for name, shape in small_shape().arrays.items():
        if name.endswith("running_var"):
            made[name] = draw.uniform(0.5, 1.5, shape).astype(np.float32)
        elif name.endswith(("bias", "running_mean")):
            made[name] = draw.normal(0, 0.2, shape).astype(np.float32)
        elif len(shape) == 1:
            made[name] = draw.uniform(0.8, 1.4, shape).astype(np.float32)
        else:
            made[name] = (draw.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)
    return made


@pytest.fixture(scope="session")
def small_file(small_weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "small.safetensors"
    save_file(small_weights, path)
    return path


@pytest.fixture(scope="session")
def small(small_file) -> Backbone:
    return Backbone.of(BackboneFiles("small", small_file))


def coloured(name: str, seed: int, size: int = 40) -> np.ndarray:
    """A picture (H, W, 3) of one colour, with noise."""
    draw = np.random.default_rng([seed, *name.encode()])
    return np.clip(np.array(COLOURS[name]) + draw.normal(0, 30, (size, size + 9, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def write_pictures() -> Callable[[Path, int, int], Path]:
    def write(folder: Path, each: int, seed: int = 0) -> Path:
        for name in CLASSES:
            (folder / name).mkdir(parents=True)
            for i in range(each):
                Image.fromarray(coloured(name, seed + i)).save(folder / name / f"{i}.png")
        return folder

    return write


@pytest.fixture
def pictures(write_pictures, tmp_path) -> Path:
    """Class folders of six pictures each."""
    return write_pictures(tmp_path / "pictures", 6)


@pytest.fixture
def build_small(cli, small_file, tmp_path):
    """Runs `build` on a small backbone, into m.edge."""

    def run(*options):
        asked = ("--task", "tell the colour of a picture", "--encoder", small_file, "--out", tmp_path / "m.edge")
        return cli("build", *asked, *options)

    return run


@pytest.fixture(scope="session")
def chromium() -> Chromium:
    """The browser, found to run."""
    emulator = Chromium()
    emulator.set_up()
    found = emulator.probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"
    return emulator
