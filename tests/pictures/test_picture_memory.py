"""Pictures that the caller holds, with their classes or without."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.data.picture_sets import looks_like_pictures, open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture

RED, BLUE = np.full((5, 4, 3), (255, 0, 0), np.uint8), np.full((5, 4, 3), (0, 0, 255), np.uint8)


def labels(source: object) -> list[str | None]:
    return [entry.label for entry in open_pictures(source).entries]


def levels(source: object, labelled: bool = True) -> list[list[int]]:
    """The colour of each picture, all of which are of one."""
    found = open_pictures(source, labelled=labelled)
    return [read_picture(entry.content(), 2, entry.name)[0, 0].tolist() for entry in found.entries]


def forms(array: np.ndarray, path) -> list[object]:
    """One picture as everything that a picture may come as."""
    image = Image.fromarray(array)
    image.save(path)
    return [array, image, path, str(path), path.read_bytes(), array / 255]


def test_pairs_of_picture_and_label(tmp_path):
    for red in forms(RED, tmp_path / "red.png"):
        pairs = [(red, "warm"), (BLUE, "cold"), [red, None], (BLUE, 3)]
        assert looks_like_pictures(pairs)
        found = open_pictures(pairs)
        assert [entry.label for entry in found.entries] == ["warm", "cold", "3"]
        assert found.notes == ("Left out for want of a label: 1 of 4 pictures.",)
        assert levels(pairs) == [[255, 0, 0], [0, 0, 255], [0, 0, 255]]


def test_a_dict_of_classes_and_their_pictures(tmp_path):
    for red in forms(RED, tmp_path / "red.png"):
        source = {"warm": [red, red], "cold": (BLUE,)}
        assert looks_like_pictures(source)
        assert labels(source) == ["warm", "warm", "cold"]
        assert levels(source) == [[255, 0, 0], [255, 0, 0], [0, 0, 255]]
    names = [entry.name for entry in open_pictures({"warm": [RED, RED], "cold": [BLUE]}).entries]
    assert names == ["warm, picture 1", "warm, picture 2", "cold, picture 1"]


def test_a_dict_of_classes_and_arrays():
    source = {"warm": np.stack([RED, RED, RED]), 0: BLUE, "grey": np.full((2, 6, 7), 9, np.uint8)}
    assert looks_like_pictures(source)
    assert labels(source) == ["warm"] * 3 + ["0"] + ["grey"] * 2
    assert levels(source)[3:] == [[0, 0, 255], [9, 9, 9], [9, 9, 9]]


def test_none_is_a_class_where_it_is_a_word():
    assert labels({"none": [RED], "NA": [BLUE]}) == ["none", "NA"]
    assert labels([(RED, "none"), (BLUE, "x")]) == ["none", "x"]
    assert labels([(RED, True), (BLUE, False)]) == ["true", "false"]


def test_pictures_alone_are_for_predicting(tmp_path):
    red = [255, 0, 0]
    for one in forms(RED, tmp_path / "red.png"):
        assert levels(one, labelled=False) == [red]
        assert levels([one, one], labelled=False) == [red, red]
    assert levels(np.stack([RED, BLUE]), labelled=False) == [red, [0, 0, 255]]
    assert levels(np.full((5, 8, 8), 7, np.uint8), labelled=False) == [[7, 7, 7]] * 5
    assert levels(np.full((8, 8), 7, np.uint8), labelled=False) == [[7, 7, 7]]
    assert levels(np.full((1, 8, 8), 7, np.uint8), labelled=False) == [[7, 7, 7]], "one, whichever axis is meant"
    assert levels(np.full((8, 8, 1), 7, np.uint8), labelled=False) == [[7, 7, 7]]
    assert levels({"grey": np.full((8, 8, 1), 7, np.uint8), "blue": [BLUE]}) == [[7, 7, 7], [0, 0, 255]]
    file = io.BytesIO((tmp_path / "red.png").read_bytes())
    assert levels([file], labelled=False) == [red]


@pytest.mark.parametrize("count", [3, 4])
def test_an_array_that_may_be_one_picture_or_several_is_refused(count):
    array = np.random.default_rng(0).integers(0, 256, (count, 8, 9), np.uint8)
    for source, labelled in ((array, False), ({"warm": array, "cold": [BLUE]}, True)):
        with pytest.raises(InputError, match="may be one picture with its channels first") as caught:
            open_pictures(source, labelled=labelled)
        assert caught.value.seen == (count, 8, 9)
        assert "array.transpose(1, 2, 0)" in caught.value.cure
    (one,) = open_pictures(array.transpose(1, 2, 0), labelled=False).entries
    np.testing.assert_array_equal(one.content(), array.transpose(1, 2, 0))
    for several in (array[..., None], list(array)):
        found = open_pictures(several, labelled=False).entries
        np.testing.assert_array_equal([np.reshape(entry.content(), (8, 9)) for entry in found], array)
    assert labels((array, list("abcd")[:count])) == list("abcd")[:count], "a label each leaves no doubt"


def test_without_classes_labels_are_dropped():
    found = open_pictures([(RED, "warm"), (BLUE, None)], labelled=False)
    assert [entry.label for entry in found.entries] == [None, None]


REFUSED = {
    "pictures alone": ([RED, BLUE], "these pictures have no classes"),
    "pairs without a label": ([(RED, None), (BLUE, "")], "these pictures have no classes"),
    "a class without pictures": ({"warm": [RED], "cold": []}, "a class has no pictures"),
    "a class without a name": ({None: [RED], "cold": [BLUE]}, "a class has no name"),
    "a pair among others that is none": ([(RED, "warm"), RED], "item 2: this is no pair"),
    "a thing that is no picture": ([(RED, "warm"), (17, "cold")], "picture 2: this is no picture"),
    "a line of numbers": ({"warm": [RED, [1, 2]], "cold": [BLUE]}, "warm, picture 2: this is no picture"),
    "nothing at all": (None, "these are no pictures"),
    "a number": (3, "these are no pictures"),
    "no pictures": ([], "there are no pictures"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_holds_no_labelled_pictures_is_refused_with_the_cure(case):
    source, match = REFUSED[case]
    with pytest.raises(InputError, match=match) as caught:
        open_pictures(source)
    assert caught.value.cure


@pytest.mark.parametrize("source", [[], None, 3, [[RED]], [(RED, "warm"), RED]], ids=["empty", "none", "3", "nested", "odd"])
def test_who_predicts_is_told_to_give_pictures_not_labels(source):
    with pytest.raises(InputError) as caught:
        open_pictures(source, labelled=False)
    assert "icture is a path, bytes, an open file," in caught.value.cure
    assert "label" not in caught.value.cure


def test_pictures_in_memory_look_like_pictures_and_tables_do_not():
    for pictures in (np.stack([RED, BLUE]), [RED, BLUE], [(RED, "a")], {"a": [RED]}, Image.fromarray(RED), ["x.png"]):
        assert looks_like_pictures(pictures)
    for table in (np.zeros((4, 3)), [[1, 2], [3, 4]], {"a": [1, 2]}, [{"a": 1}], ["words"], {"a": "x"}, {"a": np.zeros(3)}):
        assert not looks_like_pictures(table)


@pytest.mark.parametrize("form", [list, np.array])
def test_pictures_and_labels_in_a_pair(form):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 9, 8), np.uint8)
    given = (pictures, form(["cat", "dog", "cat", "dog"]))
    assert looks_like_pictures(given)
    found = open_pictures(given)
    assert [entry.label for entry in found.entries] == ["cat", "dog", "cat", "dog"]
    np.testing.assert_array_equal([entry.content() for entry in found.entries], pictures)
    two = (["a.png", "b.png"], ["cat", "dog"])
    assert [(entry.name, entry.label) for entry in open_pictures(two).entries] == [("a.png", "cat"), ("b.png", "dog")]
    with pytest.raises(InputError, match="one label for each picture"):
        open_pictures((pictures, form(["cat", "dog"])))
