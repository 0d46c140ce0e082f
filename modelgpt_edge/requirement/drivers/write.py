"""The entry of the Requirement Generator: what the rules read, and what a language model adds where it is asked.

Its facts come in before the rules guess, its sentence after they are done. An answer of no use is noted, and the rules stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelgpt_edge.data.profile import Profile
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement import rules
from modelgpt_edge.requirement.advice import NO_ADVICE, Advice
from modelgpt_edge.requirement.drivers.answer import read_facts, read_told, unasked_note
from modelgpt_edge.requirement.drivers.driver import Driver, UnusableAnswerError
from modelgpt_edge.requirement.drivers.meanings import LONGEST_MEANING, Embed, judge_meanings
from modelgpt_edge.requirement.drivers.merge import Checked, check_facts
from modelgpt_edge.requirement.drivers.opening import open_driver
from modelgpt_edge.requirement.drivers.own_words import why_not
from modelgpt_edge.requirement.drivers.prompt import (
    Question,
    ask_facts,
    ask_meanings,
    ask_sentence,
    meant_classes,
    shown_rows,
)
from modelgpt_edge.requirement.label import find_label
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.validation import validate
from modelgpt_edge.requirement.wording import clean, counted, shown, spoken

DISTRUSTED = "what it says of the classes isn't so, and the rest of its words isn't believed either"


@dataclass(frozen=True)
class _Said:
    """What came of an answer in a model's own words.

    Attributes:
        requirement: with what was taken; taken: that, in words.
        untrue: whether it says of a class what isn't so.
    """

    requirement: Requirement
    taken: tuple[str, ...]
    notes: tuple[str, ...]
    untrue: bool = False


def write_requirement(request: Request, profile: Profile) -> Requirement:
    """Understand a request, by the rules and, where `request.driver` names one, with a language model's help.

    Raises:
        InputError: an option names what isn't there, the table has nothing to learn from, or the driver can't be asked.
    """
    driver = open_driver(request.driver)
    return rules.write_requirement(request, profile) if driver is None else write_with(driver, request, profile)


def write_with(driver: Driver, request: Request, profile: Profile) -> Requirement:
    """Understand a request with a language model's help. Errors are those of `write_requirement`."""
    find_label(request.label, request.task, profile.columns)  # what is asked for in vain is told before a model is asked
    facts, names = ask_facts(request.task, profile)
    checked = _checked(driver, facts, names, request, profile)
    requirement, checked = _with_advice(request, profile, checked)
    taken = _taken(requirement, checked.advice)
    question = ask_sentence(request, profile, requirement)
    said = _with_words(driver, question, request, profile, requirement, None, checked.untrue)
    notes = [*checked.notes, *said.notes]
    requirement = _noted(said.requirement, driver, request, profile, (facts, question), [*taken, *said.taken], notes)
    validate(requirement, profile)
    return requirement


def in_own_words(
    requirement: Requirement, request: Request, profile: Profile | None, embed: Embed | None = None
) -> Requirement:
    """A requirement about texts with a language model's sentence and its meanings of classes, where a driver is named.

    What classes mean is a part of the head's prior, so it is asked for apart from any row. The user's own words stay. Errors
    are those of `write_requirement`.

    Args:
        profile: None where there is no data.
        embed: the sentence encoder, which meanings are checked by; without one none is taken.
    """
    driver = open_driver(request.driver)
    if driver is None:
        return requirement
    asked = text_questions(request, profile, requirement)
    taken: list[str] = []
    notes: list[str] = []
    untrue = False
    for question in asked:
        said = _with_words(driver, question, request, profile, requirement, embed, distrusted=untrue)
        requirement, untrue = said.requirement, untrue or said.untrue
        taken, notes = [*said.taken, *taken], [*notes, *said.notes]
    return _noted(requirement, driver, request, profile, asked, taken, list(dict.fromkeys(notes)))


def questions(request: Request, profile: Profile) -> tuple[Question, ...]:
    """What a model would be asked about a table, the second as it is where the first changes nothing."""
    requirement = rules.write_requirement(request, profile)
    return ask_facts(request.task, profile)[0], ask_sentence(request, profile, requirement)


def text_questions(request: Request, profile: Profile | None, requirement: Requirement) -> tuple[Question, ...]:
    """What a model is asked about texts, given what the rules read: what classes mean apart, where rows are shown."""
    if meant_classes(request, requirement) and shown_rows(request, profile, requirement):
        return ask_meanings(request, requirement), ask_sentence(request, profile, requirement, with_meanings=False)
    return (ask_sentence(request, profile, requirement),)


