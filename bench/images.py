"""Images: balanced accuracy, CPU and wall time of no, few and a hundred pictures a class, against peers in the same run.

For every set, number of pictures a class and seed each contender gets the same pictures, one after the other, on as many
threads. Results go to a JSONL file unit by unit; what is already in it under the same settings is not run again.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

import environment
import numpy as np
from image_contenders import CONTENDERS, OURS, TINY_SIZE, ImageContender
from image_plot import draw
from image_report import write_page
from image_task import Asked, Settings, Task, drawn
from picture_heads import balanced
from picture_sets import SETS, PictureSet, read_set
from processes import cpu_seconds
from units import installed, known, left_to_run, run_all
from wheels import MissingDataError

SHOTS = (0, 1, 5, 10, 20, 100)
SIZES = (224, 128, 96)
# Where our int8 form is asked as well.
INT8_SHOTS = (0, 10)
EXTRA = "pip install -e '.[bench-images]'"
OUT = Path(__file__).resolve().parent / "results" / "images.jsonl"


@dataclass(frozen=True)
class Unit:
    """One fit and what is asked of it; `size` is of the pictures that it sees."""

    set: str
    shots: int
    seed: int
    contender: str
    size: int


@dataclass(frozen=True)
class Scope:
    """What is asked of a run: of all contenders, and of the slow ones."""

    shots: Sequence[int]
    seeds: int
    size: int
    slow_shots: Sequence[int]
    slow_seeds: int
    slow_size: int

    def whole(self) -> Scope:
        """The same for the slow ones as for all."""
        return Scope(self.shots, self.seeds, self.size, self.shots, self.seeds, self.slow_size)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    settings = Settings(options.threads, options.asked)
    os.environ.update(environment.threads(settings.threads))
    sets, shots = known(options.sets, SETS, "--sets"), known(options.shots, SHOTS, "--shots")
    keys = known(options.contenders, [c.key for c in CONTENDERS], "--contenders")
    chosen, unrun = installed([c for c in CONTENDERS if c.key in keys], EXTRA)
    slow_shots = known(options.slow_shots, SHOTS, "--slow-shots")
    scope = Scope(shots, options.seeds, options.size, slow_shots, options.slow_seeds, options.slow_size or options.size)
    readable = [name for name in sets if _readable(name, unrun)]
    units = plan(readable, chosen, scope)
    done = finished(environment.read_jsonl(options.out), settings)
    todo = left_to_run(units, done, chosen, options.again)
    run_all(todo, one, settings, settings.threads, options.out, _line)
    kept = finished(environment.read_jsonl(options.out), settings)
    every = plan(readable, chosen, scope.whole())
    rows = [kept[unit] for unit in every if unit in kept]  # what an earlier run had time for is told as well
    unrun += [f"{u.set}, {u.shots} shots, seed {u.seed}, {u.contender}: failed" for u in units if u not in kept]
    unrun += _limits(chosen, every, kept)
    facts = {"settings": asdict(settings), "size": options.size, "not_run": unrun, "rows": rows}
    result = environment.result("images", ["modelgpt-edge"], facts)
    environment.publish(result, write_page(rows, chosen, options.seeds, result, unrun), options.json, options.table)
    if options.plot:
        options.plot.write_text(draw(rows, chosen), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = [c.key for c in CONTENDERS]
    slow = ", ".join(c.key for c in CONTENDERS if c.slow)
    usual = Settings()

    def several(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser.add_argument("--sets", type=several, default=list(SETS), help=f"some of {','.join(SETS)} (default all)")
    parser.add_argument("--shots", type=numbers, default=list(SHOTS), help=f"some of {_listed(SHOTS)} (default all)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: draws of pictures, and fits (default 5)")
    parser.add_argument("--contenders", type=several, default=keys, help=f"some of {','.join(keys)} (default all)")
    parser.add_argument("--size", type=int, choices=SIZES, default=SIZES[0], help="what the backbone sees (default 224)")
    parser.add_argument("--asked", type=int, default=usual.asked, help="pictures that each is asked at most (default 1000)")
    parser.add_argument("--slow-seeds", type=int, default=1, metavar="N", help=f"seeds of the slow ones: {slow} (default 1)")
    parser.add_argument("--slow-shots", type=numbers, default=[10], metavar="SHOTS", help="shots of the slow ones (default 10)")
    parser.add_argument("--slow-size", type=int, choices=SIZES, help="what the slow ones see (default as --size)")
    parser.add_argument("--threads", type=int, default=usual.threads, help="threads of every contender (default 2)")
    parser.add_argument("--again", type=several, default=[], help="contenders to run afresh even where results are there")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl", help="where results are kept, and resumed from")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write this run's results in one here")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw accuracy against CPU seconds here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _readable(name: str, unrun: list[str]) -> bool:
    try:
        _set(name)
    except MissingDataError as reason:
        unrun.append(f"{name}: {reason}")
        environment.say(f"not run: {name}: {reason}")
        return False
    return True


@lru_cache(maxsize=len(SETS))
def _set(name: str) -> PictureSet:
    return read_set(name)


def plan(sets: Sequence[str], contenders: Sequence[ImageContender], scope: Scope) -> list[Unit]:
    """What to run: set by set, the quick ones of a draw before the slow ones."""
    units = []
    for name in sets:
        for shots in scope.shots:
            for seed in range(scope.seeds):
                for c in contenders:
                    if c.why_not(shots) or (c.slow and (shots not in scope.slow_shots or seed >= scope.slow_seeds)):
                        continue
                    size = TINY_SIZE if c.tiny else scope.slow_size if c.slow else scope.size
                    units.append(Unit(name, shots, seed, c.title, size))
    return units


def _limits(chosen: Sequence[ImageContender], every: Sequence[Unit], kept: Mapping[Unit, dict]) -> list[str]:
    """What the slow ones were kept from, in words."""
    left = {unit.contender for unit in every if unit not in kept}
    slow = [c.title for c in chosen if c.slow and c.title in left]
    return [f"{', '.join(slow)} at all shots with all seeds, to save time: a cell says what was run"] if slow else []


def finished(rows: Sequence[dict], settings: Settings) -> dict[Unit, dict]:
    """Rows by unit that were run under the same settings, the last one of each; those that failed drop out."""
    kept = {}
    for row in rows:
        if row["settings"] == asdict(settings):
            kept[Unit(*(row[name] for name in Unit.__dataclass_fields__))] = row
    return {unit: row for unit, row in kept.items() if "error" not in row}


def _line(row: dict) -> str:
    head = f"{row['set']}, {row['shots']} shots, seed {row['seed']}, {row['contender']} at {row['size']} px:"
    if "error" in row:
        return f"{head} FAILED, {row['error']}"
    return f"{head} {100 * row['accuracy']:.1f} %, {row['cpu_seconds']:.2f} s CPU, {row['wall_seconds']:.2f} s"


@cache
def _warm(contender: ImageContender) -> None:
    """Fit and ask a contender once on four pictures before its first clock starts: imports and first calls are not its cost."""
    levels = list(np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8))
    found = PictureSet("noise", ("bright", "dark"), levels, np.arange(8) % 2)
    task = Task(found, np.arange(4), np.arange(4, 6), TINY_SIZE, 0, 1)
    contender.fit(task).scores(Asked(found, np.arange(6, 8), TINY_SIZE))


def one(unit: Unit, settings: Settings) -> dict:
    """Fit one contender and score it: a row of the results, with `error` in place of scores if it failed."""
    contender = next(c for c in CONTENDERS if c.title == unit.contender)
    found = _set(unit.set)
    task, asked = drawn(found, unit.shots, unit.seed, unit.size, settings)
    truth = found.labels[asked.places]
    row: dict = {**asdict(unit), "settings": asdict(settings)}
    try:
        _warm(contender)
        gc.collect()
        wall, cpu = time.perf_counter(), cpu_seconds()
        fit = contender.fit(task)
        spent = {"cpu_seconds": cpu_seconds() - cpu, "wall_seconds": time.perf_counter() - wall}
        said = fit.scores(asked)
        scores = {"accuracy": balanced(said, truth)}
        if contender is OURS and fit.int8 is not None and unit.shots in INT8_SHOTS:
            rounded = fit.int8(asked)
            scores |= {"int8": balanced(rounded, truth), "int8_same": float((rounded.argmax(1) == said.argmax(1)).mean())}
    except Exception as failure:  # a contender that breaks on one task must not end the others; the row and the page name it
        row["error"] = f"{type(failure).__name__}: {failure}"
    else:
        row |= {**scores, **spent, "facts": fit.facts}
        del fit
    return {
        **row,
        "classes": len(found.classes),
        "learnt": len(task.learnt),
        "asked": len(truth),
        "when": environment.now(),
        "versions": environment.versions(contender.distributions),
        "machine": environment.machine(),
    }


if __name__ == "__main__":
    main()
