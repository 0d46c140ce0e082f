"""What an app says to its owner: a README of a few lines with the commands, and a CSV file to try them on."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from modelgpt_edge.child import Child
from modelgpt_edge.embed.columns import AppColumn
from modelgpt_edge.embed.filling import fill
from modelgpt_edge.requirement.wording import clean, spoken
from modelgpt_edge.targets.backend import PictureFacts, TextFacts

README, EXAMPLE = "README.md", "example.csv"
FEW = 6  # classes that are named one by one


def readme(language: str, sentence: str, child: Child, columns: Sequence[AppColumn]) -> str:
    """``README.md``."""
    rows = [f"| {_cell(c.name)} | `{c.field}` | {c.type} | {_cell(c.typical)} |" for c in columns]
    values = {"SENTENCE": _cell(sentence, 300), "GIVES": _gives(child.classes), "COLUMNS": "\n".join(rows)}
    return fill(_template(language), values)


def text_readme(sentence: str, facts: TextFacts) -> str:
    """``README.md`` of an app around a model of texts."""
    columns = " and ".join(f"the column {_cell(name)}" for name in facts.columns)
    values = {
        "SENTENCE": _cell(sentence, 300),
        "GIVES": _gives(facts.classes),
        "COLUMNS": columns,
        "TOKENS": str(facts.tokens),
    }
    return fill(_template("javascript_text"), values)


def picture_readme(sentence: str, facts: PictureFacts) -> str:
    """``README.md`` of an app around a model of pictures."""
    values = {"SENTENCE": _cell(sentence, 300), "GIVES": _gives(facts.classes), "SIZE": str(facts.size)}
    return fill(_template("javascript_image"), values)


def commands(app: Path) -> list[str]:
    """The commands that an app's README tells, in order."""
    return (app / README).read_text(encoding="utf-8").split("```")[1].splitlines()[1:]


def _template(language: str) -> str:
    return resources.files(__package__).joinpath(language, README).read_text(encoding="utf-8")


def _gives(classes: Sequence[str]) -> str:
    if not classes:
        return "the value"
    which = spoken([_cell(c) for c in classes], "or") if len(classes) <= FEW else f"one of {len(classes)}"
    return f"the label ({which}) and a probability for each class"


def example_rows(columns: Sequence[AppColumn]) -> str:
    """``example.csv``: a header and one typical row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    writer.writerow([c.typical for c in columns])
    return text.getvalue()


def _cell(text: str, limit: int = 60) -> str:
    """A text from a table that Markdown shows as it is, on one line."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~!" else c for c in clean(text, limit))
