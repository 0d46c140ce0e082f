"""A package that was cut, edited, renamed or made to reach outside is refused before anything in it is used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelgpt_edge
from modelgpt_edge.errors import PackageError
from modelgpt_edge.manifest import CARD, CHECKS, GOLDEN, MANIFEST, SCHEMA_VERSION, TRUTH, sealed

Damage = Callable[[Path], object]


@pytest.fixture
def copy(package, tmp_path) -> Path:
    return Path(shutil.copytree(package, tmp_path / "copy.edge"))


def _refusals(folder: Path, cli) -> str:
    """What `load`, `predict`, `verify` and `inspect` say, which must be one and the same."""
    with pytest.raises(PackageError) as refused:
        modelgpt_edge.load(folder)
    rows = folder.parent / "rows.csv"
    rows.write_text("age,weight,city\n41,70,Rome\n", encoding="utf-8")
    for arguments in (["predict", folder, rows], ["verify", folder], ["inspect", folder]):
        ran = cli(*arguments)
        assert ran.code == 1
        assert ran.out == ""
        assert ran.err == f"error: {refused.value}\n"
    return str(refused.value)


def _edit(folder: Path, change: Callable[[dict[str, Any]], object], seal: bool = True) -> None:
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(values)
    (folder / MANIFEST).write_text(json.dumps(sealed(values) if seal else values), encoding="utf-8")


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Another content with the right checksum, as whoever makes a broken package on purpose would write it."""
    (folder / name).write_bytes(content)
    _edit(folder, lambda values: values["files"].update({name: hashlib.sha256(content).hexdigest()}))


