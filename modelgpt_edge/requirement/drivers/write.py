"""The entry of the Requirement Generator: what the rules read, and what a language model adds where it is asked.

Its facts come in before the rules guess, its sentence after they are done. An answer of no use is noted, and the rules stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelgpt_edge.data.profile import Profile
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement import rules
from modelgpt_edge.requirement.advice import NO_ADVICE, Advice
from modelgpt_edge.requirement.drivers.answer import read_facts, read_told, unasked_note
from modelgpt_edge.requirement.drivers.driver import Driver, UnusableAnswerError
from modelgpt_edge.requirement.drivers.merge import check_facts
from modelgpt_edge.requirement.drivers.opening import open_driver
from modelgpt_edge.requirement.drivers.own_words import Rows, meanings_of, why_not
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
from modelgpt_edge.requirement.wording import counted, shown, spoken


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
    advice, notes = _advice(driver, request, profile)
    requirement, advice, refused = _with_advice(request, profile, advice)
    taken = _taken(requirement, advice)
    question = ask_sentence(request, profile, requirement)
    requirement, told, more = _with_words(driver, question, request, shown_rows(request, profile, requirement), requirement)
    about = "label, kind, named columns and a sentence"
    requirement = _noted(requirement, driver, request, profile, about, [*taken, *told], [*notes, *refused, *more])
    validate(requirement, profile)
    return requirement


def in_own_words(requirement: Requirement, request: Request, profile: Profile | None) -> Requirement:
    """A requirement about texts with a language model's sentence and its meanings of classes, where a driver is named.

    What classes mean is a part of the head's prior, so it is asked for apart from any row. The user's own words stay. `profile`
    is None where there is no data. Errors are those of `write_requirement`.
    """
    driver = open_driver(request.driver)
    if driver is None:
        return requirement
    rows = shown_rows(request, profile, requirement)
    taken: list[str] = []
    notes: list[str] = []
    for question in text_questions(request, profile, requirement):
        shown_here = rows if "sentence" in question.schema["properties"] else []
        requirement, told, more = _with_words(driver, question, request, shown_here, requirement)
        taken, notes = [*told, *taken], [*notes, *more]
    return _noted(requirement, driver, request, profile, "a sentence", taken, list(dict.fromkeys(notes)))


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
    about: str,
    taken: Sequence[str],
    notes: Sequence[str],
) -> Requirement:
    """A requirement with notes on what its driver's model was asked, what was taken and what wasn't, and the driver's name."""
    rows = counted(len(shown_rows(request, profile, requirement)), "row")
    asked = f"{driver.name} was asked for {about}, and shown {rows}."
    kept = f"Taken from its answers: {spoken(taken)}." if taken else "Nothing was taken from its answers: the rules stand."
    name = driver.name if taken else requirement.driver
    return replace(requirement, notes=(*requirement.notes, f"{asked} {kept}", *notes), driver=name)


def _advice(driver: Driver, request: Request, profile: Profile) -> tuple[Advice, list[str]]:
    question, names = ask_facts(request.task, profile)
    try:
        facts = read_facts(driver.ask(question))
    except UnusableAnswerError as error:
        return NO_ADVICE, [f"Its answer on label, kind and columns is no use: {error}."]
    checked = check_facts(facts, driver.name, request, profile, names)
    return checked.advice, [*checked.notes, *unasked_note(facts.unasked)]


def _with_advice(request: Request, profile: Profile, advice: Advice) -> tuple[Requirement, Advice, list[str]]:
    """The requirement with a model's advice; without it where no model can be made so."""
    try:
        return rules.write_requirement(request, profile, advice), advice, []
    except InputError as error:
        if advice == NO_ADVICE:
            raise
        requirement = rules.write_requirement(request, profile)
        return requirement, NO_ADVICE, [f"What it read can't be: {error}"]


def _taken(requirement: Requirement, advice: Advice) -> list[str]:
    """What of the advice the rules used, in words."""
    schema = requirement.schema
    taken = [f"label {shown(schema.label.name)}"] if advice.by and advice.by in schema.label_because else []
    taken += [schema.kind] if advice.by and advice.by in schema.kind_because else []
    named = [shown(name) for name in schema.named if name in advice.named]
    return taken + ([f"named columns {spoken(named)}"] if named else [])


def _with_words(
    driver: Driver, question: Question, request: Request, rows: Rows, requirement: Requirement
) -> tuple[Requirement, list[str], list[str]]:
    """The requirement in a model's words where they will do, what was taken, and notes.

    Args:
        question: that asks for a sentence, for what classes mean, or for both.
        rows: that it shows.
    """
    try:
        told = read_told(driver.ask(question))
    except UnusableAnswerError as error:
        return requirement, [], [f"Its answer with {question.about} is no use: {error}."]
    asked_for = question.schema["properties"]
    notes = unasked_note(told.unasked)
    taken: list[str] = []
    asked = meant_classes(request, requirement) if "classes" in asked_for else []
    meanings = meanings_of(told.meanings, asked, question, request.task, rows, requirement)
    if meanings:
        taken.append("what classes mean")
        requirement = replace(requirement, meanings=meanings)
    if "sentence" not in asked_for:
        return requirement, taken, notes
    if why := why_not(told.sentence, question, request.task, rows, requirement):
        return requirement, taken, [*notes, f"Its sentence was not taken: {why}."]
    return replace(requirement, sentence=told.sentence), ["a sentence", *taken], notes
