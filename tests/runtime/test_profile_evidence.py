"""checks.json as evidence that grows: sealed entries, whole or not at all, older ones kept or replaced."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest

from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.evidence_file import ENGINES, PROFILES, add_evidence, check_seals, read_evidence, with_evidence
from modelgpt_edge.manifest import CHECKS


def _write(folder: Path, content: object) -> None:
    (folder / CHECKS).write_text(json.dumps(content), encoding="utf-8")


def test_entries_are_appended_and_what_was_there_stays(tmp_path):
    _write(tmp_path, {"hops": [1], "profiles": ["older"]})
    add_evidence(tmp_path, PROFILES, [{"variant": "a", "warm": {"p50_us": 1.5}}])
    add_evidence(tmp_path, PROFILES, [{"variant": "a", "warm": {"p50_us": 2}}, {"variant": "b"}])
    checks = read_evidence(tmp_path)
    assert checks["hops"] == [1]
    assert checks["profiles"][0] == "older"
    assert [e["variant"] for e in checks["profiles"][1:]] == ["a", "a", "b"]
    assert os.listdir(tmp_path) == [CHECKS]


def test_a_seal_is_the_sha256_of_the_rest_of_the_entry(tmp_path):
    add_evidence(tmp_path, PROFILES, [{"variant": "a", "größe": 0.1, "parts": (1, 2)}])
    (entry,) = read_evidence(tmp_path)["profiles"]
    seal = entry.pop("checksum")
    assert seal == hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def test_a_changed_entry_is_found_and_named(tmp_path):
    add_evidence(tmp_path, PROFILES, [{"variant": "a", "warm": {"p50_us": 9.0}}, {"variant": "b", "warm": {"p50_us": 9.0}}])
    checks = read_evidence(tmp_path)
    assert check_seals(checks).broken == ()
    checks["profiles"][1]["warm"]["p50_us"] = 1.0
    seals = check_seals(checks)
    assert seals.broken == ("profile 2 of b",)
    assert (seals.kept[PROFILES], seals.unsealed[PROFILES]) == (1, 0)


def test_entries_without_a_seal_are_counted_and_no_fault():
    seals = check_seals({"profiles": ["measured on the board", {"variant": "a"}], "engines": [{"variant": "b"}]})
    assert seals.broken == ()
    assert dict(seals.unsealed) == {PROFILES: 2, ENGINES: 1}


def test_an_engine_takes_the_place_of_the_older_one_of_its_variant():
    checks = {"engines": [{"variant": "fp16", "seconds": 1}, {"variant": "int8", "seconds": 2}]}
    engines = with_evidence(checks, ENGINES, [{"variant": "fp16", "seconds": 3}], replacing="variant")["engines"]
    assert [(e["variant"], e["seconds"]) for e in engines] == [("int8", 2), ("fp16", 3)]


@pytest.mark.parametrize("content", ["{", "[1]", '{"profiles": 3}', "\xff", "[" * 100_000])
def test_a_file_that_is_no_evidence_is_refused_and_left_alone(content, tmp_path):
    (tmp_path / CHECKS).write_text(content, encoding="latin-1")
    with pytest.raises(PackageError, match="evidence can't be read"):
        add_evidence(tmp_path, PROFILES, [{"variant": "a"}])
    assert (tmp_path / CHECKS).read_text(encoding="latin-1") == content


@pytest.mark.parametrize("broken", ["mkstemp", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_file_as_it_was(broken, tmp_path, monkeypatch):
    _write(tmp_path, {"hops": []})

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile if broken == "mkstemp" else os, broken, refuse)
    with pytest.raises(InputError, match="Read-only file system"):
        add_evidence(tmp_path, PROFILES, [{"variant": "a"}])
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [CHECKS]
    assert read_evidence(tmp_path) == {"hops": []}
