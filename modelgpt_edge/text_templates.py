"""Which template a model of texts gets: a sentence encoder, or the tiny model of its words where limits or the user say so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import EncoderFiles, find_encoder
from modelgpt_edge.architecture.text.tiny import TINY
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.limits import Limits
from modelgpt_edge.parameters.text.judging import TEXTS, Afresh, Menu
from modelgpt_edge.parameters.text.tiny import MENU, judge_afresh, prepare_tiny
from modelgpt_edge.targets.target import Target

INSTEAD = "a tiny model of its words is made instead"


@dataclass(frozen=True)
class TextTemplate:
    """An encoder, how heads on it are judged, as in `generate_text`, and the seconds that it took to make."""

    encoder: TextEncoder
    menu: Menu = TEXTS
    afresh: Afresh | None = None
    seconds: float = 0.0


def find_teacher(name: str | None) -> tuple[TextEncoder, bool]:
    """The sentence encoder that ``--encoder`` names, and whether a tiny model of its words is asked for: ``tiny``.

    Args:
        name: of an encoder, ``tiny``, or ``tiny:NAME``.

    Raises:
        InputError, TargetUnavailableError: as `find_encoder`.
    """
    first, _, rest = (name or "").partition(":")
    tiny = first == TINY
    return TextEncoder.of(find_encoder((rest or None) if tiny else name)), tiny


def most_flash(targets: Sequence[Target], limits: Limits) -> int | None:
    """Bytes that every target has for a variant; None where there is no limit."""
    known = [limits.within(target.flash_bytes, target.ram_bytes).flash_bytes for target in targets]
    return min((limit for limit in known if limit is not None), default=None)


def least_bytes(files: EncoderFiles) -> int:
    """What an encoder takes at least, in 8 bits: its words and its products."""
    arrays = files.shape.arrays.items()
    return sum(math.prod(sizes) for name, sizes in arrays if len(sizes) > 1 and "position" not in name)


def tiny_template(
    teacher: TextEncoder,
    columns: Sequence[Sequence[str]],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    meanings: Mapping[str, str],
    flash_bytes: int | None,
    seed: int,
    progress: Callable[[str, float], None],
) -> TextTemplate:
    """The tiny model of a teacher's words for a task.

    Args:
        columns: examples, of pairs both columns; labels: their class positions (N,).
        flash_bytes: that a variant may take, None for the usual most.

    Raises:
        InputError: the teacher's tokenizer isn't of the kind that it is made from.
    """
    start = time.perf_counter()
    texts = [text for column in columns for text in column]
    lesson = prepare_tiny(teacher, texts, classes, meanings, flash_bytes, seed, progress)
    pairs = columns[1] if len(columns) > 1 else None
    afresh = judge_afresh(lesson, columns[0], pairs, labels, classes, meanings)
    return TextTemplate(lesson.encoder(), MENU, afresh, time.perf_counter() - start)


def too_large(files: EncoderFiles, flash_bytes: int | None) -> str:
    """Why an encoder can't fit, whatever it is compiled to, in a sentence; "" where it may."""
    least = least_bytes(files)
    if flash_bytes is None or least <= flash_bytes:
        return ""
    return f"{files.name} takes {least:,} bytes at least, and the limit is {flash_bytes:,}: {INSTEAD}."


def too_costly(error: BudgetError, files: EncoderFiles) -> str:
    """The same, as the compiler found it."""
    return f"{files.name} doesn't fit ({error.reason}): {INSTEAD}."
