"""Pictures in, package out, by the command line as a user calls it; and what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import modelgpt_edge
from modelgpt_edge import picture_names
from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.errors import InputError
from modelgpt_edge.looking import look
from modelgpt_edge.picture_names import read_names
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from tests.image.conftest import CLASSES, coloured


@pytest.fixture
def build(build_small):
    return lambda *options: build_small("--json", *options)


def test_folders_make_a_checked_model_that_predicts(build, cli, pictures, write_pictures, tmp_path):
    ran = build("--data", pictures)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["requirement"]["modality"] == "image"
    assert report["requirement"]["classes"] == list(CLASSES)
    assert report["architecture"]["template"] == "backbone"
    assert all(check["passed"] for check in report["checks"])
    assert report["score"]["value"] > 0.9
    asked = write_pictures(tmp_path / "asked", 3, seed=100)
    ran = cli("predict", tmp_path / "m.edge", asked, "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert [row["picture"] for row in said] == [f"{name}/{i}.png" for name in CLASSES for i in range(3)]
    assert np.mean([row["picture"].startswith(row["label"]) for row in said]) > 0.8
    assert cli("verify", tmp_path / "m.edge").code == 0
    sheet = Image.open(tmp_path / "m.edge" / "predictions.png")
    assert min(sheet.size) > 100
    card = (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()
    assert "# Tells what pictures show" in card
    assert "predictions.png" in card


def test_names_alone_make_a_model_where_the_task_speaks_of_pictures(build, cli, tmp_path):
    ran = build("--classes", "blue,green,red")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["requirement"]["modality"], report["generator"]["name"]) == ("image", "words")
    assert report["score"]["value"] is None
    assert {variant["training_accuracy"] for variant in report["variants"]} == {None}, "nobody labelled the samples"
    Image.fromarray(coloured("red", 1)).save(tmp_path / "photo.jpg")
    ran = cli("predict", tmp_path / "m.edge", tmp_path / "photo.jpg")
    assert ran.code == 0, ran.err
    head, line = ran.out.splitlines()
    assert head == "picture,label,p(blue),p(green),p(red)"
    assert line.startswith(f"{tmp_path / 'photo.jpg'},")


def test_all_forms_of_one_picture_are_the_same(build, pictures, tmp_path):
    assert build("--data", pictures).code == 0
    model = modelgpt_edge.load(tmp_path / "m.edge")
    path = pictures / "red" / "0.png"
    array = np.asarray(Image.open(path))
    once = model.predict_proba(path)
    assert once.shape == (1, 3)
    for form in (str(path), path.read_bytes(), Image.open(path), array, [path], np.stack([array])):
        np.testing.assert_array_equal(model.predict_proba(form), once)
    assert model.predict(pictures).shape == (18,)
    assert model.predict([path, array]).tolist() == ["red", "red"]


def test_the_test_folder_gives_the_score(build, pictures, write_pictures, tmp_path):
    asked = write_pictures(tmp_path / "asked", 4, seed=50)
    ran = build("--data", pictures, "--test", asked)
    assert ran.code == 0, ran.err
    score = json.loads(ran.out)["score"]
    assert (score["method"], score["rows"]) == ("the test pictures", 12)


def test_unlabelled_pictures_centre_the_model(build, pictures, write_pictures, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    for i in range(5):
        Image.fromarray(coloured("blue", i)).save(loose / f"{i}.png")
    assert build("--classes", "blue,green,red").code == 0
    before = modelgpt_edge.load(tmp_path / "m.edge").predict_proba(pictures)
    ran = build("--classes", "blue,green,red", "--unlabelled", loose, "--force")
    assert ran.code == 0, ran.err
    assert np.abs(modelgpt_edge.load(tmp_path / "m.edge").predict_proba(pictures) - before).max() > 0.01


def test_a_class_without_a_picture_is_served_by_its_name(build, pictures):
    ran = build("--data", pictures, "--classes", "blue,green,red,a yellow banana")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["requirement"]["classes"] == ["blue", "green", "red", "a yellow banana"]
    assert any("No picture of" in note and "a yellow banana" in note for note in report["notes"])


def test_a_limit_on_flash_takes_the_smaller_form(build, pictures):
    whole = json.loads(build("--data", pictures).out)["architecture"]["bytes"]
    ran = build("--data", pictures, "--max-flash", f"{whole - 1000}", "--force")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["architecture"]["bytes"] < whole
    kept = [variant["precision"] for variant in report["variants"] if variant["path"]]
    assert kept in (["int8"], ["fp16"])


def test_the_size_asked_for_is_built_and_used(build, cli, pictures, tmp_path):
    ran = build("--data", pictures, "--size", "96")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["architecture"]["size"] == 96
    assert modelgpt_edge.load(tmp_path / "m.edge").predict([pictures / "red" / "0.png"]).tolist() == ["red"]
    assert cli("verify", tmp_path / "m.edge").code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--encoder", "tiny"), False),
        # The usual backbone needn't even be installed for that.
        (("--encoder", "EfficientNet-Lite0", "--max-flash", "500kB"), True),
    ],
    ids=["asked", "limited"],
)
def test_the_tiny_trunk_is_built_where_asked_for_or_nothing_else_fits(
    options, told, build, cli, pictures, write_pictures, tmp_path
):
    ran = build("--data", pictures, *options)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["architecture"]["template"], report["architecture"]["size"]) == ("trunk", 32)
    assert report["score"]["value"] > 0.9
    assert any("tiny trunk is taken instead" in note for note in report["notes"]) == told
    asked = write_pictures(tmp_path / "asked", 3, seed=100)
    said = json.loads(cli("predict", tmp_path / "m.edge", asked, "--json").out)
    assert np.mean([row["picture"].startswith(row["label"]) for row in said]) > 0.8
    assert cli("verify", tmp_path / "m.edge").code == 0


def test_a_latency_that_all_keep_takes_the_smallest_that_is_as_good(build, pictures):
    ran = build("--data", pictures, "--max-latency", "10s")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    # Plain colours are told apart at any size.
    assert report["architecture"]["template"] == "trunk"
    assert report["score"]["value"] > 0.9


def test_the_same_seed_writes_the_same_model(build, pictures, tmp_path):
    assert build("--data", pictures).code == 0
    first = (tmp_path / "m.edge" / "model.onnx").read_bytes()
    assert build("--data", pictures, "--force").code == 0
    assert (tmp_path / "m.edge" / "model.onnx").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--generator", "trained"], 1, "there is no such generator"),
        (["--kind", "regression"], 1, "pictures are classified, nothing else"),
        (["--finetune", "5"], 1, "models of pictures aren't fine-tuned"),
        (["--modality", "sound"], 1, "there is no such modality"),
        (["--size", "100"], 1, "no such input size"),
        (["--size", "224", "--encoder", "tiny"], 1, "no such input size"),
        (["--encoder", "tiny", "--classes", "blue,green,red,pink"], 1, "none of 'pink'"),
        (["--encoder", "EfficientNet-Lite0", "--max-flash", "1MB", "--classes", "blue,red,pink"], 5, "pictures of every class"),
        (["--max-flash", "1kB"], 5, "fits the budget"),
        (["--test", "no/such/folder"], 1, "no such"),
    ],
)
def test_what_cannot_be_done_is_told(options, code, says, build, pictures, tmp_path):
    ran = build("--data", pictures, *options)
    assert ran.code == code, ran.err
    assert says in ran.err
    assert not (tmp_path / "m.edge").exists()


def test_one_class_is_refused(build, pictures):
    for name in CLASSES[1:]:
        shutil.rmtree(pictures / name)
    ran = build("--data", pictures)
    assert ran.code == 1
    assert "class" in ran.err


def test_what_models_of_pictures_cannot_do_yet_is_told(build, cli, pictures, tmp_path):
    assert build("--data", pictures).code == 0
    for command, says in (
        (("embed", tmp_path / "m.edge", "--language", "c", "--out", tmp_path / "app"), "pictures are in JavaScript alone"),
        (
            ("refit", tmp_path / "m.edge", "--data", pictures, "--out", tmp_path / "n.edge"),
            "models of pictures can't be refitted yet",
        ),
        (("finalize", tmp_path / "m.edge"), "no TensorRT variant to finalize"),
    ):
        ran = cli(*command)
        assert ran.code == 1, (command, ran.err)
        assert says in ran.err


def test_people_read_a_report(cli, pictures, small_file, tmp_path):
    ran = cli("build", "--task", "sort", "--data", pictures, "--encoder", small_file, "--out", tmp_path / "m.edge")
    assert ran.code == 0, ran.err
    for line in (
        "Architecture  backbone small, the tiny trunk beside it: 224 x 224 pixels",
        "Classes       3: 'blue'",
        "PICTURE.jpg",
    ):
        assert line.replace("'", "") in ran.out.replace("'", "")


def test_names_that_cannot_be_told_apart_need_a_meaning_or_pictures(build, pictures, tmp_path):
    told = build("--modality", "image", "--classes", "猫,狗")
    assert told.code == 1
    assert "two names of classes say the same to the sentence encoder, and there is no picture of either" in told.err
    assert not (tmp_path / "m.edge").exists()
    ran = build("--modality", "image", "--class", "猫: a cat", "--class", "狗: a dog")
    assert ran.code == 0, ran.err


def test_a_class_without_pictures_needs_a_sentence_encoder(pictures, small, monkeypatch):
    requirement = write_picture_requirement(Request("sort pictures", None, classes={"zebra": ""}), CLASSES, 9)
    template = SizedBackbone(small, 224, TrunkTemplate.shipped())
    monkeypatch.setattr(picture_names, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="known by its name alone, and there is no sentence encoder"):
        read_names(template, requirement, ["zebra"], ["zebra"])
    said = read_names(template, requirement, [], [])
    assert said.prior is None
    assert "The names of the classes weren't used" in said.notes[0]


def test_what_is_odd_of_test_and_unlabelled_pictures_is_told(build, pictures, write_pictures, tmp_path):
    asked = write_pictures(tmp_path / "asked", 8, seed=50)
    (asked / "red").rename(asked / "Red")
    (asked / "green").rename(asked / "yellow")
    (asked / "Red" / "0.png").write_text("no picture")
    (asked / "notes.txt").write_text("x")
    ran = build("--data", pictures, "--test", asked, "--unlabelled", asked)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["score"]["method"], report["score"]["rows"]) == ("the test pictures", 23)
    notes = report["notes"]
    assert "Of the test pictures: classes that the model doesn't know count as wrong: 8 pictures of yellow." in notes
    assert any(note.startswith("Of the test pictures: left out, unreadable: Red/0.png") for note in notes)
    assert any(note.startswith("Of the unlabelled pictures: left out, unreadable: Red/0.png") for note in notes)
    assert min(Image.open(tmp_path / "m.edge" / "predictions.png").size) > 100


def test_test_pictures_of_other_classes_are_refused(build, pictures, tmp_path):
    (tmp_path / "asked" / "yellow").mkdir(parents=True)
    shutil.copy(pictures / "red" / "0.png", tmp_path / "asked" / "yellow")
    ran = build("--data", pictures, "--test", tmp_path / "asked")
    assert ran.code == 1
    assert "the model knows no class of the test pictures (seen: 'yellow')" in ran.err


def test_predict_names_a_bad_file_and_goes_on(build, cli, pictures, tmp_path):
    assert build("--data", pictures).code == 0
    (pictures / "red" / "1.png").write_text("no picture")
    ran = cli("predict", tmp_path / "m.edge", pictures, "--json")
    assert ran.code == 0, ran.err
    assert len(json.loads(ran.out)) == 17
    assert (
        "note: Left out, unreadable: red/1.png (this is no picture of a kind that is read, or its header is damaged)."
        in ran.err
    )
    model = modelgpt_edge.load(tmp_path / "m.edge")
    for asked in (pictures, [pictures / "red" / "0.png", pictures / "red" / "1.png"]):
        with pytest.raises(InputError, match=r"red/1\.png: this is no picture"):
            model.predict(asked)
    (pictures / "red" / "2.png").write_text("no picture")
    ran = cli("predict", tmp_path / "m.edge", pictures)
    assert (ran.code, ran.out) == (1, "")
    assert "more than 1 of 18 pictures cannot be read (seen: 'red/1.png: " in ran.err
    ran = cli("predict", tmp_path / "m.edge", pictures / "red" / "2.png")
    assert ran.code == 1
    assert f"error: {pictures / 'red' / '2.png'}: this is no picture" in ran.err
    (tmp_path / "notes.txt").write_text("no picture")
    ran = cli("predict", tmp_path / "m.edge", tmp_path / "notes.txt")
    assert ran.code == 1
    assert f"error: {tmp_path / 'notes.txt'}: this is no picture of a kind that is read" in ran.err


def test_whatever_a_build_takes_is_predicted(build, pictures, tmp_path):
    assert build("--data", pictures).code == 0
    model = modelgpt_edge.load(tmp_path / "m.edge")
    paths = [pictures / name / f"{i}.png" for name in CLASSES for i in range(6)]
    once = model.predict_proba(pictures)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", pictures)
    with open(packed, "rb") as file:
        np.testing.assert_array_equal(model.predict_proba(file.read()), once)
    np.testing.assert_array_equal(model.predict_proba(path for path in paths), once)
    np.testing.assert_array_equal(model.predict_proba({"path": list(map(str, paths))}), once)
    grey = np.random.default_rng(0).integers(0, 256, (5, 20, 30), np.uint8)
    each = np.concatenate([model.predict_proba(one) for one in grey])
    np.testing.assert_allclose(model.predict_proba(grey), each, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--text", "words"), "--text: this option is for texts"),
        (("--draws", "2"), "--draws: this option is for tables"),
        (("--label", "kind"), "--label: this option is about a table, and there is none"),
        (("--driver", "nonsense"), "--driver: of pictures no language model is asked (seen: 'nonsense')"),
        (("--driver", "gguf:absent.gguf"), "--driver: of pictures no language model is asked"),
        (("--private",), "--private: of pictures no language model is asked"),
        (("--show-prompt",), "--show-prompt: of pictures no language model is asked"),
        (("--driver", "openai:http://127.0.0.1:9/v1#m", "--show-prompt"), "--show-prompt: of pictures no language model"),
    ],
)
def test_options_of_others_are_refused(build, pictures, options, says):
    ran = build("--data", pictures, *options)
    assert ran.code == 1
    assert says in ran.err


def test_of_names_of_pictures_no_language_model_is_asked_either(build):
    for options in (("--driver", "openai:http://127.0.0.1:9/v1#m"), ("--show-prompt",)):
        ran = build("--classes", "blue,red", *options)
        assert ran.code == 1
        assert f"{options[0]}: of pictures no language model is asked" in ran.err
    for rules in ("rules", " Rules"):
        asked = Request("tell the colour of a picture", None, classes={"blue": "", "red": ""}, driver=rules)
        assert look(asked).modality == "image"
