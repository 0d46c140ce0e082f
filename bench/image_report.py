"""From the rows of bench/images.py to its page: means and deviations over seeds, and times as multiples of ours.

A seed draws what is learnt and what is asked, so a deviation tells how much a score depends on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from environment import described, markdown_table
from image_contenders import FULL, OURS, ImageContender
from image_task import UNLABELLED
from picture_sets import NOTES

Rows = Sequence[Mapping]
# The number of pictures a class that the first table is of.
HEADLINE = 10
# Which choices of the head on the backbone had seen a set; of the tiny trunk's, NOTES tell.
HEAD_NOTES = {
    "cifar10": "Strengths of the head's prior were chosen on its names, and the head's space on it.",
    "mnist": "Strengths of the head's prior and the head's space were chosen with an eye on it.",
    "digits": "No constant of the head was chosen on it; how much the tiny trunk weighs beside the backbone was tried on it.",
    "fashion": "The head's space (roots, weights of stages and trunk) was tried on it; no strength was chosen on it.",
}
CONTEXT = (
    "For context, not measured here: MLPerf Tiny's model for CIFAR-10, a ResNet-8 that is trained on all 50,000 pictures, "
    "has to reach 85 % (Banbury et al. 2021, MLPerf Tiny Benchmark)"
)


def of(rows: Rows, contender: ImageContender, shots: int | None = None) -> list[Mapping]:
    """Rows of a contender, at so many shots or at all, by seed."""
    mine = [r for r in rows if r["contender"] == contender.title and shots in (None, r["shots"])]
    return sorted(mine, key=lambda r: (r["shots"], r["seed"]))


def percent(values: Sequence[float]) -> str:
    """Mean and deviation of shares, in percent; the deviation of one value isn't known."""
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def times_ours(mine: Rows, ours: Rows, seconds: Sequence[float] | None = None) -> str:
    """How many times the CPU time of ours, of the seeds that both have; nothing where there is none.

    Args:
        seconds: CPU seconds of `mine` instead of those that its rows tell.
    """
    base = {row["seed"]: row["cpu_seconds"] for row in ours}
    own = [row["cpu_seconds"] for row in mine] if seconds is None else seconds
    both = [(mine_s, base[row["seed"]]) for row, mine_s in zip(mine, own) if row["seed"] in base]
    if not both:
        return ""
    theirs, first = np.mean(both, axis=0)
    return f"{theirs / first:.2f}" if theirs < 10 * first else f"{theirs / first:,.0f}"


def write_page(rows: Rows, contenders: Sequence[ImageContender], seeds: int, result: Mapping, unrun: Sequence[str]) -> str:
    """The page.

    Args:
        rows: finished units.
        seeds: how many were asked for.
        unrun: what was not run, each with its reason.
    """
    sets = list(dict.fromkeys(row["set"] for row in rows))
    parts = ["# Images: accuracy and CPU time of few pictures", _preface(rows, seeds, result, unrun)]
    parts += [*_headline(rows, sets), *_int8(rows, sets)]
    for name in sets:
        mine = [row for row in rows if row["set"] == name]
        about = f"{mine[0]['classes']} classes, {_among(row['asked'] for row in mine)} pictures asked."
        parts += [f"## {name}", f"{about} {HEAD_NOTES[name]} {NOTES[name]}", _accuracies(mine, contenders, seeds)]
        parts.append(_times(mine, contenders))
    return "\n\n".join(parts) + "\n"


def _preface(rows: Rows, seeds: int, result: Mapping, unrun: Sequence[str]) -> str:
    versions = sorted({f"{name} {version}" for row in rows for name, version in row["versions"].items()})
    machines = sorted({described(row["machine"]) for row in rows}) or [described(result["machine"])]
    settings = result["settings"]
    lines = [
        f"* {'; '.join(machines)}; {settings['threads']} threads, one contender after the other; `{result['command']}`",
        f"* Versions: {', '.join(versions)}",
        "* Balanced accuracy in % (mean over classes of the share that is right), mean ± standard deviation over "
        f"{seeds} seeds, which draw the pictures to learn from, {UNLABELLED} unlabelled ones and those that are asked; "
        "a cell of fewer seeds says so. *n* shots are n pictures of each class",
        f"* The backbone is EfficientNet-Lite0 at {result['size']} x {result['size']}, ImageNet's weights, for all but those "
        "of 32 x 32. *modelgpt-edge* is what `build` does: names of classes, and pictures where there are some, which its tiny "
        "trunk sees as well",
        "* CPU time (all threads) and wall time run from pictures as they were published to a model that answers: reading them "
        "at their size, opening the backbone, embedding, fitting and every choice by held-out pictures; imports, one warm-up "
        "and compiling left out",
        "* Logistic regression: C of five by cross-validation, on one thread, which is its quickest here. Descent: AdamW, "
        "batches of 16, rate of three and number of epochs by held-out pictures where a class has two; fine-tuning takes 5 to "
        "10 epochs on random squares, mirrored but for digits",
        f"* {CONTEXT}",
        *(f"* Not run: {line}" for line in unrun),
    ]
    return "\n".join(lines)


