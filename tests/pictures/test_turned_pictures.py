"""Pictures that lie on their side or move: they stand as EXIF says, and the first frame counts."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.pictures.read import read_picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_stands_as_its_exif_says(format, orientation, pack):
    corner = np.full((32, 48, 3), 255, np.uint8)
    corner[:16, :16] = 0  # black above on the left
    corner[:16, 16:32] = (255, 0, 0)
    image = Image.fromarray(corner)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = image if undo is None else image.transpose(undo)  # as the sensor saw it
    found = read_picture(pack(held, format, exif=exif), 48).astype(int)
    np.testing.assert_allclose(found[8, 8], (0, 0, 0), atol=12)
    np.testing.assert_allclose(found[8, 24], (255, 0, 0), atol=12)
    np.testing.assert_allclose(found[40, 24], (255, 255, 255), atol=12)


def test_damaged_exif_says_nothing(picture, pack):
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40
    content = pack(picture(10), "JPEG", exif=damaged)
    np.testing.assert_array_equal(read_picture(content, 16), read_picture(pack(picture(10), "JPEG"), 16))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_of_what_moves_the_first_frame_counts(format, pack):
    first, later = Image.new("RGB", (9, 7), (200, 10, 10)), Image.new("RGB", (9, 7), (10, 10, 200))
    options = {"lossless": True} if format == "WEBP" else {}
    content = pack(first, format, save_all=True, append_images=[later, later], duration=50, **options)
    assert (read_picture(content, 8) == (200, 10, 10)).all()


def test_an_image_in_memory_is_left_as_it_was(pack):
    image = Image.open(io.BytesIO(pack(Image.new("P", (6, 6)), "PNG", transparency=0)))
    read_picture(image, 4)
    assert (image.mode, image.size) == ("P", (6, 6))
