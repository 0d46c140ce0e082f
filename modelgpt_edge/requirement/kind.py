"""Tell classification from regression by a stated rule."""

from __future__ import annotations

import re

from modelgpt_edge.data.column_profile import ColumnProfile
from modelgpt_edge.data.tally import ENOUGH
from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.advice import NO_ADVICE, Advice
from modelgpt_edge.requirement.languages import english_grammar
from modelgpt_edge.requirement.wording import search_text, shown
from modelgpt_edge.schema import Kind

KINDS: tuple[Kind, ...] = ("classification", "regression")
FEW_VALUES = 20

CLASSIFY = re.compile(r"\b(?:classif(?:y|ies|ying|ier|iers|ication)|categori[sz](?:e|es|ing|ation)|logistic regression)\b")
REGRESS = re.compile(r"(?<!logistic )(?<!no )(?<!not )\bregress(?:ion|ions|or|ing)?\b(?! (?:tests?|bugs?|suites?)\b)")
# "how much", "predict the median house price"; not "predict the price class".
AMOUNT = re.compile(
    r"\bhow (?:much|many|old|tall|heavy|far)\b|\bas an? (?:single |real |decimal )?number\b"
    r"|\b(?:estimate|predict|forecast) (?:(?!from|using|by|with|given|based|whether|if|which)\w+ ){0,4}?"
    r"(?:price|cost|amount|number|count|quantity|sum|age|weight|height|temperature|revenue|salary|duration)s?\b"
    r"(?! (?:class|category|group|range|band|level|bracket|tier|bin|code|plate))"
)


def find_kind(
    asked: str | None, task: str, label: ColumnProfile, advice: Advice = NO_ADVICE
) -> tuple[Kind, str, tuple[str, ...]]:
    """Kind of the task, the rule that told it, and notes.

    The first that applies: ``--kind``; the word classify or regression in the task; "how much", "the price" and their
    like where the label is numbers; words or booleans are classes; what is advised of whole numbers that could be either;
    whole numbers of at most 20 distinct values that repeat are classes; other numbers and dates are amounts.

    Raises:
        InputError: `asked` is no kind, or regression is asked for on words.
    """
    if asked is not None:
        kind = _named_kind(asked)
        return kind, f"--kind {kind}", _regression_notes(label, "--kind asks for regression") if kind == "regression" else ()
    text = search_text(english_grammar(task, (label.name,)))
    classify, regress, amount = CLASSIFY.search(text), REGRESS.search(text), AMOUNT.search(text)
    notes: tuple[str, ...] = ()
    if classify and regress:
        notes = ("The task speaks of both classification and regression, so the label's cells decided.",)
    elif classify:
        return "classification", f'the task says "{classify[0]}"', ()
    elif regress:
        because = f'the task says "{regress[0]}"'
        return "regression", because, _regression_notes(label, because)
    elif amount and mostly_numbers(label) and label.distinct > 2:
        because = f'the task says "{amount[0]}" and the label is numbers'
        return "regression", because, _regression_notes(label, because)
    kind, because = _by_cells(label)
    if advice.kind is not None and advice.kind != kind and could_be_either(label):
        kind, because = advice.kind, f"{advice.by} reads it from the task"
    return kind, because, (*notes, *(_regression_notes(label, because) if kind == "regression" else ()))


def mostly_numbers(label: ColumnProfile) -> bool:
    """Whether the label is numbers by the rule that also types the columns: all but 5 % of its cells read as such."""
    return label.numeric > label.placeholders and label.numeric >= ENOUGH * (label.present - label.placeholders)


def could_be_either(label: ColumnProfile) -> bool:
    """Whether cells alone don't tell classes from amounts: a few whole numbers, more than two, that repeat."""
    return mostly_numbers(label) and not label.boolean and label.whole and 2 < label.distinct <= label.present / 2


def _named_kind(asked: str) -> Kind:
    for kind in KINDS:
        if asked.strip().casefold() == kind:
            return kind
    raise InputError("unknown kind", where="--kind", seen=asked, cure="Pass classification or regression.")


def _by_cells(label: ColumnProfile) -> tuple[Kind, str]:
    if label.boolean:
        return "classification", "the label is booleans"
    if not mostly_numbers(label):
        return ("regression", "the label is dates") if label.date_format else ("classification", "the label is words")
    if not label.whole:
        return "regression", "the label is numbers with fractions"
    if label.distinct > FEW_VALUES:
        return "regression", f"the label is whole numbers of more than {FEW_VALUES} distinct values"
    if label.distinct > 2 and 2 * label.distinct > label.present:
        return "regression", "the label is whole numbers that hardly repeat"
    return "classification", f"the label is whole numbers of {label.distinct} distinct values"


def _regression_notes(label: ColumnProfile, because: str) -> tuple[str, ...]:
    """Notes on a label that is learned as an amount; InputError where it is words."""
    where = f"label column {shown(label.name)}"
    cure = "Pass --kind classification or another --label."
    if label.boolean:
        raise InputError(f"regression needs numbers, and the label is booleans ({because})", where=where, cure=cure)
    if mostly_numbers(label):
        odd = label.present - label.numeric - label.placeholders
        such = f"such as {shown(label.example)} " if label.example else ""
        return (f"{odd:,} cells of the label {such}are no numbers and count as missing.",) if odd else ()
    if label.date_format:
        return ("The label is dates: what is predicted are days since 1970-01-01.",)
    odd = label.present - label.numeric
    what = f"regression needs numbers, and {odd:,} of {label.present:,} labels are words ({because})"
    raise InputError(what, where=where, seen=label.example, cure=cure)
