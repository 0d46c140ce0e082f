"""Read which devices the task's text names ("on a Jetson Orin Nano", "runs on x86"), and choose what to build for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.languages import english_limits
from modelgpt_edge.requirement.wording import search_text, spoken
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.registry import find_target, list_targets
from modelgpt_edge.targets.target import Target

DEFAULT_TARGET = "x86"
# What people say that is neither a target's name nor an alias. Boards that are no target (yet) are told in a note.
SPOKEN = {
    "orin nano": "jetson-orin-nano",
    "orin nx": "jetson-orin-nx",
    "agx orin": "jetson-agx-orin",
    "agx thor": "jetson-thor",
    "raspberry pi": "raspberry-pi-5",
    "raspberry pi 4": "raspberry-pi-4",
    "raspberry pi 5": "raspberry-pi-5",
    "cortex m4": "cortex-m4",
    "cortex m7": "cortex-m7",
    "cortex m33": "cortex-m33",
    "cortex m55": "cortex-m55",
    "webassembly": "browser",
}
# Names that a task about something else may well hold ("clicks in a browser"): for these the text must say that it runs there.
COMMON_WORDS = frozenset({"browser", "wasm", "android", "rtx", "arm64", "aarch64", "rpi"})
RUNS = (
    r"(?:runs?|running|answers?|responds?|works?|working|executes?|executed|executing|deploy\w*|inference|compiled?|built"
    r"|ship\w*)"
)
IN_BROWSER = (
    r"(?:in|inside|to) (?:(?:the|a|my|our|any|every) )?(?:users?['\N{RIGHT SINGLE QUOTATION MARK}]?s? )?(?:web )?browsers?"
)
COMPUTER = r"(?:workstation|desktop|laptop|notebook|computer|machine|server|pc)"
RUNS_THERE = {
    re.compile(rf"\b(?:{RUNS}|offline|locally) (?:\w+ ){{0,3}}?{IN_BROWSER}\b|\bin the browser runs?\b"): "browser",
    re.compile(
        rf"\b{RUNS} (?:\w+ ){{0,3}}?(?:on|for|to) (?:(?:an?|the|my|our) )?android\b"
        r"|\b(?:on|for) (?:an?|the|my|our|any) (?:smart)?(?:phone|tablet) (?:running|with|under) android\b"
    ): "android-arm64",
    re.compile(rf"\brtx (?:\d{{4}} )?{COMPUTER}\b|\b{COMPUTER} with an? (?:\w+ ){{0,2}}?rtx\b"): "rtx",
}
# Boards that share a word with a target, and must not be taken for it.
OTHERS = (
    *("jetson nano", "jetson tx1", "jetson tx2", "jetson xavier", "jetson xavier nx", "jetson agx xavier"),
    *("raspberry pi 3", "raspberry pi zero", "raspberry pi pico", "esp32"),
)


def find_devices(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Canonical names of the targets that the task's text names, in its order, and notes on devices that are no targets."""
    targets, notes = _targets()
    names = {name: t.name for t in targets for name in (t.name, *t.aliases) if name not in COMMON_WORDS}
    phrases = {**SPOKEN, **names, **dict.fromkeys(OTHERS, "")}
    known_targets = {t.name for t in targets}
    found: dict[str, None] = {}
    text = english_limits(search_text(task))
    for phrase in _mentions(text, sorted(phrases, key=len, reverse=True)):
        if phrases[phrase] in known_targets:
            found[phrases[phrase]] = None
        else:
            known = spoken([t.name for t in targets])
            notes.append(f'The task names "{phrase}", which this version can\'t build for; it builds for {known}.')
    found |= {name: None for pattern, name in RUNS_THERE.items() if pattern.search(text)}
    return tuple(found), tuple(dict.fromkeys(notes))


def choose_targets(asked: tuple[str, ...], devices: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to build for: the options win over the text, and a device that is named but not built for is noted."""
    targets = tuple(dict.fromkeys(find_target(name).name for name in asked))
    if not targets:
        return devices or (DEFAULT_TARGET,), ()
    left_out = [d for d in devices if d not in targets]
    if left_out:
        asked_for, named = spoken(targets), spoken(left_out)
        return targets, (f"The task names {named}, but --target asks for {asked_for}: that is what is built for.",)
    return targets, ()


def _targets() -> tuple[tuple[Target, ...], list[str]]:
    try:
        return list_targets(), []
    except InputError as error:  # a broken plug-in must not stop a build for another target, but is told
        return BUILTIN, [f"Targets of plug-ins were not looked for in the task: {error}"]


def _mentions(text: str, phrases: Sequence[str]) -> Iterator[str]:
    """The phrases that stand in a `search_text`, in its order; where several begin at one place, the first of `phrases`."""
    patterns = [r"[ _-]?".join(map(re.escape, re.split(r"[ _-]", phrase))) for phrase in phrases]
    joined = "|".join(f"({p})" for p in patterns)
    for match in re.finditer(rf"(?<!\w)(?<!non-)(?:{joined})(?!\w)", text):
        if match.lastindex is not None:
            yield phrases[match.lastindex - 1]
