"""Budgets on the command line: what fits is told before anything is built, and nothing over a limit ships."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

from modelgpt_edge.architecture.architecture import SIZES
from modelgpt_edge.architecture.cost import file_bytes
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.distil import FAITHFUL
from modelgpt_edge.requirement.option_quantities import read_bytes, read_latency
from modelgpt_edge.targets.native.toolchain import find_compiler

pytestmark = pytest.mark.usefixtures("one_repeat")

TASK = ("--task", "predict the outcome", "--data", "table.csv")
ORT = ("--backend", "onnxruntime")


@pytest.fixture(autouse=True)
def table(patients, write_csv, tmp_path, monkeypatch):
    """A table in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return write_csv(Path("table.csv"), patients)


@pytest.fixture
def xor(write_csv):
    """A table whose label needs hidden units: the sign of a product."""
    draw = random.Random(0)
    rows = []
    for _ in range(200):
        a, b = draw.gauss(0, 1), draw.gauss(0, 1)
        rows.append({"a": round(a, 4), "b": round(b, 4), "sign": "plus" if a * b > 0 else "minus"})
    return write_csv(Path("xor.csv"), rows)


@pytest.fixture
def product(write_csv):
    """A table that many units are worth their bytes on: the sign of a product of three columns."""
    draw = random.Random(0)
    rows = []
    for _ in range(200):
        a, b, c = (draw.gauss(0, 1) for _ in range(3))
        cells = {"a": round(a, 4), "b": round(b, 4), "c": round(c, 4)}
        rows.append({**cells, "sign": "plus" if a * b * c > 0 else "minus"})
    return write_csv(Path("product.csv"), rows)


@pytest.fixture
def no_work(monkeypatch):
    """Fails a build that begins to generate or to compile."""

    def begun(*_, **__):
        raise AssertionError("work was begun")

    for name in ("warm", "score_widths", "generate", "compile_child"):
        monkeypatch.setattr(f"modelgpt_edge.table_pipeline.{name}", begun)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("65536", 65_536),
        ("64kB", 65_536),
        ("64 KB", 65_536),
        ("64KiB", 65_536),
        ("64k", 65_536),
        (" 64 kb ", 65_536),
        ("1.5MB", 1_572_864),
        ("1,5 MB", 1_572_864),
        ("2 megabytes", 2_097_152),
        ("1GB", 1 << 30),
        ("512 bytes", 512),
        ("1e3", 1_000),
    ],
)
def test_sizes_read_as_people_write_them(text, count):
    assert read_bytes("--max-flash", text) == count


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("5", 5),
        ("5ms", 5),
        ("5 ms", 5),
        ("0.2ms", 0.2),
        ("200us", 0.2),
        ("200 \N{MICRO SIGN}s", 0.2),
        ("1.5 s", 1_500),
        ("2 seconds", 2_000),
    ],
)
def test_times_read_as_people_write_them(text, milliseconds):
    assert read_latency("--max-latency", text) == pytest.approx(milliseconds)


NONSENSE = ("", " ", "many", "nan", "inf", "-inf", "-5", "-5kB", "0", "0 kB", "kB", "5 parsecs", "1e999", "5ms 5kB")


@pytest.mark.parametrize("text", [*NONSENSE, "5ms", "64 kB flash", "64kB 5kB", "0.5"])
@pytest.mark.parametrize("option", ["--max-flash", "--max-ram"])
def test_what_is_no_size_is_refused_with_an_example(option, text):
    with pytest.raises(InputError, match=option) as raised:
        read_bytes(option, text)
    assert raised.value.exit_code == 1
    assert raised.value.seen == text
    assert "64kB" in raised.value.cure