FILES: dict[str, tuple[Damage, list[str]]] = {
    "cut": (lambda f: (f / TRUTH).write_bytes((f / TRUTH).read_bytes()[:-100]), ["changed or cut", TRUTH, "sha256"]),
    "empty": (lambda f: (f / GOLDEN).write_bytes(b""), ["changed or cut", GOLDEN]),
    "edited": (lambda f: (f / CARD).write_text("# Perfect\n", encoding="utf-8"), ["changed or cut", CARD]),
    "one bit": (
        lambda f: (f / TRUTH).write_bytes(bytes([(b := (f / TRUTH).read_bytes())[0] ^ 1]) + b[1:]),
        ["changed or cut", TRUTH],
    ),
    "renamed": (lambda f: (f / TRUTH).rename(f / "model2.onnx"), ["is missing", f"'{TRUTH}'"]),
    "removed": (lambda f: (f / "report.svg").unlink(), ["is missing", "'report.svg'"]),
    "a folder for a file": (lambda f: ((f / CARD).unlink(), (f / CARD).mkdir()), ["is missing", f"'{CARD}'"]),
    "two files swapped": (
        lambda f: ((f / CARD).rename(f / "x"), (f / "report.svg").rename(f / CARD), (f / "x").rename(f / "report.svg")),
        ["changed or cut"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_differ_from_what_build_wrote_are_refused(case, copy, cli):
    damage, words = FILES[case]
    damage(copy)
    message = _refusals(copy, cli)
    assert [word for word in (*words, "Copy the package again, or build it anew") if word not in message] == []


def test_a_damaged_variant_is_refused_too(copy, cli):
    variant = next(p for p in copy.glob("variants/*/*") if p.is_file())
    variant.write_bytes(variant.read_bytes() + b"more")
    assert variant.name in _refusals(copy, cli)


MANIFESTS: dict[str, tuple[Damage, list[str]]] = {
    "truncated": (
        lambda f: (f / MANIFEST).write_bytes((f / MANIFEST).read_bytes()[:500]),
        ["manifest is damaged", "build it anew"],
    ),
    "not UTF-8": (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe{}"), ["manifest is damaged"]),
    "not an object": (lambda f: (f / MANIFEST).write_text("[]", encoding="utf-8"), ["this is not a manifest"]),
    "someone else's": (lambda f: (f / MANIFEST).write_text('{"name": "app"}', encoding="utf-8"), ["this is not a manifest"]),
    "a class renamed": (lambda f: _edit(f, lambda v: v["classes"].reverse(), seal=False), ["manifest was changed", "checksum"]),
    "a file left out": (lambda f: _edit(f, lambda v: v["files"].pop(TRUTH), seal=False), ["manifest was changed"]),
    "no checksum": (lambda f: _edit(f, lambda v: v.pop("checksum"), seal=False), ["manifest was changed"]),
    "of a newer schema": (
        lambda f: _edit(f, lambda v: v.update(schema_version=SCHEMA_VERSION + 1, marvels=[]), seal=False),
        ["newer schema", f"seen: {SCHEMA_VERSION + 1}", "pip install -U modelgpt-edge"],
    ),
    "of an older schema": (lambda f: _edit(f, lambda v: v.update(schema_version=0)), ["older schema", "seen: 0", "Build"]),
    "an unknown key": (lambda f: _edit(f, lambda v: v.update(marvels=[])), ["can't be read", "marvels"]),
    "a key left out": (lambda f: _edit(f, lambda v: v.pop("inputs")), ["can't be read", "inputs"]),
    "an input that is no column": (lambda f: _edit(f, lambda v: v["inputs"].append("height")), ["can't be read", "height"]),
    "inputs of nonsense": (lambda f: _edit(f, lambda v: v.update(inputs=[3])), ["can't be read", "not a list of texts"]),
    "no vocabulary": (lambda f: _edit(f, lambda v: v.update(vocabularies=[])), ["can't be read", "0 vocabularies"]),
    "a column of no type": (
        lambda f: _edit(f, lambda v: v["requirement"]["schema"]["columns"][0].update(type="sound")),
        ["can't be read", "unknown type"],
    ),
    "a variant without a place": (lambda f: _edit(f, lambda v: v["variants"][0].update(path=None)), ["can't be read"]),
    "a requirement of nonsense": (lambda f: _edit(f, lambda v: v.update(requirement=3)), ["can't be read"]),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_is_not_what_build_wrote_is_refused(case, copy, cli):
    damage, words = MANIFESTS[case]
    damage(copy)
    message = _refusals(copy, cli)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "variants/../../outside", "..\\outside", "C:outside", "."])
@pytest.mark.parametrize("place", ["files", "variants"])
def test_a_path_that_leaves_the_folder_is_refused(path, place, copy, cli):
    (copy.parent / "outside").write_bytes(b"mine")

    def reach_outside(values: dict[str, Any]) -> None:
        if place == "files":
            values["files"][path] = hashlib.sha256(b"mine").hexdigest()
        else:
            values["variants"][0]["path"] = path

    _edit(copy, reach_outside)
    message = _refusals(copy, cli)
    assert "leaves the package's folder" in message
    assert f"seen: {path!r}" in message


def test_a_link_that_leaves_the_folder_is_refused(copy, cli):
    outside = copy.parent / "outside.onnx"
    (copy / TRUTH).rename(outside)
    (copy / TRUTH).symlink_to(outside)
    assert "leaves the package's folder" in _refusals(copy, cli)


def test_a_variants_folder_that_leads_outside_is_refused(copy, cli):
    (copy / "variants").rename(copy.parent / "variants")
    (copy / "variants").symlink_to(copy.parent / "variants")
    assert "leaves the package's folder" in _refusals(copy, cli)


@pytest.mark.parametrize(
    ("name", "content"),
    [(TRUTH, b"not a model"), (TRUTH, b""), (GOLDEN, b"not tensors"), ("encoder.safetensors", b"\x01" * 40)],
)
def test_a_broken_file_with_the_right_checksum_is_one_clear_line(name, content, copy, cli, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    variant = "model"
    if name == "encoder.safetensors":
        found = next(copy.glob(f"variants/*/{name}"))
        variant, name = found.parent.name, str(found.relative_to(copy))
    _replace(copy, name, content)
    ran = cli("verify", copy) if name == GOLDEN else cli("predict", copy, rows, "--variant", variant)
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1, "more than one line"
    assert Path(name).name in ran.err
    assert "internal error" not in ran.err


def test_wrong_weights_with_the_right_checksum_fail_verify_with_exit_3(copy, cli):
    other = modelgpt_edge.build(
        "predict the outcome",
        [
            {"age": i % 9, "weight": i % 7 + 0.5, "city": ["Rome", "Oslo"][i % 2], "outcome": "ill" if i % 9 < 4 else "well"}
            for i in range(60)
        ],
        out=copy.parent / "other.edge",
        draws=1,
        target="jetson",
    )
    _replace(copy, TRUTH, (other.path / TRUTH).read_bytes())
    ran = cli("verify", copy)
    assert ran.code == 3
    assert "FAIL  onnx: FAILED" in ran.out
    assert not json.loads(cli("verify", copy, "--json").out)["passed"]


@pytest.mark.parametrize("place", ["nowhere.edge", "folder", "file.edge", "empty"])
def test_what_is_no_package_is_refused(place, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder/readme.txt").write_text("mine", encoding="utf-8")
    Path("empty").mkdir()
    Path("file.edge").write_text("mine", encoding="utf-8")
    message = _refusals(Path(place), cli)
    assert place in message
    assert "Check the path" in message if place == "nowhere.edge" else "Give the folder that build wrote" in message


def test_evidence_that_grew_and_files_that_were_added_are_fine(copy, cli):
    (copy / CHECKS).write_text('{"hops": [], "profiles": ["measured on the board"]}', encoding="utf-8")
    (copy / "engine.plan").write_bytes(b"built on the board")
    assert cli("verify", copy).code == 0


def test_a_package_may_be_moved_renamed_and_read_only(copy, patients):
    moved = copy.rename(copy.with_name("another name.edge"))
    for path in (*moved.rglob("*"), moved):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(modelgpt_edge.load(os.fspath(moved)).predict(patients)) == len(patients)
    finally:
        for path in (moved, *moved.rglob("*")):
            path.chmod(0o755)
