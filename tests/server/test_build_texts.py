"""Packages of texts over HTTP: the local build's own bytes; and pictures, which no server takes nor looks for."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modelgpt_edge
from modelgpt_edge.data.picture_sets import looks_like_pictures
from modelgpt_edge.server.archive import read_tar

ROOT = Path(__file__).parents[2]
CSV = {"Content-Type": "text/csv"}
TASK = "route bank support questions"
NAMES = "card lost,refund,exchange rate"
MEANT = "cash: take money out of a machine"
# What may differ from build to build: measured times.
MEASURED = "checks.json"
NOBODY = "http://127.0.0.1:9"


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != MEASURED}


# ---- texts


def test_build_server_makes_a_package_of_names_alone(server, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = cli("build", "--task", TASK, "--classes", NAMES, "--class", MEANT, "--server", server.url)
    assert ran.code == 0, ran.err
    assert "Package       model.edge in" in ran.out
    asked = ["my card is gone", "give me my money back", "how many yen is that", "i want money from the machine"]
    assert modelgpt_edge.load("model.edge").predict(asked).tolist() == [*NAMES.split(","), "cash"]


def test_labelled_texts_are_told_by_the_data_and_give_the_local_builds_bytes(server, tmp_path):
    """No option says here that these are texts."""
    body = (ROOT / "examples" / "support.csv").read_bytes()
    (tmp_path / "body.csv").write_bytes(body)
    with server.client() as client:
        options = {"task": TASK, "class": MEANT, "generator": "floor"}
        answer = client.post("/v1/build", params=options, content=body, headers=CSV)
    assert answer.status_code == 200, answer.text
    files = dict(read_tar(io.BytesIO(answer.content), 1 << 28))
    requirement = json.loads(files["manifest.json"])["requirement"]
    assert requirement["modality"] == "text"
    assert "take money out of a machine" in json.dumps(requirement)
    name, _, meaning = MEANT.partition(": ")
    local = modelgpt_edge.build(
        TASK, tmp_path / "body.csv", classes={name: meaning}, generator="floor", out=tmp_path / "local.edge"
    )
    assert files.pop(MEASURED)
    assert files == _files(local.path)


@pytest.mark.parametrize(
    ("options", "body", "status", "where", "what"),
    [
        ({}, b"", 400, "body", "the body is empty"),
        ({"modality": "text"}, b"", 400, "body", "the body is empty"),
        ({"modality": "sound"}, b"", 422, "modality", "there is no such modality here"),
        ({"modality": "image"}, b"", 422, "modality", "models of pictures aren't built on a server"),
        (
            {"classes": "cat,dog", "task": "sort photos of pets"},
            b"",
            422,
            "task",
            "models of pictures aren't built on a server",
        ),
        ({"classes": "one"}, b"", 422, "classes", "there is one class only"),
        ({"class": ": nothing"}, b"", 422, "class", "a class has no name"),
        ({"classes": "a,b", "finetune": "3"}, b"", 422, "finetune", "models of texts aren't fine-tuned"),
        (
            {"classes": "a,b"},
            b"age,outcome\n1,x\n2,y\n3,x\n",
            422,
            "classes",
            "this data is a table, and the option is for texts",
        ),
        ({"text": "words"}, b"age,outcome\n1,x\n2,y\n", 422, "text", "no column has this name"),
    ],
)
def test_what_cannot_be_built_is_refused(options, body, status, where, what, server):
    with server.client() as client:
        answer = client.post("/v1/build", params={"task": TASK, **options}, content=body, headers=CSV if body else {})
    told = answer.json()
    assert (answer.status_code, told["where"], told["error"]) == (status, where, what)
    assert told["cure"]
    assert "/tmp" not in answer.text, "a path of the server shows"


# ---- pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Class folders of pictures."""
    folder = tmp_path_factory.mktemp("pictures") / "pets"
    for number in range(12):
        place = folder / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture
