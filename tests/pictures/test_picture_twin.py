"""The resize that runs in a page, in Node: equal to Pillow's to the bit, as is what goes over white."""

from __future__ import annotations

import base64
import json
import subprocess
from importlib import resources

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from modelgpt_edge.pictures.read import read_picture

pytestmark = pytest.mark.device
DRIVER = """
import { readFileSync } from "node:fs";
const { module, jobs } = JSON.parse(readFileSync(0));
const twin = await import(module);
const answers = jobs.map(({ call, bytes, size }) => {
  const levels = Uint8Array.from(Buffer.from(bytes, "base64"));
  const band = (top, rows) => levels.subarray(4 * size[0] * top, 4 * size[0] * (top + rows));
  const result = twin[call](call === "squaredInBands" ? band : levels, ...size);
  return Buffer.from(result).toString("base64");
});
console.log(JSON.stringify(answers));
"""
# Height and width of pictures that are enlarged, shrunk, both at once, left alone along an axis, or one pixel.
SHAPES = (
    *((1, 1), (1, 7), (7, 1), (2, 3), (32, 32), (31, 33), (32, 57), (57, 32), (96, 224), (224, 96), (224, 224)),
    *((100, 100), (225, 223), (480, 640), (333, 500), (3, 1999), (1999, 3), (1, 65_535), (1080, 1921)),
)
SIZES = (1, 2, 32, 33, 96, 128, 224)


def twin(jobs: list[tuple[str, NDArray[np.uint8], tuple[int, ...]]]) -> list[NDArray[np.uint8]]:
    """Results of calls of picture.mjs in Node."""
    module = str(resources.files("modelgpt_edge.targets.browser").joinpath("picture.mjs"))
    packed = [{"call": call, "bytes": base64.b64encode(array.tobytes()).decode(), "size": size} for call, array, size in jobs]
    command = ["node", "--input-type=module", "--eval", DRIVER]
    text = json.dumps({"module": module, "jobs": packed})
    ran = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return [np.frombuffer(base64.b64decode(answer), np.uint8) for answer in json.loads(ran.stdout)]


def noise(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """Levels of which many are the least and the greatest: there rounding shows."""
    draw = np.random.default_rng(seed)
    levels = draw.integers(-64, 320, shape)
    return np.clip(levels, 0, 255).astype(np.uint8)


def pillow(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pillow's resize; as of its version 13 in whichever order it finds quicker, unless asked for an axis at a time."""
    image = Image.fromarray(picture)
    whole = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    across = image.resize((size, image.height), Image.Resampling.BILINEAR)
    rows_first = np.asarray(across.resize((size, size), Image.Resampling.BILINEAR))
    if image.height <= image.width:  # then every version begins with the rows
        np.testing.assert_array_equal(rows_first, whole)
    return rows_first


@pytest.mark.parametrize("size", SIZES)
def test_every_level_is_that_of_pillow_and_of_reading(size):
    pictures = [noise((*shape, 3), seed) for seed, shape in enumerate(SHAPES)]
    found = twin([("resize", p, (p.shape[1], p.shape[0], size)) for p in pictures])
    for picture, own in zip(pictures, found):
        levels = own.reshape(size, size, 3)
        np.testing.assert_array_equal(levels, pillow(picture, size), err_msg=str(picture.shape))
        np.testing.assert_array_equal(levels, read_picture(picture, size), err_msg=str(picture.shape))


def test_every_level_is_that_of_pillow_for_sizes_drawn_at_random():
    draw = np.random.default_rng(11)
    shapes = draw.integers(1, 300, (120, 2))
    sizes = draw.integers(1, 260, 120).tolist()
    pictures = [noise((int(h), int(w), 3), seed) for seed, (h, w) in enumerate(shapes)]
    found = twin([("resize", p, (p.shape[1], p.shape[0], size)) for p, size in zip(pictures, sizes)])
    for picture, size, own in zip(pictures, sizes, found):
        np.testing.assert_array_equal(own.reshape(size, size, 3), pillow(picture, size), err_msg=f"{picture.shape} to {size}")


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_a_picture_of_one_level_keeps_it(level):
    picture = np.full((241, 1013, 3), level, np.uint8)
    assert set(twin([("resize", picture, (1013, 241, 96))])[0].tolist()) == {level}


def test_every_level_and_alpha_over_white_is_that_of_reading():
    levels, alphas = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    rgba = np.stack([levels, 255 - levels, levels, alphas], axis=2).astype(np.uint8)
    wanted = read_picture(rgba, 256)
    np.testing.assert_array_equal(twin([("overWhite", rgba, ())])[0].reshape(256, 256, 3), wanted)


def test_a_canvas_with_transparency_is_read_as_in_python():
    rgba = noise((61, 83, 4), 5)
    found = twin([("squared", rgba, (83, 61, size)) for size in (32, 96)])
    for own, size in zip(found, (32, 96)):
        np.testing.assert_array_equal(own.reshape(size, size, 3), read_picture(rgba, size))


@pytest.mark.parametrize("most", [1, 7, 61, 1000])
@pytest.mark.parametrize("size", [32, 61, 83])
def test_rows_that_come_in_bands_make_the_same_picture(most, size):
    rgba = noise((61, 83, 4), 6)
    (own,) = twin([("squaredInBands", rgba, (83, 61, size, most))])
    np.testing.assert_array_equal(own.reshape(size, size, 3), read_picture(rgba, size))


def test_bytes_that_are_no_picture_of_that_size_are_refused():
    with pytest.raises(AssertionError, match="RangeError: 12 bytes are no RGB picture of 3 x 3 pixels"):
        twin([("resize", noise((2, 2, 3), 0), (3, 3, 8))])
