"""A text model's build report as text; what it shares with a table's is written there."""

from __future__ import annotations

import shlex
from typing import Any

from modelgpt_edge.commands.build_text import checks_line, losses_told, resolved, scores_table, variants_table
from modelgpt_edge.requirement.wording import clean, shown

MOST_CLASSES = 8
HOW = {
    "words": "classes' names alone",
    "linear": "examples alone",
    "floor": "examples, with classes' names as their prior",
    "lora": "the encoder adapted to the task, then as the others",
}


def texts_text(report: dict[str, Any], asked: tuple[str, ...]) -> str:
    """What `build` prints of a model of texts: its report for people.

    Args:
        asked: the targets as they were named, to show what an alias stands for.
    """
    requirement, architecture = report["requirement"], report["architecture"]
    column = requirement["columns"][0]
    measured = report["score"]["value"] is not None
    about = f"at most {architecture['tokens']} tokens a text, {architecture['parameters']:,} parameters"
    lines = [
        f"Requirement   {requirement['sentence']}",
        f"Texts         {shown(column['name'], 100)}: {column['because']}",
        f"Label         {shown(requirement['label'], 100)}: {requirement['label_because']}",
        f"Classes       {classes_line(requirement['classes'])}",
        f"Targets       {', '.join(resolved(t, asked) for t in requirement['targets'])}",
        f"Architecture  {architecture['template']} {architecture['encoder']}: {about}",
        f"Generator     {_generator(report)}",
        "",
        *([scores_table(report, "examples without names", "text"), ""] if measured else []),
        variants_table(report, "text"),
        "",
        f"Checks        {checks_line(report)}",
        *(f"Note          {clean(note, 500)}" for note in report["notes"]),
        f"Package       {report['package']} in {report['seconds']:.1f} s; its story is MODEL_CARD.md",
        f"Next          modelgpt-edge predict {shlex.quote(report['package'])} TEXTS.csv",
    ]
    return "\n".join(lines)


def classes_line(classes: list[str]) -> str:
    """How many classes, and the first of them."""
    few = ", ".join(shown(name) for name in classes[:MOST_CLASSES])
    return f"{len(classes)}: {few}" + (", ..." if len(classes) > MOST_CLASSES else "")


def _generator(report: dict[str, Any]) -> str:
    generator = report["generator"]
    text = f"{generator['name']} ({HOW[generator['name']]}), in {generator['seconds']:.2f} s"
    usual = f" (too few to choose by: {generator['name']} is usual)" if generator["chosen_by"] == "usual" else ""
    return text + losses_told(generator, "smoothed log loss on held-out texts") + usual
