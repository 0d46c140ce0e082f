"""From the rows of bench/text.py to its page: means and intervals over seeds, differences and ratios against ours.

A seed draws the examples, so an interval tells how much a score depends on which ones were given, not on what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from environment import described, markdown_table
from text_contenders import FLOOR, OURS, TextContender
from text_sets import FULL, NOTES, UNDRAWN

Rows = Sequence[Mapping]
SCORES = (("accuracy", "accuracy"), ("log_loss", "log loss"))
# The number of examples that the first table is of.
HEADLINE = "8"


def interval(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of a mean, by Student's t; None of fewer than two values."""
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else None


def told(values: Sequence[float], form: str) -> str:
    """A mean with its interval, each in a form such as ``.4f``."""
    half = interval(values)
    return f"{np.mean(values):{form}}" + ("" if half is None else f" ± {half:{form.replace('+', '')}}")


def less_ours(mine: Rows, ours: Rows, key: str) -> str:
    """The mean difference to ours over the seeds that both have, with its interval; nothing where there is none."""
    base = {row["seed"]: row[key] for row in ours}
    gains = [row[key] - base[row["seed"]] for row in mine if row["seed"] in base]
    return told(gains, "+.4f") if gains else ""


def times_ours(mine: Rows, ours: Rows) -> str:
    """How many times as long as ours: mean seconds over the mean seconds of ours, of the seeds that both have."""
    base = {row["seed"]: row["fit_seconds"] for row in ours}
    both = [(row["fit_seconds"], base[row["seed"]]) for row in mine if row["seed"] in base]
    if not both:
        return ""
    theirs, own = np.mean(both, axis=0)
    return f"{theirs / own:.2f}" if theirs < 10 * own else f"{theirs / own:,.0f}"


