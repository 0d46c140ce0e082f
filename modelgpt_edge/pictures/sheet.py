"""A contact sheet for people: the surest right predictions and the worst ones, each picture with its class and what was said.

It draws what it is given; what was predicted, and on which pictures, is others' work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.pictures.pillow import require_pillow

if TYPE_CHECKING:
    from PIL import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

A_ROW = 12
SIDE, GAP, MARGIN = 112, 12, 24
LEAST_COLUMNS = 6  # room for what a row's title says
# Sizes of letters; the height of a row's title and how deep it stands in that; below a picture, the gap and a line.
TITLE, CAPTION = 22, 14
HEADING, BASELINE = 34, 16
BELOW, LINE = 10, 18
# Of PNG's nine levels: the usual one takes three times as long for a file that is a fourteenth smaller.
QUICK = 3
INK, FAINT, PAPER = (32, 32, 32), (112, 112, 112), (255, 255, 255)
RIGHT, WRONG, EDGE = (0, 110, 60), (190, 30, 30), (208, 208, 208)


@dataclass(frozen=True)
class Row:
    """A row of the sheet.

    Attributes:
        title, about: its name, and what it holds in a few words.
        places: which pictures, in order.
    """

    title: str
    about: str
    places: tuple[int, ...]


def contact_sheet(
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int32],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
) -> bytes:
    """A PNG of two rows of at most twelve pictures; the same predictions give the same bytes.

    Args:
        pictures: (N, S, S, 3) RGB.
        labels: (N,) places of the true classes; a picture of an unknown one, -1, isn't shown.
        probabilities: (N, K), best of pictures that were held out.
        classes: names of the K classes; letters that Pillow's own font lacks are drawn as boxes.

    Raises:
        InputError: Pillow isn't installed.
    """
    require_pillow()
    from PIL import Image, ImageDraw, ImageFont

    rows = choose_rows(labels, probabilities)
    columns = max(LEAST_COLUMNS, *(len(row.places) for row in rows))
    heights = [HEADING + (SIDE + BELOW + 2 * LINE if row.places else 0) for row in rows]
    width = 2 * MARGIN + columns * SIDE + (columns - 1) * GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + sum(heights) + MARGIN * (len(rows) - 1)), PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(TITLE), ImageFont.load_default(CAPTION)
    said = probabilities.argmax(1)
    top = MARGIN
    for row, height in zip(rows, heights):
        draw.text((MARGIN, top + BASELINE), row.title, INK, large, anchor="ls")
        beside = MARGIN + draw.textlength(row.title, large) + GAP
        draw.text((beside, top + BASELINE), row.about, FAINT, small, anchor="ls")
        for column, place in enumerate(row.places):
            left, upper = MARGIN + column * (SIDE + GAP), top + HEADING
            picture = Image.fromarray(pictures[place]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, upper))
            draw.rectangle((left - 1, upper - 1, left + SIDE, upper + SIDE), outline=EDGE)
            answer = int(said[place])
            share = f"{probabilities[place, answer]:.2f}"
            colour = RIGHT if answer == labels[place] else WRONG
            first, second = upper + SIDE + BELOW + LINE // 2, upper + SIDE + BELOW + LINE // 2 + LINE
            draw.text((left, first), _cut(draw, classes[labels[place]], SIDE, small), INK, small, anchor="ls")
            room = SIDE - draw.textlength(f" {share}", small)
            draw.text((left, second), _cut(draw, classes[answer], room, small), colour, small, anchor="ls")
            draw.text((left + SIDE, second), share, colour, small, anchor="rs")
        top += height + MARGIN
    out = BytesIO()
    sheet.save(out, "PNG", compress_level=QUICK)
    return out.getvalue()


def choose_rows(labels: NDArray[np.int32], probabilities: NDArray[np.floating]) -> tuple[Row, Row]:
    """The right predictions of the highest probability, and of the other pictures those whose class got the least.

    Of few pictures no more than half, rounded up, are the surest.
    """
    known = np.flatnonzero(labels >= 0)
    of_truth = probabilities[known, labels[known]]
    right = probabilities[known].argmax(1) == labels[known]
    order = np.argsort(-of_truth, kind="stable")
    surest = [int(known[i]) for i in order if right[i]][: min(A_ROW, -(-len(known) // 2))]
    worst = [int(known[i]) for i in order[::-1] if int(known[i]) not in surest][:A_ROW]
    wrong = int((~right).sum())
    legend = "under each: its class, then what the model says and how sure it is"
    about_surest = f"{len(known) - wrong:,} of {len(known):,} are right; {legend}"
    about_worst = f"{wrong:,} are wrong; these gave the least to the class that is true"
    return Row("surest", about_surest, tuple(surest)), Row("worst", about_worst, tuple(worst))


def _cut(draw: ImageDraw.ImageDraw, name: str, room: float, font: FreeTypeFont | ImageFont) -> str:
    """A name on one line, cut to so many pixels."""
    line = " ".join(name.split())
    if draw.textlength(line, font) <= room:
        return line
    while line and draw.textlength(f"{line}...", font) > room:
        line = line[:-1]
    return f"{line.rstrip()}..."
