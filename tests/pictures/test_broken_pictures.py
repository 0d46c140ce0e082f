"""Files that are no pictures, broken or made to do harm: an error that names them and tells the cure, no noise besides."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures import decode
from modelgpt_edge.pictures.pillow import QUIET
from modelgpt_edge.pictures.read import read_picture


def refused(source, match: str, name: str | None = "holiday.jpg") -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        read_picture(source, 16, name)
    error = caught.value
    assert str(error).startswith(f"{name or source}: ")
    assert error.cure
    return error


def png(width: int, height: int, data: bytes = b"", deflated: bool = False) -> bytes:
    """A grey PNG, put together by hand, whose header may say what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = data if deflated else zlib.compress(data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


CUT = {
    "PNG": {},
    "JPEG": {},
    "JPEG, progressive": {"progressive": True},
    "GIF": {},
    "BMP": {},
    "WEBP": {},
    "WEBP, lossless": {"lossless": True},
    "TIFF": {},
    "TIFF, packed": {"compression": "tiff_lzw"},
    "PPM": {},
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_short_is_refused(name, pack):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8))
    content = pack(noise, name.split(",")[0], **CUT[name])
    read_picture(content, 16)
    for length in (len(content) // 4, len(content) // 2, len(content) * 9 // 10):
        refused(content[:length], "is damaged")


@pytest.mark.parametrize("content", [b"just words", b"<svg/>", b"%PDF-1.7", b"\0\0\0\x1cftypheic\0\0", bytes(100), b"GIF8"])
def test_what_is_no_picture_is_refused_with_its_first_bytes(content):
    error = refused(content, "no picture of a kind that is read")
    assert error.seen == content[:12]
    assert "PNG, JPEG" in error.cure


def test_a_text_file_called_jpg_is_named(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("dear diary")
    refused(path, "no picture of a kind that is read", name=None)


def test_formats_beyond_the_list_are_not_tried(pack):
    content = pack(Image.new("RGB", (16, 16)), "TGA")
    assert Image.open(io.BytesIO(content)).format == "TGA"
    refused(content, "no picture of a kind that is read")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "x.png").touch()
    refused(tmp_path / "x.png", "the file is empty", name=None)
    refused(b"", "the file is empty")


@pytest.mark.parametrize("size", [(20_000, 10_000), (12_000, 9_000), (65_536, 1), (1, 2**31 - 1)])
def test_a_header_of_too_many_pixels_is_refused_before_any_is_decoded(size, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("pixels were decoded"))
    width, height = size
    error = refused(png(width, height, b"\0" * 1000), "the picture is too large")
    assert "At most 100 megapixels" in error.cure
    assert error.seen in (f"{width:,} x {height:,} pixels", f"{width * height:,} pixels")


def test_two_hundred_megapixels_that_are_really_there_cost_no_memory():
    packer = zlib.compressobj(1)
    row = b"\0" * 20_001
    content = png(20_000, 10_000, b"".join(packer.compress(row) for _ in range(10_000)) + packer.flush(), deflated=True)
    tracemalloc.start()
    refused(content, r"the picture is too large \(seen: '200,000,000 pixels'\)\. At most 100 megapixels")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_images_and_arrays_have_the_same_limit():
    refused(Image.new("1", (10_001, 10_000)), "too large")
    refused(np.broadcast_to(np.uint8(0), (10_001, 10_000)), "too large")
    refused(np.broadcast_to(np.uint8(0), (2, 70_000, 3)), "too large")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    path = tmp_path / "x.png"
    with path.open("wb") as file:
        file.truncate(decode.MOST_BYTES + 1)  # takes no room on the disk
    tracemalloc.start()
    refused(path, "the file is too large for a picture", name=None)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_header_that_lies_about_its_size_is_refused(pack):
    refused(png(100, 100, b"\0" * 500), "damaged or cut short")
    content = bytearray(pack(Image.new("RGB", (20, 20), "red"), "BMP"))
    content[18:22] = struct.pack("<i", 2000)
    refused(bytes(content), "damaged or cut short")


def test_a_checksum_that_is_wrong_is_refused(pack):
    content = bytearray(pack(Image.new("RGB", (20, 20), "red"), "PNG"))
    content[content.index(b"IDAT") + 6] ^= 0x55
    refused(bytes(content), "damaged")


# Places


def test_places_that_hold_no_file_are_told(tmp_path):
    refused(tmp_path / "absent.png", r"no such file.*absent\.png is not there", name=None)
    refused(tmp_path, "this is a folder", name=None)
    refused("nul\0.png", "cannot be read|no such file", name="odd")
    refused("x" * 5000 + ".png", "cannot be read", name="long")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "no plain file", name=None)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "cannot be read|no such file", name=None)