def write_page(
    rows: Rows,
    sets: Sequence[str],
    contenders: Sequence[TextContender],
    seeds: int,
    result: Mapping,
    unrun: Sequence[str],
    reasons: Mapping[tuple[str, str, str], str],
) -> str:
    """The page.

    Args:
        rows: finished units.
        seeds: how many were asked for.
        unrun: what was not run at all, each with its reason.
        reasons: why a (set, shots, contender) has no row.
    """
    parts = ["# Texts: accuracy and time of few examples", _preface(rows, seeds, result, unrun)]
    parts += _headline(rows, sets, contenders)
    for name in sets:
        mine = [row for row in rows if row["set"] == name]
        if mine:
            asked = f"{mine[0]['classes']} classes, {_among(row['test_rows'] for row in mine)} test texts."
            parts += [f"## {name}", f"{asked} {NOTES[name]}", _accuracies(mine, contenders, seeds, reasons)]
            parts.append(_times(mine, contenders))
            parts.append(f"<details><summary>every score of {name}</summary>\n\n{_everything(mine, contenders)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _preface(rows: Rows, seeds: int, result: Mapping, unrun: Sequence[str]) -> str:
    threads = _among(row["settings"]["threads"] for row in rows)
    versions = sorted({f"{name} {version}" for row in rows for name, version in row["versions"].items()})
    machines = sorted({described(row["machine"]) for row in rows}) or [described(result["machine"])]
    lines = [
        f"* {'; '.join(machines)}; {_counted(threads, 'thread')}, one contender after the other; `{result['command']}`",
        f"* Versions: {', '.join(versions)}",
        f"* {_counted(str(seeds), 'seed')}, which draw the examples and start every fit; a cell of fewer says so. "
        "Nothing is drawn at 0 shots and in full, so there one seed runs. *n* shots are n texts a class, all where a class has "
        "fewer. ±: 95 % interval of the mean over seeds (Student's t)",
        "* All start from the weights of all-MiniLM-L6-v2, TF-IDF apart. *fit*: from texts to a model that predicts, opening "
        "the encoder and embedding the examples included, imports and one warm-up left out; fine-tuning's includes its choice "
        "of a learning rate among three by held-out rows",
        f"* SetFit by its paper's recipe: {_iterations(rows)}one epoch, batches of 16, rate 2e-5. Fine-tuning: AdamW, "
        "batches of 16, rate and number of epochs by held-out rows where a class has two; LoRA of rank 8 on queries and values",
        "* Probabilities below 1e-6 count as 1e-6 in log loss",
        *(f"* Not run: {line}" for line in unrun),
    ]
    return "\n".join(lines)


def _counted(number: str, thing: str) -> str:
    return f"{number} {thing}{'' if number == '1' else 's'}"


def _iterations(rows: Rows) -> str:
    """How many pairs SetFit saw."""
    seen = {row["settings"]["setfit_iterations"] for row in rows if "setfit_iterations" in row["settings"]}
    return f"{_among(seen)} pairs of each kind for every row, " if seen else ""


def _among(values) -> str:
    return "/".join(f"{value:,}" for value in sorted(set(values)))


def _shots(rows: Rows) -> list[str]:
    return sorted({row["shots"] for row in rows}, key=lambda s: math.inf if s == FULL else int(s))


def _accuracies(rows: Rows, contenders: Sequence[TextContender], seeds: int, reasons: Mapping) -> str:
    shots = _shots(rows)
    lines = []
    for contender in contenders:
        cells = [f"**{contender.title}**" if contender is OURS else contender.title]
        for n in shots:
            mine = _of(rows, contender, n)
            few = n not in UNDRAWN and len(mine) < seeds
            seen = f" ({len(mine)} seed{'s' if len(mine) > 1 else ''})" if few else ""
            absent = reasons.get((rows[0]["set"], n, contender.title), "not run")
            cells.append(f"{told([r['accuracy'] for r in mine], '.4f')}{seen}" if mine else absent)
        lines.append(cells)
    return markdown_table(["accuracy, by shots", *shots], lines)


def _headline(rows: Rows, sets: Sequence[str], contenders: Sequence[TextContender]) -> list[str]:
    """At a few examples a class: those that train the encoder beside ours, with LoRA and without, set by set."""
    lines = []
    for name in sets:
        here = [row for row in rows if row["set"] == name]
        ours, floor = _of(here, OURS, HEADLINE), _of(here, FLOOR, HEADLINE)
        trained = [(c, mine) for c in contenders if c.slow and (mine := _of(here, c, HEADLINE))]
        beside = [(OURS, ours), *([(FLOOR, floor)] if floor else []), *trained]
        for contender, mine in beside if ours and trained else []:
            own = contender is OURS
            cells = [name, f"**{contender.title}**" if own else contender.title, str(len(mine))]
            cells += [told([r["accuracy"] for r in mine], ".4f"), "" if own else less_ours(mine, ours, "accuracy")]
            cells.append("" if contender in (OURS, FLOOR) else less_ours(mine, floor, "accuracy"))
            lines.append([*cells, told([r["fit_seconds"] for r in mine], ".2f"), "" if own else times_ours(mine, ours)])
    head = ["set", "contender", "seeds", "accuracy", "less ours", "less ours without LoRA", "fit, s", "times ours"]
    about = (
        "Those that train the encoder beside ours, which doesn't: accuracy, and seconds from the same texts to a model. LoRA's "
        "generator was trained or judged on parts of all sets but MRPC, as their notes tell, so ours is here without it too."
    )
    return [f"## At {HEADLINE} examples a class", about, markdown_table(head, lines, left=2)] if lines else []


def _times(rows: Rows, contenders: Sequence[TextContender]) -> str:
    """Seconds to fit by shots, and as a multiple of ours over the seeds that both have."""
    shots = _shots(rows)
    lines = []
    for contender in contenders:
        cells = [f"**{contender.title}**" if contender is OURS else contender.title]
        for n in shots:
            mine = _of(rows, contender, n)
            ratio = "" if contender is OURS else times_ours(mine, _of(rows, OURS, n))
            seconds = f"{np.mean([r['fit_seconds'] for r in mine]):,.2f}" if mine else ""
            cells.append(f"{seconds} ({ratio} x)" if ratio else seconds)
        lines.append(cells)
    return markdown_table(["fit, s (times ours), by shots", *shots], lines)


def _everything(rows: Rows, contenders: Sequence[TextContender]) -> str:
    head = ["shots", "contender", "seeds", "examples"]
    for _, title in SCORES:
        head += [title, "less ours"]
    lines = []
    for n in _shots(rows):
        ours = _of(rows, OURS, n)
        for contender in contenders:
            mine = _of(rows, contender, n)
            if not mine:
                continue
            cells = [n, contender.title, str(len(mine)), _among(row["examples"] for row in mine)]
            for key, _ in SCORES:
                cells += [told([r[key] for r in mine], ".4f"), "" if contender is OURS else less_ours(mine, ours, key)]
            cells += [told([r["fit_seconds"] for r in mine], ".2f"), "" if contender is OURS else times_ours(mine, ours)]
            last = [r["facts"]["last_seconds"] for r in mine if "last_seconds" in r["facts"]]
            lines.append([*cells, f"{np.mean(last):.2f}" if last else ""])
    return markdown_table([*head, "fit, s", "times ours", "last training alone, s"], lines, left=2)


def _of(rows: Rows, contender: TextContender, shots: str) -> list[Mapping]:
    return sorted((r for r in rows if r["contender"] == contender.title and r["shots"] == shots), key=lambda r: r["seed"])
