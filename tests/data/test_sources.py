import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modelgpt_edge.data.stream as stream
from modelgpt_edge.data.cells import read_numbers, read_words
from modelgpt_edge.data.sources import Source, open_source
from modelgpt_edge.errors import InputError

FRAME = pd.DataFrame({"age": [41, 52, 63], "height": [1.5, 1.75, np.nan], "city": ["Köln", "a, b", 'say "x"']})
WORDS = {"age": ["41", "52", "63"], "height": ["1.5", "1.75", ""], "city": ["Köln", "a, b", 'say "x"']}


def words_of(source: Source) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {name: [] for name in source.columns}
    for chunk in source.chunks():
        assert list(chunk) == list(source.columns)
        for name, cells in chunk.items():
            columns[name] += read_words(cells).tolist()
    return columns


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".dat", "", ".csv.gz"])
def test_delimited_files(tmp_path: Path, sep: str, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    FRAME.to_csv(path, sep=sep, index=False)
    assert words_of(open_source(path)) == WORDS
    assert words_of(open_source(str(path))) == WORDS


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        *((encoding, "") for encoding in ("utf-8", "utf-8-sig")),
        *((encoding, encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "mac-roman", "cp850")),
        ("latin-1", "cp1252"),
    ],
)
@pytest.mark.parametrize("gz", [False, True])
def test_encodings(tmp_path: Path, encoding: str, note: str, gz: bool) -> None:
    path = tmp_path / ("t.csv.gz" if gz else "t.csv")
    text = "Größe,été\r\n" + "1,über\r\n2,façade è ê\r\n" * 3
    path.write_bytes(gzip.compress(text.encode(encoding)) if gz else text.encode(encoding))
    source = open_source(path)
    assert words_of(source) == {"Größe": ["1", "2"] * 3, "été": ["über", "façade è ê"] * 3}
    assert note in " ".join(source.notes)
    assert bool(note) == bool(source.notes)


def test_the_first_odd_letter_may_come_late(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,plain\n" * 200_000 + "2,é\n".encode("cp1252"))
    source = open_source(path)
    assert "cp1252" in source.notes[0]
    assert words_of(source)["b"][-1] == "é"


def test_a_few_broken_characters_do_not_unmake_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + "1,größe\n".encode() * 50 + b"2,gr\xf6\n")
    source = open_source(path)
    assert "1 broken character" in source.notes[0]
    assert words_of(source)["b"][0] == "größe"


def test_line_ends_and_blank_lines(tmp_path: Path) -> None:
    for text in (
        "a,b\n1,2\n3,4",
        "a,b\r\n1,2\r\n\r\n3,4\r\n",
        "a,b\r1,2\r3,4\r",
        "\n\na,b\n1,2\n  \n3,4\n\n\n",
        "a,b,\n1,2,\n3,4,\n",
        "a,b\n1,2,\n3,4,,\n",
    ):
        columns = words_of(open_source(write(tmp_path / "t.csv", text)))
        assert (columns["a"], columns["b"]) == (["1", "3"], ["2", "4"]), text


def test_quotes(tmp_path: Path) -> None:
    text = 'a,"b, c",d\n1,"two\nlines",x\n2, "after, blank",5" pipe\n3,"a ""word""",\n'
    assert words_of(open_source(write(tmp_path / "t.csv", text))) == {
        "a": ["1", "2", "3"],
        "b, c": ["two\nlines", "after, blank", 'a "word"'],
        "d": ["x", '5" pipe', ""],
    }


def test_a_quoted_cell_may_span_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 3)
    rows = [[str(i), f"two\nor three\nlines {i}" if i % 3 else f"plain {i}", f"{i}.5"] for i in range(20)]
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert words_of(open_source(tmp_path / "t.csv")) == {name: frame[name].tolist() for name in frame}


def test_a_quoted_name_may_span_lines(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "t.csv", 'a,"b\nc"\n1,2\n3,4\n'))
    assert words_of(source) == {"a": ["1", "3"], "b\nc": ["2", "4"]}


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "Gewicht, kg;Größe, cm;Alter\n70,5;180,2;30\n81,25;175,0;41\n")
    source = open_source(path)
    assert source.columns == ("Gewicht, kg", "Größe, cm", "Alter")
    assert source.decimal == ","
    assert "semicolon" in source.notes[0]
    [chunk] = source.chunks()
    assert read_numbers(chunk["Gewicht, kg"], ",").tolist() == [70.5, 81.25]


