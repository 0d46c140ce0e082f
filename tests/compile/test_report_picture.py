"""The report's picture is well-formed SVG whatever the names, and counts what it shows."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from modelgpt_edge.compile.picture import MOST_CLASSES, MOST_POINTS, draw_report

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "a & b",
    "\"'",
    "]]>",
    "\0\x07\x1b[31m",
    "🙂",
    "اسم",
    "x" * 500,
    "",
    " ",
    "\u202egnp",
    "a\nb",
)


def texts(svg):
    return [t.text or "" for t in ElementTree.fromstring(svg.encode()).iter(f"{SVG}text")]


def confusion(classes, rows=400, seed=0, names=None):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    scores = (np.eye(classes)[truth] + rng.normal(size=(rows, classes))).astype(np.float32)
    names = names or tuple(f"class {i}" for i in range(classes))
    return draw_report(scores, truth, names, "species"), truth, scores.argmax(1)


@pytest.mark.parametrize("classes", [2, 3, MOST_CLASSES, 150])
def test_a_confusion_matrix_of_any_size_parses(classes):
    svg, *_ = confusion(classes, rows=600)
    root = ElementTree.fromstring(svg.encode())
    assert root.tag == f"{SVG}svg"
    shown = min(classes, MOST_CLASSES)
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + shown**2
    assert any(t.startswith(f"{classes - shown} ") for t in texts(svg)) == (classes > shown)


def test_its_numbers_are_the_counts():
    svg, truth, predicted = confusion(3)
    counts = [int(t) for t in texts(svg) if t.isdigit()]
    expected = [int(((truth == i) & (predicted == j)).sum()) for i in range(3) for j in range(3)]
    assert min(expected) > 0
    assert counts == expected


def test_rows_of_unknown_classes_are_left_out():
    scores = np.eye(2, dtype=np.float32)[[0, 1, 1]]
    svg = draw_report(scores, np.array([0, 1, -1]), ("a", "b"), "y")
    assert [int(t) for t in texts(svg) if t.isdigit() and t != "0"] == [1, 1]


def test_hostile_names_are_text_and_nothing_else():
    svg, *_ = confusion(len(HOSTILE), names=HOSTILE)
    root = ElementTree.fromstring(svg.encode())
    assert {e.tag for e in root.iter()} == {SVG + name for name in ("svg", "rect", "text", "g")}
    assert any("<script" in t for t in texts(svg))
    assert max(map(len, texts(svg))) < 120
    ElementTree.fromstring(
        draw_report(np.zeros((3, 2), np.float32), np.zeros(3, int), ("a", "b"), HOSTILE[0] + HOSTILE[4]).encode()
    )


@pytest.mark.parametrize("rows", [1, 2, 50, 5000])
def test_a_scatter_of_values_parses(rows):
    rng = np.random.default_rng(0)
    truth = rng.normal(1e4, 100, rows)
    svg = draw_report((truth + rng.normal(0, 10, rows)).astype(np.float32)[:, None], truth, (), "price <€>")
    root = ElementTree.fromstring(svg.encode())
    points = list(root.iter(f"{SVG}circle"))
    assert len(points) == min(rows, MOST_POINTS)
    frame = next(r for r in root.iter(f"{SVG}rect") if r.get("fill") == "none")
    x, y, width, height = (float(frame.get(name)) for name in ("x", "y", "width", "height"))
    for point in points:
        assert x - 1 <= float(point.get("cx")) <= x + width + 1
        assert y - 1 <= float(point.get("cy")) <= y + height + 1


def test_right_predictions_lie_on_the_line():
    truth = np.array([0.0, 5, 10])
    root = ElementTree.fromstring(draw_report(truth.astype(np.float32)[:, None], truth, (), "y").encode())
    line = next(root.iter(f"{SVG}line"))
    x1, y1, x2, y2 = (float(line.get(name)) for name in ("x1", "y1", "x2", "y2"))
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    assert points == sorted(points)
    for x, y in points:
        assert (x - x1) / (x2 - x1) == pytest.approx((y - y1) / (y2 - y1), abs=1e-3)


def test_greater_values_lie_right_and_up():
    root = ElementTree.fromstring(draw_report(np.array([[1.0], [3]], np.float32), np.array([2.0, 4]), (), "y").encode())
    (x1, y1), (x2, y2) = ((float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle"))
    assert x2 > x1
    assert y2 < y1


def test_equal_values_are_no_division_by_zero():
    svg = draw_report(np.full((4, 1), 3, np.float32), np.full(4, 3.0), (), "y")
    assert "nan" not in svg.lower().replace("nance", "")
    ElementTree.fromstring(svg.encode())
