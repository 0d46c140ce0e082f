"""The frontier's picture: what each size of the model scores against what it takes, the chosen one filled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelgpt_edge.compile.svg import BLUE, GREY, INK, LEFT, heading, marks, svg, text

if TYPE_CHECKING:
    from modelgpt_edge.frontier import Point

WIDTH, HEIGHT, TOP, SIDE = 480, 300, 84, 84


def draw_frontier(points: Sequence[Point]) -> str:
    """An SVG of the sizes; those that were scored, at least one."""
    scored = [(p, p.score) for p in points if p.score is not None]
    sizes = [math.log2(p.size.architecture.bytes) for p, _ in scored]
    bounds = [(s.value or 0.0 if s.low is None else s.low, s.value or 0.0 if s.high is None else s.high) for _, s in scored]
    left, right = math.floor(min(sizes)), math.ceil(max(sizes) + 0.01)
    low, high = min(b for b, _ in bounds), max(b for _, b in bounds)
    margin = 0.08 * (high - low) or 0.05
    low, high = low - margin, high + margin

    def x(size: float) -> float:
        return SIDE + (size - left) / (right - left) * WIDTH

    def y(score: float) -> float:
        return TOP + HEIGHT - (score - low) / (high - low) * HEIGHT

    metric = scored[0][1].metric
    parts = [
        heading("What a smaller model costs"),
        text(LEFT, 48, f"up: held-out {metric} with its 95 % interval; across: size in fp32", size=12),
        text(LEFT, 64, "filled: the size that was taken; grey: over a limit", size=12),
        f'<rect x="{SIDE}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GREY}"/>',
    ]
    parts += [text(x(k), TOP + HEIGHT + 18, _kilobytes(k), anchor="middle") for k in range(left, right + 1)]
    parts += [text(SIDE - 8, y(value) + 4, words, anchor="end") for value, words in marks(low, high)]
    colour = "rgb({},{},{})".format(*BLUE)
    for (point, score), size, (bottom, top) in zip(scored, sizes, bounds):
        stroke = colour if point.size.fits else GREY
        parts.append(f'<line x1="{x(size):.1f}" y1="{y(bottom):.1f}" x2="{x(size):.1f}" y2="{y(top):.1f}" stroke="{stroke}"/>')
        fill = stroke if point.chosen else "#ffffff"
        radius = 7 if point.chosen else 5
        centre = f'cx="{x(size):.1f}" cy="{y(score.value or 0.0):.1f}"'
        parts.append(f'<circle {centre} r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="2"/>')
        parts.append(
            text(x(size) + 9, y(score.value or 0.0) - 6, _name(point), size=11, fill=INK if point.size.fits else "#8a9099")
        )
    return svg(SIDE + WIDTH + 70, TOP + HEIGHT + 40, parts)


def _name(point: Point) -> str:
    a = point.size.architecture
    return f"{a.units:,}" if a.units else "linear"


def _kilobytes(power: int) -> str:
    """2^power bytes for an axis."""
    return f"{2 ** (power - 10):g} kB" if power < 20 else f"{2 ** (power - 20):g} MB"
