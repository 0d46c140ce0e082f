"""Class folders: which files are pictures, which class each is in, and what is told of those that are left out."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from modelgpt_edge.data import picture_folders
from modelgpt_edge.data.picture_sets import looks_like_pictures, open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture


def named(folder: Path, labelled: bool = True) -> dict[str, str | None]:
    return {entry.name: entry.label for entry in open_pictures(folder, labelled=labelled).entries}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def refused(folder: Path, match: str, labelled: bool = True) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        open_pictures(folder, labelled=labelled)
    assert caught.value.cure
    assert caught.value.where.startswith(str(folder))
    return caught.value


def test_the_first_folders_are_the_classes_however_deep_a_picture_lies(animals):
    found = open_pictures(animals)
    assert {entry.name: entry.label for entry in found.entries} == {
        "cat/1.png": "cat",
        "cat/2.JPG": "cat",
        "cat/more/3.webp": "cat",
        "dog/1.png": "dog",
        "dog/2.gif": "dog",
        "dog/3.bmp": "dog",
    }
    assert (found.name, found.notes, found.classes) == (str(animals), (), ("cat", "dog"))
    assert found.counts == {"cat": 3, "dog": 3}
    assert all(read_picture(entry.content(), 8).shape == (8, 8, 3) for entry in found.entries)


def test_what_systems_leave_lying_about_is_passed_over_in_silence(animals):
    before = named(animals)
    touch(animals / "cat/.hidden.png", animals / ".git/x.png", animals / "__MACOSX/cat/1.png", animals / "Thumbs.db")
    touch(animals / "dog/.DS_Store", animals / "dog/desktop.ini", animals / "cat/._1.png")
    assert named(animals) == before
    assert open_pictures(animals).notes == ()


def test_files_that_are_no_pictures_are_noted(animals):
    touch(animals / "readme.txt", animals / "cat/labels.csv", animals / "cat/raw.heic", animals / "dog/notes")
    assert open_pictures(animals).notes == (
        "Left out, no pictures by their names: 4 files (cat/labels.csv, cat/raw.heic, dog/notes, ...).",
    )


def test_pictures_beside_the_class_folders_are_noted(animals):
    touch(animals / "stray.png")
    assert open_pictures(animals).notes == ("Left out, beside the class folders: 1 file (stray.png).",)
    assert "stray.png" not in named(animals)
    assert "stray.png" in named(animals, labelled=False)


def test_without_classes_every_picture_is_taken(animals):
    assert set(named(animals, labelled=False).values()) == {None}
    assert len(named(animals, labelled=False)) == 6
    assert named(animals / "cat", labelled=False) == {"1.png": None, "2.JPG": None, "more/3.webp": None}


def test_pictures_without_class_folders_have_no_classes(animals):
    touch(animals / "flat/1.png", animals / "flat/2.png")
    error = refused(animals / "flat", "these pictures have no classes")
    assert error.seen == "1.png, 2.png"


def test_one_folder_around_the_class_folders_does_not_count(animals):
    touch(animals.parent / "around/inner/cat/1.png", animals.parent / "around/inner/dog/1.png")
    assert named(animals.parent / "around") == {"inner/cat/1.png": "cat", "inner/dog/1.png": "dog"}


@pytest.mark.parametrize("extra", [(), ("annotations.xml",)])
def test_an_empty_class_folder_is_refused(animals, extra):
    (animals / "zebra").mkdir()
    touch(*(animals / "zebra" / name for name in extra))
    error = refused(animals, "a class folder holds no pictures")
    assert error.where == f"{animals}/zebra"
    assert error.seen == (f"zebra/{extra[0]}" if extra else None)
    assert "--classes" in error.cure
    assert len(named(animals, labelled=False)) == 6


def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path):
    touch(*(tmp_path / part / kind / "1.png" for part in ("train", "Test", "val") for kind in ("cat", "dog")))
    error = refused(tmp_path, "parts of a data set, not classes")
    assert error.cure == f"Give one of them, such as {tmp_path}/train."
    assert set(named(tmp_path / "train").values()) == {"cat", "dog"}


def test_folders_called_so_that_hold_pictures_are_classes(tmp_path):
    touch(tmp_path / "train/1.png", tmp_path / "test/1.png")  # trains, and tests for a disease
    assert set(named(tmp_path).values()) == {"train", "test"}


def test_nothing_here_is_told(tmp_path):
    refused(tmp_path, "there are no pictures here")
    refused(tmp_path, "there are no pictures here", labelled=False)
    touch(tmp_path / "cat/1.heic")
    assert refused(tmp_path, "there are no pictures here").seen == "cat/1.heic"


@pytest.mark.parametrize("name", ["none", "NA", "null", "007", "True", "a b", "?"])
def test_any_name_of_a_folder_is_a_class(name, animals):
    touch(animals / name / "1.png")
    assert named(animals)[f"{name}/1.png"] == name


def test_names_are_in_one_form_of_unicode(animals):
    decomposed = unicodedata.normalize("NFD", "Köter")
    touch(animals / decomposed / "1.png")
    assert "Köter" in open_pictures(animals).classes


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_text_can_be_printed(animals):
    place = os.path.join(os.fsencode(animals), b"caf\xe9")
    os.mkdir(place)
    with open(os.path.join(place, b"\xff.png"), "wb") as file:
        file.write((animals / "cat/1.png").read_bytes())
    found = open_pictures(animals)
    assert "caf\ufffd" in found.classes
    assert "caf\ufffd/\ufffd.png".encode() in [entry.name.encode() for entry in found.entries]
    assert all(read_picture(entry.content(), 4).any() for entry in found.entries)


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    touch(*(tmp_path / str(number) / "1.png" for number in (10, 9, 2)))
    assert open_pictures(tmp_path).classes == ("2", "9", "10")


def test_links_are_followed_but_not_in_circles(animals, tmp_path):
    (animals / "cat/again").symlink_to(animals)
    (animals / "cat/itself").symlink_to(animals / "cat")
    (animals / "cat/loop").symlink_to(animals / "cat/loop")
    (animals / "dog/gone.png").symlink_to(tmp_path / "nowhere.png")
    (animals / "linked").symlink_to(animals / "dog")
    found = named(animals)
    assert found["linked/1.png"] == "linked"
    assert found["dog/gone.png"] == "dog"  # read later, and named then
    assert sum(label == "cat" for label in found.values()) < 20


def test_what_is_neither_file_nor_folder_is_passed_over(animals):
    os.mkfifo(animals / "cat/pipe.png")
    assert "cat/pipe.png" not in named(animals)


def test_too_many_files_are_refused(animals, monkeypatch):
    monkeypatch.setattr(picture_folders, "MOST_FILES", 7)
    refused(animals, "there are over 7 files below this folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_told(animals):
    (animals / "cat").chmod(0)
    refused(animals, "the folder cannot be read")


def test_one_picture_is_a_set_for_predicting_only(animals):
    path = animals / "cat/1.png"
    (entry,) = open_pictures(path, labelled=False).entries
    assert (entry.name, entry.label) == (str(path), None)
    assert read_picture(entry.content(), 8).any()
    refused(path, "one picture tells no classes apart")


def test_a_place_that_is_not_there_is_told(tmp_path):
    for name in ("absent", "absent.csv", "absent.zip", "absent/deeper"):
        refused(tmp_path / name, "no such file")


def test_the_nearest_folders_are_told_too(animals, tmp_path):
    (tmp_path / ".cache").mkdir()
    for labelled in (True, False):
        assert refused(tmp_path / "anmials", "no such file", labelled).cure == "Did you mean 'animals/'?"
        assert refused(tmp_path / "xyz", "no such file", labelled).cure == "Known: 'animals/'."


def test_where_there_are_no_pictures_the_cure_is_of_what_was_asked(tmp_path):
    assert "for each class" in refused(tmp_path, "there are no pictures here").cure
    assert "class" not in refused(tmp_path, "there are no pictures here", labelled=False).cure


# Telling pictures from tables


def test_folders_of_pictures_look_like_pictures(animals, tmp_path):
    assert looks_like_pictures(animals)
    assert looks_like_pictures(str(animals))
    assert looks_like_pictures(animals / "cat")
    assert looks_like_pictures(animals / "cat/1.png")
    (tmp_path / "empty/cat").mkdir(parents=True)
    assert looks_like_pictures(tmp_path / "empty")  # opened as pictures it says what is wanted
    touch(animals / "labels.csv")
    assert looks_like_pictures(animals)


def test_folders_of_tables_and_places_that_are_not_there_do_not(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/a.csv").write_text("a,b\n1,2\n")
    for source in (tmp_path / "tables", tmp_path / "tables/a.csv", tmp_path / "absent", "x\0y", "a" * 5000, None, 3, [], {}):
        assert not looks_like_pictures(source)


def test_looking_stops_early_and_decodes_nothing(animals, monkeypatch):
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("a picture was decoded"))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("a picture was read"))
    assert looks_like_pictures(animals)
    open_pictures(animals)
