"""Tables of paths and labels: which column is which, where the paths begin, and what makes a table one of pictures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from modelgpt_edge.data.picture_sets import looks_like_pictures, open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture

LINES = ("path,label", "cat/1.png,cat", "cat/2.JPG,cat", "dog/1.png,dog", "dog/2.gif,dog")
NAMED = {"cat/1.png": "cat", "cat/2.JPG": "cat", "dog/1.png": "dog", "dog/2.gif": "dog"}


def named(source: object, **options) -> dict[str, str | None]:
    return {entry.name: entry.label for entry in open_pictures(source, **options).entries}


def table(place: Path, *lines: str) -> Path:
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


def refused(source: object, match: str, **options) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        open_pictures(source, **options)
    assert caught.value.cure
    return caught.value


def rows() -> list[dict[str, str]]:
    return [dict(zip(("path", "label"), line.split(","))) for line in LINES[1:]]


def test_paths_count_from_the_tables_folder(animals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = open_pictures(table(animals / "pictures.csv", *LINES))
    assert {entry.name: entry.label for entry in found.entries} == NAMED
    assert all(read_picture(entry.content(), 8).any() for entry in found.entries)
    absolute = [line if "/" not in line else f"{animals}/{line}" for line in LINES]
    assert len(named(table(tmp_path / "elsewhere.csv", *absolute))) == 4
    (animals / "tables").mkdir()
    above = [line if "/" not in line else f"../{line}" for line in LINES]
    assert len(named(table(animals / "tables/x.csv", *above))) == 4


def test_every_form_of_table_is_read(animals):
    places = {
        "x.tsv": "\n".join(LINES).replace(",", "\t").encode(),
        "x.jsonl": "\n".join(map(json.dumps, rows())).encode(),
        "x.json": json.dumps(rows()).encode(),
        "x.csv.gz": gzip.compress("\n".join(LINES).encode()),
        "utf16.csv": "\n".join(LINES).encode("utf-16"),
    }
    for name, content in places.items():
        (animals / name).write_bytes(content)
        assert named(animals / name) == NAMED
        assert looks_like_pictures(animals / name)
    pd.DataFrame(rows()).to_parquet(animals / "x.parquet")
    assert named(animals / "x.parquet") == NAMED
    assert looks_like_pictures(animals / "x.parquet")


def test_tables_in_memory_count_from_the_working_folder(animals, monkeypatch):
    monkeypatch.chdir(animals)
    columns = {key: [row[key] for row in rows()] for key in ("path", "label")}
    for source in (pd.DataFrame(rows()), rows(), columns):
        assert named(source) == NAMED
        assert looks_like_pictures(source)


def test_pictures_themselves_may_stand_in_a_table():
    images = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    found = open_pictures([{"image": image, "label": place} for place, image in enumerate(images)])
    assert [(entry.name, entry.label) for entry in found.entries] == [("row 1", "0"), ("row 2", "1")]
    assert (read_picture(found.entries[1].content(), 4) == (0, 0, 255)).all()
    assert len(open_pictures(pd.DataFrame({"image": images, "label": ["a", "b"]})).entries) == 2


# Columns


def with_columns(animals: Path, *others: str) -> Path:
    cells = {"id": "7", "label": "a", "class": "b", "species": "c", "file": "cat/1.png", "thumbnail": "dog/1.png"}
    cells |= {"group": "d", "width": "32"}
    return table(animals / "columns.csv", ",".join(others), ",".join(cells[name] for name in others))


def test_the_column_of_classes_is_told_by_its_name_or_stands_alone(animals):
    assert named(with_columns(animals, "id", "file", "class")) == {"cat/1.png": "b"}
    assert named(with_columns(animals, "species", "class", "file", "label")) == {"cat/1.png": "a"}
    assert named(with_columns(animals, "file", "group")) == {"cat/1.png": "d"}
    assert named(with_columns(animals, "group", "file", "id"), label="group") == {"cat/1.png": "d"}
    error = refused(with_columns(animals, "group", "file", "id"), "can't be told which column holds the classes")
    assert error.cure == "Name it by --label."


def test_the_column_of_paths_is_told_by_its_cells(animals):
    assert named(with_columns(animals, "file", "thumbnail", "label")) == {"cat/1.png": "a"}
    assert named(with_columns(animals, "file", "thumbnail", "label"), picture="thumbnail") == {"dog/1.png": "a"}
    refused(with_columns(animals, "id", "label", "width"), "no column holds paths of pictures")
    assert "'file'" in refused(with_columns(animals, "file", "label"), "no column has this name", picture="fiel").cure
    assert "'label'" in refused(with_columns(animals, "file", "label"), "no column has this name", label="labl").cure
    refused(with_columns(animals, "file", "label"), "no column has this name", label="file")


def test_a_table_of_paths_alone_has_no_classes(animals):
    path = table(animals / "x.csv", "path", "cat/1.png", "dog/1.png")
    refused(path, "there is no column of classes")
    assert named(path, labelled=False) == {"cat/1.png": None, "dog/1.png": None}


def test_a_file_that_can_be_no_table_is_one_picture_whatever_it_is_called(animals):
    picture = animals / "upload"
    picture.write_bytes((animals / "cat/1.png").read_bytes())
    (entry,) = open_pictures(picture, labelled=False).entries
    assert (read_picture(entry.content(), 8) == read_picture(animals / "cat/1.png", 8)).all()
    for name in ("notes.txt", "page.svg"):
        (entry,) = open_pictures(table(animals / name, "some notes"), labelled=False).entries
        with pytest.raises(InputError, match=rf"{name}: this is no picture of a kind that is read"):
            read_picture(entry.content(), 8, entry.name)
    assert named(table(animals / "list.txt", "path", "cat/1.png"), labelled=False) == {"cat/1.png": None}
    refused(table(animals / "x.csv", "a,b", "1,2"), "no column holds paths of pictures", labelled=False)
    refused(animals / "absent", "no such file", labelled=False)


def test_without_classes_labels_are_dropped(animals):
    assert set(named(table(animals / "x.csv", *LINES), labelled=False).values()) == {None}


def test_none_and_na_are_classes_here_and_an_empty_cell_is_not(animals):
    lines = ("path,label", "cat/1.png,none", "cat/2.JPG,NA", "dog/1.png, ", "dog/2.gif,Null", ",cat", "dog/3.bmp,3.0")
    found = open_pictures(table(animals / "x.csv", *lines))
    assert [entry.label for entry in found.entries] == ["none", "NA", "Null", "3"]
    assert found.notes == ("Left out for want of a picture: 1 of 6 rows.", "Left out for want of a label: 1 of 6 rows.")


def test_rows_of_which_none_is_whole_are_refused(animals):
    refused(table(animals / "x.csv", "path,label", "cat/1.png,", "dog/1.png,"), "no row has both a picture and a label")
    empty = table(animals / "x.csv", "path,label", ",cat", ",dog")
    error = refused(empty, "no row has a picture", picture="path", labelled=False)
    assert "label" not in error.cure


# Places


def test_paths_that_are_all_wrong_are_told_before_anything_is_read(animals, tmp_path):
    error = refused(table(tmp_path / "x.csv", *LINES), "no picture is where the table says")
    assert error.seen == "cat/1.png"
    assert f"the table's folder, {tmp_path}" in error.cure
    assert looks_like_pictures(tmp_path / "x.csv")  # so that this error is what its user sees


def test_a_path_that_is_wrong_among_others_is_told_when_it_is_read(animals):
    found = open_pictures(table(animals / "x.csv", *LINES, "cat/99.png,cat"))
    with pytest.raises(InputError, match=r"cat/99\.png: no such file"):
        read_picture(found.entries[-1].content(), 8, found.entries[-1].name)


def test_paths_of_windows_are_read(animals):
    assert named(table(animals / "x.csv", "path,label", "cat\\1.png,cat", "dog\\1.png,dog")) == {
        "cat\\1.png": "cat",
        "dog\\1.png": "dog",
    }
    found = open_pictures(animals / "x.csv")
    assert all(read_picture(entry.content(), 8).any() for entry in found.entries)


def test_addresses_are_told(animals):
    lines = ("url,label", "https://example.org/1.png,cat", "https://example.org/2.png,dog")
    refused(table(animals / "x.csv", *lines), "lists addresses, not files")


# Tables that only speak of pictures


def test_a_table_with_names_of_pictures_that_are_not_there_is_a_table(animals):
    lines = ("price,image,rooms", "3,house1.jpg,2", "4,house2.jpg,3")
    assert not looks_like_pictures(table(animals / "x.csv", *lines))
    assert looks_like_pictures(table(animals / "y.csv", "price,image,rooms", "3,cat/1.png,2"))


def test_no_file_is_looked_for_where_a_table_may_not_be_followed(animals):
    listed = table(animals / "y.csv", "price,image,rooms", "3,cat/1.png,2")
    assert not looks_like_pictures(listed, follow=False)
    assert not looks_like_pictures([{"price": 3, "image": str(animals / "cat" / "1.png"), "rooms": 2}], follow=False)
    assert looks_like_pictures(table(animals / "z.csv", "image,label", "cat/1.png,2"), follow=False)
    assert looks_like_pictures(animals, follow=False)


def test_texts_that_end_like_a_picture_and_plain_tables_are_tables(animals):
    assert not looks_like_pictures(table(animals / "x.csv", "text,label", "see cat.png,a", "hello there,b", "no,c"))
    assert not looks_like_pictures(table(animals / "y.csv", "a,b", "1,2"))
    assert not looks_like_pictures(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert not looks_like_pictures({"a": [1, 2], "b": [3, 4]})
    assert not looks_like_pictures([{"a": 1}])
