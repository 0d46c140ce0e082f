"""What becomes of accuracy when draws are distilled: children of several sizes against the four-draw floor, paired over sets.

Every child comes from the same training rows of a split, its heads' logits averaged evenly: the emission alone, without
cross-validation, blend and guard. Differences are means over sets (seeds averaged), with a bootstrap interval and Wilcoxon's
test over sets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import environment
import numpy as np
from datasets import groups, load
from paired import DIFFERENCES, METRICS, difference, set_means, typed_split

FLOOR = "four draws"
SIZES = (1280, 640, 320, 160, 80, 40, 20)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.update(environment.threads(1))  # for the worker processes, before they import numpy
    jobs = [(name, seed) for name in groups()[options.sets] for seed in range(options.seeds)]
    rows: list[dict] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for found in pool.map(measure, jobs):
            rows += found
            environment.say(f"{found[0]['set']} seed {found[0]['seed']}: {found[-1]['units']:,} units are faithful")
    result = {
        "bench": "meta",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy"]),
        "rows": rows,
    }
    if options.json:
        environment.write_json(options.json, result)
    report = _report(rows, result)
    sys.stdout.write(report)
    if options.table:
        options.table.write_text(report, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="report", choices=("development", "report"), help="which sets (default report)")
    parser.add_argument("--seeds", type=int, default=3, help="samples, splits and draws (default 3)")
    parser.add_argument("--jobs", type=int, default=environment.cores(), help="splits at a time, one thread each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def measure(job: tuple[str, int]) -> list[dict]:
    """Scores of every child on one split, the faithful one last."""
    from modelgpt_edge.parameters.distil import Match
    from modelgpt_edge.parameters.floor import emit_floor
    from modelgpt_edge.parameters.prepare import classification_targets, encode, prepare
    from modelgpt_edge.parameters.score import score_outputs
    from modelgpt_edge.parameters.units import DRAW

    name, seed = job
    table, test = typed_split(load(name), seed)
    rng = np.random.default_rng(seed)
    targets = classification_targets(table.sample.labels, len(table.schema.classes))
    ready = prepare(table.sample, targets, table.schema)
    encoded = encode(ready.encoder, test)
    wide = emit_floor(ready, targets, DRAW, 4, rng)
    match = Match.of(wide, ready, rng)
    distilled = {units: match.distil(units) for units in SIZES}
    emissions = {FLOOR: (wide, 4 * DRAW.total), "one draw": (emit_floor(ready, targets, DRAW, 1, rng), DRAW.total)}
    emissions |= {f"distilled to {units:,}": (found.emission, units) for units, found in distilled.items()}
    faithful = next((units for units in reversed(SIZES) if distilled[units].faithful), None)
    emissions["smallest faithful"] = (wide, 4 * DRAW.total) if faithful is None else (distilled[faithful].emission, faithful)
    rows = []
    for child, (emission, units) in emissions.items():
        score = score_outputs(emission.scores(encoded).mean(0), test.labels, "test half")
        rows.append({"set": name, "seed": seed, "child": child, "units": units, "accuracy": score.value, **score.others})
    return rows


def _report(rows: list[dict], result: dict) -> str:
    lines = []
    for child in dict.fromkeys(r["child"] for r in rows):
        units = [r["units"] for r in rows if r["child"] == child]
        cells = [child, f"{np.mean(units):,.0f}", f"{np.median(units):,.0f}"]
        for key, _ in METRICS:
            values = set_means(rows, key, child=child)
            less = "" if child == FLOOR else difference(values - set_means(rows, key, child=FLOOR))
            cells += [f"{values.mean():.4f}", less]
        lines.append(cells)
    head = ["child", "units, mean", "median"]
    for _, title in METRICS:
        head += [title, "less the floor's [95 %], p"]
    sets, seeds = (len({r[key] for r in rows}) for key in ("set", "seed"))
    return (
        f"# Children distilled from four draws\n\n{sets} sets, {seeds} seeds; {environment.described(result['machine'])}; "
        f"`{result['command']}`\n\n"
        + environment.markdown_table(head, lines)
        + f"\n\n*smallest faithful* is what ships without a limit. {DIFFERENCES}\n"
    )


if __name__ == "__main__":
    main()
