import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modelgpt_edge.data.profile as room
import modelgpt_edge.data.stream as stream
from modelgpt_edge.data.cells import Chunk
from modelgpt_edge.data.profile import ColumnProfile, profile
from modelgpt_edge.data.sources import Source, open_source


def column(cells: list[object], **options: int) -> ColumnProfile:
    return profile(open_source({"a": cells}), 0, **options).columns[0]


def test_counts_agree_with_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 97)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": np.where(rng.random(1000) < 0.1, np.nan, rng.normal(size=1000)),
            "int": rng.integers(-5, 40, 1000),
            "word": rng.choice(["red", "green", None], 1000),
            "bool": rng.random(1000) < 0.5,
        }
    )
    got = {c.name: c for c in profile(open_source(frame), 0).columns}
    for name, column in got.items():
        series = frame[name]
        assert (column.rows, column.missing) == (1000, series.isna().sum())
        assert column.distinct == series.nunique()
        assert not column.many
        assert sorted(column.counts.values()) == sorted(series.value_counts().tolist())
        assert column.numeric == (column.present if name in ("float", "int") else 0)
    assert (got["int"].whole, got["float"].whole) == (True, False)
    assert (got["float"].low, got["float"].high) == (frame["float"].min(), frame["float"].max())
    assert math.isnan(got["word"].low)
    assert got["bool"].boolean
    assert not got["word"].boolean
    assert list(got["word"].counts) == frame["word"].value_counts().index.tolist()


def test_a_csv_file_and_its_frame_profile_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [1.0, None, 3], "b": ["x", "y", None], "c": [True, False, True], "d": pd.to_datetime(["2024-01-02"] * 3)}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True, date_format="iso", date_unit="s")
    expected = profile(open_source(frame), 0).columns
    for name in ("t.csv", "t.parquet"):
        for got, want in zip(profile(open_source(tmp_path / name), 0).columns, expected):
            assert repr(got) == repr(want)  # NaN differs from itself
    assert [c.date_format for c in profile(open_source(tmp_path / "t.jsonl"), 0).columns] == ["", "", "", "iso"]


def test_mixed_infinite_and_placeholders() -> None:
    mixed = column(["1", "2.5", "inf", "-", "-", "abc", None, "true"])
    assert (mixed.numeric, mixed.placeholders, mixed.missing, mixed.infinite, mixed.booleans) == (3, 2, 1, 1, 1)
    assert (mixed.low, mixed.high, mixed.example) == (1, 2.5, "abc")
    assert not mixed.boolean


@pytest.mark.parametrize(
    ("cells", "decimal", "numeric"),
    [
        (["1,5", "2", "3,25"], ",", 3),
        (["1.5", "2", "3.25"], ".", 3),
        (["1,234", "5,678"], ".", 2),
        (["0,125", "5,678"], ",", 2),
        (["1.234,5", "5"], ",", 2),
        (["1,234.5", "5"], ".", 2),
        (["Smith, John", "1"], ".", 1),
    ],
)
def test_the_decimal_mark_is_found(cells: list[object], decimal: str, numeric: int) -> None:
    got = column(cells)
    assert (got.decimal, got.numeric) == (decimal, numeric)


def test_a_late_decimal_comma_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 10)
    got = column([str(i) for i in range(50)] + ["3,5", "-7,25", "1000", "x"])
    assert (got.decimal, got.numeric, got.low, got.high, got.whole, got.example) == (",", 53, -7.25, 1000, False, "x")


def test_a_semicolon_file_believes_in_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1,234;x\n2,500;y\n")
    assert profile(open_source(tmp_path / "t.csv"), 0).columns[0].high == 2.5
    (tmp_path / "t.csv").write_text("a;b\n1.234;x\n2.500;y\n")
    assert profile(open_source(tmp_path / "t.csv"), 0).columns[0].high == 2.5


def test_dates_are_found_in_words() -> None:
    assert column(["13/02/2024", "01/02/2024", ""]).date_format == "%d/%m/%Y"
    assert "month first" in column(["03/02/2024", "01/02/2024"]).date_note
    assert column(["20240101", "20240102"]).date_format == ""


@pytest.mark.parametrize("kind", ["numbers", "words"])
def test_many_values_are_estimated(kind: str) -> None:
    values = [f"{'' if kind == 'numbers' else 'w'}{i}" for i in range(30_000)]
    once, twice = column(values), column([*values, *values])
    assert once.many
    assert once.counts == {}
    assert once.distinct == pytest.approx(30_000, rel=0.05)
    assert twice.distinct == pytest.approx(30_000, rel=0.05)
    assert (once.unique, twice.unique) == (True, False)
    assert (once.in_order, twice.in_order) == (kind == "numbers", False)
    assert once.longest == (6 if kind == "words" else 0)


