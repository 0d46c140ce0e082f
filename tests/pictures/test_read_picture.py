"""Pictures of every form and mode become the same array: what Pillow says of the plain RGB picture that they show."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture


def plain(image: Image.Image, size: int = 16) -> np.ndarray:
    """An RGB picture squashed by Pillow, rows first."""
    across = image.resize((size, image.height), Image.Resampling.BILINEAR)
    return np.asarray(across.resize((size, size), Image.Resampling.BILINEAR))


def assert_reads(source, wanted: np.ndarray, size: int = 16) -> None:
    found = read_picture(source, size)
    assert found.dtype == np.uint8
    assert found.shape == (size, size, 3)
    np.testing.assert_array_equal(found, wanted)


LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "PPM": {},
    "TIFF": {},
    "TIFF, packed": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_file_is_what_was_saved(name, picture, pack):
    image = picture(1)
    assert_reads(pack(image, name.split(",")[0], **LOSSLESS[name]), plain(image))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30, "subsampling": 0}])
def test_a_jpeg_is_what_pillow_decodes(options, picture, pack):
    content = pack(picture(2), "JPEG", **options)
    assert_reads(content, plain(Image.open(io.BytesIO(content)).convert("RGB")))


def test_every_source_of_one_picture_gives_the_same(picture, pack, tmp_path):
    image = picture(3)
    path = tmp_path / "one picture.png"
    path.write_bytes(pack(image, "PNG"))
    wanted = plain(image)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), image, np.asarray(image)):
        assert_reads(source, wanted)
    with path.open("rb") as file:
        assert_reads(file, wanted)


def test_a_picture_of_the_models_size_is_left_as_it_is(picture):
    image = picture(4, 16, 16)
    assert_reads(image, np.asarray(image))


def test_the_whole_picture_is_squashed_not_cropped():
    wide = np.zeros((10, 100, 3), np.uint8)
    wide[:, :50] = 255
    found = read_picture(wide, 10)
    assert (found[:, :4] == 255).all()
    assert (found[:, 6:] == 0).all()


def test_one_pixel_is_a_picture():
    assert (read_picture(np.array([[[7, 8, 9]]], np.uint8), 32) == (7, 8, 9)).all()


def test_the_home_folder_is_found(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    picture(11).save(tmp_path / "x.png")
    assert_reads(Path("~/x.png"), plain(picture(11)))


# Colours


def over_white(rgba: np.ndarray) -> Image.Image:
    """By the definition, in exact arithmetic of integers."""
    levels, alpha = rgba[..., :3].astype(int), rgba[..., 3:].astype(int)
    return Image.fromarray(((2 * (levels * alpha + 255 * (255 - alpha)) + 255) // 510).astype(np.uint8))


@pytest.fixture
def transparent(picture) -> np.ndarray:
    alpha = np.random.default_rng(5).integers(0, 256, (24, 32, 1), dtype=np.uint8)
    return np.concatenate([np.asarray(picture(5)), alpha], axis=2)


def test_transparency_goes_over_white(transparent, pack):
    wanted = plain(over_white(transparent))
    assert_reads(transparent, wanted)
    image = Image.fromarray(transparent)
    assert_reads(image, wanted)
    for format in ("PNG", "TIFF"):
        assert_reads(pack(image, format), wanted)
    assert_reads(pack(image, "WEBP", lossless=True, exact=True), wanted)


def test_what_is_wholly_transparent_is_white_whatever_colour_lies_under_it():
    assert (read_picture(np.zeros((5, 5, 4), np.uint8), 8) == 255).all()


def test_grey_with_transparency_goes_over_white(transparent, pack):
    image = Image.fromarray(transparent).convert("LA")
    assert_reads(pack(image, "PNG"), plain(over_white(np.asarray(image)[..., [0, 0, 0, 1]])))


def test_a_palettes_transparent_colour_is_white(pack):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.paste(2, (0, 0, 4, 8))
    for format in ("PNG", "GIF"):
        found = read_picture(pack(image, format, transparency=1), 8)
        assert (found[:, :4] == (70, 80, 90)).all()
        assert (found[:, 4:] == 255).all()


def test_a_colour_named_as_transparent_is_white(pack):
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    image.paste((9, 9, 9), (0, 0, 4, 8))
    found = read_picture(pack(image, "PNG", transparency=(1, 2, 3)), 8)
    assert (found[:, :4] == 9).all()
    assert (found[:, 4:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_show_the_colours_that_pillow_says(mode, picture):
    image = picture(6).convert(mode)
    assert_reads(image, plain(image.convert("RGB")))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_files_in_inks_show_the_colours_that_pillow_says(format, picture, pack):
    content = pack(picture(7).convert("CMYK"), format)
    assert_reads(content, plain(Image.open(io.BytesIO(content)).convert("RGB")))


def test_colours_that_pillow_cannot_turn_into_rgb_are_refused():
    with pytest.raises(InputError, match=r"x: colours of the mode La can't be read .*Save it as RGB or grey"):
        read_picture(Image.new("La", (4, 4)), 8, "x")


# More than eight bits


def deep(top: int) -> np.ndarray:
    return np.linspace(0, top, 24 * 32).reshape(24, 32)


def test_of_sixteen_bits_the_high_byte_counts(pack):
    values = deep(65_535).astype(np.uint16)
    wanted = plain(Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB"))
    assert_reads(values, wanted)
    assert_reads(pack(Image.fromarray(values), "PNG"), wanted)
    assert_reads(pack(Image.fromarray(values), "TIFF"), wanted)
    assert_reads(b"P5\n32 24\n65535\n" + values.astype(">u2").tobytes(), wanted)


def test_a_dim_file_of_sixteen_bits_stays_dim(pack):
    assert read_picture(pack(Image.fromarray(np.full((4, 4), 3 << 8, np.uint16)), "PNG"), 4).max() == 3
    assert read_picture(pack(Image.fromarray(np.full((4, 4), 200, np.uint16)), "TIFF"), 4).max() == 0


def test_a_grey_of_sixteen_bits_that_is_transparent_is_white(pack):
    values = np.full((4, 4), 1000, np.uint16)
    values[:, :2] = 40_000
    content = pack(Image.fromarray(values), "PNG")
    named = b"tRNS" + struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + named + struct.pack(">I", zlib.crc32(named))
    found = read_picture(content[:33] + chunk + content[33:], 4)  # behind the header
    assert (found[:, :2] == 40_000 >> 8).all()
    assert (found[:, 2:] == 255).all()


def tiff32(values: np.ndarray, sample: int, order: str = "<") -> bytes:
    """A TIFF of 32 bits a pixel, put together by hand; sample: 1 unsigned, 2 signed, 3 float."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = {256: width, 257: height, 258: 32, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data), 339: sample}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8 + len(data)) + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def test_of_thirty_two_bits_the_highest_byte_counts():
    values = deep(2**32 - 1).astype(np.uint32)
    assert_reads(tiff32(values, 1), plain(Image.fromarray((values >> 24).astype(np.uint8)).convert("RGB")))
    signed = deep(2**31 - 1).astype(np.int32)
    for order in "<>":
        assert_reads(tiff32(signed, 2, order), plain(Image.fromarray((signed >> 23).astype(np.uint8)).convert("RGB")))