@pytest.mark.parametrize("text", [*NONSENSE, "64kB", "5 minutes", "5ms or so"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="--max-latency") as raised:
        read_latency("--max-latency", text)
    assert raised.value.seen == text
    assert "5ms" in raised.value.cure


def test_options_that_are_not_given_are_no_limits():
    assert read_bytes("--max-ram", None) is None
    assert read_latency("--max-latency", None) is None


@pytest.mark.parametrize(("option", "value"), [("--max-flash", "nan"), ("--max-ram", "-1"), ("--max-latency", "soon")])
def test_a_bad_limit_is_exit_1_before_the_table_is_read(option, value, cli):
    ran = cli("build", "--task", "predict", "--data", "absent.csv", option, value)
    assert ran.code == 1
    assert option in ran.err
    assert repr(value) in ran.err
    assert "absent" not in ran.err


def test_a_dry_run_tells_every_size_and_writes_nothing(cli):
    before = sorted(os.listdir())
    ran = cli("build", *TASK, "--dry-run", "--target", "x86", "--target", "jetson")
    assert ran.code == 0, ran.err
    assert sorted(os.listdir()) == before == ["table.csv"]
    assert "Requirement   Classify each row" in ran.out
    assert "x86, jetson = jetson-orin-nano" in ran.out
    lines = ran.out.splitlines()
    assert sum(" units  " in line or line.strip().startswith("linear") for line in lines) == len(SIZES)
    assert "taken" not in ran.out
    assert "accuracy" not in ran.out
    assert f"Fits          {len(SIZES)} of {len(SIZES)} sizes, by these estimates" in lines
    tight = cli("build", *TASK, "--dry-run", "--max-flash", "10kB").out
    over = tight.count("10,240 allowed")
    assert 0 < over < len(SIZES)
    assert f"Fits          {len(SIZES) - over} of {len(SIZES)} sizes" in tight


def test_a_dry_run_in_json_is_one_object_without_scores(cli):
    ran = cli("build", *TASK, "--dry-run", "--json", "--max-flash", "20kB")
    assert ran.code == 0, ran.err
    values = json.loads(ran.out)
    assert values["fits"] is True
    assert values["requirement"]["targets"] == ["x86"]
    points = values["frontier"]
    assert [p["units"] for p in points] == list(SIZES)
    for point in points:
        assert point["fits"] == (point["costs"]["x86"]["flash_bytes"] <= 20 * 1024) == (point["over"] == "")
        assert point["score"] is None
        assert not point["chosen"]
    assert {p["fits"] for p in points} == {True, False}
    assert os.listdir() == ["table.csv"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--max-flash", "500"), "500 allowed"),
        (("--max-ram", "20"), "20 allowed"),
        (("--max-latency", "1us"), "0.001 ms allowed"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_where_nothing_fits_it_is_exit_5_with_the_closest_and_nothing_is_written(options, word, dry, cli):
    ran = cli("build", *TASK, *options, *(["--dry-run"] if dry else []))
    assert ran.code == 5
    message = ran.err.splitlines()[-1]
    assert message.startswith("error: ")
    assert "the smallest, the plain linear model, needs x86: about " in message
    assert word in message
    assert "Raise the limit" in message
    assert os.listdir() == ["table.csv"]
    assert bool(ran.out) == dry, "a dry run shows the table that says by how much"


def test_where_nothing_fits_a_dry_run_s_json_says_so_and_exits_5(cli):
    ran = cli("build", *TASK, "--dry-run", "--json", "--max-flash", "500")
    assert ran.code == 5
    values = json.loads(ran.out)
    assert values["fits"] is False
    assert not any(p["fits"] for p in values["frontier"])


def test_options_overrule_the_text_and_the_text_counts_where_they_are_silent(cli):
    def limits(task, *options):
        ran = cli("build", "--task", task, "--data", "table.csv", "--dry-run", "--json", *options)
        assert ran.code in (0, 5), ran.err
        points = json.loads(ran.out)["frontier"]
        return [p["fits"] for p in points], [p["over"] for p in points]

    task = "predict the outcome in 10 kB flash"
    text, _ = limits(task)
    assert limits("predict the outcome", "--max-flash", "10kB")[0] == text
    assert text != limits(task, "--max-flash", "1MB")[0]
    assert all(limits(task, "--max-flash", "1MB")[0])
    assert not any(limits(task, "--max-flash", "100")[0])
    both, over = limits(task, "--max-ram", "200")
    assert sum(both) < sum(text)
    assert any("bytes of flash" in words and "bytes of RAM" in words for words in over)


def test_a_built_package_keeps_the_limits_that_held(cli):
    ran = cli(
        *("build", "--task", "predict the outcome in 1 MB flash", "--data", "table.csv"), *ORT, "--max-flash", "64kB", "--json"
    )
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["requirement"]["limits"]["flash_bytes"] == 65_536
    kept = [v for v in report["variants"] if v["kept"]]
    assert kept
    assert all(v["bytes"] <= 65_536 for v in kept)
    manifest = json.loads(Path("table.edge/manifest.json").read_text())
    assert manifest["requirement"]["limits"]["flash_bytes"] == 65_536


def test_a_budget_takes_a_small_size_and_without_one_the_smallest_faithful_is_taken(cli, xor):
    def chosen(*options, backend=ORT):
        ran = cli("build", "--task", "predict sign", "--data", "xor.csv", *backend, *options, "--json", "--force")
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        (point,) = [p for p in report["frontier"] if p["chosen"]]
        return point, report

    free, report = chosen()
    assert 0 < free["units"] < 2560
    assert report["generator"]["divergence"] <= FAITHFUL
    assert not report["limited"]
    assert report["architecture"]["units"] == free["units"]
    assert report["architecture"]["draws"] == free["draws"] == 4
    # A board's gigabytes are no budget: nothing is made smaller for them.
    board, _ = chosen("--target", "jetson", backend=("--backend", "tensorrt"))
    assert board["units"] == free["units"]
    tight, report = chosen("--max-flash", "12kB")
    assert tight["fits"]
    assert tight["units"] < 640
    assert report["architecture"]["units"] in (tight["units"], 0)
    linear = report["frontier"][-1]
    assert linear["units"] == 0
    assert tight["score"] > linear["score"] + 0.1, "the linear model fits too, but can't tell the sign of a product"
    assert report["score"]["value"] > 0.7


def test_where_no_smaller_size_is_faithful_the_draws_ship_as_they_are(cli, xor, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.parameters.distil.FAITHFUL", -1.0)
    ran = cli("build", "--task", "predict sign", "--data", "xor.csv", *ORT, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    (point,) = [p for p in report["frontier"] if p["chosen"]]
    assert (point["units"], point["draws"], report["generator"]["divergence"]) == (2560, 4, 0)
    assert (point["score"], point["loss"]) == (report["score"]["value"], None), "it was compared with nothing: its own score"
    assert report["frontier"][1]["score"] is None


def test_what_was_estimated_too_small_is_built_smaller(cli, product, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.architecture.cost.file_bytes", lambda *counts: file_bytes(*counts) // 10)
    ran = cli("build", "--task", "predict sign", "--data", "product.csv", *ORT, "--max-flash", "5kB", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    points = report["frontier"]
    assert sum(p["fits"] for p in points) > 4, "by these estimates nearly everything fits"
    (chosen,) = [p for p in points if p["chosen"]]
    left = [note for note in report["notes"] if "was made and left" in note]
    assert left
    assert all("5,120 bytes of flash" in note for note in left)
    larger = next(p for p in reversed(points) if p["units"] > chosen["units"])
    assert f"A model of {larger['units']} hidden units was made and left" in left[-1]
    kept = [v for v in report["variants"] if v["kept"]]
    assert kept
    assert all(v["bytes"] <= 5_120 for v in kept)


def test_the_frontier_is_in_the_report_the_package_and_its_picture(cli, xor):
    ran = cli("build", "--task", "predict sign", "--data", "xor.csv", *ORT, "--max-flash", "30kB", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    points = report["frontier"]
    assert [p["units"] for p in points] == list(SIZES)
    assert {p["fits"] for p in points} == {True, False}
    assert all((p["score"] is not None) == (p["units"] <= 640) for p in points), "what can be taken"
    scored = [p for p in points if p["score"] is not None]
    for point in scored:
        assert point["metric"] == "accuracy"
        assert 0 <= point["low"] <= point["score"] <= point["high"] <= 1
        assert point["loss"] > 0
    package = Path(report["package"])
    assert json.loads((package / "checks.json").read_text())["frontier"] == points
    root = ElementTree.fromstring((package / "frontier.svg").read_text())
    circles = [e for e in root.iter() if e.tag.endswith("circle")]
    assert len(circles) == len(scored)
    filled = [c.get("fill") == c.get("stroke") for c in circles]
    assert filled == [p["chosen"] for p in scored]
    assert sum(filled) == 1
    assert "frontier.svg" in json.loads((package / "manifest.json").read_text())["files"]


def test_people_see_the_sizes_and_which_was_taken(cli):
    ran = cli("build", *TASK, *ORT, "--max-flash", "30kB")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    taken = [line for line in lines if line.endswith("  taken")]
    assert len(taken) == 1
    assert sum("30,720 allowed" in line for line in lines) >= 1
    assert "estimated for the smallest form" in ran.out
    assert "loss: how much accuracy" in ran.out


def test_backends_are_named(cli):
    ran = cli("build", *TASK, *ORT, "--draws", "1", "--json")
    assert ran.code == 0, ran.err
    assert {v["backend"] for v in json.loads(ran.out)["variants"]} == {"onnxruntime"}


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--dry-run", "--json")])
@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (("onnxruntme",), 1, "--backend: there is no such backend (seen: 'onnxruntme'). Did you mean 'onnxruntime'"),
        (("native", "onnxruntme"), 1, "there is no such backend (seen: 'onnxruntme')"),
        (("tensorrt",), 4, "x86 has no such backend (seen: 'tensorrt'). It has: native, onnxruntime, tvm"),
    ],
)
def test_a_backend_that_is_not_there_is_told_before_any_work(wanted, code, words, options, cli, no_work):
    ran = cli("build", *TASK, *(part for name in wanted for part in ("--backend", name)), *options)
    assert ran.code == code
    assert words in ran.err
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert ran.out == ""
    assert os.listdir() == ["table.csv"]


def test_one_of_several_targets_without_the_backend_is_told_before_any_work(cli, no_work):
    for options in ((), ("--dry-run",)):
        ran = cli("build", *TASK, "--target", "x86", "--target", "jetson", "--backend", "native", *options)
        assert ran.code == 4
        assert "jetson-orin-nano has no such backend (seen: 'native')" in ran.err


def test_a_budget_takes_a_larger_size_where_its_units_are_worth_their_bytes(cli, product):
    def build(flash):
        ran = cli("build", "--task", "predict sign", "--data", "product.csv", *ORT, "--max-flash", flash, "--json", "--force")
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        (chosen,) = [p for p in report["frontier"] if p["chosen"]]
        return report, {p["units"]: p for p in report["frontier"]}, chosen

    report, points, chosen = build("1MB")
    assert chosen["units"] > 20
    assert (report["architecture"]["units"], report["architecture"]["draws"]) == (chosen["units"], 4)
    assert report["architecture"]["macs"] == chosen["macs"]
    losses = {units: point["loss"] for units, point in points.items() if point["loss"] is not None}
    assert list(losses) == [units for units in SIZES if units <= 640], "whatever can be distilled from one draw is compared"
    assert len(set(losses.values())) == len(losses), "every size has a score of its own"
    assert losses[20] > chosen["loss"] >= min(losses.values())
    _, tight, smaller = build(str(chosen["costs"]["x86"]["flash_bytes"] - 1))
    assert not tight[chosen["units"]]["fits"]
    assert smaller["fits"]
    assert smaller["units"] < chosen["units"]
    assert {units: point["loss"] for units, point in tight.items() if point["loss"] is not None} == losses, (
        "what doesn't fit is scored too, to show what the limit costs, on the same rows"
    )


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")
def test_native_code_that_takes_too_much_memory_is_left_out(cli):
    """Estimates are of the smallest form; a compiled library is larger, and what it really takes counts."""

    def native(limit):
        ran = cli("build", *TASK, "--max-ram", limit, "--generator", "linear", "--json", "--force")
        assert ran.code == 0, ran.err
        (form,) = [v for v in json.loads(ran.out)["variants"] if v["backend"] == "native"]
        return form

    takes = native("1MB")["ram_bytes"]
    folder = Path("table.edge/variants/x86-native-fp32")
    assert takes > sum(file.stat().st_size for file in folder.iterdir())
    assert native(str(takes))["kept"]
    over = native(str(takes - 1))
    assert not over["kept"]
    assert over["because"] == f"over the limit of {takes - 1:,} bytes of RAM by 1"
    assert not folder.exists()


def test_where_the_guard_ships_the_linear_model_that_size_is_taken(cli):
    for options in (ORT, (*ORT, "--max-flash", "1MB")):
        ran = cli("build", *TASK, *options, "--json", "--force")
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert report["generator"]["name"] == "linear"
        assert report["generator"]["chosen_by"] == "guard"
        points = report["frontier"]
        assert [p["units"] for p in points] == list(SIZES)
        assert [(p["units"], p["draws"]) for p in points if p["chosen"]] == [(0, 0)]
        manifest = json.loads(Path("table.edge/manifest.json").read_text())
        for architecture in (report["architecture"], manifest["architecture"]):
            assert (architecture["units"], architecture["draws"]) == (0, 0)
            assert architecture["macs"] == points[-1]["macs"] < points[0]["macs"]


def test_the_linear_generator_has_one_size(cli, xor):
    task = ("build", "--task", "predict sign", "--data", "xor.csv")
    ran = cli(*task, *ORT, "--generator", "linear", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    (point,) = report["frontier"]
    assert (point["units"], point["draws"], point["chosen"]) == (0, 0, True)
    assert report["architecture"]["macs"] == point["macs"]
    assert point["score"] < 0.65, "the sign of a product isn't linear"
    assert report["generator"]["chosen_by"] == "user"
    ran = cli(*task, *ORT, "--generator", "linear", "--max-flash", "500", "--out", "other.edge")
    assert ran.code == 5
    assert "the smallest, the plain linear model, needs x86: about " in ran.err


def test_a_microcontroller_s_own_memory_is_a_budget(cli):
    def fitting(*options):
        ran = cli("build", *TASK, "--dry-run", "--json", "--target", "cortex-m4", *options)
        assert ran.code == 0, ran.err
        return [p for p in json.loads(ran.out)["frontier"] if p["fits"]]

    own, tight = fitting(), fitting("--max-flash", "16kB")
    assert 0 < len(tight) < len(own)
    for points, flash in ((own, 256 * 1024), (tight, 16 * 1024)):
        assert all(p["costs"]["cortex-m4"]["flash_bytes"] <= flash for p in points)
        assert all(p["costs"]["cortex-m4"]["ram_bytes"] <= 64 * 1024 for p in points)
    assert fitting("--max-flash", "1GB") == own, "an option does not make a device larger"