@pytest.mark.parametrize(("first", "in_order"), [(0, True), (1, True), (2, False)])
def test_row_numbers(first: int, in_order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 10)
    numbers: list[object] = list(range(first, first + 35))
    assert column(numbers).in_order == in_order
    assert not column([*numbers, 7]).in_order
    assert not column([*numbers[::-1]]).in_order


def test_a_small_table_is_its_own_sample(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},x\n" for i in range(60)))
    got = profile(open_source(tmp_path / "t.csv"), 3, sample_rows=50, held_rows=10)
    assert (got.rows, got.held, got.held_below) == (60, None, 0)
    assert list(got.sample["a"]) == [str(i) for i in range(60)]
    assert not got.is_held(0, 60).any()


@pytest.mark.parametrize("chunk", [7, 100, 20_000])
def test_samples_are_disjoint_and_known_again(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", chunk)
    source = open_source({"a": np.arange(1000), "b": [f"w{i}" for i in range(1000)]})
    got = profile(source, 5, sample_rows=200, held_rows=50)
    assert got.held is not None
    sample, held = np.array(got.sample["a"]), np.array(got.held["a"])
    assert (len(sample), len(held)) == (200, 50)
    assert (np.diff(sample) > 0).all()
    assert (np.diff(held) > 0).all()
    assert not set(sample.tolist()) & set(held.tolist())
    assert list(got.sample["b"]) == [f"w{i}" for i in sample]
    assert np.flatnonzero(got.is_held(0, 1000)).tolist() == held.tolist()
    assert np.flatnonzero(got.is_held(300, 10)).tolist() == [i - 300 for i in held if 300 <= i < 310]
    monkeypatch.setattr(stream, "CHUNK_ROWS", 20_000)  # the rows drawn do not depend on the chunks
    assert np.array(profile(source, 5, sample_rows=200, held_rows=50).sample["a"]).tolist() == sample.tolist()
    assert np.array(profile(source, 6, sample_rows=200, held_rows=50).sample["a"]).tolist() != sample.tolist()


def test_samples_are_uniform() -> None:
    """Each row should be drawn for the sample in 1/4 and held out in 1/10 of the seeds: within five standard errors."""
    source = open_source({"a": np.arange(200)})
    seeds = 400
    sampled, held = np.zeros(200), np.zeros(200)
    for seed in range(seeds):
        got = profile(source, seed, sample_rows=50, held_rows=20)
        assert got.held is not None
        sampled[np.array(got.sample["a"])] += 1
        held[np.array(got.held["a"])] += 1
    for counts, share in ((sampled, 0.25), (held, 0.1)):
        z = (counts - share * seeds) / np.sqrt(seeds * share * (1 - share))
        assert np.abs(z).max() < 5
        assert np.std(z) == pytest.approx(1, abs=0.2)


def test_a_very_wide_table_draws_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SAMPLE_CELLS", 20_000)
    got = profile(open_source(np.random.default_rng(0).normal(size=(1000, 100))), 0)
    assert got.held is not None
    assert (len(got.sample["c0"]), len(got.held["c99"])) == (160, 40)


def test_memory_is_flat_in_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 2_000)

    def peak(rows: int) -> int:
        def read(_: list[str]) -> Iterator[Chunk]:
            rng = np.random.default_rng(0)
            for _start in range(0, rows, 2_000):
                yield {
                    "a": list(map(str, rng.normal(size=2_000).tolist())),
                    "b": list(map(str, rng.integers(0, 10**9, 2_000).tolist())),
                }

        source = Source("rows", ("a", "b"), (), read)
        tracemalloc.start()
        profile(source, 0, sample_rows=1_000, held_rows=200)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(60_000) < 1.2 * peak(20_000)


def test_a_long_file_streams_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("a,b,c\n" + "1.25,word,2024-01-02\n-3.5,other,2024-01-03\n" * 100_000)
    source = open_source(path)
    tracemalloc.start()
    rows = sum(len(chunk["a"]) for chunk in source.chunks())
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 200_000
    assert top < 20e6  # the whole table as strings is 35 MB


def test_five_thousand_columns() -> None:
    table = np.random.default_rng(0).normal(size=(30, 5000)).round(3).astype(str)
    got = profile(open_source(table), 0)
    assert len(got.columns) == 5000
    assert all(c.numeric == 30 for c in got.columns)
