"""Read limits from the task's text: "under 5 ms", "64 kB flash", "at most 16 KB of RAM".

A number with a unit is a limit only where the words beside it say so: "20 ms windows" and "emails under 1 MB" tell of the data.
A size that names neither flash nor RAM is what the model takes in storage, so it limits flash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from modelgpt_edge.limits import Limits
from modelgpt_edge.requirement.languages import english_limits
from modelgpt_edge.requirement.quantities import NUMBER_WORDS, Quantity, find_sizes, find_times
from modelgpt_edge.requirement.wording import search_text

WINDOW = 100  # characters on either side of a quantity that can say what it means
BARE_UNITS = frozenset("kmg")  # "64k" is a size only beside the word flash or RAM

MORE = "more|longer|slower|bigger|larger|later|greater"
LESS = "less|fewer|lower|faster|quicker|shorter|smaller|better"
UPPER = (
    rf"(?:(?<!\w)(?:under|below|within|inside|(?:{LESS}) than|at (?:the )?most|(?:no|not) (?:{MORE}) than|up to"
    r"|max(?:imum)?\.?(?: of)?"
    r"|(?:not|never) (?:to )?exceed(?:ing)?|limit(?:ed)?(?: to| of| is)?|budget(?: of| is)?|capped at|cap of|sub"
    r"|fits? (?:in|into|inside))|<=?|≤)"
)
HEDGE = r"(?:about |around |roughly |only |just )?"
AMOUNT = rf"(?:\d[\d.,]* ?|(?:(?:{'|'.join(NUMBER_WORDS)})[ -](?:of )?){{1,4}})"
PAIR = rf"(?:{AMOUNT}[a-z\N{{GREEK SMALL LETTER MU}}]{{1,12}}(?: and|,| &| ?/) ?)?"  # "under 1 MB and 5 ms"
BEFORE_LIMIT = re.compile(rf"{UPPER}[ :=-]*{HEDGE}{PAIR}$")
AFTER_LIMIT = re.compile(rf"[ -]*(?:or (?:{LESS}|below|under)|max(?:imum)?|at most|tops|limit|budget|cap|ceiling)\b")

# Words that make a time a latency without any comparison ...
LATENCY = r"(?:latency|deadline|response time|inference time|runtime|\bp\d\d)(?: budget| limit| target| goal)?"
MAY_TAKE = r"\b(?:may|can|should|must) (?:only )?take "
RUNS_IN = r"\b(?:runs?|executes?|answers?|responds?|replies|decides?|inference|predictions?)\b[^.;,]{0,40}? in "
BEFORE_LATENCY = re.compile(rf"(?:{LATENCY}(?: of| is| at| =|[:=,])? ?|{RUNS_IN}|{MAY_TAKE}){HEDGE}$")
AFTER_LATENCY = re.compile(
    r"[ -]*(?:of )?(?:latency|deadline|response time|inference"
    r"|(?:per|each|for (?:each|one|a)|a) (?:prediction|row|inference|sample|call|request|query|record|answer"
    r"|message|text|sentence|review|comment|essay|document|e-?mail|image|picture|photo|frame))\b"
)
# ... and those that make it a fact of the data: "20 ms windows", "2 seconds of audio", "whether a page loads within 2 s".
AFTER_DATA = re.compile(
    r"[ -]*(?:windows?|frames?|intervals?|chunks?|slices?|segments?|bins?|steps?|samples|recordings?|clips?|bursts?|pulses?"
    r"|long|apart|ago|later|earlier|ahead|in advance|before|after|of (?!latency|inference|compute))\b"
)
HAPPENS = (
    "finish|complet|respond|arriv|tak|last|load|return|happen|occur|react|fail|open|end|wait|crash|reach|recover|leav|click|di"
)
EVENT = re.compile(rf"\b(?:whether|if|which|that|who|how (?:often|many))\b[^.;,]*\b(?:{HAPPENS})(?:e|e?s|ed|ing)?(?: in)? ?$")

FLASH = (
    r"(?P<flash>flash(?: memory| storage)?|e?e?p?rom|storage|disk(?: space)?|program memory|(?:model|package|file|binary) size)"
)
RAM = r"(?P<ram>s?ram|dram|memory|heap|scratch)"
IS = r"(?: size| budget| limit| use| usage| footprint)?(?: of| is| must be| must stay| should be| to| =|[:=,])?"
BEFORE_SIZE = re.compile(rf"\b(?:{FLASH}|{RAM}){IS} ?(?:{UPPER} ?)?{HEDGE}$")
OF_THE = "(?:or so )?(?:of |for |in |on )?(?:(?:the|its|total|free|available|on-?chip|internal) )*"
AFTER_SIZE = re.compile(rf"[ -]?{OF_THE}(?:{FLASH}|{RAM})\b")
AFTER_MODEL = re.compile(r"[ -]*(?:model|package|binary|artefact|artifact|on disk)\b")
DATA = "files?|images?|e?-?mails?|attachments?|uploads?|downloads?|messages?|documents?|packets?|pages?|photos?"
DATA_SIZE = re.compile(rf"(?<!model )\b(?:{DATA})(?: (?:are|is|be|have|has|of|with))? {UPPER} ?$")
SHORTER = re.compile(r"\b(?:shorter|longer) than ?$")  # what has a length is a text
AFTER_DATA_SIZE = re.compile(rf"[ -]*(?:long|each|of text|in (?:size|length)|(?:{DATA}))\b")
# How many a second: "100 predictions per second", "runs at 30 frames per second"; a camera's own rate is a fact of the data.
RATE = re.compile(
    r"(?:(?P<done>\b(?:predictions?|inferences?|classifications?|decisions?)\b)|\b(?:rows|samples|requests|messages|texts|images|frames))"
    r" ?(?:per|a|/|every|each) ?(?:second|sec|s)\b|\bfps\b"
)
NUMBER = re.compile(r"(?<![\d.,])(\d{1,6}(?:\.\d{1,3})?) ?$")
RATED = re.compile(
    r"\b(?:runs?|running|keeps? up|handles?|process(?:es)?|classif(?:y|ies)|serves?|at least|must|needs?)\b[^.;]{0,60}$"
)


def read_limits(task: str) -> tuple[Limits, tuple[str, ...]]:
    """The limits that a task's text names, and notes on what was unclear. Where one is named twice, the stricter holds."""
    text = english_limits(search_text(task))
    flash, ram = _sizes(text)
    latency = [q.value for q in find_times(text) if _is_latency(*_around(text, q))] + list(_rates(text))
    notes: list[str] = []
    limits = Limits(
        latency_ms=_strictest("latency", latency, lambda v: f"{v:g} ms", notes),
        flash_bytes=_whole(_strictest("flash", flash, lambda v: f"{v:.0f} bytes", notes)),
        ram_bytes=_whole(_strictest("RAM", ram, lambda v: f"{v:.0f} bytes", notes)),
    )
    return limits, tuple(notes)


