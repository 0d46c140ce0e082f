"""Texts: accuracy, log loss and wall time of few examples, against peers that start from the same encoder in the same run.

For every set, number of examples a class and seed each contender gets the same texts, one after the other, on as many threads.
Results go to a JSONL file unit by unit; what is already in it under the same settings is not run again.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

import environment
import numpy as np
from metrics import classification_scores
from text_contenders import CONTENDERS, TextContender
from text_report import write_page
from text_sets import FULL, SETS, UNDRAWN, Texts, TextSet, cut_test, draw, load_texts
from text_task import Asked, Settings, Task
from units import hold_cores, installed, known, left_to_run, run_all
from wheels import MissingDataError

SHOTS = ("0", "1", "4", "8", "16", "64", FULL)
HERE = Path(__file__).resolve().parent
EXTRA = "pip install -e '.[bench-text]'"
OUT = HERE / "results" / "text.jsonl"
WARM_UP = ("a good film", "what a lovely story", "a bad film", "it was dreadful")


@dataclass(frozen=True)
class Unit:
    """One fit and its test."""

    set: str
    shots: str
    seed: int
    contender: str


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    settings = Settings(options.threads, options.test_rows, options.setfit_iterations, options.tuning_rows)
    os.environ.update({**environment.threads(settings.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    sets = known(options.sets, SETS, "--sets")
    shots = known(options.shots, SHOTS, "--shots")
    slow_shots = shots if options.slow_shots is None else known(options.slow_shots, SHOTS, "--slow-shots")
    keys = known(options.contenders, [c.key for c in CONTENDERS], "--contenders")
    chosen, unrun = installed([c for c in CONTENDERS if c.key in keys], EXTRA)
    slow_seeds = options.seeds if options.slow_seeds is None else options.slow_seeds
    readable = [name for name in sets if _readable(name, unrun)]
    units, reasons = plan(readable, shots, options.seeds, chosen, slow_shots, slow_seeds)
    every, _ = plan(readable, shots, options.seeds, chosen, shots, options.seeds)
    done = finished(environment.read_jsonl(options.out), settings)
    todo = [] if options.page_only else left_to_run(units, done, chosen, options.again)
    run_all(todo, one, settings, settings.threads, options.out, _line, _set_up)
    kept = finished(environment.read_jsonl(options.out), settings)
    rows = [kept[unit] for unit in every if unit in kept]  # what an earlier run had time for is told as well
    unrun += _limits(chosen, every, kept)
    reasons |= {(u.set, u.shots, u.contender): "failed" for u in ([] if options.page_only else units)}
    result = environment.result("text", ["modelgpt-edge"], {"settings": asdict(settings), "not_run": unrun, "rows": rows})
    page = write_page(rows, readable, chosen, options.seeds, result, unrun, reasons)
    environment.publish(result, page, options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [c.key for c in CONTENDERS]
    slow = ", ".join(c.key for c in CONTENDERS if c.slow)
    usual = Settings()

    def several(text: str) -> list[str]:
        return text.split(",")

    parser.add_argument("--sets", type=several, default=list(SETS), help=f"some of {','.join(SETS)} (default all)")
    parser.add_argument("--shots", type=several, default=list(SHOTS), help=f"some of {','.join(SHOTS)} (default all)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: draws of examples, and fits (default 5)")
    parser.add_argument("--contenders", type=several, default=keys, help=f"some of {','.join(keys)} (default all)")
    parser.add_argument("--slow-seeds", type=int, metavar="N", help=f"seeds of the slow ones: {slow}")
    parser.add_argument("--slow-shots", type=several, metavar="SHOTS", help="shots of the slow ones")
    parser.add_argument("--threads", type=int, default=usual.threads, help="threads of every contender (default 2)")
    parser.add_argument("--test-rows", type=int, metavar="N", help="at most so many test texts of a set (default all)")
    parser.add_argument("--setfit-iterations", type=int, default=usual.setfit_iterations, help="as SetFit's (default 20)")
    parser.add_argument(
        "--tuning-rows", type=int, default=usual.tuning_rows, help="rows that fine-tuning sees, epochs counted (default 6000)"
    )
    parser.add_argument("--again", type=several, default=[], help="contenders to run afresh even where results are there")
    parser.add_argument("--page-only", action="store_true", help="run nothing: report what is kept")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl", help="where results are kept, and resumed from")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write this run's results in one here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def _readable(name: str, unrun: list[str]) -> bool:
    try:
        load_texts(name)
    except MissingDataError as reason:
        unrun.append(f"{name}: {reason}")
        environment.say(f"not run: {name}: {reason}")
        return False
    return True


def plan(
    sets: Sequence[str],
    shots: Sequence[str],
    seeds: int,
    contenders: Sequence[TextContender],
    slow_shots: Sequence[str],
    slow_seeds: int,
) -> tuple[list[Unit], dict[tuple[str, str, str], str]]:
    """What to run, and why a (set, shots, contender) isn't."""
    units, reasons = [], {}
    for name in sets:
        dataset = load_texts(name)
        for n in shots:
            rows = 0 if n == "0" else len(draw(dataset.train, n, 0).labels)
            able = []
            for c in contenders:
                reason = c.why_not(n, rows, dataset.paired)
                if reason is None and (not c.slow or n in slow_shots):
                    able.append(c)
                reasons[name, n, c.title] = reason or "not run"
            for seed in range(1 if n in UNDRAWN else seeds):
                units += [Unit(name, n, seed, c.title) for c in able if not c.slow or seed < slow_seeds]
    return units, reasons


