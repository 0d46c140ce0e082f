"""Classes of drawn pictures: strokes as of an unknown script, and shapes as of unknown things, each drawn anew every time.

Photographs alone leave a trunk poor at what people draw, print or cut out. A class is a plan (curves between points, or parts
with tones and a texture); each picture of it is bent, moved, drawn thicker or thinner. Pillow rasterises; no font is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.trunk_shape import SIZE
from modelgpt_edge.child import Floats

# Strokes are drawn at twice the size and shrunk, so that their edges are smooth.
CANVAS = 2 * SIZE
TEXTURES = ("none", "rows", "columns", "dots", "slope", "noise", "checks")
TEXTURE_ODDS = (0.4, 0.12, 0.12, 0.09, 0.1, 0.1, 0.07)
# Odds of strokes by the number of points that their curve has: a line, a quadratic, a cubic; then an arc.
CURVE_ODDS = (0.3, 0.25, 0.2, 0.25)


@dataclass(frozen=True)
class Part:
    """A stroke or a filled part.

    Attributes:
        points: (P, 2) in -1 to 1, x before y.
        bent: whether a stroke is a Bezier curve, or a part's corners are rounded.
        tone: of a filled part, 0 (a hole) to 1.
    """

    points: Floats
    bent: bool
    tone: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What all pictures of a class share.

    Attributes:
        filled: whether its parts are filled, or strokes.
        texture, period, depth: of filled parts: one of `TEXTURES`, pixels of a period, and how strong it is.
    """

    parts: tuple[Part, ...]
    filled: bool
    texture: str = "none"
    period: float = 4.0
    depth: float = 0.0


def draw_classes(classes: int, each: int, seed: int) -> NDArray[np.uint8]:
    """Grey pictures (classes, each, 32, 32), light on black; the first half of the classes are strokes."""
    made = np.empty((classes, each, SIZE, SIZE), np.uint8)
    for k in range(classes):
        rng = np.random.default_rng([seed, k])
        plan = _strokes(rng) if 2 * k < classes else _shape(rng)
        for i in range(each):
            made[k, i] = _draw(plan, rng)
    return made


def _strokes(rng: np.random.Generator) -> Plan:
    """One to four strokes, most of which begin where another ended."""
    parts: list[Part] = []
    for _ in range(rng.integers(1, 5)):
        kind = rng.choice(4, p=CURVE_ODDS)
        if kind == 3:
            span = rng.choice([rng.uniform(1.5, 5), 2 * math.pi])
            angle = rng.uniform(0, 2 * math.pi) + np.linspace(0, span, 12)
            points = rng.uniform(-0.5, 0.5, 2) + rng.uniform(0.15, 0.6, 2) * _circle(angle)
        else:
            points = rng.uniform(-0.85, 0.85, (kind + 2, 2))
        if parts and rng.random() < 0.6:
            points = points - points[0] + parts[-1].points[-1 if rng.random() < 0.7 else 0]
        parts.append(Part(np.clip(points, -1, 1).astype(np.float32), kind != 3))
    return _fitted(Plan(tuple(parts), filled=False), rng)


def _shape(rng: np.random.Generator) -> Plan:
    """One to three filled parts, often with their mirror images, and a texture."""
    parts: list[Part] = []
    mirrored = rng.random() < 0.6
    for i in range(rng.integers(1, 4)):
        center = rng.uniform(-0.4, 0.4, 2) if i else rng.uniform(-0.15, 0.15, 2)
        radius = rng.uniform(0.15, 0.45) if i else rng.uniform(0.35, 0.8)
        kind = rng.integers(0, 4)
        if kind < 2:  # a polygon or a blob
            corners = rng.integers(3, 8) if kind == 0 else rng.integers(5, 9)
            angle = rng.uniform(0, 2 * math.pi) + np.linspace(0, 2 * math.pi, corners, endpoint=False)
            away = radius * rng.uniform(0.45, 1.2, (corners, 1))
            points = center + away * _circle(angle) * (1, rng.uniform(0.5, 1.2))
        elif kind == 2:  # a trapezium
            width, height = radius * rng.uniform(0.3, 1.2, 2)
            top = width * rng.uniform(0.3, 1)
            points = center + np.array([[-width, -height], [width, -height], [top, height], [-top, height]])
        else:
            points = center + radius * rng.uniform(0.4, 1.1, 2) * _circle(np.linspace(0, 2 * math.pi, 12, endpoint=False))
        tone = rng.uniform(0.35, 1) if i == 0 or rng.random() < 0.6 else 0.0
        part = Part(np.clip(points, -1, 1).astype(np.float32), bool(kind == 1), float(tone))
        parts.append(part)
        if mirrored and i and abs(center[0]) > 0.1:
            parts.append(Part(part.points * np.array([-1, 1], np.float32), part.bent, part.tone))
    texture = TEXTURES[rng.choice(len(TEXTURES), p=TEXTURE_ODDS)]
    return _fitted(Plan(tuple(parts), True, texture, rng.uniform(3, 8), rng.uniform(0.2, 0.6)), rng)


