"""Two pictures: every row under the measured roofs, and how the rate grows with the requests of a launch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from modelgpt_edge.compile.svg import BLUE, GREY, INK, LEFT, heading, svg, text
from modelgpt_edge.kernels.bench.cases import KERNELS
from modelgpt_edge.kernels.bench.roofs import Roofs
from modelgpt_edge.kernels.bench.rows import Row

WIDTH, HEIGHT, TOP, SIDE, LEGEND = 560, 340, 84, 84, 200
COLOURS = dict(zip(KERNELS, ("rgb({},{},{})".format(*BLUE), "#c2571a", "#2a8c55")))


class Axis:
    """A logarithmic axis from a power of ten to another, at `start` in pixels and of so many; negative goes up."""

    def __init__(self, values: Sequence[float], start: float, length: float) -> None:
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self.high = max(self.high, self.low + 1)
        self._start, self._length = start, length

    def __call__(self, value: float) -> float:
        """Where a value stands, in pixels."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self._start + share * self._length

    @property
    def powers(self) -> list[float]:
        """Powers of ten on it."""
        return [10.0**k for k in range(self.low, self.high + 1)]


def draw_roofline(rows: Sequence[Row], roofs: Roofs) -> str:
    """An SVG of operations a second against operations a byte, under the roofs; at least one row."""
    intensity = [r.case.flops / r.case.moved_bytes for r in rows]
    ridge = roofs.half / roofs.copy
    across = Axis([*intensity, ridge * 2], SIDE, WIDTH)
    up = Axis([*(r.speed for r in rows), roofs.half], TOP + HEIGHT, -HEIGHT)
    parts = [
        heading("Rows under the roofs of this GPU"),
        text(LEFT, 48, "up: TFLOP/s that must be made; across: operations a byte that must be moved", size=12),
        text(LEFT, 64, "lines: the measured copy, the float16 product, and a third of the tf32 product for float32", size=12),
        *_frame(across, up, _tera),
    ]
    first, last = 10.0**across.low, 10.0**across.high
    for flops, dash in ((roofs.half, ""), (roofs.tf32 / 3, "6 4")):
        # The copy's slope from the left edge, or from the lower one where it is met first, up to the roof.
        foot = max(first, 10.0**up.low / roofs.copy)
        corner = flops / roofs.copy
        points = [(foot, foot * roofs.copy), (corner, flops), (last, flops)]
        parts.append(_line([(across(x), up(y)) for x, y in points], INK, dash))
    for row, x in zip(rows, intensity):
        parts.append(_dot(across(x), up(row.speed), COLOURS[row.case.kernel], row))
    names = [k for k in KERNELS if any(r.case.kernel == k for r in rows)]
    return svg(SIDE + WIDTH + LEGEND, TOP + HEIGHT + 48, [*parts, *_legend(names, [COLOURS[k] for k in names])])


def draw_sweep(rows: Sequence[Row], roofs: Roofs) -> str:
    """An SVG of GB/s against requests of a launch, a curve for each template and types at several; at least one row."""
    curves: dict[tuple[str, str, str, int], list[Row]] = {}
    for row in rows:
        curves.setdefault((row.case.kernel, row.case.template, row.case.types, row.case.rank), []).append(row)
    swept = {key: sorted(mine, key=lambda r: r.case.requests) for key, mine in curves.items() if len(mine) > 1}
    across = Axis([r.case.requests for r in rows], SIDE, WIDTH)
    up = Axis([*(r.bandwidth for r in rows), roofs.copy], TOP + HEIGHT, -HEIGHT)
    parts = [
        heading("What more requests in a launch bring"),
        text(LEFT, 48, "up: GB/s that must be moved; across: requests of a launch", size=12),
        text(LEFT, 64, "dashed: the measured copy", size=12),
        *_frame(across, up, _giga),
        _line([(SIDE, up(roofs.copy)), (SIDE + WIDTH, up(roofs.copy))], INK, "6 4"),
    ]
    names, colours, dashes = list[str](), list[str](), list[str]()
    for number, ((kernel, template, types, _), mine) in enumerate(swept.items()):
        colour, dash = COLOURS[kernel], ("", "8 3", "2 3", "8 3 2 3")[number % 4]
        parts.append(_line([(across(r.case.requests), up(r.bandwidth)) for r in mine], colour, dash))
        parts += [_dot(across(r.case.requests), up(r.bandwidth), colour, r) for r in mine]
        names.append(f"{kernel} {template}, {types}")
        colours.append(colour)
        dashes.append(dash)
    return svg(SIDE + WIDTH + LEGEND + 80, TOP + HEIGHT + 48, [*parts, *_legend(names, colours, dashes)])


def _frame(across: Axis, up: Axis, written: Callable[[float], str]) -> list[str]:
    parts = [f'<rect x="{SIDE}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GREY}"/>']
    parts += [text(across(v), TOP + HEIGHT + 18, f"{v:,g}", anchor="middle") for v in across.powers]
    return parts + [text(SIDE - 8, up(v) + 4, written(v), anchor="end") for v in up.powers]


def _tera(value: float) -> str:
    return f"{value / 1e12:,g}"


def _giga(value: float) -> str:
    return f"{value / 1e9:,g}"


def _line(points: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"{style}/>'


def _dot(x: float, y: float, colour: str, row: Row) -> str:
    """A point that tells its row when it is pointed at."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{escape(row.case.name)}</title></circle>'


def _legend(names: Sequence[str], colours: Sequence[str], dashes: Sequence[str] = ()) -> list[str]:
    parts = []
    for number, (name, colour) in enumerate(zip(names, colours)):
        y, x = TOP + 12 + 18 * number, SIDE + WIDTH + 12
        parts.append(_line([(x, y), (x + 24, y)], colour, dashes[number] if dashes else ""))
        parts.append(text(x + 30, y + 4, name, size=11))
    return parts
