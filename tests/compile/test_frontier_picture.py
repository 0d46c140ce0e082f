"""The frontier's picture: well-formed, a mark for every size that was scored, the chosen one filled, all inside the frame."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.architecture.architecture import SIZES, Architecture, Size
from modelgpt_edge.compile.frontier_picture import draw_frontier
from modelgpt_edge.frontier import Point, make_frontier
from modelgpt_edge.parameters.score import Score
from modelgpt_edge.parameters.widths import Scored

SVG = "{http://www.w3.org/2000/svg}"


def score(value, low=None, high=None, metric="accuracy"):
    return Score(metric, value, value - 0.03 if low is None else low, value + 0.03 if high is None else high, "", 100)


EVERY_SIZE = sorted(SIZES)
COMPARED = [units for units in EVERY_SIZE if units <= 640]


def points(chosen=3, too_large=2, metric="accuracy", scored=EVERY_SIZE, own=None):
    """Every size, scores rising in the order of `scored`; the first ones break a limit."""
    sizes = [
        Size(Architecture("mlp", units, 4, 4_000 + 110 * units, 0), {}, "too large" if i < too_large else "")
        for i, units in enumerate(SIZES)
    ]
    scores = {size: Scored(np.full(9, 0.5), score(0.7 + 0.02 * i, metric=metric)) for i, size in enumerate(scored)}
    return make_frontier(sizes, scores, None if chosen is None else sizes[chosen].architecture, own)


def drawn(made):
    return ElementTree.fromstring(draw_frontier(made).encode())


def texts(root):
    return [t.text or "" for t in root.iter(f"{SVG}text")]


def number(element, *names):
    return tuple(float(element.get(name)) for name in names)


def test_there_is_a_mark_a_size_and_the_chosen_one_alone_is_filled():
    made = points(chosen=3, too_large=2)
    circles = list(drawn(made).iter(f"{SVG}circle"))
    assert len(circles) == len(SIZES)
    filled = [i for i, c in enumerate(circles) if c.get("fill") == c.get("stroke")]
    assert filled == [3]
    greys = [i for i, c in enumerate(circles) if c.get("stroke") == "#c8ccd1"]
    assert greys == [0, 1]
    names = texts(drawn(made))
    assert {"2,560", "1,280", "640", "20", "linear"} <= set(names)


def test_marks_and_intervals_lie_in_the_frame_and_larger_and_better_go_right_and_up():
    root = drawn(points())
    frame = next(r for r in root.iter(f"{SVG}rect") if r.get("fill") == "none")
    left, top, width, height = number(frame, "x", "y", "width", "height")
    marks = [number(c, "cx", "cy") for c in root.iter(f"{SVG}circle")]
    lines = [number(line, "x1", "y1", "x2", "y2") for line in root.iter(f"{SVG}line")]
    ends = [(x, y) for x1, y1, x2, y2 in lines for x, y in ((x1, y1), (x2, y2))]
    assert len(lines) == len(marks)
    for x, y in (*marks, *ends):
        assert left <= x <= left + width
        assert top <= y <= top + height
    assert [x for x, _ in marks] == sorted((x for x, _ in marks), reverse=True)  # the largest size comes first
    assert marks[0][1] < marks[-1][1]  # and scores best here
    for (x, y), (x1, y1, x2, y2) in zip(marks, lines):
        assert x1 == x2 == x
        assert y2 < y < y1


def test_a_size_s_place_is_the_logarithm_of_its_bytes():
    made = points()
    xs = [number(c, "cx")[0] for c in drawn(made).iter(f"{SVG}circle")]
    logs = np.log2([p.size.architecture.bytes for p in made])
    slope, offset = np.polyfit(logs, xs, 1)
    assert slope > 0
    np.testing.assert_allclose(slope * logs + offset, xs, atol=0.1)


def test_it_says_what_is_measured():
    assert any("held-out r2 with its 95 % interval" in t for t in texts(drawn(points(metric="r2"))))
    assert any("over a limit" in t for t in texts(drawn(points())))


@pytest.mark.parametrize("value", [-1e9, -3.5, 0.0, 1.0])
def test_scores_of_any_size_are_drawn_with_numbers(value):
    made = [replace(p, scored=Scored(np.ones(3), score(value, value - abs(value), value + 0.1, "r2"))) for p in points()]
    picture = draw_frontier(made)
    root = ElementTree.fromstring(picture.encode())
    assert len(list(root.iter(f"{SVG}circle"))) == len(SIZES)
    assert '"nan' not in picture
    assert '"inf' not in picture


def test_equal_scores_without_an_interval_are_no_division_by_zero():
    flat = Scored(np.ones(3), Score("accuracy", 1.0, 1.0, 1.0, "", 3))
    unknown = Scored(np.ones(3), Score("r2", 0.4, None, None, "", 3))
    for scored in (flat, unknown):
        one = [Point(points()[0].size, scored, True)]
        assert len(list(drawn(one).iter(f"{SVG}circle"))) == 1


def test_a_size_that_was_not_scored_has_no_mark():
    made = points()
    made[0] = replace(made[0], scored=None)
    assert len(list(drawn(made).iter(f"{SVG}circle"))) == len(SIZES) - 1


def test_a_size_of_which_nothing_was_scored_has_no_score_not_that_of_another():
    made = points(scored=[640, 0])
    assert [p.size.architecture.units for p in made if p.score is not None] == [640, 0]
    assert len(list(drawn(made).iter(f"{SVG}circle"))) == 2
    assert all(p.score is None and not p.chosen for p in points(chosen=None, scored=[]))


def test_a_size_that_was_taken_without_comparing_has_the_model_s_own_score_and_no_loss_to_compare():
    own = score(0.93)
    made = points(chosen=0, scored=COMPARED, own=own)
    assert made[0].size.architecture.units == 2560
    assert made[0].score is own
    value = made[0].to_json()
    assert (value["metric"], value["score"], value["loss"], value["chosen"]) == ("accuracy", 0.93, None, True)
    assert made[1].score is None, "1,280 units were neither scored nor taken"
    circles = list(drawn(made).iter(f"{SVG}circle"))
    assert len(circles) == 1 + len(COMPARED)
    assert circles[0].get("fill") == circles[0].get("stroke")
    compared = points(chosen=2, scored=COMPARED, own=own)
    assert compared[2].size.architecture.units == 640
    assert compared[2].score is compared[2].scored.score, "where it was compared it has the score of the comparison"
    assert all(p.own is None for p in compared)


def test_points_are_json_with_the_score_of_their_size():
    made = points(chosen=3)
    values = [p.to_json() for p in made]
    assert [v["chosen"] for v in values] == [i == 3 for i in range(len(SIZES))]
    assert [v["units"] for v in values] == list(SIZES)
    assert [v["score"] for v in values] == [p.scored.score.value for p in made]
    assert len({v["score"] for v in values}) == len(SIZES)
    assert values[0]["loss"] == 0.5
    assert values[0]["over"] == "too large"
    assert not values[0]["fits"]
    unscored = replace(made[0], scored=None).to_json()
    assert [unscored[name] for name in ("metric", "score", "low", "high", "loss")] == [None] * 5