def test_excel_says_its_separator(tmp_path: Path) -> None:
    assert words_of(open_source(write(tmp_path / "t.csv", "sep=;\na;b\n1;2\n"))) == {"a": ["1"], "b": ["2"]}


def test_messy_names(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "t.csv", 'x, "a b" ,,"e\u0301"\n1,2,3,4\n'))
    assert source.columns == ("x", "a b", "column_3", "é")
    assert "column_3" in source.notes[0]
    assert "header holds only numbers" in open_source(write(tmp_path / "t.csv", "1,2\n3,4\n")).notes[0]
    one = open_source(write(tmp_path / "t.csv", "name\nx\ny\n"))
    assert words_of(one) == {"name": ["x", "y"]}
    assert "no separator" in one.notes[0]


def test_wrong_rows_are_left_out_and_named(tmp_path: Path) -> None:
    lines = [f"{i},{i + 1}" for i in range(300)]
    lines[9] = "1,2,3"
    lines[99] = "7"
    for extra in ("", '"x",1\n'):
        source = open_source(write(tmp_path / "t.csv", "a,b\n" + "\n".join(lines) + "\n" + extra))
        assert source.notes == ()
        assert len(words_of(source)["a"]) == 298 + bool(extra)
        assert source.notes == ("2 rows without 2 cells are left out: line 11 (3 cells), line 101 (1 cells)",)
        words_of(source)
        assert len(source.notes) == 1  # a second pass notices the same


def test_too_many_wrong_rows(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "t.csv", "a,b\n1,2\n1,2,3\n4,5\n6\n"))
    with pytest.raises(
        InputError, match=r"t\.csv, line 3: 2 of 4 rows do not have the header's 2 cells \(seen: '3 cells'\)\. Check the sep"
    ):
        words_of(source)
    assert len(words_of(open_source(write(tmp_path / "t.csv", "a,b\n1,2\n1,2,3\n")))["a"]) == 1


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty"]),
        (b" \n\n", ["is empty"]),
        (b"\xef\xbb\xbf\n", ["is empty"]),
        (b"a,b\n", ["no data rows", "at least one row"]),
        (b'"a","b"\n\n\n', ["no data rows"]),
        (b"a,b,a\n1,2,3\n", ["stands more than once", "'a'", "columns 1, 3", "its own name"]),
        (b"a, a\n1,2\n", ["stands more than once"]),
        (b'a,b\n1,"open\n3,4\n', ["line 2", "quote is opened and not closed", "open"]),
        (b'a,b\n1,2\n1,"' + b"x" * 200_000, ["line 3", "quote is opened"]),
        (b'a,"b\n1,2\n', ["line 1", "quote is opened"]),
        (b"a,b\n1,\x00\n", ["binary"]),
        (b"a,b\n" + b"1,2\n" * 300_000 + b"\x00\x01", ["binary"]),
        (b"a,b\n\x01\x02,\x03\x04\n" * 20, ["binary"]),
        ("a,b\n\x01caf\u00e9,1\n".encode("cp1252"), ["binary"]),
        (b"PK\x03\x04" + b"\x00\x14" * 20, ["Excel or zip", "Save it as CSV"]),
        (b"PK\x03\x04" + b"\x01\x14" * 20, ["Excel or zip"]),
        (b"\x1f\x8b\x08\x00broken", ["damaged or cut"]),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:-20], ["damaged or cut"]),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", ["damaged", "utf-16"]),
        (b"PAR1 and then nothing of the kind", ["Parquet", "damaged"]),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        words_of(open_source(path))
    assert str(path) in str(error.value)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("size", [40, 5000, 100_000])
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet", ""])
def test_random_bytes_are_refused(tmp_path: Path, size: int, ending: str) -> None:
    for seed in range(3):
        path = tmp_path / f"t{ending}"
        path.write_bytes(np.random.default_rng(seed).bytes(size))
        with pytest.raises(InputError, match=r"binary|damaged|empty|Excel"):
            words_of(open_source(path))


