"""Telling texts from tables: which columns of which files hold texts and labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelgpt_edge.data.profile import Profile, profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.errors import InputError
from modelgpt_edge.looking import look
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.text_columns import find_texts
from modelgpt_edge.requirement.text_rules import write_text_requirement

Table = dict[str, list[Any]]
Profiled = Callable[[Table], Profile]
ROOT = Path(__file__).parents[2]
NOUNS = ("card", "order", "refund", "transfer", "phone", "account", "ticket", "parcel")
VERBS = ("lost", "want back", "cannot find", "ask about")


def texts(rows: int, about: str = "i {verb} my {noun} since day {i}") -> list[str]:
    return [about.format(verb=VERBS[i % 4], noun=NOUNS[i % 8], i=i) for i in range(rows)]


def words(rows: int, *names: Any) -> list[Any]:
    return [names[i % len(names)] for i in range(rows)]


def numbers(rows: int, factor: float) -> list[float]:
    return [round(((i * 7919) % 101) * factor, 3) for i in range(rows)]


N = 40
TEXT, CLASS = texts(N), words(N, "lost", "refund")
TITLES = texts(N, "{noun} {i} again")


@pytest.mark.parametrize(
    ("table", "text", "label"),
    [
        ({"text": TEXT, "label": CLASS}, ["text"], "label"),
        ({"label": CLASS, "text": TEXT}, ["text"], "label"),
        ({"intent": CLASS, "message": TEXT}, ["message"], "intent"),
        ({"message": TEXT, "intent": CLASS}, ["message"], "intent"),
        ({"foo": TEXT, "bar": CLASS}, ["foo"], "bar"),
        ({"bar": CLASS, "foo": TEXT}, ["foo"], "bar"),
        ({"Customer Review": TEXT, "Sentiment": words(N, 0, 1)}, ["Customer Review"], "Sentiment"),
        ({"text": TEXT, "label": words(N, True, False)}, ["text"], "label"),
        ({"text": TEXT, "label": words(N, "card arrival", "lost or stolen card", "exchange rate")}, ["text"], "label"),
        ({"text": TEXT, "label": CLASS, "split": words(N, "train", "train", "test")}, ["text"], "label"),
        ({"id": list(range(N)), "text": TEXT, "label": CLASS}, ["text"], "label"),
        ({"id": [f"row-{i:04}" for i in range(N)], "label": CLASS, "text": TEXT}, ["text"], "label"),
        ({"text": TEXT, "stars": numbers(N, 0.3), "label": CLASS}, ["text"], "label"),
        ({"title": TITLES, "body": TEXT, "label": CLASS}, ["body"], "label"),
        ({"sentence1": TEXT, "sentence2": TITLES, "label": words(N, 0, 1)}, ["sentence1", "sentence2"], "label"),
        ({"label": words(N, 0, 1), "Question B": TITLES, "Question A": TEXT}, ["Question A", "Question B"], "label"),
        ({"text": TEXT[:3], "label": ["lost", "refund", "lost"]}, ["text"], "label"),
        ({"text": TEXT[:3], "label": ["card lost", "exchange rate", "my refund"]}, ["text"], "label"),
        ({"text": TEXT[:1], "label": ["lost"]}, ["text"], "label"),
        ({"text": ["", *TEXT[1:20], *[None] * 20], "label": CLASS}, ["text"], "label"),
    ],
)
def test_a_file_of_texts(table: Table, text, label, profiled: Profiled):
    found = find_texts((), None, "sort them", profiled(table))
    assert found is not None
    assert [column.name for column in found.texts] == text
    assert found.label.profile.name == label
    assert {column.type for column in found.texts} == {"text"}


MEASURES = {f"measure_{i}": numbers(N, 0.1 + i) for i in range(8)}


@pytest.mark.parametrize(
    "table",
    [
        {**MEASURES, "label": CLASS},
        {"description": TEXT, **MEASURES, "label": CLASS},
        {**MEASURES, "label": CLASS, "description": TEXT},
        {"notes": TEXT, "age": numbers(N, 1), "label": CLASS},
        {"text": TEXT, "age": numbers(N, 1), "weight": numbers(N, 2), "label": CLASS},
        {"city": words(N, "Rome", "New York"), "colour": words(N, "red", "green", "dark blue"), "label": CLASS},
        {"name": [f"person{i}" for i in range(N)], "label": CLASS},
        {"date": [f"2024-01-{1 + i % 28:02} 10:{i:02}" for i in range(N)], "label": CLASS},
        {"text": TEXT},
        {"title": TITLES, "body": TEXT},
    ],
)
def test_a_table_stays_a_table(table: Table, profiled: Profiled):
    assert find_texts((), None, "sort them", profiled(table)) is None


@pytest.mark.parametrize(("name", "label"), [("heart.csv", "label"), ("patients.csv", None)])
def test_the_examples_of_tables_are_tables(name, label):
    assert find_texts((), label, "predict heart disease", profile(open_source(ROOT / "examples" / name), 0)) is None


def test_a_table_with_heavy_texts_is_read_as_texts_where_asked(profiled: Profiled):
    table = {"description": TEXT, **MEASURES, "label": CLASS}
    found = find_texts(("description",), None, "sort them", profiled(table))
    assert found is not None
    assert (found.texts[0].name, found.label.profile.name) == ("description", "label")
    assert found.texts[0].because == "--text names it"


def test_a_column_of_single_words_is_read_as_texts_where_asked(profiled: Profiled):
    table = {"keyword": [f"word{i}" for i in range(N)], "label": CLASS}
    found = find_texts(("keyword",), None, "sort them", profiled(table))
    assert found is not None
    assert found.texts[0].name == "keyword"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_files_of_both_kinds_are_the_same(suffix, tmp_path):
    rows = [{"label": c, "text": t} for t, c in zip(TEXT, CLASS)]
    lines = [json.dumps(r) for r in rows] if suffix == "jsonl" else ["label,text", *(f"{r['label']},{r['text']}" for r in rows)]
    path = tmp_path / f"q.{suffix}"
    path.write_text("\n".join(lines) + "\n")
    found = find_texts((), None, "sort them", profile(open_source(path), 0))
    assert found is not None
    assert (found.texts[0].name, found.label.profile.name) == ("text", "label")


@pytest.mark.parametrize(
    ("table", "task", "label", "wanted"),
    [
        ({"text": TEXT, "topic": CLASS, "mood": words(N, "good", "bad")}, "sort them", "topic", "topic"),
        ({"text": TEXT, "topic": CLASS, "mood": words(N, "good", "bad")}, "sort them", None, "mood"),
        ({"text": TEXT, "topic": CLASS, "mood": words(N, "good", "bad")}, "predict the topic of a message", None, "topic"),
    ],
)
def test_the_label_is_what_is_asked_for(table: Table, task, label, wanted, profiled: Profiled):
    found = find_texts((), label, task, profiled(table))
    assert found is not None
    assert found.label.profile.name == wanted
    assert any("isn't used: the model reads text alone" in note for note in found.notes)


@pytest.mark.parametrize(
    ("asked", "label", "says"),
    [
        (("txt",), None, "no column has this name (seen: 'txt'). Did you mean 'text'"),
        (("text", "text"), None, "these are no text and no pair"),
        (("text", "title", "label"), None, "these are no text and no pair"),
        (("text",), "text", "a column can't be text and label"),
        (("text",), "lable", "no column has this name"),
        (("text", "title", "label")[:2], "title", "a column can't be text and label"),
    ],
)
def test_what_the_option_names_must_be_there(asked, label, says, profiled: Profiled):
    with pytest.raises(InputError) as told:
        find_texts(asked, label, "sort them", profiled({"text": TEXT, "title": TITLES, "label": CLASS}))
    assert says in str(told.value)


def test_texts_without_labels_say_what_to_give(profiled: Profiled):
    with pytest.raises(InputError, match="these texts have no labels"):
        find_texts(("text",), None, "sort them", profiled({"text": TEXT}))


def test_other_text_columns_are_told_of(profiled: Profiled):
    found = find_texts((), None, "sort them", profiled({"title": TITLES, "body": TEXT, "label": CLASS}))
    assert found is not None
    assert found.notes == ("title is text too and isn't used: --text names the column to read.",)


def understood(profiled: Profiled, table: Table, **options: Any) -> Any:
    request = Request(task="sort messages under 50 MB flash", data=table, **{"targets": (), **options})
    seen = profiled(table)
    return write_text_requirement(request, find_texts(request.texts, request.label, request.task, seen), seen)


def test_the_requirement_of_texts(profiled: Profiled):
    requirement = understood(profiled, {"id": list(range(N)), "text": TEXT, "label": CLASS}, classes={"refund": "money back"})
    assert (requirement.modality, requirement.schema.kind, requirement.driver) == ("text", "classification", "rules")
    assert requirement.schema.classes == ("lost", "refund")
    assert [(d.name, d.because) for d in requirement.schema.dropped] == [("id", "the model reads text alone")]
    assert requirement.limits.flash_bytes == 50 * 1024**2
    assert requirement.targets == ("x86",)
    assert dict(requirement.meanings) == {"refund": "money back"}
    assert requirement.sentence.startswith("Classify each text as lost or refund (40 examples): sort messages")
    assert requirement.from_json(requirement.to_json()) == requirement


@pytest.mark.parametrize(
    ("label", "asked", "classes", "note"),
    [
        (CLASS, {"refund": "", "lost": ""}, ("refund", "lost"), ""),
        (CLASS, {"other": "", "lost": ""}, ("lost", "refund", "other"), "No example of other: served by what the name says."),
        (words(N, "lost"), {"other": ""}, ("lost", "other"), "No example of other"),
        (words(N, 0, 1), {"1": "good", "0": "bad"}, ("1", "0"), ""),
        (words(N, 0, 1), {}, ("0", "1"), ""),
    ],
)
def test_classes_of_data_and_options_together(label, asked, classes, note, profiled: Profiled):
    requirement = understood(profiled, {"text": TEXT, "label": label}, classes=asked)
    assert requirement.schema.classes == classes
    assert note in " ".join(requirement.notes)


@pytest.mark.parametrize(
    ("label", "options", "says"),
    [
        (words(N, "lost"), {}, "there is one class only"),
        (numbers(N, 1.37), {}, "models of texts tell classes, and this label is amounts"),
        ([37 * i for i in range(N)], {}, "models of texts tell classes, and this label is amounts"),
        ([f"2024-01-{1 + i % 28:02}" for i in range(N)], {}, "this label is amounts"),
        (numbers(N, 1.37), {"kind": "regression"}, "texts are classified, nothing else"),
        ([f"class {i}" for i in range(240)], {}, "more than the 200"),
        ([None] * N, {}, ""),
    ],
)
def test_labels_that_cannot_be(label, options, says, profiled: Profiled):
    with pytest.raises(InputError) as told:
        understood(profiled, {"text": texts(len(label)), "label": label}, label="label", **options)
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("label", "options", "count"),
    [
        ([i % 30 for i in range(120)], {}, 30),
        ([0, 1, 2], {}, 3),
        (words(N, 1.5, 2.5), {"kind": "Classification"}, 2),
        (words(N, 1, 2, 3, 4, 5), {}, 5),
        (words(N, 0.0, 1.0), {}, 2),
    ],
)
def test_numbers_that_are_classes(label, options, count, profiled: Profiled):
    requirement = understood(profiled, {"text": texts(len(label)), "label": label}, **options)
    assert len(requirement.schema.classes) == count


def test_options_name_the_labels_of_the_file_whatever_their_case(profiled: Profiled):
    asked = {"Refund": "wants money", "LOST": ""}
    requirement = understood(profiled, {"text": TEXT, "label": CLASS}, classes=asked)
    assert requirement.schema.classes == ("refund", "lost")
    assert requirement.meanings == {"refund": "wants money"}
    assert any(note.startswith("Named in options and spelled as the data has it") for note in requirement.notes)


def test_labels_that_differ_in_case_alone_are_told_of(profiled: Profiled):
    requirement = understood(profiled, {"text": TEXT, "label": words(N, "Refund", "refund", "lost", "card  lost")})
    assert len(requirement.schema.classes) == 4
    told = [note for note in requirement.notes if note.startswith("Labels that differ in case or blanks only")]
    alike = "Refund (10 rows) and refund (10 rows)"
    assert told == [f"Labels that differ in case or blanks only: {alike}. Spell them alike if you mean one class."]
    assert not any("differ in case" in note for note in understood(profiled, {"text": TEXT, "label": CLASS}).notes)


@pytest.mark.parametrize("asked", [(), ("text",)])
def test_texts_alone_say_once_what_to_give(asked):
    request = Request("route questions", {"text": TEXT}, texts=asked, classes={"lost": "", "refund": ""})
    with pytest.raises(InputError, match="these texts have no labels") as caught:
        look(request)
    assert "leave out --data: with --classes the names make a model" in caught.value.cure
