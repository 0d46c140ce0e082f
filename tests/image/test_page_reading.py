"""What a page in Chromium reads of files: of every mode and format, to the bit what Python reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from modelgpt_edge.pictures.read import read_picture
from tests.image.page import ask, noise, pack, size_of, small_source, smooth, written

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("chromium")]


@pytest.fixture(scope="module")
def variant(small, tmp_path_factory) -> Path:
    return written(small_source(small, 96), "fp32", tmp_path_factory.mktemp("variant"))


def pixels_in_page(variant: Path, files: dict[str, bytes]) -> dict[str, np.ndarray]:
    """What the module makes of files, (S, S, 3) each."""
    numbered = {f"files/{place}": content for place, content in enumerate(files.values())}
    script = f"return Promise.all({json.dumps(list(numbered))}.map(async (name) => pixels(await file(name))));"
    size = size_of(variant)
    found = [np.frombuffer(base64.b64decode(text), np.uint8) for text in ask(variant, script, numbered)]
    return {name: levels.reshape(size, size, 3) for name, levels in zip(files, found)}


def assert_read_alike(variant: Path, files: dict[str, bytes]) -> None:
    """A page reads every file as Python does, to the bit."""
    for name, levels in pixels_in_page(variant, files).items():
        np.testing.assert_array_equal(levels, read_picture(files[name], len(levels)), err_msg=name)


def test_what_is_lossless_is_read_to_the_bit(variant):
    shapes = ((1, 1), (1, 7), (7, 1), (224, 224), (96, 57), (333, 500), (3, 1999), (1080, 1921))
    files = {f"{height} x {width}": pack(noise(height, width, 3), "PNG") for height, width in shapes}
    few = Image.fromarray(noise(61, 83, 3)).quantize(64)
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b"gAMA", (100_000).to_bytes(4, "big"))
    files |= {
        "grey": pack(noise(61, 83), "PNG"),
        "black and white": pack(Image.fromarray(noise(61, 83)).convert("1"), "PNG"),
        "16 bits": pack(np.random.default_rng(0).integers(0, 65_536, (61, 83)).astype(np.uint16), "PNG"),
        "palette": pack(few, "PNG"),
        "with a gamma": pack(noise(61, 83, 3), "PNG", pnginfo=gamma),
        "GIF": pack(few, "GIF"),
        "BMP": pack(noise(61, 83, 3), "BMP"),
        "WebP": pack(noise(61, 83, 3), "WEBP", lossless=True),
    }
    assert_read_alike(variant, files)


def test_of_what_moves_the_first_frame_counts(variant):
    first, later = (Image.fromarray(noise(61, 83, 3, seed=seed)) for seed in (0, 1))
    moving: dict[str, Any] = {"save_all": True, "append_images": [later], "duration": 50}
    assert_read_alike(variant, {format: pack(first, format, **moving) for format in ("GIF", "PNG")})


def test_transparency_goes_over_white_to_the_bit(variant):
    levels, alphas = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    every = np.stack([levels, 255 - levels, levels, alphas], axis=2).astype(np.uint8)
    few = Image.fromarray(noise(61, 83, 3)).quantize(64)
    files = {
        "every level and alpha": pack(every, "PNG"),
        "WebP": pack(every, "WEBP", lossless=True, exact=True),
        "grey": pack(Image.fromarray(noise(61, 83, 2), "LA"), "PNG"),
        "palette": pack(few, "PNG", transparency=bytes(range(0, 256, 4))),
        "one colour": pack(noise(61, 83, 3) // 128 * 255, "PNG", transparency=(255, 0, 255)),
        "one level": pack(noise(61, 83) // 64 * 64, "PNG", transparency=64),
        "GIF": pack(few, "GIF", transparency=3),
    }
    assert_read_alike(variant, files)


def test_jpegs_are_decoded_by_the_same_library_and_so_alike(variant):
    """Chromium's and Pillow's libjpeg-turbo: another browser may differ by a level or two."""
    files = {f"sampled {kind}": pack(smooth(301, 403), "JPEG", subsampling=kind) for kind in (0, 1, 2)}
    files |= {
        "noise": pack(noise(61, 83, 3), "JPEG", quality=90),
        "grey": pack(smooth(301, 403).convert("L"), "JPEG"),
        "progressive": pack(smooth(301, 403), "JPEG", progressive=True),
        "of a camera's size": pack(smooth(3000, 4000), "JPEG"),
        "lossy WebP": pack(smooth(161, 183), "WEBP", quality=80),
    }
    assert_read_alike(variant, files)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_picture_stands_as_its_exif_says(format, variant):
    files = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"orientation {orientation}"] = pack(smooth(61, 83), format, exif=exif)
    assert_read_alike(variant, files)


def test_colour_profiles_are_left_alone(variant):
    """One that swaps red and green would show."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, other in ((b"rXYZ", b"????"), (b"gXYZ", b"rXYZ"), (b"????", b"gXYZ")):
        place = profile.index(tag)
        profile[place : place + 4] = other
    files = {format: pack(smooth(61, 83), format, icc_profile=bytes(profile)) for format in ("JPEG", "PNG")}
    assert_read_alike(variant, files)