def _noted(
    requirement: Requirement,
    driver: Driver,
    request: Request,
    profile: Profile | None,
    asked: Sequence[Question],
    taken: Sequence[str],
    notes: Sequence[str],
) -> Requirement:
    """A requirement with notes on what its driver's model was asked, what was taken and what wasn't, and the driver's name."""
    rows = counted(len(shown_rows(request, profile, requirement)), "row")
    told = f"{driver.name} was asked for {', then for '.join(q.about for q in asked)}, and shown {rows}."
    answers = "its answers" if len(asked) > 1 else "its answer"
    kept = f"Taken from {answers}: {spoken(taken)}." if taken else f"Nothing was taken from {answers}: the rules stand."
    name = driver.name if taken else requirement.driver
    return replace(requirement, notes=(*requirement.notes, f"{told} {kept}", *notes), driver=name)


def _checked(driver: Driver, question: Question, names: Mapping[str, str], request: Request, profile: Profile) -> Checked:
    """What may be used of a model's answer to the question for facts."""
    try:
        facts = read_facts(driver.ask(question))
    except UnusableAnswerError as error:
        return Checked(NO_ADVICE, (f"Its answer on label, kind and columns is no use: {error}.",))
    checked = check_facts(facts, driver.name, request, profile, names)
    return replace(checked, notes=(*checked.notes, *unasked_note(facts.unasked)))


def _with_advice(request: Request, profile: Profile, checked: Checked) -> tuple[Requirement, Checked]:
    """The requirement with a model's advice; without it where no model can be made so."""
    advice = checked.advice
    try:
        return rules.write_requirement(request, profile, advice), checked
    except InputError as error:
        if advice == NO_ADVICE:
            raise
        untrue = checked.untrue if advice.label is None else (*checked.untrue, advice.label)
        notes = (*checked.notes, f"What it read can't be: {error}")
        return rules.write_requirement(request, profile), Checked(NO_ADVICE, notes, untrue)


def _taken(requirement: Requirement, advice: Advice) -> list[str]:
    """What of the advice the rules used, in words."""
    schema = requirement.schema
    taken = [f"label {shown(schema.label.name)}"] if advice.by and advice.by in schema.label_because else []
    taken += [schema.kind] if advice.by and advice.by in schema.kind_because else []
    named = [shown(name) for name in schema.named if name in advice.named]
    return taken + ([f"named columns {spoken(named)}"] if named else [])


def _with_words(
    driver: Driver,
    question: Question,
    request: Request,
    profile: Profile | None,
    requirement: Requirement,
    embed: Embed | None,
    untrue: Sequence[str] = (),
    *,
    distrusted: bool = False,
) -> _Said:
    """The requirement in a model's words where they will do.

    Args:
        question: that asks for a sentence, for what classes mean, or for both.
        embed: as for `judge_meanings`; untrue: as for `why_not`.
        distrusted: whether it has said of a class what isn't so.
    """
    try:
        told = read_told(driver.ask(question))
    except UnusableAnswerError as error:
        return _Said(requirement, (), (f"Its answer with {question.about} is no use: {error}.",))
    asked_for = question.schema["properties"]
    # What classes of texts mean decides something, so no row is shown where it is asked for.
    rows = shown_rows(request, profile, requirement) if "sentence" in asked_for else []
    taken: list[str] = []
    notes = unasked_note(told.unasked)
    if "classes" in asked_for:
        asked = meant_classes(request, requirement)
        meanings = judge_meanings(told.meanings, asked, question, request.task, rows, requirement, embed)
        distrusted = distrusted or meanings.untrue
        if meanings.taken:
            requirement = replace(requirement, meanings=meanings.taken)
            taken.append(f"what classes mean ({_listed(meanings.taken)})")
        elif meanings.why_not:
            notes.append(f"What it says of the classes was not taken: {meanings.why_not}.")
    if "sentence" in asked_for:
        why = DISTRUSTED if distrusted else why_not(told.sentence, question, request.task, rows, requirement, untrue)
        if why:
            notes.append(f"Its sentence was not taken: {why}.")
        else:
            requirement = replace(requirement, sentence=told.sentence)
            taken.insert(0, "a sentence")
    return _Said(requirement, tuple(taken), tuple(notes), distrusted)


def _listed(meanings: Mapping[str, str]) -> str:
    return "; ".join(f'{shown(name)}: "{clean(text, LONGEST_MEANING)}"' for name, text in meanings.items())
