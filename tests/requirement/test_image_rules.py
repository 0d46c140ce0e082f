"""Rules for pictures: which sentences ask for them, and how classes of options and folders come together."""

from __future__ import annotations

import unicodedata

import pytest

from modelgpt_edge.data.picture_set import PictureEntry, PictureSet
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import speaks_of_pictures, write_picture_requirement
from modelgpt_edge.requirement.picture_classes import as_the_model_has, check_picture_classes

ABOUT_PICTURES = (
    "sort a picture by what is on it",
    "Sort photos of cats and dogs",
    "tell apart photographs",
    "classify X-ray scans",
    "is this xray normal",
    "which selfie smiles",
    "a JPEG comes in, a class goes out",
    "spot birds by a webcam",
    "Sortiere ein Bild",
    "Sortiere Bilder von Hunden",
    "erkenne auf Röntgenbildern, was gebrochen ist",
    "ordne jedes Produktfoto ein",
    "classer chaque photographie",
    "classer des images",
    "reconnaître les fleurs par la caméra",
    "clasifica cada imagen",
    "clasifica fotografías de plantas",
    "classifica ogni immagine",
    "ordina le fotografie",
    "对图片分类",
    "照片里是什么",
    "写真を分類する",
)
ABOUT_OTHERS = (
    "predict churn",
    "sort mails by topics",
    "imagine what a customer wants",
    "Welche Ausbildung passt? Sortiere Fragen zur Bildung",
    "Bilde Gruppen von Anfragen",
    "Vorbilder aus Texten",
    "sort questions on photosynthesis",
    "detect sarcasm in picturesque prose",
    "对文本分类",
)


@pytest.mark.parametrize("task", ABOUT_PICTURES)
def test_sentences_about_pictures(task):
    assert speaks_of_pictures(task)


@pytest.mark.parametrize("task", ABOUT_OTHERS)
def test_sentences_about_others(task):
    assert not speaks_of_pictures(task)


def understand(classes, found, pictures=20):
    return write_picture_requirement(Request("sort pictures", None, classes=classes), found, pictures)


def test_folders_and_options_are_one_class_where_only_spelling_differs():
    asked = {"Red": "the colour of blood", "GREEN": "", "Sky blue": ""}
    read = understand(asked, ("green", "red", "sky_blue"))
    assert read.schema.classes == ("red", "green", "sky_blue")
    assert read.meanings == {"red": "the colour of blood"}
    assert any("Red as red, GREEN as green and Sky blue as sky_blue" in note for note in read.notes)
    assert not any("No picture of" in note for note in read.notes)


def test_who_named_the_classes_is_told_whatever_the_option():
    assert understand({"a cat": "", "a dog": "not a wolf"}, ()).schema.label_because == "you named the classes"
    assert understand({}, ("cat", "dog")).schema.label_because == "classes are the names of folders, or of the label's column"


def test_accents_put_together_in_two_ways_are_one_class():
    apart = unicodedata.normalize("NFD", "Café")
    assert apart != "Café"
    assert understand({apart: "", "bar": ""}, ("Café",)).schema.classes == ("Café", "bar")


def test_of_two_folders_that_are_alike_none_is_taken_for_the_asked_one():
    assert understand({"RED": "", "a": ""}, ("Red", "red")).schema.classes == ("Red", "red", "RED", "a")


@pytest.mark.parametrize(("asked", "near"), [("Dogs", True), ("digit 2", False), ("bird", False)])
def test_a_class_that_is_all_but_a_folder_is_told(asked, near):
    notes = understand({asked: ""}, ("dog", "digit 1")).notes
    assert ("Much alike, but two classes: Dogs beside dog. Spell them alike if you mean one." in notes) == near
    assert any(note.startswith(f"No picture of {asked}") for note in notes)


@pytest.mark.parametrize(
    ("count", "what"),
    [(1, "there is one class only"), (3000, "3,000 classes are more than the 200 that can be told apart")],
)
def test_too_few_or_too_many_named_classes_are_counted(count, what):
    with pytest.raises(InputError) as told:
        understand({f"c{i}": "" for i in range(count)}, (), 0)
    assert told.value.what == what
    assert "--classes 'cat,dog,bird'" in told.value.cure


def pictures_of(**counts: int) -> PictureSet:
    entries = [PictureEntry(f"{name}/{i}.png", name, bytes) for name, count in counts.items() for i in range(count)]
    return PictureSet("asked", tuple(entries))


def test_one_folder_and_its_own_name_in_other_letters_are_one_class():
    with pytest.raises(InputError, match="there is one class only"):
        check_picture_classes(pictures_of(red=3), {"Red": ""})
    check_picture_classes(pictures_of(red=3), {"Red": "", "blue": ""})


def test_test_pictures_take_the_models_spelling():
    found = as_the_model_has(pictures_of(Red=2, BLUE=1), ("blue", "red"))
    assert [entry.label for entry in found.entries] == ["red", "red", "blue"]
    assert found.notes == ()


def test_test_pictures_of_unknown_classes_are_told_and_refused_where_all_are():
    found = as_the_model_has(pictures_of(red=2, yellow=3, pink=1), ("blue", "red"))
    assert [entry.label for entry in found.entries] == ["red", "red", "yellow", "yellow", "yellow", "pink"]
    assert found.notes == ("Classes that the model doesn't know count as wrong: 1 picture of pink, 3 pictures of yellow.",)
    with pytest.raises(InputError, match="the model knows no class of the test pictures"):
        as_the_model_has(pictures_of(yellow=3), ("blue", "red"))
