"""Pictures that tests share, and files of them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


def coloured(seed: int, height: int = 24, width: int = 32) -> Image.Image:
    """An RGB picture of smooth colours, another for each seed."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def packed(image: Image.Image, format: str, **options: Any) -> bytes:
    """What a file of a picture holds."""
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    return coloured


@pytest.fixture(scope="session")
def pack() -> Callable[..., bytes]:
    return packed


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """A folder of two class folders of three pictures each, in several formats, one of them further down."""
    folder = tmp_path / "animals"
    files = ("cat/1.png", "cat/2.JPG", "cat/more/3.webp", "dog/1.png", "dog/2.gif", "dog/3.bmp")
    for seed, name in enumerate(files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coloured(seed).save(path)
    return folder
