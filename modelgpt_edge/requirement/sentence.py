"""Write the requirement in one sentence, in the manner of the ModelGPT paper (arXiv 2402.12408, section 3.1)."""

from __future__ import annotations

import re

from modelgpt_edge.requirement.wording import clean, search_text, shown, spoken
from modelgpt_edge.schema import Schema

LONGEST = 300
FEW_CLASSES = 4

PLAIN_LABELS = frozenset(("label", "labels", "target", "class", "y", "outcome"))  # their name tells nothing
VERB = r"(?:will|has|have|had|is|was|can|does|did|should|[a-z]+(?:s|ed))"
THING = (
    re.compile(r"\b(?:each|every) ([a-z]+)\b"),
    re.compile(rf"\b(?:whether|if) (?:an?|the|this) ([a-z]+(?: [a-z]+)??) {VERB}\b"),
    re.compile(
        r"\bof an? ([a-z]+(?: [a-z]+){0,2}?)(?= (?:from|using|given|by|based|with|on|in|under|within|for)\b|[,.;:?!]|$)"
    ),
)
NO_THING = frozenset(("row", "one", "of", "time", "type", "kind", "column", "class", "model"))


def write_sentence(task: str, schema: Schema, rows: int) -> str:
    """The requirement in one sentence of at most 300 characters, the same for the same input.

    Names from the file are cleaned and shortened; where they are long, fewer of them are shown.
    """
    columns, classes = len(schema.columns), len(schema.classes)
    thing, label = _thing(task), shown(schema.label.name)
    by = "" if schema.label.name.casefold() in PLAIN_LABELS else f" by {label}"
    for examples in (3, 2, 1, 0):
        names = [shown(c.name) for c in schema.columns[:examples]]
        inputs = f"{columns:,} column{'s' if columns > 1 else ''}"
        if names:
            inputs += f" such as {spoken(names)}" if columns > len(names) else f", {spoken(names)}"
        if schema.kind == "regression":
            asked = f"Predict {label} as a number for each {thing}"
        elif classes <= FEW_CLASSES:
            asked = f"Classify each {thing}{by} as {spoken([shown(c, 24) for c in schema.classes], 'or')}"
        else:
            some = spoken([shown(c, 24) for c in schema.classes[: max(examples, 1)]])
            asked = f"Classify each {thing}{by} as one of {classes} classes such as {some}"
        sentence = f"{asked} from {inputs} ({rows:,} row{'s' if rows > 1 else ''})."
        if len(sentence) <= LONGEST:
            break
    return sentence


def _thing(task: str) -> str:
    """What a row is about, where the task says it: "each patient", "whether a bank customer will ..."; else "row"."""
    text = search_text(task)
    for pattern in THING:
        for match in pattern.finditer(text):
            if match[1].split()[0] not in NO_THING:
                return clean(match[1])
    return "row"
