"""Writing a package: whole or not at all, only packages are replaced, and the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

import modelgpt_edge
from modelgpt_edge.compile import package as packages
from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import CHECKS, MANIFEST

pytestmark = pytest.mark.usefixtures("one_repeat", "few_sizes")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _build(out: Path, rows: list[dict[str, object]], **options: object) -> modelgpt_edge.pipeline.Built:
    return modelgpt_edge.build("predict the outcome", rows, out=out, **{"draws": 1, **options})


def test_an_existing_path_is_refused_without_force(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("table.csv"), patients)
    Path("model.edge").mkdir()
    ran = cli("build", "--task", "predict the outcome", "--data", "table.csv", "--out", "model.edge")
    assert ran.code == 1
    assert "--out: this path exists already (seen: 'model.edge'). Pass --force" in ran.err
    assert os.listdir("model.edge") == []


@pytest.mark.parametrize(
    "content",
    [
        {"notes.txt": "mine"},
        {MANIFEST: '{"name": "a web app", "icons": []}'},
        {MANIFEST: "not JSON", "photo.jpg": "mine"},
        {MANIFEST: "[1, 2]"},
    ],
)
def test_force_never_removes_a_folder_that_is_no_package(content, patients, tmp_path):
    out = tmp_path / "precious"
    out.mkdir()
    for name, text in content.items():
        (out / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="only replaces packages"):
        _build(out, patients, force=True)
    assert {p.name: p.read_text(encoding="utf-8") for p in out.iterdir()} == content


def test_force_never_replaces_a_file_or_a_link(patients, tmp_path, package):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("mine", encoding="utf-8")
    link.symlink_to(package)
    for out in (file, link):
        with pytest.raises(InputError, match="only replaces packages"):
            _build(out, patients, force=True)
    assert file.read_text(encoding="utf-8") == "mine"
    assert link.is_symlink()


def test_force_replaces_a_package_whole_and_leaves_nothing_beside_it(patients, tmp_path):
    out = tmp_path / "model.edge"
    out.mkdir()
    _build(out, patients, force=True)  # an empty folder may be taken
    (out / "engine.plan").write_bytes(b"made on the device for the old model")
    built = _build(out, patients, force=True, seed=1)
    assert built.load().predict(patients[:1]).shape == (1,)
    assert os.listdir(tmp_path) == ["model.edge"]
    assert not (out / "engine.plan").exists()


def test_the_old_package_stays_when_the_new_build_fails(patients, tmp_path):
    out = tmp_path / "model.edge"
    _build(out, patients)
    before = _contents(out)
    with pytest.raises(InputError, match="one class only"):
        _build(out, [{**row, "outcome": "ill"} for row in patients], force=True)
    assert _contents(out) == before
    assert os.listdir(tmp_path) == ["model.edge"]


@pytest.mark.parametrize("broken_call", [1, 2, 3])
def test_the_old_package_stays_when_the_disk_fills_or_a_rename_is_interrupted(broken_call, package, tmp_path, monkeypatch):
    out = tmp_path / "model.edge"
    files = _contents(package)
    packages.write_package(out, files, force=False)
    calls = 0
    rename, fsync = Path.rename, os.fsync

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == broken_call:
            raise KeyboardInterrupt
        return rename(self, target)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    if broken_call == 3:
        monkeypatch.setattr(os, "fsync", full)
        expected: type[BaseException] = InputError
    else:
        monkeypatch.setattr(Path, "rename", interrupted)
        expected = KeyboardInterrupt
    with pytest.raises(expected):
        packages.write_package(out, {**files, "model.onnx": b"new"}, force=True)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(os, "fsync", fsync)
    assert _contents(out) == files
    assert os.listdir(tmp_path) == ["model.edge"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(patients, tmp_path):
    first, again, other = (
        _build(tmp_path / name, patients, seed=seed, generator="floor", target=("x86", "jetson"))
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    one, two, three = (_contents(built.path) for built in (first, again, other))
    # Which of fp32 and int8 is quicker here is measured anew each time, so each form is compared where both builds kept it.
    same = [name for name in one if name in two and name not in (MANIFEST, CHECKS, "MODEL_CARD.md")]
    assert {"model.onnx", "golden.safetensors", "report.svg"} < set(same)
    assert any(name.startswith("variants/jetson") for name in same)
    assert [name for name in same if one[name] != two[name]] == []
    assert one["model.onnx"] != three["model.onnx"]


def test_the_manifest_has_the_checksum_of_every_file_but_itself_and_the_growing_checks(package):
    files = _contents(package)
    manifest = json.loads(files[MANIFEST])
    assert set(manifest["files"]) == set(files) - {MANIFEST, CHECKS}
    assert all(hashlib.sha256(files[name]).hexdigest() == expected for name, expected in manifest["files"].items())
    assert not any(name.endswith((".pkl", ".pickle")) for name in files)
    assert "hops" in json.loads(files[CHECKS])