def _fitted(plan: Plan, rng: np.random.Generator) -> Plan:
    """The plan brought to the middle and to a good part of the frame, its proportions mostly kept."""
    points = np.concatenate([part.points for part in plan.parts])
    low, high = points.min(0), points.max(0)
    half = np.maximum(high - low, 1e-3) / 2
    alike = np.full(2, rng.uniform(0.65, 1.0) / half.max())
    scale = alike if rng.random() < 0.7 else np.minimum(rng.uniform(0.6, 1.0, 2) / half, 1.8 * alike)
    middle = (low + high) / 2
    parts = (Part(((p.points - middle) * scale).astype(np.float32), p.bent, p.tone) for p in plan.parts)
    return Plan(tuple(parts), plan.filled, plan.texture, plan.period, plan.depth)


def _draw(plan: Plan, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One picture (32, 32) of a class."""
    from PIL import Image, ImageDraw

    angle, slant = rng.normal(0, 0.12, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    move = turn @ np.array([[1, slant], [0, 1]]) @ np.diag(np.exp(rng.normal(0, 0.1, 2)))
    shift = rng.normal(0, 0.06, 2)
    image = Image.new("L", (CANVAS, CANVAS), 0)
    pen = ImageDraw.Draw(image)
    width = max(1, round(5.5 * math.exp(rng.normal(0, 0.3))))
    gain = rng.uniform(0.7, 1.0)
    for part in plan.parts:
        bent = part.points + rng.normal(0, 0.035 if plan.filled else 0.07, part.points.shape)
        if part.bent:
            bent = _rounded(bent) if plan.filled else _bezier(bent)
        placed = [(x, y) for x, y in ((bent @ move.T + shift) * 0.8 + 1) * CANVAS / 2]
        if plan.filled:
            tone = part.tone and min(1.0, max(0.0, part.tone * gain + rng.normal(0, 0.06)))
            pen.polygon(placed, fill=int(255 * tone))
            continue
        pen.line(placed, fill=255, width=width, joint="curve")
        for x, y in (placed[0], placed[-1]):
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=255)
    small = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
    if plan.texture != "none":
        wave = _texture(plan.texture, plan.period * math.exp(rng.normal(0, 0.08)), rng)
        return _bytes(small * (1 + plan.depth * wave) / (1 + 0.6 * plan.depth))
    return _bytes(small)


def _bytes(levels: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(levels, 0, 255).astype(np.uint8)


def _texture(kind: str, period: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(32, 32) about 0."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    phase = rng.uniform(0, 2 * math.pi)
    down, across = np.sin(2 * math.pi * rows / period + phase), np.sin(2 * math.pi * columns / period + phase)
    if kind == "noise":
        return rng.normal(0, 0.6, (SIZE, SIZE))
    if kind == "slope":
        return (rows - SIZE / 2) / (SIZE / 2)
    return {"rows": down, "columns": across, "dots": down * across, "checks": np.sign(down * across)}[kind]


def _circle(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _bezier(points: NDArray[np.float64], count: int = 12) -> NDArray[np.float64]:
    """A Bezier curve through its first and last point (de Casteljau)."""
    t = np.linspace(0, 1, count)[:, None]
    level = [np.broadcast_to(point, (count, 2)) for point in points]
    while len(level) > 1:
        level = [(1 - t) * a + t * b for a, b in pairwise(level)]
    return level[0]


def _rounded(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """A closed curve that touches the middle of each side."""
    before, after = (np.roll(corners, 1, 0) + corners) / 2, (corners + np.roll(corners, -1, 0)) / 2
    return np.concatenate([_bezier(np.stack(three), 5)[:-1] for three in zip(before, corners, after)])