def _among(values) -> str:
    return "/".join(f"{value:,}" for value in sorted(set(values)))


def _name(contender: ImageContender, mine: Rows, usual: int | None) -> str:
    """Its title, with the size of pictures where that isn't the others'."""
    sizes = {row["size"] for row in mine} - {usual}
    own = f" at {_among(sizes)} px" if sizes and not contender.tiny else ""
    return f"**{contender.title}**" if contender is OURS else contender.title + own


def _usual(rows: Rows) -> int | None:
    """The size of pictures of ours."""
    return next((row["size"] for row in of(rows, OURS)), None)


def _headline(rows: Rows, sets: Sequence[str]) -> list[str]:
    """At a few pictures a class: fine-tuning beside ours."""
    lines = []
    for name in sets:
        here = [row for row in rows if row["set"] == name]
        ours, full = of(here, OURS, HEADLINE), of(here, FULL, HEADLINE)
        if not ours:
            continue
        cells = [name, percent([r["accuracy"] for r in ours])]
        cells += [f"{np.mean([r['cpu_seconds'] for r in ours]):.2f}", f"{np.mean([r['wall_seconds'] for r in ours]):.2f}"]
        if full:
            both = [r for r in ours if r["seed"] in {row["seed"] for row in full}]
            last = [r["facts"]["last_cpu_seconds"] for r in full]
            cells += [_seeds(full), percent([r["accuracy"] for r in full]), percent([r["accuracy"] for r in both])]
            cells += [f"{np.mean([r['cpu_seconds'] for r in full]):,.1f}", times_ours(full, ours), times_ours(full, ours, last)]
        lines.append([*cells, *[""] * (len(HEAD) - len(cells))])
    about = (
        "Fine-tuning beside ours. *Same seeds*: ours on the seeds that fine-tuning has. *Last*: CPU time of the last training "
        "alone, as if rate and epochs were known."
    )
    return [f"## At {HEADLINE} pictures a class", about, markdown_table(HEAD, lines)] if lines else []


HEAD = (
    *("set", "ours", "CPU, s", "wall, s", "seeds of fine-tuning", "fine-tuning", "ours, same seeds"),
    *("its CPU, s", "times ours", "last, times ours"),
)


def _int8(rows: Rows, sets: Sequence[str]) -> list[str]:
    """The int8 form of ours beside the fp32 one, on pictures that neither saw."""
    lines = []
    for name in sets:
        ours = [row for row in rows if row["set"] == name and row["contender"] == OURS.title and "int8_same" in row]
        for shots in _shots(ours):
            mine = [row for row in ours if row["shots"] == shots]
            cells = [name, str(shots), _seeds(mine), percent([r["accuracy"] for r in mine]), percent([r["int8"] for r in mine])]
            gains = [r["int8"] - r["accuracy"] for r in mine]
            lines.append([*cells, f"{100 * np.mean(gains):+.1f}", percent([r["int8_same"] for r in mine])])
    about = (
        "On the pictures that are asked, which neither form saw. *Same*: of how many of them in a hundred int8 says what fp32 "
        "says. A build asks that of the pictures that were learnt from, where it is more. Ranges of int8 are found on those "
        "as well, or on samples without any."
    )
    head = ("set", "shots", "seeds", "fp32", "int8", "gains", "same")
    return [f"## In int8\n\n{about}\n\n{markdown_table(head, lines)}"] if lines else []


def _seeds(mine: Rows) -> str:
    return str(len({row["seed"] for row in mine}))


def _shots(rows: Rows) -> list[int]:
    return sorted({row["shots"] for row in rows})


def _accuracies(rows: Rows, contenders: Sequence[ImageContender], seeds: int) -> str:
    lines = []
    for contender in contenders:
        cells = [_name(contender, of(rows, contender), _usual(rows))]
        for shots in _shots(rows):
            mine = of(rows, contender, shots)
            few = f" ({len(mine)} seed{'s' if len(mine) > 1 else ''})" if len(mine) < seeds else ""
            absent = contender.why_not(shots) or "not run"
            cells.append(percent([r["accuracy"] for r in mine]) + few if mine else absent)
        lines.append(cells)
    return markdown_table(["balanced accuracy, by shots", *map(str, _shots(rows))], lines)


def _times(rows: Rows, contenders: Sequence[ImageContender]) -> str:
    """CPU seconds, the multiple of ours and wall seconds, by shots."""
    lines = []
    for contender in contenders:
        cells = [_name(contender, of(rows, contender), _usual(rows))]
        for shots in _shots(rows):
            mine = of(rows, contender, shots)
            if not mine:
                cells.append("")
                continue
            cpu, wall = (np.mean([row[key] for row in mine]) for key in ("cpu_seconds", "wall_seconds"))
            ratio = "" if contender is OURS else times_ours(mine, of(rows, OURS, shots))
            cells.append(f"{cpu:,.2f}{f' ({ratio} x)' if ratio else ''}, {wall:,.2f}")
        lines.append(cells)
    return markdown_table(["CPU, s (times ours), wall, s, by shots", *map(str, _shots(rows))], lines)