def test_things_that_are_no_picture_are_told():
    refused(io.StringIO("text"), r"opened as text\. Open it with mode \"rb\"")
    refused(17, "this is no picture")
    refused([1, 2], "this is no picture")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_file_that_is_open_in_the_wrong_way_is_told(encoding, tmp_path, pack):
    path = tmp_path / "x.png"
    path.write_bytes(pack(Image.new("RGB", (4, 4), "red"), "PNG"))
    with path.open(encoding=encoding) as file:  # PNG's first byte is none of UTF-8
        refused(file, r"opened as text\. Open it with mode \"rb\"")
    file = path.open("rb")
    file.close()
    refused(file, "the file cannot be read")


def test_without_a_name_it_is_called_a_picture():
    with pytest.raises(InputError, match=r"^picture: the file is empty"):
        read_picture(b"", 8)


# Whatever bytes come


def test_damaged_bytes_give_a_picture_or_an_error_of_ours(picture, pack):
    draw = random.Random(3)
    image = picture(1, 9, 11)
    forms = ("PNG", {}), ("JPEG", {}), ("GIF", {}), ("BMP", {}), ("WEBP", {}), ("TIFF", {}), ("PPM", {})
    seeds = [pack(image, format, **options) for format, options in forms]
    seeds.append(pack(image, "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"))
    read = 0
    for _ in range(3000):
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(content))
            content[place] = draw.choice((0, 1, 127, 255, draw.randrange(256)))
        try:
            read_picture(bytes(content), 8)
            read += 1
        except InputError:
            continue
    assert 100 < read < 2900


# The console


LOUD = """
import sys, warnings
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture
warnings.simplefilter(sys.argv[1])
for path in sys.argv[2:]:
    try:
        read_picture(path, 8)
        print(path.split("/")[-1])
    except InputError:
        pass
"""


@pytest.mark.parametrize("filter", ["always", "error"])
def test_pillow_says_nothing_on_the_console(filter, pack, tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40
    loud = {
        "exif.jpg": pack(Image.new("RGB", (8, 8)), "JPEG", exif=exif),
        "cut.tif": pack(Image.new("RGB", (8, 8)), "TIFF", compression="tiff_lzw")[:-20],
        "palette.png": pack(Image.new("P", (8, 8)), "PNG", transparency=bytes(8)),
        "large.png": png(10_000, 9_500, b"\0" * 100),
        "samples.tif": pack(Image.new("RGB", (8, 8)), "TIFF").replace(
            b"\x15\x01\x03\0\x01\0\0\0\x03", b"\x15\x01\x03\0\x01\0\0\0\xff"
        ),
    }
    for name, content in loud.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", LOUD, filter, *(str(tmp_path / name) for name in loud)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["exif.jpg", "palette.png"], "")


def test_the_callers_own_filters_of_warnings_are_left_alone(pack):
    content = pack(Image.new("P", (8, 8)), "PNG", transparency=bytes(8))
    before = list(warnings.filters)
    ready = threading.Barrier(8)

    def read(_: int) -> None:
        ready.wait()
        for _ in range(50):
            read_picture(content, 8)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))
    assert warnings.filters == before


def test_pillow_is_quiet_until_the_last_reader_has_left():
    def warn() -> None:
        warnings.warn_explicit("odd", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with QUIET:
            with QUIET:
                warn()
            warn()
        assert not told
        warn()
        assert len(told) == 1


def test_without_pillow_the_line_that_installs_it_is_told():
    code = "import sys\nsys.modules['PIL'] = None\nfrom modelgpt_edge.pictures.read import read_picture\nread_picture(b'x', 8)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "InputError: pictures: reading pictures needs Pillow" in ran.stderr
    assert "pip install 'modelgpt-edge[images]'" in ran.stderr


def test_the_room_brings_in_pillow_only_when_a_picture_is_read():
    code = (
        "import sys, modelgpt_edge.pictures.read, modelgpt_edge.pictures.sheet, modelgpt_edge.data.picture_sets\n"
        "assert not {'PIL', 'torch', 'onnx', 'onnxruntime', 'pyarrow', 'pandas'} & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
