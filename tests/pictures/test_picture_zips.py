"""Zips of class folders, honest ones and others: nothing leaves its folder, nothing unpacks to more than it says."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.data import picture_zips
from modelgpt_edge.data.picture_sets import looks_like_pictures, open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture


@pytest.fixture
def png(picture, pack) -> bytes:
    return pack(picture(1), "PNG")


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def named(source: object, labelled: bool = True) -> dict[str, str | None]:
    return {entry.name: entry.label for entry in open_pictures(source, labelled=labelled).entries}


def refused(source: object, match: str) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        open_pictures(source)
    assert caught.value.cure
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read_as_the_folder_in_it(method, animals, tmp_path):
    files = {str(p.relative_to(animals)): p.read_bytes() for p in animals.rglob("*") if p.is_file()}
    path = zipped(tmp_path / "animals.zip", files, method)
    assert named(path) == named(animals)
    inside, outside = open_pictures(path), open_pictures(animals)
    for one, other in zip(inside.entries, outside.entries):
        np.testing.assert_array_equal(read_picture(one.content(), 8), read_picture(other.content(), 8))
    assert named(path.read_bytes()) == named(animals)
    path.rename(tmp_path / "no ending")
    assert named(tmp_path / "no ending") == named(animals)


def test_a_folder_around_and_what_a_mac_adds_do_not_count(png, tmp_path):
    files = {"my pets/": b"", "my pets/cat/1.png": png, "my pets/dog/1.png": png}
    files |= {"__MACOSX/my pets/cat/._1.png": b"x", "my pets/.DS_Store": b"x", "my pets/cat/Thumbs.db": b"x"}
    found = open_pictures(zipped(tmp_path / "x.zip", files))
    assert [entry.label for entry in found.entries] == ["cat", "dog"]
    assert found.notes == ()


def test_a_folder_in_a_zip_can_be_asked_for(png, tmp_path):
    files = {f"{part}/{kind}/1.png": png for part in ("train", "test") for kind in ("cat", "dog")}
    path = zipped(tmp_path / "x.zip", files)
    error = refused(path, "parts of a data set")
    assert error.cure == f"Give one of them, such as {path}/train."
    assert named(f"{path}/train") == {"cat/1.png": "cat", "dog/1.png": "dog"}
    assert looks_like_pictures(f"{path}/train")
    assert open_pictures(path / "test").name == f"{path}/test"
    refused(path / "absent", "there are no pictures here")


def test_paths_written_by_windows_are_read(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png})
    content = path.read_bytes().replace(b"cat/1.png", b"cat\\1.png")
    assert named(content) == {"cat/1.png": "cat", "dog/1.png": "dog"}


def test_an_empty_class_folder_is_refused(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png, "zebra/": b""})
    assert refused(path, "a class folder holds no pictures").where == f"{path}/zebra"


def test_many_threads_read_one_zip(picture, pack, tmp_path):
    files = {f"{kind}/{i}.png": pack(picture(i), "PNG") for i in range(60) for kind in "ab"}
    found = open_pictures(zipped(tmp_path / "x.zip", files, zipfile.ZIP_DEFLATED))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            read = list(pool.map(lambda entry: entry.content(), found.entries))
            assert read == [files[entry.name] for entry in found.entries]


# Bad ones


UNSAFE = ("../up.png", "cat/../../up.png", "/etc/x.png", "C:/x.png", "c:x.png", "..\\up.png", "\\\\host\\x.png", "cat/..")


@pytest.mark.parametrize("name", UNSAFE)
def test_a_path_that_leaves_the_folder_is_refused(name, png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png, name: png})
    error = refused(path, "a path in the zip leaves its folder")
    assert error.seen == name
    assert "from where you trust" in error.cure


def test_a_link_in_a_zip_is_no_picture(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("cat/passwd.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "cat/passwd.png" not in named(path)


def test_a_password_is_told(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png})
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + flags] |= 1
    path.write_bytes(content)
    assert looks_like_pictures(path)
    assert refused(path, "locked by a password").seen == "cat/1.png"


def test_a_zip_that_is_damaged_or_none_is_told(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png})
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"just words", content[:-30]):
        path.write_bytes(broken)
        assert looks_like_pictures(path)
        refused(path, "the zip is damaged or cut short")


def test_a_damaged_entry_is_told_when_it_is_read(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png})
    content = bytearray(path.read_bytes())
    content[content.index(png) + 50] ^= 0xFF
    path.write_bytes(content)
    first, second = open_pictures(path).entries
    with pytest.raises(InputError, match=r"x\.zip/cat/1\.png: the entry is damaged"):
        first.content()
    assert second.content() == png


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_whose_growth_cannot_be_held_are_refused(method, png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png}, method)
    assert refused(path, "packed in a way that isn't read").seen == "cat/1.png"


def test_a_zip_that_unpacks_to_far_more_is_refused_unread(tmp_path):
    nothing = bytes(40 << 20)
    files = {f"{kind}/{i}.png": nothing for kind in ("cat", "dog") for i in range(4)}
    path = zipped(tmp_path / "x.zip", files, zipfile.ZIP_DEFLATED)
    del nothing, files
    tracemalloc.start()
    refused(path, r"unpacks to far more than pictures do \(seen: '[0-9,]+ bytes that unpack to 335,544,320'\)")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_an_entry_that_is_too_large_is_refused_unread(png, tmp_path, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.pictures.decode.MOST_BYTES", 10_000)
    path = zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/2.png": bytes(10_001)})
    error = refused(path, "the file is too large for a picture")
    assert error.where == f"{path}/dog/2.png"


def test_an_entry_that_lies_about_its_size_unpacks_to_no_more_than_it_says(png, tmp_path):
    path = zipped(tmp_path / "x.zip", {"cat/1.png": bytes(60 << 20), "dog/1.png": png}, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    true, said = struct.pack("<I", 60 << 20), struct.pack("<I", 500)
    assert content.count(true) == 2
    path.write_bytes(content.replace(true, said))
    del content
    entry = open_pictures(path).entries[0]
    tracemalloc.start()
    with pytest.raises(InputError, match="the entry is damaged"):
        entry.content()
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_too_many_entries_are_refused(png, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_zips, "MOST_FILES", 1)
    refused(zipped(tmp_path / "x.zip", {"cat/1.png": png, "dog/1.png": png}), "the zip has too many entries")


def test_an_empty_zip_is_told_what_was_asked(tmp_path):
    path = zipped(tmp_path / "x.zip", {})
    assert "for each class" in refused(path, "there are no pictures here").cure
    with pytest.raises(InputError, match="there are no pictures here") as caught:
        open_pictures(path, labelled=False)
    assert "class" not in caught.value.cure


def test_documents_that_are_zips_inside_are_no_pictures(png, tmp_path):
    for name in ("book.xlsx", "text.docx", "arrays.npz"):
        path = zipped(tmp_path / name, {"[Content_Types].xml": b"<x/>", "xl/media/image1.png": png})
        assert not looks_like_pictures(path)
        refused(path, "looks like an Excel or zip file")


def test_bytes_of_a_zip_look_like_pictures_and_others_do_not(png):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("cat/1.png", png)
    assert looks_like_pictures(out.getvalue())
    assert not looks_like_pictures(b"just words")
    assert not looks_like_pictures(b"")


def test_a_picture_with_a_zip_behind_it_is_a_picture(png, animals, tmp_path):
    out = io.BytesIO(png)
    out.seek(0, 2)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("cat/1.png", png)
    path = tmp_path / "both.png"
    path.write_bytes(out.getvalue())
    (entry,) = open_pictures(path, labelled=False).entries
    np.testing.assert_array_equal(read_picture(entry.content(), 8), read_picture(png, 8))
