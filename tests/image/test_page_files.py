"""The browser's variant of a model of pictures and the app around it as files, without a browser: what goes in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import modelgpt_edge
from modelgpt_edge.embed.app import embed
from modelgpt_edge.embed.readme import commands
from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.backend import PictureFacts
from modelgpt_edge.targets.browser.picture_files import picture_files
from modelgpt_edge.targets.browser.variant_files import IMAGE, kind_of
from tests.image.conftest import CLASSES

NAMES = {"model.onnx", "model.json", "model.mjs", "picture.mjs"}


@pytest.fixture(scope="module")
def package(write_pictures, small_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    pictures = write_pictures(folder / "pictures", 6)
    task = "tell the `colour` @NAME@ <b>"
    return modelgpt_edge.build(task, pictures, encoder=str(small_file), target="x86", out=folder / "m.edge").path


def test_what_stands_beside_the_graph_names_the_classes_and_the_size(tmp_path):
    for name, content in picture_files(PictureFacts(("a", 'b "c"', "请问"), 96)).items():
        (tmp_path / name).write_bytes(content)
    assert {path.name for path in tmp_path.iterdir()} == NAMES - {"model.onnx"}
    facts = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert facts == {"kind": "image", "classes": ["a", 'b "c"', "请问"], "size": 96}
    assert kind_of(tmp_path.joinpath) == IMAGE


def test_modules_import_nothing_but_what_goes_along(package, tmp_path):
    made = embed(package, "javascript", tmp_path / "app")
    for module in made.path.glob("*.mjs"):
        imported = set(re.findall(r'^import .* from "\./(.*)";$', module.read_text(encoding="utf-8"), re.MULTILINE))
        assert imported <= set(made.files), module.name
    for linked in re.findall(r'(?:href|src)="(?!data:)([^"]*)"', (made.path / "index.html").read_text(encoding="utf-8")):
        assert linked in made.files


def test_the_app_holds_the_model_and_a_page_and_no_scripts_that_need_a_table(package, tmp_path):
    made = embed(package, "javascript", tmp_path / "app")
    assert made.variant is not None
    assert NAMES | {"index.html", "app.mjs", "serve.mjs", "README.md"} <= set(made.files)
    assert not {"predict.mjs", "example.csv", "row.mjs"} & set(made.files)
    facts = json.loads((made.path / "model.json").read_text(encoding="utf-8"))
    model = modelgpt_edge.load(package, "model")
    assert (facts["classes"], facts["size"]) == (list(CLASSES), model.size)
    needs = json.loads((made.path / "package.json").read_text(encoding="utf-8"))
    assert needs["scripts"] == {"start": "node serve.mjs"}
    assert "onnxruntime-web" in needs["dependencies"]
    text = (made.path / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[0].endswith(": tell the \\`colour\\` @NAME@ \\<b\\>.")
    assert f"squashed to {model.size} x {model.size} pixels" in text
    assert commands(made.path) == ["npm install", "npm start"]


def test_people_are_told_the_commands_of_their_app(package, cli, tmp_path):
    ran = cli("embed", package, "--language", "javascript", "--out", tmp_path / "app")
    assert ran.code == 0, ran.err
    assert [line.strip() for line in ran.out.splitlines()[-3:]] == [f"cd {tmp_path / 'app'}", "npm install", "npm start"]


def test_the_variant_asked_for_goes_in_and_others_are_refused(package, tmp_path):
    manifest = modelgpt_edge.load(package, "model").package.manifest
    for place, variant in enumerate(manifest.variants):
        made = embed(package, "javascript", tmp_path / f"app{place}", variant=variant.name)
        assert (made.path / "model.onnx").read_bytes() == (package / variant.path / "model.onnx").read_bytes()
    with pytest.raises(InputError, match="JavaScript alone so far"):
        embed(package, "python", tmp_path / "app")
    assert not (tmp_path / "app").exists()
