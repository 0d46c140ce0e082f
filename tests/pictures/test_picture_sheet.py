"""The contact sheet: which pictures it shows, in what order, and that it draws them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modelgpt_edge.pictures.sheet import A_ROW, BELOW, GAP, HEADING, LINE, MARGIN, SIDE, choose_rows, contact_sheet

CLASSES = ("cat", "dog", "a class\nwith a name that is far too long for what is below a picture", "鳥")


def judged(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of one colour each, their labels, and probabilities that are often right."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, count).astype(np.int32)
    logits = draw.normal(size=(count, 4))
    logits[np.arange(count), labels] += 1.5
    shares = np.exp(logits)
    pictures = np.broadcast_to(draw.integers(0, 256, (count, 1, 1, 3), dtype=np.uint8), (count, 32, 32, 3))
    return pictures, labels, shares / shares.sum(1, keepdims=True)


def test_the_surest_right_ones_and_the_worst_ones_are_shown():
    _, labels, shares = judged(300)
    surest, worst = choose_rows(labels, shares)
    of_truth = shares[np.arange(300), labels]
    right = shares.argmax(1) == labels
    assert [row.title for row in (surest, worst)] == ["surest", "worst"]
    assert list(surest.places) == sorted(np.flatnonzero(right), key=lambda i: -of_truth[i])[:A_ROW]
    assert list(worst.places) == sorted(range(300), key=lambda i: of_truth[i])[:A_ROW]
    assert f"{right.sum()} of 300 are right" in surest.about
    assert f"{(~right).sum()} are wrong" in worst.about


def test_no_picture_is_shown_twice_however_few_there_are():
    for count in range(1, 40):
        _, labels, shares = judged(count, count)
        surest, worst = choose_rows(labels, shares)
        shown = [*surest.places, *worst.places]
        assert len(set(shown)) == len(shown)
        assert len(shown) == min(count, len(surest.places) + A_ROW)
        assert len(surest.places) <= (count + 1) // 2


def test_pictures_whose_class_is_not_known_are_not_shown():
    _, labels, shares = judged(30)
    labels[::2] = -1
    for row in choose_rows(labels, shares):
        assert all(labels[place] >= 0 for place in row.places)


@pytest.mark.parametrize("count", [1, 5, 200])
def test_it_is_a_png_of_the_pictures_and_the_same_each_time(count):
    pictures, labels, shares = judged(count)
    content = contact_sheet(pictures, labels, shares, CLASSES)
    assert content == contact_sheet(pictures, labels, shares, CLASSES)
    sheet = Image.open(io.BytesIO(content))
    assert sheet.format == "PNG"
    drawn = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    for row in choose_rows(labels, shares):
        for place in row.places:  # each is of one colour, which covers a square of the sheet
            assert (drawn == pictures[place, 0, 0]).all(1).sum() >= 112 * 112


def test_right_and_wrong_answers_are_told_apart_by_colour():
    pictures, labels, _ = judged(2)
    right = np.full((2, 4), 0.1)
    right[np.arange(2), labels] = 0.7
    wrong = np.roll(right, 1, axis=1)
    reds, greens = [], []
    for shares in (right, wrong):
        drawn = np.asarray(Image.open(io.BytesIO(contact_sheet(pictures, labels, shares, CLASSES))).convert("RGB"))
        reds.append(int((drawn == (190, 30, 30)).all(2).sum()))
        greens.append(int((drawn == (0, 110, 60)).all(2).sum()))
    assert reds[0] == 0 < reds[1]
    assert greens[1] == 0 < greens[0]


def test_what_is_below_a_picture_stays_below_it():
    pictures, labels, shares = judged(60)
    labels[:] = 2
    drawn = np.asarray(Image.open(io.BytesIO(contact_sheet(pictures, labels, shares, CLASSES))).convert("RGB"))
    row = HEADING + SIDE + BELOW + 2 * LINE
    for top in (MARGIN, 2 * MARGIN + row):
        below = drawn[top + HEADING + SIDE + 1 : top + row]
        assert (below != 255).any()
        for column in range(1, A_ROW):
            left = MARGIN + column * (SIDE + GAP)
            assert (below[:, left - GAP + 2 : left - 1] == 255).all()


def test_no_pictures_at_all_give_a_sheet_of_titles():
    content = contact_sheet(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int32), np.zeros((0, 2)), ("a", "b"))
    assert Image.open(io.BytesIO(content)).size[0] > 400