def test_paths_that_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "heart.csv", "a,b\n1,2\n")
    with pytest.raises(InputError, match=r"haert\.csv: no such file\. Did you mean 'heart\.csv'\?"):
        open_source(tmp_path / "haert.csv")
    (tmp_path / "hearts").mkdir()
    (tmp_path / ".heart").mkdir()
    with pytest.raises(InputError, match=r"hart: no such file\. Did you mean 'hearts/' or 'heart\.csv'\?"):
        open_source(tmp_path / "hart")
    with pytest.raises(InputError, match=r"folder does not exist"):
        open_source(tmp_path / "no" / "heart.csv")
    with pytest.raises(InputError, match=r"folder, not a table\. Give one file of it: heart\.csv"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"not a path|no such file"):
        open_source("a,b\n1,2\n" * 1000)
    with pytest.raises(InputError, match=r"not a path|no such file"):
        open_source("a\0b")


def test_the_home_of_nobody_is_a_folder_that_is_not_there() -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        open_source("~nobody-of-that-name/rows.csv")


def test_json_lines(tmp_path: Path) -> None:
    rows = [{"age": 41, "ok": True, "note": None}, {"age": 52.0, "ok": False, "late": "é"}]
    expected = {"age": ["41", "52"], "ok": ["true", "false"], "note": ["", ""], "late": ["", "é"]}
    lines = "\n".join(map(json.dumps, rows))
    for ending in (".jsonl", ".ndjson", ".json", "", ".log"):
        assert words_of(open_source(write(tmp_path / f"t{ending}", "\n" + lines + "\n\n"))) == expected
    for text in (json.dumps(rows), json.dumps(rows, indent=1)):
        assert words_of(open_source(write(tmp_path / "t.json", text))) == expected
    for text in (json.dumps({"a": [1, 2], "b": ["x", None]}), json.dumps({"a": [1, 2], "b": ["x", None]}, indent=2)):
        assert words_of(open_source(write(tmp_path / "t.json", text))) == {"a": ["1", "2"], "b": ["x", ""]}
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode("utf-16")))
    assert words_of(open_source(tmp_path / "t.jsonl.gz")) == expected
    assert words_of(open_source(write(tmp_path / "t.jsonl", '{"a": NaN, "b": [1]}'))) == {"a": [""], "b": ["[1]"]}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"a": 1}\n{"a": 2\n', ["t.jsonl, line 2", "not a JSON object", '{"a": 2', "one object a line"]),
        ('{"a": 1}\n\n[1]\n', ["line 3", "not a JSON object"]),
        ('[{"a": 1}, {"a": ]', ["line 1", "not valid JSON"]),
        ('[{"a": 1}, 5]', ["row 2", "not an object"]),
        ("[]", ["no data rows"]),
        ("{}\n{}\n", ["no columns"]),
        ('{"a": 1, " a": 2}\n', ["more than once"]),
        ('{"a": [1, 2], "b": [1]}', ["differ in length"]),
        ("hello\n", ["line 1", "not a JSON object"]),
        ("[" * 100_000, ["not valid JSON"]),
    ],
)
def test_json_that_is_refused(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as error:
        words_of(open_source(write(tmp_path / "t.jsonl", text)))
    for part in parts:
        assert part in str(error.value)


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], "Int64"),
            "big": [2**60 + 1, 2, 3],
            "f": np.array([0.1, np.nan, np.inf], np.float32),
            "b": pd.array([True, None, False], "boolean"),
            "s": ["x", None, "é"],
            "c": pd.Categorical(["u", "v", "u"]),
            "t": pd.to_datetime(["2024-01-02", "2024-01-03 04:05:06", None], format="mixed"),
            "l": [[1], [], None],
        }
    )
    for name in ("t.parquet", "t.pq", "t", "t.csv"):
        frame.to_parquet(tmp_path / name)
        assert words_of(open_source(tmp_path / name)) == {
            "i": ["1", "", "3"],
            "big": [str(2**60 + 1), "2", "3"],
            "f": ["0.1", "", "inf"],
            "b": ["true", "", "false"],
            "s": ["x", "", "é"],
            "c": ["u", "v", "u"],
            "t": ["2024-01-02", "2024-01-03 04:05:06", ""],
            "l": ["[1]", "[]", ""],
        }
    assert words_of(open_source(frame.drop(columns="l"))) == {
        name: words for name, words in words_of(open_source(tmp_path / "t.pq")).items() if name != "l"
    }