def test_thirty_two_bits_that_hold_sixteen_are_read_as_sixteen():
    values = deep(65_535).astype(np.uint32)
    assert_reads(tiff32(values, 1), plain(Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")))


@pytest.mark.parametrize(("kind", "sample"), [(np.uint32, 1), (np.int32, 2)])
def test_thirty_two_bits_that_hold_eight_are_refused(kind, sample, picture, pack):
    """Nearly black by the highest byte, though whoever saved them means 255 by white."""
    match = r"no level of this picture of 32 bits is above 255 \(seen: 255\)\. Save it with 8 bits"
    with pytest.raises(InputError, match=match):
        read_picture(tiff32(np.array([[0, 255]], kind), sample), 8)
    with pytest.raises(InputError, match="is above 255"):
        read_picture(pack(picture(1).convert("I"), "TIFF"), 8)
    assert read_picture(tiff32(np.array([[0, 256]], kind), sample), 8).max() == 1
    assert read_picture(tiff32(np.zeros((2, 2), kind), sample), 8).max() == 0, "black is black"


def test_levels_below_zero_are_refused():
    with pytest.raises(InputError, match=r"levels below zero \(seen: -5\)"):
        read_picture(tiff32(np.array([[-5, 70_000]], np.int32), 2), 8)


def test_floats_in_a_file_are_zero_to_one():
    values = deep(1).astype(np.float32)
    assert_reads(tiff32(values, 3), plain(Image.fromarray(np.rint(values * 255).astype(np.uint8)).convert("RGB")))


# Arrays


def test_every_kind_of_number_says_what_it_means(picture):
    levels = np.asarray(picture(8))
    wanted = plain(picture(8))
    for array in (levels.astype(np.int64), levels.astype(np.int16), levels.astype(np.uint16) << 8, levels / 255):
        assert_reads(array, wanted)
    for kind in (np.float16, np.float32):
        assert_reads((levels / 255).astype(kind), wanted)
    black_and_white = levels > 127
    assert_reads(black_and_white, plain(Image.fromarray(np.where(black_and_white, 255, 0).astype(np.uint8))))
    assert_reads(levels[:, ::-1], plain(Image.fromarray(levels[:, ::-1].copy())))


def test_one_channel_or_none_is_grey(picture):
    grey = np.asarray(picture(9).convert("L"))
    wanted = plain(Image.fromarray(grey).convert("RGB"))
    assert_reads(grey, wanted)
    assert_reads(grey[:, :, None], wanted)


REFUSED = {
    "digits of 0 to 16": (np.full((8, 8), 16.0), r"floats must be 0 to 1 \(seen: '16 to 16'\)\. Divide by"),
    "not a number": (np.full((8, 8), np.nan), "floats must be 0 to 1"),
    "below zero": (np.full((8, 8), -1), "integers must be 0 to 255"),
    "above a byte": (np.full((8, 8, 3), 256), "integers must be 0 to 255"),
    "channels first": (np.zeros((3, 24, 32), np.uint8), r"not of a picture's shape .*transpose\(1, 2, 0\)"),
    "two channels": (np.zeros((24, 32, 2), np.uint8), "not of a picture's shape"),
    "a line": (np.zeros(24, np.uint8), "not of a picture's shape"),
    "several pictures": (np.zeros((2, 24, 32, 3), np.uint8), "not of a picture's shape"),
    "no pixels": (np.zeros((0, 4, 3), np.uint8), "not of a picture's shape"),
    "words": (np.array([["a", "b"]]), "these are no levels of a picture"),
    "complex": (np.zeros((4, 4), complex), "these are no levels of a picture"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_array_that_is_no_picture_is_refused_with_the_cure(case):
    array, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        read_picture(array, 16, "the third")
    assert str(caught.value).startswith("the third: ")
    assert caught.value.cure