def listed(pictures, tmp_path) -> Path:
    """A table of where pictures lie on this machine, and of much else."""
    places = sorted(pictures.rglob("*.png"))
    rows = [f"{p},{n},{n % 5},{('ill', 'well')[n % 2]}" for n, p in enumerate(places * 4)]
    (tmp_path / "listed.csv").write_text("\n".join(["photo,age,weight,outcome", *rows]) + "\n", encoding="utf-8")
    return tmp_path / "listed.csv"


@pytest.fixture
def zipped(pictures, tmp_path) -> Path:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as out:
        for place in sorted(pictures.rglob("*.png")):
            out.write(place, place.relative_to(pictures))
    return tmp_path / "pets.zip"


def test_a_table_that_names_files_of_the_server_is_a_table_there(server, listed):
    """On the machine that the files are of, the same table is one of pictures."""
    assert looks_like_pictures(listed)
    with server.client() as client:
        options = {"task": "predict the outcome", "draws": "1"}
        answer = client.post("/v1/build", params=options, content=listed.read_bytes(), headers=CSV)
    assert answer.status_code == 200, answer.text
    files = dict(read_tar(io.BytesIO(answer.content), 1 << 28))
    assert json.loads(files["manifest.json"])["requirement"]["modality"] == "table"


def test_what_is_pictures_by_itself_is_refused_by_the_server(server, pictures, listed, zipped):
    bare = b"\n".join(line.rpartition(b",")[0].partition(b",")[0] + b",x" for line in listed.read_bytes().splitlines())
    one = next(pictures.rglob("*.png")).read_bytes()
    with server.client() as client:
        for name, body in (("pets.zip", zipped.read_bytes()), ("list.csv", bare), ("one.png", one)):
            answer = client.post("/v1/build", params={"task": "sort pets"}, files={"data": (name, body)})
            told = answer.json()
            assert (answer.status_code, told["error"]) == (422, "models of pictures aren't built on a server"), name
            assert (told["where"], told["seen"]) == ("data", name)
            assert "--server" in told["cure"]


@pytest.mark.parametrize("what", ["folder", "zip", "list", "task", "modality", "size", "unlabelled"])
def test_build_server_tells_of_pictures_before_anybody_is_asked(what, cli, pictures, zipped, listed, tmp_path):
    asked = {
        "folder": ("--data", pictures),
        "zip": ("--data", zipped),
        "list": ("--data", listed),
        "task": ("--classes", "cat,dog", "--task", "sort photos of pets"),
        "modality": ("--classes", "cat,dog", "--modality", "image"),
        "size": ("--classes", "cat,dog", "--size", "96"),
        "unlabelled": ("--classes", "cat,dog", "--unlabelled", pictures),
    }[what]
    ran = cli("build", "--task", "sort pets", *asked, "--server", NOBODY, "--out", tmp_path / "m.edge")
    assert ran.code == 1
    assert "--server: models of pictures aren't built on a server" in ran.err
    assert "uploading" not in ran.err


@pytest.mark.parametrize(
    ("options", "where", "cure"),
    [
        (("--classes", "a,b", "--encoder", "tiny"), "--encoder", "leave out --server"),
        (("--classes", "a,b", "--driver", "openai:http://x/v1#m"), "--driver", "Leave out --server"),
        (("--classes", "a,b", "--private"), "--driver", "Leave out --server"),
        ((), "--data", "--classes"),
        (("--data", "."), "--data", "Check the path"),
    ],
)
def test_what_no_server_is_asked_for(options, where, cure, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,b\n1,2\n", encoding="utf-8")  # a folder with a table isn't one of pictures
    ran = cli("build", "--task", "sort questions", *options, "--server", NOBODY, "--fallback", "--out", "m.edge")
    assert ran.code == 1
    assert f"error: {where}: " in ran.err
    assert cure in ran.err
    assert "uploading" not in ran.err
    assert "WARNING" not in ran.err


def test_a_refusal_is_told_in_the_command_lines_words(server, cli, tmp_path):
    ran = cli("build", "--task", "sort questions", "--classes", "one", "--server", server.url, "--out", tmp_path / "m.edge")
    assert ran.code == 1
    assert "error: --classes: there is one class only" in ran.err
