"""Find the column that a task without a verb such as predict is about: "will this loan be approved?", "loan approval".

It is asked after `asked_for`, and of columns that can be labels alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelgpt_edge.requirement.asked_for import (
    ASKS,
    COMMON,
    GIVEN,
    PHRASE,
    SUBJECT,
    names_by_words,
    task_clauses,
    the_last_name,
)
from modelgpt_edge.requirement.wording import name_words

# What a question is about stands at its end ("is the leaf in the picture diseased"), or is what it asks for by name.
QUESTION = re.compile(
    r"^(?:and |so |but )?(?:should|shall|will|would|does|do|did|is|are|was|were|has|have|can|could"
    r"|which|what|who|whose|how|whether)\b"
)
BY_NAME = re.compile(
    r"^(?:which|what|how many|how much) (.{1,60}?) (?:does|do|did|is|are|was|were|has|have|will|would|should|can|belongs?)\b"
)
# A heading: a few words, or a noun of asking among them.
HEADING_WORDS = 4
LAST_VERB = re.compile(rf" {ASKS.pattern} ?$")  # as German puts it: "Zustand vorhersagen"
HEADING = re.compile(
    r"\b(?:predictions?|detection|classification|recognition|estimation|forecast(?:s|ing)?|analysis|scoring|filter|prognosis)\b"
)
# What people call the answer to a question that names it by an adjective.
ASKED = r"(?:is|are|was|were|will|would|does|do|did|can|should)"
MEANT: Mapping[re.Pattern[str], frozenset[str]] = {
    re.compile(rf"\bhow much {ASKED}\b.{{1,60}}\b(?:worth|costs?|sells?)\b"): frozenset(("price", "value", "cost", "worth")),
    re.compile(rf"\bhow old {ASKED}\b"): frozenset(("age",)),
    re.compile(rf"\bhow (?:tall|high) {ASKED}\b"): frozenset(("height",)),
    re.compile(rf"\bhow heavy {ASKED}\b|\bhow much {ASKED}\b.{{1,60}}\bweighs?\b"): frozenset(("weight",)),
    re.compile(rf"\bhow (?:hot|warm|cold) {ASKED}\b"): frozenset(("temperature",)),
    re.compile(rf"\bhow far {ASKED}\b"): frozenset(("distance",)),
}
SHORT = 4  # letters of a word that can be another's stem
STEM = 5  # letters in which two words of one stem agree, such as approval and approved


def find_in_question(task: str, names: Sequence[str]) -> str | None:
    """The column that a task without a verb of asking is about, spelled as in `names`; None where it names none."""
    by_words = names_by_words(names)
    clauses = task_clauses(task, names)
    for clause in clauses:
        if QUESTION.search(clause):
            named = BY_NAME.search(clause)
            name = the_last_name(named[1].split(), by_words) if named else None
            name = name or _in_phrases(GIVEN.split(clause, maxsplit=1)[0], by_words) or _meant(clause, names)
            name = name or by_words.get(clause.partition(" ")[2].partition(" ")[0])  # "which plan suits whom"
            if name:
                return name
    heading = GIVEN.split(next((clause for clause in clauses if clause), ""), maxsplit=1)[0]
    heading = LAST_VERB.sub("", heading)
    if not ASKS.search(heading) and (len(heading.split()) <= HEADING_WORDS or HEADING.search(heading)):
        return _in_phrases(heading, by_words)
    return None


def _in_phrases(text: str, by_words: Mapping[str, str]) -> str | None:
    """The last name in the first phrase that holds one, else the one name of a word's stem."""
    phrases = PHRASE.split(SUBJECT.sub(" ", text))
    found = (the_last_name(phrase.split(), by_words) for phrase in phrases)
    return next((name for name in found if name), None) or _of_stem(text.split(), by_words)


def _of_stem(words: Sequence[str], by_words: Mapping[str, str]) -> str | None:
    """The one column whose name is a form of one of the words: approval, approve and approved; pass and passed."""
    telling = [word for word in words if not ASKS.fullmatch(word)]
    names = {name for form, name in by_words.items() if any(_alike(word, form) for word in telling)}
    return names.pop() if len(names) == 1 else None


def _alike(word: str, form: str) -> bool:
    stem = word[: max(STEM, len(word) - 3)]
    if len(word) > STEM and form.startswith(stem) and len(form) <= len(stem) + 3:
        return True
    return len(word) >= SHORT and word not in COMMON and form in (f"{word}ed", f"{word}d", f"{word}s", f"{word}ing")


def _meant(clause: str, names: Sequence[str]) -> str | None:
    """The one column that a question such as "how old" means."""
    for pattern, called in MEANT.items():
        if pattern.search(clause):
            meant = [name for name in names if called & set(name_words(name).split())]
            return meant[0] if len(meant) == 1 else None
    return None
