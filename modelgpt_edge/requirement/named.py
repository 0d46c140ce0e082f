"""Find the columns that a task's text names as telling: "predict churn from *tenure* and *monthly charges*, not from gender".

What is doubtful counts as not named: a name that is missed costs little, one that the text rules out would go against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelgpt_edge.requirement.asked_for import ARTICLES, ASKS, COMMON, GIVEN, PHRASE, READ
from modelgpt_edge.requirement.languages import english_grammar
from modelgpt_edge.requirement.wording import name_words, without_unit

Names = Mapping[str, tuple[str, ...]]

LONGEST = 12  # words of a name
REACH = 1_000  # characters before a refusal that can hold what it refuses
SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!\bno)(?<!\bvs)(?<!\bincl)[.;!?](?=\s|$)", re.IGNORECASE)
QUOTED = re.compile(r"[\"`\N{LEFT DOUBLE QUOTATION MARK}]([^\"`\N{RIGHT DOUBLE QUOTATION MARK}]{1,100})")
# Words that tasks are full of: a column of such a name is only meant where its name is quoted.
PLAIN = COMMON | {
    *("is", "has", "have", "be", "it", "each", "every", "which", "who", "what", "only", "also", "all", "data", "table", "row"),
    *("column", "feature", "input", "label", "target", "class", "model", "task", "device", "time", "flash", "ram"),
    *("memory", "latency", "jetson", "raspberry", "pi", "kb", "mb", "ms"),
}

# In the marked text ``@0`` is the first name of a sentence, ``@`` the label's; ``,`` and ``:`` stand where a part ends.
NOT = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|should|must|ca|could|would|wo|need|has|have|had|might)n t"
    r"|cannot|(?:do|does|should|must|is|are)nt)\b"
)
TOLD = rf"(?:{GIVEN.pattern}|\b(?:use|uses|used|include|including|consider|considering|keep|take)\b)"
REFUSALS = (
    r"not(?! (?:only|just|least|more|less|longer|slower)\b)|no(?! (?:more|less|longer|slower|later)\b)|never|neither|nor|none"
    r"|nothing|without|w o|ignor(?:e|es|ed|ing)|disregard(?:s|ed|ing)?|exclud(?:e|es|ed|ing)|omit(?:s|ted|ting)?"
    r"|except(?:ing|ions?)?|drop(?:s|ped|ping)?|skip(?:s|ped|ping)?|remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)"
    r"|discard(?:s|ed|ing)?|neglect(?:s|ed|ing)?|forget(?:s|ting)?|avoid(?:s|ed|ing)?|forbid(?:s|ding|den)?|ban(?:s|ned|ning)?"
    r"|(?:leav(?:e|ing)|tak(?:e|ing)|keep|throw|set|put)(?= (?:[^ ]+ ){1,12}(?:out|aside|away)\b)"
    r"|other than|rather than|instead of|apart from|aside from|save for|besides|bar|barring|minus|left out"
    r"|regardless|irrespective|independent(?:ly)?|blind|agnostic|unbiased|fair|(?:all|any|every)\w*(?: \w+){0,2} but"
)
# Words between a refusal and what it refuses, among them those that would end it elsewhere: "not by", "without using the".
LIGHT = (
    rf"(?:{ASKS.pattern}|{TOLD}|be|being|to|the|an?|any|at|all|of|for|its|rely|depend|look|learn|judge|decide|want|need"
    r"|label|target|class|@)(?= |$)"
)
REFUSE = re.compile(rf"\b(?:{REFUSALS})\b(?: {LIGHT})*")
# What ends a refusal, and what is asked for: "ignore the id and use age", "without gender but with age"; not "or by gender".
END = re.compile(rf"(?<!\bor )(?:{TOLD}|{ASKS.pattern}|\b(?:but|instead|however|although|yet)\b)")
STEP = re.compile(rf"(?P<refuse>{REFUSE.pattern})|(?P<end>{END.pattern})|@(?P<place>\d+)")
ASKED = re.compile(rf"{ASKS.pattern}(?:(?!{END.pattern})[^,:])*")
# Refusals that come after the names: "age and gender must not be used".
REFUSED = re.compile(
    r"(?<!, )\b(?:irrelevant|unimportant|useless|meaningless|worthless|unreliable|unneeded|unused|prohibited|hidden|off limits"
    r"|ignored|disregarded|excluded|omitted|dropped|skipped|removed|deleted|discarded|neglected|avoided|forbidden|banned"
    r"|neutral|(?:just|only|merely) an?|tells? (?:us |you )?nothing|missing"
    r"|(?<=: )(?:ignore|drop|skip|exclude|omit|remove)|out|aside|away"
    r"|not (?:to )?(?:be )?(?:\w+ )?(?:used|needed|matters?|important|relevant|allowed|considered|included|counts?|helps?"
    r"|helpful|useful|reliable|trusted|known|available|(?:an? )?(?:inputs?|features?)))\b"
)
# What a list holds beside names.
LISTED = re.compile(r"@\d*|\b(?:and|or|the|an?|also|both)\b")


@dataclass(frozen=True)
class Mentioned:
    """Columns that a text names.

    Attributes:
        named: outside what it asks for, and nowhere refused.
        refused: those that it rules out.
    """

    named: frozenset[str]
    refused: frozenset[str]


def find_mentioned(task: str, names: Sequence[str], label: str) -> Mentioned:
    """The columns that the text names outside what it asks for, and those that it refuses.

    Text and headers are compared as `name_words`, the last word in singular or plural, `heart rate` as ``heartrate``, a unit
    in brackets or ``is_`` left out or not. Of names within each other the longest counts, the label's too. Names of one letter,
    of digits or of words that tasks are full of must be quoted.

    Args:
        names: of all columns; those alike but for spelling are named together.
    """
    by_words = _by_words(names)
    quoted = {form for text in QUOTED.findall(task[:READ]) for form in _forms(name_words(text).split())}
    named: set[str] = set()
    refused: set[str] = set()
    for sentence in SENTENCE.split(english_grammar(task[:READ], names)):
        marked, found = _mark(sentence, by_words, quoted, label)
        asked = {place for match in ASKED.finditer(marked) for place in _places(match[0])}
        for place, columns in enumerate(found):
            if place not in asked:
                named.update(columns)
        for place in _refused(marked):
            refused.update(found[place])
    return Mentioned(frozenset(named - refused), frozenset(refused))


def _by_words(names: Sequence[str]) -> Names:
    """Names by every form of their words; a name's own words win over what another name is called in short."""
    own: dict[str, tuple[str, ...]] = {}
    short: dict[str, tuple[str, ...]] = {}
    for name in names:
        full = _forms(name_words(name).split())
        for form in full:
            own[form] = (*own.get(form, ()), name)
        plain = without_unit(name)
        for words in (plain, plain.removeprefix("is ").removeprefix("has ")):
            for form in _forms(words.split()):
                short[form] = (*short.get(form, ()), name)
    return short | own


