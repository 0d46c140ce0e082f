"""The build report of a model of pictures as text; what it shares with a table's is written there."""

from __future__ import annotations

import shlex
from typing import Any

from modelgpt_edge.commands.build_text import checks_line, losses_told, resolved, scores_table, variants_table
from modelgpt_edge.commands.build_texts import classes_line
from modelgpt_edge.requirement.wording import clean, figure, network_name, sized_name

HOW = {
    "words": "classes' names alone",
    "linear": "pictures alone",
    "floor": "pictures, with classes' names as their prior",
    "stages": "pictures and names, on several stages of the backbone",
    "shapes": "pictures and names, the tiny trunk counting more than the backbone",
}


def pictures_text(report: dict[str, Any], asked: tuple[str, ...]) -> str:
    """What `build` prints of a model of pictures: its report for people.

    Args:
        asked: the targets as they were named, to show what an alias stands for.
    """
    requirement, architecture, generator = report["requirement"], report["architecture"], report["generator"]
    measured = report["score"]["value"] is not None
    about = f"{architecture['size']} x {architecture['size']} pixels, {architecture['parameters']:,} parameters"
    beside = architecture["beside"] and architecture["beside"]["encoder"]
    made = f"{generator['name']} ({HOW[generator['name']]}), in {generator['seconds']:.2f} s"
    made += losses_told(generator, "log loss on held-out pictures, smoothed as if one more were of no known class,")
    files = f"its {'pictures are predictions.png and report.svg, its ' if measured else ''}story is MODEL_CARD.md"
    lines = [
        f"Requirement   {requirement['sentence']}",
        f"Classes       {classes_line(requirement['classes'])}; {requirement['label_because']}",
        f"Targets       {', '.join(resolved(t, asked) for t in requirement['targets'])}",
        f"Architecture  {network_name(architecture['template'], architecture['encoder'], beside)}: {about}",
        *_sizes(architecture["weighed"]),
        f"Generator     {made}",
        "",
        *([scores_table(report, "pictures without names", "picture"), ""] if measured else []),
        variants_table(report, "picture"),
        "",
        f"Checks        {checks_line(report)}",
        *(f"Note          {clean(note, 500)}" for note in report["notes"]),
        f"Package       {report['package']} in {report['seconds']:.1f} s; {files}",
        *(f"Next          {line}" for line in _next(report)),
    ]
    return "\n".join(lines)


def _next(report: dict[str, Any]) -> list[str]:
    """What to do with the package, by its variants."""
    package, size = report["package"], report["architecture"]["size"]
    quoted = shlex.quote(package)
    lines: dict[str, None] = {}
    for variant in report["variants"]:
        if not variant["kept"]:
            continue
        if variant["backend"] == "c":
            holds = f"{package}/{variant['path']} holds model.c and model.h"
            lines[f"in your firmware: {holds}; model_run takes {size} x {size} x 3 bytes, red, green and blue"] = None
        elif variant["backend"] == "tensorrt":
            lines[f"on the board: modelgpt-edge finalize {quoted}"] = None
        elif variant["target"] == "browser":
            lines[f"modelgpt-edge embed {quoted} --language javascript --out app"] = None
    return [f"modelgpt-edge predict {quoted} PICTURE.jpg", *lines]


def _sizes(weighed: list[dict[str, Any]]) -> list[str]:
    """What held-out pictures said of each size that they were asked of."""
    told = [f"{sized_name(w['template'], w['encoder'], w['size'])} {figure(w['log_loss'])}" for w in weighed]
    return [f"Sizes         log loss on held-out pictures: {', '.join(told)}"] if told else []
