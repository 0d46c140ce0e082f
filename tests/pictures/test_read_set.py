"""A set read to arrays: order, the unreadable, copies, samples of large sets, and how much memory that takes."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.data import picture_reading
from modelgpt_edge.data.picture_reading import read_set
from modelgpt_edge.data.picture_sampling import KEPT, sample_by_class
from modelgpt_edge.data.picture_set import PictureEntry, PictureSet
from modelgpt_edge.data.picture_sets import open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.requirement.picture_classes import check_picture_classes


def quiet(stage: str, share: float) -> None:
    assert stage == "reading pictures"
    assert 0 <= share <= 1


def coloured(count: int, classes: int = 2, broken: tuple[int, ...] = ()) -> PictureSet:
    """Pictures that are all different, some of which are none."""

    def content(place: int):
        return lambda: b"broken" if place in broken else np.full((3, 3, 3), (place % 251, place // 251, 7), np.uint8)

    entries = (PictureEntry(f"{place}.png", f"class {place % classes}", content(place)) for place in range(count))
    return PictureSet("a set", tuple(entries), ("a note of the set",))


def test_every_picture_is_read_in_order(animals):
    found = open_pictures(animals)
    read = read_set(found, 16, quiet)
    assert read.pictures.shape == (6, 16, 16, 3)
    assert read.pictures.dtype == np.uint8
    assert read.labels.dtype == np.int32
    assert read.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (read.classes, read.skipped, read.notes) == (("cat", "dog"), (), ())
    for entry, name, picture in zip(found.entries, read.names, read.pictures):
        assert entry.name == name
        np.testing.assert_array_equal(picture, read_picture(animals / name, 16))


def test_labels_are_places_in_the_classes_asked_for():
    read = read_set(coloured(4, classes=3), 8, quiet, classes=("class 2", "another", "class 0"))
    assert read.classes == ("class 2", "another", "class 0")
    assert read.labels.tolist() == [2, -1, 0, 2]


def test_pictures_of_no_class_are_read(animals):
    read = read_set(open_pictures(animals, labelled=False), 8, quiet)
    assert read.labels.tolist() == [-1] * 6
    assert read.classes == ()


def test_progress_goes_from_none_to_all():
    told: list[float] = []
    read_set(coloured(10), 8, lambda _, share: told.append(share))
    assert told == [place / 10 for place in range(11)]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has one thread")
def test_several_threads_read():
    together = threading.Barrier(2)

    def content():
        together.wait(60)  # never done by one thread alone
        return np.zeros((2, 2), np.uint8)

    entries = tuple(PictureEntry(str(place), "a", content) for place in range(2))
    assert len(read_set(PictureSet("x", entries), 4, quiet).labels) == 2


# What cannot be read


def test_a_few_that_cannot_be_read_are_named_and_left_out():
    read = read_set(coloured(100, broken=(3, 50, 98, 99)), 8, quiet)
    assert len(read.pictures) == len(read.labels) == len(read.names) == 96
    reason = "this is no picture of a kind that is read, or its header is damaged"
    assert read.skipped == tuple((f"{place}.png", reason) for place in (3, 50, 98, 99))
    assert "3.png" not in read.names
    assert (read.pictures[:, 0, 0, 0] == [place for place in range(100) if place not in (3, 50, 98, 99)]).all()
    assert read.labels.tolist() == [place % 2 for place in range(100) if place not in (3, 50, 98, 99)]
    told = f"Left out, unreadable: 3.png ({reason}), 50.png ({reason}), 98.png ({reason}) and 1 more."
    assert read.notes == ("a note of the set", told)


def test_one_of_a_few_may_be_broken():
    assert len(read_set(coloured(5, broken=(2,)), 8, quiet).labels) == 4


@pytest.mark.parametrize(("count", "broken", "allowed"), [(5, 2, 1), (100, 6, 5), (60, 60, 3)])
def test_many_that_cannot_be_read_are_an_error(count, broken, allowed):
    with pytest.raises(InputError, match=rf"more than {allowed} of {count} pictures cannot be read") as caught:
        read_set(coloured(count, broken=tuple(range(broken))), 8, quiet)
    assert caught.value.seen.startswith("0.png: this is no picture")
    assert "one may be unreadable, or 5% where that is more" in caught.value.cure


def test_of_a_single_picture_its_own_error_is_told():
    with pytest.raises(InputError, match=r"^0\.png: this is no picture"):
        read_set(coloured(1, broken=(0,)), 8, quiet)


def test_a_class_that_is_lost_is_an_error():
    entries = (*coloured(40, classes=1).entries, PictureEntry("odd.png", "rare", lambda: b""))
    with pytest.raises(InputError, match=r"a set: no picture of a class can be read \(seen: 'rare'\)"):
        read_set(PictureSet("a set", entries), 8, quiet)


def test_faults_that_are_ours_are_not_swallowed():
    def content():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_set(PictureSet("x", (PictureEntry("1", "a", content),)), 8, quiet)


def test_the_rest_is_not_read_once_too_many_have_failed():
    read: list[int] = []
    seen = threading.Event()  # that as many have failed as may, but one

    def content(place: int):
        def fetch() -> bytes:
            if place > 500:
                seen.wait(60)
            read.append(place)
            return b"broken"

        return fetch

    entries = tuple(PictureEntry(str(place), "a", content(place)) for place in range(5000))
    with pytest.raises(InputError, match="more than 250 of 5,000"):
        read_set(PictureSet("x", entries), 8, lambda _, share: seen.set() if share >= 250 / 5000 else None)
    assert len(read) < 5000


# Copies


def copies(*pairs: tuple[str, int]) -> tuple[str, ...]:
    """Notes on pictures, each given by its class and its level."""
    entries = tuple(
        PictureEntry(f"{place}.png", label, lambda level=level: np.full((3, 3), level, np.uint8))
        for place, (label, level) in enumerate(pairs)
    )
    return read_set(PictureSet("x", entries), 8, quiet).notes


def test_the_same_picture_in_two_classes_is_named():
    assert copies(("a", 1), ("b", 2), ("b", 1)) == ("The same picture stands in more than one class: 0.png (a) and 2.png (b).",)


def test_the_same_picture_within_a_class_is_counted():
    assert copies(("a", 1), ("a", 1), ("b", 2), ("a", 1)) == (
        "Not the first of their kind in their class: 2 pictures; the same may be held out and learnt at once.",
    )
    assert copies(("a", 1), ("b", 2)) == ()


def test_of_many_copies_a_few_are_named():
    (note,) = copies(*(("a", level) for level in range(5)), *(("b", level) for level in range(5)))
    assert note.endswith("2.png (a) and 7.png (b); 2 more such.")


def test_a_copy_in_another_format_is_one(picture, pack):
    content = pack(picture(1), "PNG")
    pairs = [(content, "a"), (pack(picture(1), "BMP"), "b"), (pack(picture(2), "PNG"), "b")]
    assert read_set(open_pictures(pairs), 16, quiet).notes == (
        "The same picture stands in more than one class: picture 1 (a) and picture 2 (b).",
    )


# Samples


def test_of_a_large_set_a_sample_of_every_class_is_read():
    found = coloured(300, classes=3)
    read = read_set(found, 4, quiet, most=30, seed=1)
    assert Counter(read.labels.tolist()) == {0: 10, 1: 10, 2: 10}
    assert read.notes == ("a note of the set", "Of 300 pictures a sample of 30 is used, of every class.")
    assert list(read.names) == sorted(read.names, key=lambda name: int(name.split(".")[0]))
    assert read.names == read_set(found, 4, quiet, most=30, seed=1).names
    assert read.names != read_set(found, 4, quiet, most=30, seed=2).names


def test_a_set_that_fits_is_read_whole():
    assert len(read_set(coloured(30), 4, quiet, most=30).labels) == 30


@pytest.mark.parametrize("sizes", [(1000, 30, 1), (500, 500), (7, 7, 7, 300), (1,) * 90 + (400,), (3000, 10, 10)])
@pytest.mark.parametrize("most", [100, 137, 250])
def test_small_classes_are_kept_and_the_rest_is_in_proportion(sizes, most):
    labels = [f"class {k}" for k, size in enumerate(sizes) for _ in range(size)]
    places = sample_by_class(labels, most, 0)
    assert len(places) == len(set(places.tolist())) == min(most, len(labels))
    assert (np.diff(places) > 0).all()
    taken = Counter(labels[place] for place in places)
    least = min(KEPT, most // len(sizes))
    for k, size in enumerate(sizes):
        assert min(size, least) <= taken[f"class {k}"] <= size
    rest = {k: taken[f"class {k}"] - min(size, least) for k, size in enumerate(sizes)}
    over = sum(size - min(size, least) for size in sizes)
    for k, size in enumerate(sizes):
        assert abs(rest[k] - (size - min(size, least)) * sum(rest.values()) / over) <= 1


def test_no_more_is_held_than_the_arrays(tmp_path):
    for place in range(60):
        Image.fromarray(np.full((400, 500, 3), place, np.uint8)).save(tmp_path / f"{place}.bmp")  # 600 kB each
    tracemalloc.start()
    read = read_set(open_pictures(tmp_path, labelled=False), 32, quiet)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < read.pictures.nbytes + 2 * picture_reading.MOST_THREADS * 600_054


# Classes


def test_classes_that_can_be_told_apart_pass():
    check_picture_classes(coloured(400, classes=200), {})
    check_picture_classes(coloured(4, classes=1), {"class 0": "", "another": ""})


def test_one_class_alone_is_refused():
    for asked in ({}, {"class 0": ""}):
        with pytest.raises(InputError, match=r"a set: there is one class only \(seen: 'class 0'\).*--classes"):
            check_picture_classes(coloured(4, classes=1), asked)


def test_thousands_of_classes_are_refused_before_a_picture_is_read():
    with pytest.raises(InputError, match=r"3,000 classes are more than the 200 that can be told apart"):
        check_picture_classes(coloured(3000, classes=3000), ())
