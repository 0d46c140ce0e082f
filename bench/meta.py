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
from datasets import Dataset, groups, load, split

FLOOR = "four draws"
SIZES = (1280, 640, 320, 160, 80, 40, 20)
METRICS = (("auc", "AUC"), ("accuracy", "accuracy"), ("log_loss", "log loss"))
BOOTSTRAPS = 10_000


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
    schema, train, test = _typed(load(name), seed)
    rng = np.random.default_rng(seed)
    targets = classification_targets(train.labels, len(schema.classes))
    ready = prepare(train, targets, schema)
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


def _typed(dataset: Dataset, seed: int) -> tuple:
    """Schema, training rows and test rows of a split, typed by the product's own rooms."""
    from modelgpt_edge.data.table import read_rows
    from modelgpt_edge.pipeline import understand
    from modelgpt_edge.request import Request

    train, test = (dataset.take(rows) for rows in split(dataset, seed))
    table = understand(Request("predict the label", train, dataset.label, "classification", None, ("x86",), seed)).table
    return table.schema, table.sample, read_rows(test, table.schema)


def _report(rows: list[dict], result: dict) -> str:
    children = list(dict.fromkeys(r["child"] for r in rows))
    sets = list(dict.fromkeys(r["set"] for r in rows))
    means = {c: np.array([_mean(rows, c, s) for s in sets]) for c in children}  # (sets, metrics)
    lines = []
    for child in children:
        units = [r["units"] for r in rows if r["child"] == child]
        cells = [child, f"{np.mean(units):,.0f}", f"{np.median(units):,.0f}"]
        for k in range(len(METRICS)):
            cells += [f"{means[child][:, k].mean():.4f}", "" if child == FLOOR else _difference(means[child] - means[FLOOR], k)]
        lines.append(cells)
    head = ["child", "units, mean", "median"]
    for _, title in METRICS:
        head += [title, "less the floor's [95 %], p"]
    seeds = len({r["seed"] for r in rows})
    about = (
        f"# Children distilled from four draws\n\n{len(sets)} sets, {seeds} seeds; {environment.described(result['machine'])}; "
        f"`{result['command']}`\n\n"
    )
    return (
        about
        + environment.markdown_table(head, lines)
        + "\n\n*smallest faithful* is what ships without a limit. Differences: means over sets, a bootstrap interval, and p "
        "of the two-sided Wilcoxon signed-rank test, both over sets.\n"
    )


def _mean(rows: list[dict], child: str, name: str) -> list[float]:
    mine = [r for r in rows if r["child"] == child and r["set"] == name]
    return [float(np.mean([r[key] for r in mine])) for key, _ in METRICS]


def _difference(differences: np.ndarray, k: int) -> str:
    from scipy.stats import wilcoxon

    values = differences[:, k]
    drawn = np.random.default_rng(0).choice(values, (BOOTSTRAPS, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = wilcoxon(values).pvalue if np.abs(values).max() > 0 else 1.0
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}], {p:.2g}"


if __name__ == "__main__":
    main()
