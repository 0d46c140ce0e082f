"""The few marks that the package's pictures are made of, as SVG text."""

from __future__ import annotations

from html import escape

import numpy as np

INK, PAPER, GREY, BLUE, EMPTY = "#1b1f24", "#ffffff", "#c8ccd1", (31, 111, 178), (244, 246, 248)
LEFT = 24


def marks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values on an axis, three to six of them, and how to write them."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min(m for m in (1, 2, 5, 10, 20) if m * power >= rough)
    values = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    if max(abs(low), abs(high)) >= 1e7 or step < 1e-4:
        return [(float(v), f"{v:.4g}") for v in values]
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return [(float(v), f"{v + 0.0:,.{digits}f}") for v in values]


def heading(title: str) -> str:
    """The picture's title."""
    return text(LEFT, 28, title, size=17, weight="bold")


def text(x: float, y: float, words: str, size: int = 13, anchor: str = "start", fill: str = INK, weight: str = "normal") -> str:
    """Words at a place in pixels."""
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(words)}</text>'


def short(name: str, most: int = 16) -> str:
    """A name of at most so many characters, printable ones only."""
    name = "".join(c for c in name if c.isprintable())
    return name if len(name) <= most else name[: most - 1] + "…"


def svg(width: float, height: float, parts: list[str]) -> str:
    """The picture around its parts."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="100%" height="100%" fill="{PAPER}"/>', *parts, "</svg>"]) + "\n"