def _limits(chosen: Sequence[TextContender], every: Sequence[Unit], kept: Mapping[Unit, dict]) -> list[str]:
    """What the slow ones were kept from, in words."""
    left = {unit.contender for unit in every if unit not in kept}
    slow = [c.title for c in chosen if c.slow and c.title in left]
    return [f"{'; '.join(slow)}: at all shots with all seeds, to save time: a cell says what was run"] if slow else []


def finished(rows: Sequence[dict], settings: Settings) -> dict[Unit, dict]:
    """Rows by unit that were run under the same settings, as far as their contender depends on them; failed ones drop out."""
    by_title = {c.title: c for c in CONTENDERS}
    kept = {}
    for row in rows:
        contender = by_title.get(row["contender"])
        if contender is not None and row["settings"] == _own(settings, contender):
            kept[Unit(row["set"], row["shots"], row["seed"], row["contender"])] = row
    return {unit: row for unit, row in kept.items() if "error" not in row}


def _own(settings: Settings, contender: TextContender) -> dict:
    return {name: value for name, value in asdict(settings).items() if name in ("threads", "test_rows", *contender.settings)}


def _set_up(threads: int) -> None:
    """Hold this process to so many cores; its path loses this folder, whose datasets.py would hide the package of that name
    from SetFit.
    """
    hold_cores(threads)
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != HERE]


def _line(row: dict) -> str:
    head = f"{row['set']}, {row['shots']} shots, seed {row['seed']}, {row['contender']}:"
    if "error" in row:
        return f"{head} FAILED, {row['error']}"
    return f"{head} accuracy {row['accuracy']:.4f}, log loss {row['log_loss']:.4f}, {row['fit_seconds']:.2f} s"


@lru_cache(maxsize=2)
def _asked(name: str, test_rows: int | None) -> tuple[TextSet, Asked]:
    """A set with its test texts, which are embedded once."""
    dataset = cut_test(load_texts(name), test_rows)
    return dataset, Asked(dataset.test)


@cache
def _warm(contender: TextContender, paired: bool) -> None:
    """Fit and ask a contender once on four texts before its first clock starts: imports and first calls are not its cost."""
    rows = Texts(list(WARM_UP), list(WARM_UP) if paired else None, np.array([1, 1, 0, 0], np.int32))
    task = Task(("bad", "good"), rows, 0, Settings(setfit_iterations=1, tuning_rows=1))
    contender.fit(task).probabilities(Asked(rows))


def one(unit: Unit, settings: Settings) -> dict:
    """Fit one contender and score it: a row of the results, with `error` in place of scores if it failed."""
    contender = next(c for c in CONTENDERS if c.title == unit.contender)
    dataset, asked = _asked(unit.set, settings.test_rows)
    rows = draw(dataset.train, unit.shots, unit.seed)
    row: dict = {**asdict(unit), "settings": _own(settings, contender)}
    try:
        _warm(contender, dataset.paired)
        fit = contender.fit(Task(dataset.classes, rows, unit.seed, settings))
        truth = [dataset.classes[k] for k in dataset.test.labels]
        scores = classification_scores(fit.probabilities(asked), dataset.classes, truth)
    except Exception as failure:  # a contender that breaks on one task must not end the others; the row and the table name it
        row["error"] = f"{type(failure).__name__}: {failure}"
    else:
        row |= {"accuracy": scores["accuracy"], "log_loss": scores["log_loss"], "fit_seconds": fit.seconds, "facts": fit.facts}
        del fit
    gc.collect()
    return {
        **row,
        "classes": len(dataset.classes),
        "examples": len(rows.labels),
        "test_rows": len(dataset.test.labels),
        "when": environment.now(),
        "versions": environment.versions(contender.distributions),
        "machine": environment.machine(),
    }


if __name__ == "__main__":
    main()
