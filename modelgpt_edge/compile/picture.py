"""The report's picture: held-out predictions as a confusion matrix, or predicted against true values, in SVG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.compile.svg import BLUE, EMPTY, INK, LEFT, PAPER, heading, marks, short, svg, text

MOST_CLASSES = 20
MOST_POINTS = 1_000


def draw_report(held_out: Floats, truth: np.ndarray, classes: tuple[str, ...], label: str, unit: str = "row") -> str:
    """An SVG of held-out scores (N, K) against class positions or values (N,).

    Args:
        label: what was predicted; unit: of what, a row or a picture.
    """
    if not classes:
        return _scatter(held_out[:, 0].astype(np.float64), truth.astype(np.float64), label)
    return _confusion(held_out.argmax(1), truth.astype(np.int64), classes, label, unit)


def _confusion(predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: tuple[str, ...], label: str, unit: str) -> str:
    count = len(classes)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (truth[truth >= 0], predicted[truth >= 0]), 1)
    # Of many classes, those with the most rows are shown.
    shown = np.sort(np.argsort(-table.sum(1), kind="stable")[:MOST_CLASSES])
    rows = np.maximum(table[shown].sum(1), 1)
    table = table[np.ix_(shown, shown)]
    names = [short(classes[i]) for i in shown]
    longest = max(map(len, names))
    cell, left, top = 46, 30 + 8 * longest, 76 + 5 * longest  # a slanted name rises by five pixels a letter
    size = cell * len(names)
    title = f"Held-out predictions of {short(label, 40)}"
    parts = [
        heading(title),
        text(LEFT, 50, "rows: what was true; columns: what was predicted; shade: share of the row", size=12),
    ]
    for i, name in enumerate(names):
        y = top + i * cell
        parts.append(text(left - 8, y + cell / 2 + 4, name, anchor="end"))
        x = left + i * cell + cell / 2
        parts.append(f'<g transform="translate({x},{top - 8}) rotate(-35)">{text(0, 0, name)}</g>')
        for j in range(len(names)):
            share = table[i, j] / rows[i]
            fill = "rgb({},{},{})".format(*(round(e + (c - e) * share) for c, e in zip(BLUE, EMPTY)))
            side = cell - 2
            parts.append(f'<rect x="{left + j * cell}" y="{y}" width="{side}" height="{side}" rx="3" fill="{fill}"/>')
            if table[i, j]:
                ink = PAPER if share > 0.55 else INK
                parts.append(
                    text(left + j * cell + cell / 2 - 1, y + cell / 2 + 4, str(table[i, j]), anchor="middle", fill=ink)
                )
    if count > len(names):
        rest = f"{count - len(names)} classes, with no more {unit}s than these, are not shown"
        parts.append(text(left, top + size + 22, rest, size=12))
    return svg(max(left + size + 8 * longest, LEFT + 11 * len(title), 540), top + size + 40, parts)


def _scatter(predicted: NDArray[np.float64], truth: NDArray[np.float64], label: str) -> str:
    pick = np.linspace(0, len(truth) - 1, min(MOST_POINTS, len(truth))).astype(int)
    low, high = float(min(predicted.min(), truth.min())), float(max(predicted.max(), truth.max()))
    margin = 0.03 * (high - low) or 0.5
    low, high = low - margin, high + margin
    ticks = marks(low, high)
    left, top, size = 40 + 8 * max(len(words) for _, words in ticks), 70, 420

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * size

    def y(value: float) -> float:
        return top + size - (value - low) / (high - low) * size

    title = f"Held-out predictions of {short(label, 40)}"
    parts = [
        heading(title),
        text(LEFT, 50, "across: what was true; up: what was predicted; on the line is right", size=12),
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#c8ccd1"/>',
        f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="{INK}" stroke-dasharray="5 4"/>',
    ]
    for value, words in ticks:
        parts.append(text(x(value), top + size + 18, words, anchor="middle"))
        parts.append(text(left - 8, y(value) + 4, words, anchor="end"))
    colour = "rgb({},{},{})".format(*BLUE)
    parts += [
        f'<circle cx="{x(t):.1f}" cy="{y(p):.1f}" r="3" fill="{colour}" fill-opacity="0.45"/>'
        for t, p in zip(truth[pick], predicted[pick])
    ]
    return svg(max(left + size + 40, LEFT + 11 * len(title)), top + size + 40, parts)
