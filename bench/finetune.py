"""What fine-tuning a child for so many seconds is worth: from generated weights, and from random ones.

Both contenders are children of the same shapes on the same encoded rows of a split, fine-tuned by the same code for the same
seconds of one thread; generation takes its own time before. Random weights have a rate of their own, set on the development
sets. Differences are paired over sets (seeds averaged), with a bootstrap interval and Wilcoxon's test over sets.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import environment
import numpy as np
from datasets import groups, load
from paired import DIFFERENCES, METRICS, difference, interval, set_means, typed_split

SECONDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
STARTS = ("generated", "random")
WIDTH, HEIGHT, TOP, SIDE, GAP = 400, 260, 84, 74, 90


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.update(environment.threads(1))  # for the worker processes, before they import numpy
    names = groups()[options.sets][: options.most]
    jobs = [(name, seed, options.units) for name in names for seed in range(options.seeds)]
    rows: list[dict] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for found in pool.map(measure, jobs):
            rows += found
            environment.say(f"{found[0]['set']} seed {found[0]['seed']}: {_told(found)}")
    result = environment.result("finetune", ["modelgpt-edge", "numpy"], {"units": options.units, "rows": rows})
    environment.publish(result, _report(rows, result), options.json, options.table)
    if options.plot:
        options.plot.write_text(draw(rows), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="report", choices=("development", "report"), help="which sets (default report)")
    parser.add_argument("--most", type=int, metavar="N", help="the first so many sets alone")
    parser.add_argument("--units", type=int, default=160, help="hidden units of the child (default 160)")
    parser.add_argument("--seeds", type=int, default=3, help="samples, splits and draws (default 3)")
    parser.add_argument("--jobs", type=int, default=environment.cores(), help="splits at a time, one thread each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw accuracy and log loss against seconds here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def measure(job: tuple[str, int, int]) -> list[dict]:
    """Scores on the test half of a split, from both starts after every number of seconds."""
    from modelgpt_edge.parameters.finetune import GENERATED, RANDOM, finetune, random_child
    from modelgpt_edge.parameters.finetune_table import regenerator
    from modelgpt_edge.parameters.generate import generate
    from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode
    from modelgpt_edge.parameters.score import score_outputs

    name, seed, units = job
    table, unseen = typed_split(load(name), seed)
    generated = generate(table, [units], 4, seed, workers=1)
    child = generated.child
    targets = classification_targets(table.sample.labels, len(table.schema.classes))
    encoded, asked = encode(child.encoder, table.sample), encode(child.encoder, unseen)
    remake = regenerator(child, generated.blend, table, Standard(0.0, 1.0), seed)
    starts = {
        "generated": (child, remake, GENERATED),
        "random": (random_child(child, encoded, np.random.default_rng([seed, 1])), None, RANDOM),
    }
    rows = []
    for start, (model, again, descent) in starts.items():
        for seconds in SECONDS:
            tuned = finetune(model, encoded, targets, seconds, seed, remake=again, descent=descent)
            score = score_outputs(tuned.child.scores(asked), unseen.labels, "test half")
            facts = {"set": name, "seed": seed, "units": child.units.count, "start": start, "seconds": seconds}
            rows.append({**facts, "steps": tuned.steps, "kept": tuned.kept, "accuracy": score.value, **score.others})
    return rows


def _told(found: list[dict]) -> str:
    last = {r["start"]: r for r in found}
    return ", ".join(f"{start} {r['accuracy']:.3f} after {r['steps']:,} steps" for start, r in last.items())


def _report(rows: list[dict], result: dict) -> str:
    lines = []
    for start in STARTS:
        for seconds in SECONDS:
            mine = [r for r in rows if r["start"] == start and r["seconds"] == seconds]
            changed = sum(not r["kept"] for r in mine)
            cells = [start, f"{seconds:g}", f"{changed}/{len(mine)}", f"{np.mean([r['steps'] for r in mine]):,.0f}"]
            for key, _ in METRICS:
                values = set_means(rows, key, start=start, seconds=seconds)
                first = start == STARTS[0] and not seconds
                less = "" if first else difference(values - set_means(rows, key, start=STARTS[0], seconds=0.0))
                cells += [f"{values.mean():.4f}", less]
            lines.append(cells)
    head = ["weights", "seconds", "changed", "steps"]
    for _, title in METRICS:
        head += [title, "less the generated child's [95 %], p"]
    sets, seeds = (len({r[key] for r in rows}) for key in ("set", "seed"))
    return (
        f"# Fine-tuning children of {result['units']:,} units\n\n{sets} sets, {seeds} seeds; "
        f"{environment.described(result['machine'])}; `{result['command']}`\n\n"
        + environment.markdown_table(head, lines)
        + "\n\n*seconds* are of fine-tuning, on one thread; a search that no longer gains ends before. *changed*: splits where "
        "some number of steps was better than none on held-out training rows. Scores on the test half. "
        f"{DIFFERENCES}\n"
    )


def draw(rows: list[dict]) -> str:
    """An SVG of accuracy and log loss against seconds, a curve for each start."""
    from modelgpt_edge.compile.svg import LEFT, heading, svg, text

    parts = [
        heading("What the generated weights are worth as a start"),
        text(LEFT, 48, "mean over sets; bars: 95 % interval of the difference to the generated child; one thread", size=12),
        text(LEFT, 64, "blue: from generated weights; black: from random weights, at 0 s off the picture", size=12),
    ]
    for place, key in enumerate(("accuracy", "log_loss")):
        parts += _panel(rows, key, SIDE + place * (WIDTH + GAP))
    return svg(SIDE + 2 * WIDTH + GAP + 30, TOP + HEIGHT + 56, parts)


def _panel(rows: list[dict], key: str, left: float) -> list[str]:
    from modelgpt_edge.compile.svg import BLUE, GREY, INK, marks, text

    base = set_means(rows, key, start=STARTS[0], seconds=0.0)
    curves = {}
    for start in STARTS:
        shown = SECONDS if start == STARTS[0] else SECONDS[1:]
        gains = [set_means(rows, key, start=start, seconds=seconds) - base for seconds in shown]
        curves[start] = [
            (SECONDS.index(s), base.mean() + g.mean(), *(base.mean() + np.array(interval(g)))) for s, g in zip(shown, gains)
        ]
    values = [v for curve in curves.values() for point in curve for v in point[1:]]
    margin = 0.06 * (max(values) - min(values)) or 0.01
    low, high = min(values) - margin, max(values) + margin

    def x(place: float) -> float:
        return left + 24 + place / (len(SECONDS) - 1) * (WIDTH - 48)

    def y(value: float) -> float:
        return TOP + HEIGHT - (value - low) / (high - low) * HEIGHT

    parts = [f'<rect x="{left:.0f}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{GREY}"/>']
    parts += [text(x(i), TOP + HEIGHT + 18, f"{seconds:g} s", anchor="middle") for i, seconds in enumerate(SECONDS)]
    parts += [text(left - 8, y(value) + 4, words, anchor="end") for value, words in marks(low, high)]
    title = dict(METRICS)[key]
    parts.append(
        text(left + WIDTH / 2, TOP + HEIGHT + 40, f"{title} on the test half, by seconds of fine-tuning", 12, "middle")
    )
    for (start, curve), shift in zip(curves.items(), (-2, 2)):
        colour = "rgb({},{},{})".format(*BLUE) if start == STARTS[0] else INK
        line = " ".join(f"{x(i) + shift:.1f},{y(mean):.1f}" for i, mean, _, _ in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for i, mean, bottom, top in curve:
            at = x(i) + shift
            parts.append(f'<line x1="{at:.1f}" y1="{y(bottom):.1f}" x2="{at:.1f}" y2="{y(top):.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{at:.1f}" cy="{y(mean):.1f}" r="4" fill="{colour}"/>')
    return parts


if __name__ == "__main__":
    main()
