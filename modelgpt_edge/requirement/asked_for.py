"""Find the column that a task's text asks for: "predict the *price* of each house from ...", "label: *churn*"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelgpt_edge.requirement.languages import english_grammar
from modelgpt_edge.requirement.wording import name_words, without_unit

READ = 10_000  # characters of the task that are searched
CLAUSE = 300  # characters after a verb that can say what is asked for

ASKS = re.compile(
    r"\b(?:predict|estimat|forecast|classif|detect|guess|infer|determin|regress|recogni[sz]|identif)(?:e|y|s|e?ing|ying|es|ies)?\b"
)
LABEL_IS = re.compile(r"\b(?:label|target|column to predict)(?: column)?(?: is| called| named)*\b")
# Where what is asked for ends and what it is told from begins.
GIVEN = re.compile(r"\b(?:from|using|based|given|with|by|via|under|within|on)\b")
# Where a phrase ends inside what is asked for: "the species | of each flower", "passengers | as survived".
PHRASE = re.compile(r"\b(?:of|for|in|at|per|as|and|or|into|to|when|where|while)\b")
# "the risk of a stroke" asks for the stroke ...
MEASURE = re.compile(
    r"\b(?:probability|likelihood|chance|odds|risk|presence|number|count|amount|type|kind|level) of (?:an? |the )?"
)
# ... but these name what a row is about, which is not the label: "each patient", "whether a customer churns", "of a house".
SUBJECT = re.compile(
    r"\b(?:each|every) \w+|\b(?:whether|if) (?:an?|the|this) \w+|\b(?:of|for) an? \w+"
    r"|\b(?:which|what) \w+(?= (?!it\b|is\b|was\b|an?\b|the\b)\w)"
)
ARTICLES = frozenset(("a", "an", "the", "its", "their", "whether", "if"))
COMMON = frozenset(("not", "this", "that", "how", "much", "many", "number", "value", "type", "kind", "yes", "will", "are"))


def find_asked_for(task: str, names: Sequence[str]) -> str | None:
    """The column name that the text asks for, spelled as in `names`; None where it names none.

    It is the last name in the first phrase, after a verb such as predict, that holds one; text and headers are compared
    as `name_words`.
    """
    by_words = names_by_words(names)
    clauses = task_clauses(task, names)
    for clause, after in zip(clauses, [*clauses[1:], ""]):
        for match in LABEL_IS.finditer(clause):
            # "label: churn" was split at the colon
            name = _first_name(clause[match.end() :].strip() or after, by_words)
            if name:
                return name
    for clause in clauses:
        for match in ASKS.finditer(clause):
            asked = GIVEN.split(clause[match.end() : match.end() + CLAUSE], maxsplit=1)[0]
            for phrase in PHRASE.split(SUBJECT.sub(" ", MEASURE.sub(" ", asked))):
                name = the_last_name(phrase.split(), by_words)
                if name:
                    return name
    return None


def task_clauses(task: str, names: Sequence[str]) -> list[str]:
    """A task's clauses as `name_words`, names such as ``date of birth`` joined to one word."""
    joined = [words for words in map(name_words, names) if _parted(words)]
    text = english_grammar(task[:READ], names)
    return [_protect(name_words(part), joined) for part in re.split(r"[.;:!?=](?=\s|$)|[\n,]", text)]


def names_by_words(names: Sequence[str]) -> dict[str, str]:
    """Names by their words, ``is_fraud`` also as ``fraud``, ``area_sqm`` as ``area``; of two alike, the first one."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name_words(name), name)
    for name in names:
        found.setdefault(without_unit(name), name)
    for words, name in list(found.items()):
        found.setdefault(words.removeprefix("is ").removeprefix("has "), name)
    found.pop("", None)
    return found | {_join(words): found[words] for words in found if _parted(words)}


def _parted(words: str) -> bool:
    return bool(GIVEN.search(words) or PHRASE.search(words))


def _protect(text: str, names: Sequence[str]) -> str:
    """The text with names such as ``date of birth`` joined to one word, so that no phrase ends inside them."""
    padded = f" {text} "
    for name in names:
        padded = padded.replace(f" {name} ", f" {_join(name)} ")
    return padded.strip()


def _join(words: str) -> str:
    return words.replace(" ", "_")


def _first_name(text: str, names: Mapping[str, str]) -> str | None:
    """The longest name that the text begins with."""
    words = text.split()[:12]
    spans = (" ".join(words[:end]) for end in range(len(words), 0, -1))
    return next((names[span] for span in spans if span in names), None)


def the_last_name(words: list[str], names: Mapping[str, str]) -> str | None:
    """The longest of the names that end last; a short or common word counts only as the whole phrase."""
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    words = words[:16]
    for end in range(len(words), 0, -1):
        for start in range(end):
            span = " ".join(words[start:end])
            whole = end - start == len(words)
            for form in (span, span.removesuffix("s"), span.removesuffix("es")):
                if form in names and (whole or ((len(form) > 2 or not form.isascii()) and form not in COMMON)):
                    return names[form]
    return None
