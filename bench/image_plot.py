"""The picture of bench/images.py: accuracy against CPU seconds, a panel a set, a curve a contender, from few shots to many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from image_contenders import OURS, ImageContender
from image_report import of

Rows = Sequence[Mapping]
WIDTH, HEIGHT, TOP, SIDE, GAP = 400, 260, 84, 64, 76
ACROSS = 2
# One for each contender, in their order; ours is the package's blue.
COLOURS = ("#1f6fb2", "#6baed6", "#1b1f24", "#8c564b", "#e08214", "#c0392b", "#2e8b57", "#9aa0a6", "#b98bc9")


def draw(rows: Rows, contenders: Sequence[ImageContender]) -> str:
    """An SVG of mean accuracy against mean CPU seconds; every point is a number of shots."""
    from modelgpt_edge.compile.svg import LEFT, heading, svg, text

    shown = [(c, colour) for c, colour in zip(contenders, COLOURS) if of(rows, c)]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    shots = ", ".join(map(str, sorted({row["shots"] for row in rows})))
    parts = [
        heading("Accuracy against CPU time"),
        text(LEFT, 50, f"balanced accuracy in %, means over seeds; points, joined in order: {shots} pictures a class", size=12),
        text(LEFT, 66, "from pictures to a model that answers; CPU seconds of all threads, on a logarithmic scale", size=12),
    ]
    deep = -(-len(sets) // ACROSS)
    for place, name in enumerate(sets):
        left, top = SIDE + place % ACROSS * (WIDTH + GAP), TOP + place // ACROSS * (HEIGHT + GAP)
        parts += _panel([row for row in rows if row["set"] == name], shown, name, left, top)
    foot = TOP + deep * (HEIGHT + GAP)
    for place, (contender, colour) in enumerate(shown):
        x, y = LEFT + place % ACROSS * (WIDTH + GAP), foot + place // ACROSS * 20
        parts.append(f'<circle cx="{x + 6}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(text(x + 18, y, contender.title, size=12, weight="bold" if contender is OURS else "normal"))
    return svg(SIDE + ACROSS * (WIDTH + GAP), foot + -(-len(shown) // ACROSS) * 20 + 12, parts)


def _panel(rows: Rows, shown: Sequence[tuple[ImageContender, str]], name: str, left: float, top: float) -> list[str]:
    from modelgpt_edge.compile.svg import GREY, marks, text

    curves = [(_curve(rows, contender), colour) for contender, colour in shown]
    points = [point for curve, _ in curves for point in curve]
    first, last = (step(math.log10(bound(s for s, _ in points))) for step, bound in ((math.floor, min), (math.ceil, max)))
    last = max(last, first + 1)
    low, high = min(a for _, a in points), max(a for _, a in points)
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def x(seconds: float) -> float:
        return left + (math.log10(seconds) - first) / (last - first) * WIDTH

    def y(value: float) -> float:
        return top + HEIGHT - (value - low) / (high - low) * HEIGHT

    parts = [f'<rect x="{left:.0f}" y="{top:.0f}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GREY}"/>']
    parts += [text(x(10.0**p), top + HEIGHT + 18, f"{10.0**p:g} s", anchor="middle") for p in range(first, last + 1)]
    parts += [text(left - 8, y(value) + 4, words, anchor="end") for value, words in marks(low, high)]
    parts.append(text(left + WIDTH / 2, top + HEIGHT + 40, f"{name}: accuracy, by CPU seconds", 12, "middle"))
    for curve, colour in curves:
        line = " ".join(f"{x(seconds):.1f},{y(value):.1f}" for seconds, value in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="4" fill="{colour}"/>' for s, v in curve]
    return parts


def _curve(rows: Rows, contender: ImageContender) -> list[tuple[float, float]]:
    """CPU seconds, no less than a millisecond, and accuracy in %, by shots."""
    mine = of(rows, contender)
    means = []
    for shots in dict.fromkeys(row["shots"] for row in mine):
        here = [row for row in mine if row["shots"] == shots]
        seconds, accuracy = (np.mean([row[key] for row in here]) for key in ("cpu_seconds", "accuracy"))
        means.append((max(1e-3, float(seconds)), 100 * float(accuracy)))
    return means