def _around(text: str, quantity: Quantity, start: int = 0) -> tuple[str, str]:
    """The words before a quantity, not before `start`, and those after it."""
    return text[max(start, quantity.start - WINDOW) : quantity.start], text[quantity.end : quantity.end + WINDOW]


def _is_latency(before: str, after: str) -> bool:
    if AFTER_DATA.match(after):
        return False
    limit = BEFORE_LIMIT.search(before)
    if limit and EVENT.search(before[: limit.start()]):
        return False
    return bool(limit or AFTER_LIMIT.match(after) or BEFORE_LATENCY.search(before) or AFTER_LATENCY.match(after))


def _rates(text: str) -> Iterator[float]:
    """Milliseconds that one may take where so many a second are asked for."""
    for match in RATE.finditer(text):
        before = text[max(0, match.start() - WINDOW) : match.start()]
        number = NUMBER.search(before)
        if number and (match["done"] or RATED.search(before[: number.start()])) and float(number[1]) > 0:
            yield 1_000 / float(number[1])


def _sizes(text: str) -> tuple[list[float], list[float]]:
    """Flash and RAM sizes in bytes. A keyword counts once: for the size after it, unless the size before it has taken it."""
    flash: list[float] = []
    ram: list[float] = []
    used = 0
    for quantity in find_sizes(text):
        before, after = _around(text, quantity, used)
        word = BEFORE_SIZE.search(before) or AFTER_SIZE.match(after)
        used = quantity.end + (word.end() if word and word.string is after else 0)
        if word:
            (flash if word["flash"] else ram).append(quantity.value)
        elif quantity.unit not in BARE_UNITS and _is_model_size(before, after):
            flash.append(quantity.value)
    return flash, ram


def _is_model_size(before: str, after: str) -> bool:
    if DATA_SIZE.search(before) or SHORTER.search(before) or AFTER_DATA_SIZE.match(after):
        return False
    return bool(BEFORE_LIMIT.search(before) or AFTER_LIMIT.match(after) or AFTER_MODEL.match(after))


def _strictest(name: str, values: list[float], show: Callable[[float], str], notes: list[str]) -> float | None:
    possible = sorted({v for v in values if v > 0})
    if 0 in values:
        notes.append(f"A {name} limit of 0 can't be met and was left out.")
    if len(possible) > 1:
        notes.append(f"The task names several {name} limits ({', '.join(map(show, possible))}); the strictest holds.")
    return possible[0] if possible else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