def test_parquet_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(InputError, match="no data rows"):
        open_source(path)
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(InputError, match="stands more than once"):
        open_source(path)
    pq.write_table(pa.table({"a": list(range(5000))}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"t\.parquet: the Parquet file is damaged or cut short"):
        open_source(path)
    path.write_bytes(whole[:200] + b"\xff" * 3000 + whole[3200:])
    with pytest.raises(InputError, match="damaged"):
        words_of(open_source(path))
    path.write_bytes(whole)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow.*pip install 'modelgpt-edge\[build\]'"):
        open_source(path)


def test_tables_in_memory() -> None:
    assert words_of(open_source(FRAME)) == WORDS
    assert words_of(open_source(FRAME.to_dict("records"))) == WORDS
    assert words_of(open_source(FRAME.to_dict("list"))) == WORDS
    assert words_of(open_source({name: FRAME[name] for name in FRAME})) == WORDS
    assert words_of(open_source(FRAME.convert_dtypes())) == WORDS
    assert words_of(open_source({"a": 1, "b": "x"})) == {"a": ["1"], "b": ["x"]}
    assert words_of(open_source([{"a": 1}, {"b": "x"}])) == {"a": ["1", ""], "b": ["", "x"]}
    array = np.array([[1.0, 2.5], [np.nan, 4]])
    assert words_of(open_source(array)) == {"c0": ["1", ""], "c1": ["2.5", "4"]}
    assert words_of(open_source(array, names=["x", "y"])) == {"x": ["1", ""], "y": ["2.5", "4"]}
    assert words_of(open_source([[1, "x"], [2.5, None]])) == {"c0": ["1", "2.5"], "c1": ["x", ""]}
    assert words_of(open_source(np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]))) == {"a": ["1"], "b": ["2.5"]}
    assert words_of(open_source(pd.DataFrame({0: [1], 1: ["x"]}))) == {"0": ["1"], "1": ["x"]}
    source = open_source(FRAME)
    assert open_source(source) is source


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "not a table.*seen: 'int'.*DataFrame"),
        (None, "not a table"),
        ((x for x in [1]), "not a table.*generator"),
        ([], "no data rows"),
        ({}, "no columns"),
        ({"a": []}, "no data rows"),
        (pd.DataFrame({"a": []}), "no data rows"),
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once"),
        ([{"a": 1}, 5], r"row 2: a row is not an object.*seen: 5"),
        ([[1, 2], [3]], r"row 2: rows differ in length"),
        ({"a": [1, 2], "b": [1]}, r"differ in length \(seen: \{'a': 2, 'b': 1\}\)"),
        ({"a": [1, 2], "b": 1}, "column 'b': a column is not a list"),
        (np.zeros(3), r"not two-dimensional \(seen: \(3,\)\)"),
        (np.zeros((0, 3)), "no data rows"),
        (np.zeros((3, 0)), "no columns"),
    ],
)
def test_tables_that_are_refused(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(data)


def test_names_must_fit_the_array() -> None:
    with pytest.raises(InputError, match="names do not match"):
        open_source(np.zeros((2, 3)), names=["a"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "frame"])
def test_every_pass_gives_the_same_chunks(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 7)
    frame = pd.DataFrame({"a": range(50), "b": [f"w{i % 3}" for i in range(50)]})
    data: object = frame
    if kind == "csv":
        frame.to_csv(data := tmp_path / "t.csv", index=False)
    elif kind == "jsonl":
        frame.to_json(data := tmp_path / "t.jsonl", orient="records", lines=True)
    elif kind == "parquet":
        frame.to_parquet(data := tmp_path / "t.parquet")
    source = open_source(data)
    first, second = list(source.chunks()), list(source.chunks())
    assert [len(chunk["a"]) for chunk in first] == [7] * 7 + [1]
    assert [{k: list(v) for k, v in c.items()} for c in first] == [{k: list(v) for k, v in c.items()} for c in second]
    assert words_of(source)["a"] == [str(i) for i in range(50)]


def test_five_thousand_columns(tmp_path: Path) -> None:
    table = np.round(np.random.default_rng(0).normal(size=(60, 5000)), 3)
    frame = pd.DataFrame(table, columns=[f"gene_{i}" for i in range(5000)])
    frame.to_csv(tmp_path / "wide.csv", index=False)
    source = open_source(tmp_path / "wide.csv")
    assert len(source.columns) == 5000
    [chunk] = source.chunks()
    np.testing.assert_array_equal(np.stack([read_numbers(chunk[c]) for c in source.columns], 1), table.astype(np.float32))
    assert stream.chunk_rows(5000) * 5000 <= stream.CHUNK_CELLS


def test_the_room_needs_numpy_alone() -> None:
    code = "import sys, modelgpt_edge.data.sources as _; print({'pandas', 'pyarrow', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
