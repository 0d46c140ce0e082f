import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgpt_edge.data.delimited import find_separator, open_delimited
from modelgpt_edge.data.profile import Profile, profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.text import TextFile
from modelgpt_edge.errors import InputError

cell = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=' \n",;|'), max_size=8)
tables = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=8)
)


@settings(max_examples=50, deadline=None)
@given(tables, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], quoting: int) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    width = len(rows[0])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting).writerows([[f"name {i}" for i in range(width)], *rows])
    [chunk] = open_delimited(TextFile(path, "utf-8")).chunks()
    assert [[c.strip() for c in row] for row in zip(*chunk.values())] == [[c.strip() for c in row] for row in rows]


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=60) | st.text(alphabet='ab1,;"\n\t .{}[]:\r', max_size=60).map(str.encode),
    st.sampled_from([".csv", ".jsonl", ""]),
)
def test_any_file_is_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    got, refusal = profile_or_refusal(path)
    if got is None:
        assert str(path) in refusal
        assert len(refusal) < 600
    else:
        assert got.rows > 0
        assert all(len(cells) == got.rows for cells in got.sample.values())


def profile_or_refusal(path: Path) -> tuple[Profile | None, str]:
    try:
        return profile(open_source(path), 0), ""
    except InputError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb c\n1, 2\tx, y\n", "\t"),
        ("a|b|c\n1;2|3|4\n", "|"),
        ("a,b\n", ","),
        ("a\n1\n", ","),
        ("price, net;size, cm\n1,5;2,5\n", ";"),
        ('a,b\n"x;y;z",1\n"p;q;r",2\n', ","),
    ],
)
def test_the_separator_is_found(text: str, separator: str) -> None:
    assert find_separator(io.StringIO(text).readlines()) == separator


def test_a_header_longer_than_what_is_sniffed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    names = [f"a rather long name of a column {i}" for i in range(5000)]
    path.write_text(";".join(names) + "\n" + ";".join(["1"] * 5000) + "\n")
    assert open_source(path).columns == tuple(names)


@settings(max_examples=50, deadline=None)
@given(st.lists(cell, min_size=1, max_size=8), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_one_column_is_read_back_empty_cells_and_separators_too(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], quoting: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "one.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting).writerows([["text"], *([text] for text in texts)])
    [chunk] = open_delimited(TextFile(path, "utf-8")).chunks()
    assert [c.strip() for c in chunk["text"]] == [c.strip() for c in texts]


def test_texts_line_by_line_keep_their_commas(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text("text\nfirst, then; or | last\n\nno comma\n")
    source = open_source(path)
    assert [list(chunk["text"]) for chunk in source.chunks()] == [["first, then; or | last", "no comma"]]
    assert source.notes == ("no separator was found: the whole line is one column",)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("columns", [1, 2])
def test_control_characters_are_cells_like_any(tmp_path: Path, columns: int, quoting: int) -> None:
    controls = [chr(c) for c in [*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]]
    texts = [f"a{control}b" for control in controls]
    path = tmp_path / "controls.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [["text", "label"], *([text, "x"] for text in texts)]
        csv.writer(file, quoting=quoting).writerows([row[:columns] for row in rows])
    [chunk] = open_source(path).chunks()
    assert list(chunk["text"]) == texts


def test_a_quoted_cell_may_be_a_book(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    book = "call me Ishmael, " * 70_000
    path.write_text(f'text,label\n"{book}",whale\nshort,fish\n')
    [chunk] = open_source(path).chunks()
    assert [len(c) for c in chunk["text"]] == [len(book), 5]
