"""What becomes of accuracy when draws are distilled, and what the trained generator adds, paired over sets.

Children of several sizes are compared with the four-draw floor, and the trained generator's with the untrained one's of the
same size, which is the floor distilled: its corrections are zero. Every child comes from the same training rows of a split,
its heads' logits averaged evenly: the emission alone, without cross-validation, blend and guard. Differences are means over
sets (seeds averaged), with a bootstrap interval and Wilcoxon's test over sets.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import environment
import numpy as np
from datasets import groups, load
from paired import DIFFERENCES, METRICS, difference, set_means, typed_split

# What `train tabular` wrote and the package ships.
SHIPPED = Path(__file__).parents[1] / "modelgpt_edge" / "parameters" / "corrector.safetensors"
FLOOR, UNTRAINED = "four draws", "smallest faithful"
TRAINED, TEACHER = "trained, of that size", "its teacher, not distilled"
# Shapes that the mean FLOPs of a training table are taken over.
SHAPES = 2_000
# Batches of synthetic tables, of a seed that no training used, on which names are shown and dropped.
FRESH, FRESH_SEED = 30, 77
PUBLISHED = (
    ["nanoTabPFN (arXiv 2511.03634)", "1 GPU", "1 min", "not stated", "not stated"],
    ["its speedrun (arXiv 2606.03681), before", "1 L40S", "74.3 min", "22 x as many", "not stated"],
    ["its speedrun, record", "1 L40S", "0.92 min", "1 x", "not stated"],
    ["TabPFN v2", "as told by arXiv 2511.03634", "160,000 x nanoTabPFN's", "not stated", "not stated"],
)
COST_NOTE = (
    "Published figures are those of the papers' abstracts; those of MotherNet (arXiv 2312.08598) and HyperFast "
    "(arXiv 2402.14335) tell none of training, so they have no row. *its teacher* above is the corrector itself, shown up to "
    "500 training rows."
)
SIZES = (1280, 640, 320, 160, 80, 40, 20)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.update(environment.threads(1))  # for the worker processes, before they import numpy
    generator = options.generator or SHIPPED
    jobs = [(name, seed, generator) for name in groups()[options.sets] for seed in range(options.seeds)]
    rows: list[dict] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for found in pool.map(measure, jobs):
            rows += found
            environment.say(f"{found[0]['set']} seed {found[0]['seed']}: {found[-1]['units']:,} units are faithful")
    result = environment.result(
        "meta", ["modelgpt-edge", "numpy"], {"training": training(generator), "names": names(generator), "rows": rows}
    )
    environment.publish(result, _report(rows, result), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="report", choices=("development", "report"), help="which sets (default report)")
    parser.add_argument("--seeds", type=int, default=3, help="samples, splits and draws (default 3)")
    parser.add_argument(
        "--generator", type=Path, metavar="FILE", help="what `train tabular` wrote; the shipped one if left out"
    )
    parser.add_argument("--jobs", type=int, default=environment.cores(), help="splits at a time, one thread each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def measure(job: tuple[str, int, Path]) -> list[dict]:
    """Scores of every child on one split, the faithful one last."""
    from modelgpt_edge.parameters.distil import Match
    from modelgpt_edge.parameters.floor import emit_floor
    from modelgpt_edge.parameters.prepare import classification_targets, encode, prepare
    from modelgpt_edge.parameters.score import score_outputs
    from modelgpt_edge.parameters.units import DRAW

    name, seed, generator = job
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
    emissions[UNTRAINED] = (wide, 4 * DRAW.total) if faithful is None else (distilled[faithful].emission, faithful)
    said = {child: (emission.scores(encoded).mean(0), units) for child, (emission, units) in emissions.items()}
    said |= _trained(match, ready, targets, encoded, emissions[UNTRAINED], generator, rng)
    rows = []
    for child, (scores, units) in said.items():
        score = score_outputs(scores, test.labels, "test half")
        rows.append({"set": name, "seed": seed, "child": child, "units": units, "accuracy": score.value, **score.others})
    return rows


def _trained(match, ready, targets, encoded, untrained, generator: Path, rng) -> dict[str, tuple[np.ndarray, int]]:
    """What the trained generator says of encoded test rows, distilled into as many units as the untrained one, and as it is.

    Tables that it doesn't know stay the floor's.
    """
    from modelgpt_edge.parameters.cells import cells
    from modelgpt_edge.parameters.correction import CONTEXT, correct
    from modelgpt_edge.parameters.corrector import CLASSES, Corrector
    from modelgpt_edge.parameters.left_out import floor_scores

    floor, units = untrained
    wide = match.wide.scores(encoded).mean(0)
    if targets.shape[1] > CLASSES:
        return {TRAINED: (floor.scores(encoded).mean(0), units), TEACHER: (wide, match.wide.units.count)}
    corrector = Corrector.read(generator)
    child = correct(match, corrector, ready, targets, (), rng).distil(units).emission
    context = rng.permutation(len(targets))[:CONTEXT]
    seen, labels = ready.encoded[context], targets[context]
    scores = floor_scores(seen, labels, encoded, rng)
    table = cells(ready.encoder, np.concatenate([seen, encoded]))
    corrections = corrector.corrections(table, labels, scores, rng)
    return {TRAINED: (child.scores(encoded).mean(0), units), TEACHER: (wide + corrections, match.wide.units.count)}


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
        f"# Children distilled from four draws, and the trained generator's\n\n{sets} sets, {seeds} seeds; "
        f"{environment.described(result['machine'])}; `{result['command']}`\n\n"
        + environment.markdown_table(head, lines)
        + f"\n\n*{UNTRAINED}* is what ships without a limit, and what the untrained generator emits. {DIFFERENCES}\n\n"
        + "## Trained less untrained, in as many units\n\n"
        + environment.markdown_table(["child", *(title for _, title in METRICS)], _against(rows, UNTRAINED, (TRAINED, TEACHER)))
        + f"\n\n## What the columns named in a task bring to the trained generator\n\n{_named(result['names'])}"
        + "\n\n## What the training cost\n\n"
        + environment.markdown_table(["generator", "machine", "time", "synthetic tables", "FLOPs"], _costs(result["training"]))
        + f"\n\n{COST_NOTE}\n"
    )


def _against(rows: list[dict], other: str, children: Sequence[str]) -> list[list[str]]:
    """Rows of differences from another child."""
    return [
        [child, *(difference(set_means(rows, k, child=child) - set_means(rows, k, child=other)) for k, _ in METRICS)]
        for child in children
    ]


def training(generator: Path) -> dict[str, float]:
    """What the shipped generator was trained on: seconds, steps, tables met and distinct ones, and FLOPs."""
    from safetensors import safe_open

    from modelgpt_edge.training.shards import Recipe

    with safe_open(generator, framework="np") as file:
        facts = file.metadata()
    found = {key: float(facts[key]) for key in ("seconds", "steps", "tables_seen", "distinct_tables")}
    recipe = Recipe(**json.loads(facts["recipe"]))
    found["flops"] = found["tables_seen"] * _table_flops(recipe, **json.loads(facts["architecture"]))
    return found


def names(generator: Path) -> dict[str, list[float]]:
    """Log loss on synthetic tables that the training hasn't drawn: the floor's, and corrected with and without names."""
    import torch  # noqa: TID251 - the corrector as it was trained
    from safetensors import safe_open

    from modelgpt_edge.parameters.cells import NAMED
    from modelgpt_edge.training.batches import Batch, losses
    from modelgpt_edge.training.corrector import Architecture, Corrector
    from modelgpt_edge.training.shards import Recipe, draw_shard

    with safe_open(generator, framework="pt") as file:
        model = Corrector(Architecture(**json.loads(file.metadata()["architecture"])))
        model.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118 - no dict
    found: dict[str, list[float]] = {"floor": [], "named": [], "dropped": []}
    for number in range(FRESH):
        batch = Batch.of(draw_shard(Recipe(seed=FRESH_SEED), number), torch.device("cpu"))
        with torch.no_grad():
            for how in ("named", "dropped"):
                if how == "dropped":
                    batch.cells[..., NAMED] = 0
                loss, floor = losses(model, batch)
                found[how].append(float(loss))
        found["floor"].append(float(floor))
    return found


def _named(found: dict[str, list[float]]) -> str:
    floor, named, dropped = (np.array(found[key]) for key in ("floor", "named", "dropped"))
    return (
        f"On {len(floor)} batches of fresh synthetic tables the floor's log loss is {floor.mean():.4f}. Corrected without "
        f"names it changes by {difference(dropped - floor)}, with names by {difference(named - floor)}; the names alone bring "
        f"{difference(named - dropped)}. There the floor itself isn't told the names, and names are "
        "drawn by relevance over all rows, those that are predicted too: what a person knows of the matter."
    )


def _table_flops(recipe, width: int, layers: int, heads: int, hidden: int) -> float:
    """FLOPs of one table in training, the mean over shapes of the recipe: two a multiplication, three passes.

    Heads share the width, so their number doesn't count.
    """
    rng, total = np.random.default_rng(0), 0.0
    for _ in range(SHAPES):
        context, query, columns = recipe.shape(rng)
        row_tokens = -(-columns // 2) + 1
        products = 8 * width * width + 2 * width * hidden + 2 * width * (context + row_tokens)
        total += 3 * 2 * layers * (context + query) * row_tokens * products / SHAPES
    return total


def _costs(ours: dict[str, float]) -> list[list[str]]:
    mine = [
        "ours",
        "a CPU: 1 thread, and 1 that draws tables",
        f"{ours['seconds'] / 3600:.1f} h",
        f"{ours['tables_seen']:,.0f}",
    ]
    return [[*mine, f"{ours['flops']:.1e}"], *PUBLISHED]


if __name__ == "__main__":
    main()