def _forms(words: Sequence[str]) -> tuple[str, ...]:
    """Words as one text, the last in singular; then joined to one word, where none of several is a plain word."""
    if not words:
        return ()
    words = [*words[:-1], _singular(words[-1])]
    return (" ".join(words),) if len(words) == 1 or any(map(_plain, words)) else (" ".join(words), "".join(words))


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]


@lru_cache(maxsize=10_000)
def _plain(word: str) -> bool:
    """Whether a word says nothing of a column by itself."""
    grammar = (GIVEN, PHRASE, ASKS, REFUSE, END)
    return len(word) < 2 or word.isdigit() or word in PLAIN or word in ARTICLES or any(g.fullmatch(word) for g in grammar)


def _mark(sentence: str, by_words: Names, quoted: set[str], label: str) -> tuple[str, list[tuple[str, ...]]]:
    """The sentence's words with names marked, and the columns of each mark."""
    found: list[tuple[str, ...]] = []
    marked: list[str] = []
    for part in re.split(r"([,\n]|:\s)", sentence):
        if part.strip() in ("", ",", ":"):
            marked.append(":" if ":" in part else ",")
            continue
        words = name_words(part).split()
        while words:
            length, columns = _longest(words, by_words, quoted)
            if label in columns:
                marked.append("@")
            elif columns:
                marked.append(f"@{len(found)}")
                found.append(columns)
            else:
                marked.append(words[0])
            words = words[length:]
    return NOT.sub("not", " ".join(marked)), found


def _longest(words: Sequence[str], by_words: Names, quoted: set[str]) -> tuple[int, tuple[str, ...]]:
    """The longest name that the words begin with: how many words it has, and its columns; one word and none otherwise."""
    for length in range(min(len(words), LONGEST), 0, -1):
        forms = _forms(words[:length])
        columns = next((by_words[form] for form in forms if form in by_words), ())
        if columns and (not all(map(_plain, words[:length])) or not quoted.isdisjoint(forms)):
            return length, columns
    return 1, ()


def _refused(marked: str) -> Iterator[int]:
    """Places of the names that the marked sentence refuses."""
    refusing = False
    for step in STEP.finditer(marked):
        if step["place"] is None:
            refusing = step["refuse"] is not None
        elif refusing:
            yield int(step["place"])
    for match in REFUSED.finditer(marked):
        yield from _before(marked[max(0, match.start() - REACH) : match.start()])


def _before(marked: str) -> Iterator[int]:
    """Names that a refusal after them is about: the nearest, and the list that they end, as in "age, zip and gender"."""
    ends = [match.span() for match in re.finditer(rf"{END.pattern}|,", marked)]
    until, met = len(marked), False
    for start, end in [*reversed(ends), (0, 0)]:
        piece = marked[end:until]
        if met and LISTED.sub("", piece).strip():
            return
        yield from _places(piece)
        met = met or "@" in piece
        if met and marked[start:end] != ",":
            return
        until = start


def _places(marked: str) -> list[int]:
    return [int(place) for place in re.findall(r"@(\d+)", marked)]
