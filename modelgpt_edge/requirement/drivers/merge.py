"""Hold a model's facts against the data and the request: what is not there, or not said, is refused with a note.

A fact counts only with words that the request holds, so that neither a model's fancy nor a header of the table can make one up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelgpt_edge.data.column_types import type_column
from modelgpt_edge.data.profile import ColumnProfile, Profile
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.advice import Advice
from modelgpt_edge.requirement.asked_for import ASKS
from modelgpt_edge.requirement.classes import MOST_CLASSES
from modelgpt_edge.requirement.drivers.answer import Claim, Facts
from modelgpt_edge.requirement.drivers.telling import tells
from modelgpt_edge.requirement.kind import KINDS
from modelgpt_edge.requirement.label import find_label
from modelgpt_edge.requirement.named import find_mentioned
from modelgpt_edge.requirement.wording import name_words, shown, spoken
from modelgpt_edge.schema import Column, Kind

LEAST_WORDS = 3  # characters of words that say something, two where they are no Latin letters
MOST_WORDS = 12  # words that say one thing: more are the request itself, said again


@dataclass(frozen=True)
class Checked:
    """A model's facts that may be used, and what is told of those that may not.

    Attributes:
        notes: for the user.
        untrue: names that it claimed and that are no such thing: a sentence of the same model must not hold them.
    """

    advice: Advice
    notes: tuple[str, ...]
    untrue: tuple[str, ...] = ()


def check_facts(facts: Facts, by: str, request: Request, profile: Profile, names: Mapping[str, str]) -> Checked:
    """What of a model's facts may be taken where options and rules leave something open.

    Args:
        by: the model, for the report.
        names: columns by how the question showed them.
    """
    task = request.task
    refused: list[str] = []
    guessed = find_label(request.label, task, profile.columns).guessed
    label = _label(facts.label, task, profile, names, refused) if guessed else None
    kind = _kind(facts.kind, task, refused) if request.kind is None else None
    found = find_label(request.label, task, profile.columns, Advice(by, label)).profile.name
    told = find_mentioned(task, [c.name for c in profile.columns], found).named
    named = frozenset() if told else _named(facts.named, task, profile, names, refused) - {found}
    notes = [f"Not taken from its answer: {'; '.join(refused)}."] if refused else []
    untrue = _invented(facts, task, profile, names)
    if guessed and label is None and facts.label is not None:
        untrue.append(_column(facts.label.value, profile, names) or "")
    return Checked(Advice(by, label, kind, named), tuple(notes), tuple(n for n in untrue if n != found and tells(n)))


def is_said(words: str, task: str) -> bool:
    """Whether the request holds these words, but for case, spacing and signs; and whether they are enough to say something."""
    said, text = name_words(words), name_words(task)
    if said.isascii():
        letters = len(said.replace(" ", ""))
        return letters >= LEAST_WORDS and said.count(" ") < MOST_WORDS and f" {said} " in f" {text} "
    return len(said) > 1 and said.count(" ") < MOST_WORDS and said in text


def _invented(facts: Facts, task: str, profile: Profile, names: Mapping[str, str]) -> list[str]:
    """What it takes for columns that aren't there; what the request says itself, a sentence may say too."""
    claims = [*([facts.label] if facts.label is not None else []), *facts.named]
    return [c.value for c in claims if _column(c.value, profile, names) is None and not is_said(c.value, task)]


def _label(claim: Claim | None, task: str, profile: Profile, names: Mapping[str, str], refused: list[str]) -> str | None:
    if claim is None:
        return None
    name = _column(claim.value, profile, names)
    if name is None:
        refused.append(f"label {shown(claim.value)}, which is no column")
    elif why := _no_label(profile.column(name)):
        refused.append(f"label {shown(name)}, which {why}")
    elif not is_said(claim.words, task) or not ASKS.sub("", name_words(claim.words)).strip():
        refused.append(f"label {shown(name)}, since the request doesn't hold the words it was read from")
    elif name in find_mentioned(task, [c.name for c in profile.columns], "").refused:
        refused.append(f"label {shown(name)}, which the request rules out")
    else:
        return name
    return None


def _no_label(column: ColumnProfile) -> str:
    """Why a column can't be what is asked for; "" where it can."""
    typed = type_column(column)
    if not isinstance(typed, Column):
        return f"tells nothing of a row ({typed.because})"
    if typed.type == "category" and (column.many or column.distinct > MOST_CLASSES):
        return f"has more than {MOST_CLASSES} different words"
    return ""


def _kind(claim: Claim | None, task: str, refused: list[str]) -> Kind | None:
    if claim is None:
        return None
    kind = next((k for k in KINDS if k == claim.value.casefold()), None)
    if kind is None:
        refused.append(f"kind {shown(claim.value)}, which is none")
    elif not is_said(claim.words, task):
        refused.append(f"{kind}, since the request doesn't hold the words it was read from")
        return None
    return kind


def _named(
    claims: Sequence[Claim], task: str, profile: Profile, names: Mapping[str, str], refused: list[str]
) -> frozenset[str]:
    """Named columns that can be inputs, each with words of its own that are no verb of asking."""
    unknown, unsaid = [], []
    by_words: dict[str, str] = {}
    for claim in claims:
        name, words = _column(claim.value, profile, names), name_words(claim.words)
        if name is None or not isinstance(type_column(profile.column(name)), Column):
            unknown.append(claim.value)
        elif not is_said(claim.words, task) or ASKS.search(words) or by_words.setdefault(words, name) != name:
            unsaid.append(name)
    if unknown:
        refused.append(f"named columns {_list(unknown)}, which are no inputs")
    if unsaid:
        refused.append(f"named columns {_list(unsaid)}, since the request doesn't hold words of their own for them")
    return frozenset(by_words.values()) - set(unsaid)


def _column(value: str, profile: Profile, names: Mapping[str, str]) -> str | None:
    """The column that a model means: as it was shown, as the file spells it, or alike but for case and signs."""
    if value in names:
        return names[value]
    real = [c.name for c in profile.columns]
    if value in real:
        return value
    alike = [name for name in real if name_words(name) == name_words(value) != ""]
    return alike[0] if len(alike) == 1 else None


def _list(names: Iterable[str]) -> str:
    return spoken([shown(name) for name in dict.fromkeys(names)])
