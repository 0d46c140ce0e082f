"""The report's picture: held-out predictions as a confusion matrix, or predicted against true values, in SVG."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats

MOST_CLASSES = 20
MOST_POINTS = 1_000
INK, PAPER, BLUE, EMPTY = "#1b1f24", "#ffffff", (31, 111, 178), (244, 246, 248)
LEFT = 24


def draw_report(held_out: Floats, truth: np.ndarray, classes: tuple[str, ...], label: str) -> str:
    """An SVG of held-out scores (N, K) against class positions or values (N,)."""
    if not classes:
        return _scatter(held_out[:, 0].astype(np.float64), truth.astype(np.float64), label)
    return _confusion(held_out.argmax(1), truth.astype(np.int64), classes, label)


def _confusion(predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: tuple[str, ...], label: str) -> str:
    count = len(classes)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (truth[truth >= 0], predicted[truth >= 0]), 1)
    # Of many classes, those with the most rows are shown.
    shown = np.sort(np.argsort(-table.sum(1), kind="stable")[:MOST_CLASSES])
    rows = np.maximum(table[shown].sum(1), 1)
    table = table[np.ix_(shown, shown)]
    names = [_short(classes[i]) for i in shown]
    longest = max(map(len, names))
    cell, left, top = 46, 30 + 8 * longest, 76 + 5 * longest  # a slanted name rises by five pixels a letter
    size = cell * len(names)
    title = f"Held-out predictions of {_short(label, 40)}"
    parts = [
        _heading(title),
        _text(LEFT, 50, "rows: what was true; columns: what was predicted; shade: share of the row", size=12),
    ]
    for i, name in enumerate(names):
        y = top + i * cell
        parts.append(_text(left - 8, y + cell / 2 + 4, name, anchor="end"))
        x = left + i * cell + cell / 2
        parts.append(f'<g transform="translate({x},{top - 8}) rotate(-35)">{_text(0, 0, name)}</g>')
        for j in range(len(names)):
            share = table[i, j] / rows[i]
            fill = "rgb({},{},{})".format(*(round(e + (c - e) * share) for c, e in zip(BLUE, EMPTY)))
            side = cell - 2
            parts.append(f'<rect x="{left + j * cell}" y="{y}" width="{side}" height="{side}" rx="3" fill="{fill}"/>')
            if table[i, j]:
                ink = PAPER if share > 0.55 else INK
                parts.append(
                    _text(left + j * cell + cell / 2 - 1, y + cell / 2 + 4, str(table[i, j]), anchor="middle", fill=ink)
                )
    if count > len(names):
        parts.append(
            _text(left, top + size + 22, f"{count - len(names)} classes, with no more rows than these, are not shown", size=12)
        )
    return _svg(max(left + size + 8 * longest, LEFT + 11 * len(title), 540), top + size + 40, parts)


def _scatter(predicted: NDArray[np.float64], truth: NDArray[np.float64], label: str) -> str:
    pick = np.linspace(0, len(truth) - 1, min(MOST_POINTS, len(truth))).astype(int)
    low, high = float(min(predicted.min(), truth.min())), float(max(predicted.max(), truth.max()))
    margin = 0.03 * (high - low) or 0.5
    low, high = low - margin, high + margin
    marks = _marks(low, high)
    left, top, size = 40 + 8 * max(len(text) for _, text in marks), 70, 420

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * size

    def y(value: float) -> float:
        return top + size - (value - low) / (high - low) * size

    title = f"Held-out predictions of {_short(label, 40)}"
    parts = [
        _heading(title),
        _text(LEFT, 50, "across: what was true; up: what was predicted; on the line is right", size=12),
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#c8ccd1"/>',
        f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="{INK}" stroke-dasharray="5 4"/>',
    ]
    for value, text in marks:
        parts.append(_text(x(value), top + size + 18, text, anchor="middle"))
        parts.append(_text(left - 8, y(value) + 4, text, anchor="end"))
    colour = "rgb({},{},{})".format(*BLUE)
    parts += [
        f'<circle cx="{x(t):.1f}" cy="{y(p):.1f}" r="3" fill="{colour}" fill-opacity="0.45"/>'
        for t, p in zip(truth[pick], predicted[pick])
    ]
    return _svg(max(left + size + 40, LEFT + 11 * len(title)), top + size + 40, parts)


def _marks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values on an axis, three to six of them, and how to write them."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min(m for m in (1, 2, 5, 10, 20) if m * power >= rough)
    values = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    if max(abs(low), abs(high)) >= 1e7 or step < 1e-4:
        return [(float(v), f"{v:.4g}") for v in values]
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return [(float(v), f"{v + 0.0:,.{digits}f}") for v in values]


def _heading(text: str) -> str:
    return _text(LEFT, 28, text, size=17, weight="bold")


def _text(x: float, y: float, text: str, size: int = 13, anchor: str = "start", fill: str = INK, weight: str = "normal") -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(text)}</text>'


def _short(text: str, most: int = 16) -> str:
    text = "".join(c for c in text if c.isprintable())
    return text if len(text) <= most else text[: most - 1] + "…"


def _svg(width: float, height: float, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="100%" height="100%" fill="{PAPER}"/>', *parts, "</svg>"]) + "\n"
