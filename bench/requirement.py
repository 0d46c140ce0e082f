"""What it is worth that a task names columns: the floor with the named ones favoured, with none, and with names at random.

Tables of the synthetic prior, and the ModelGPT paper's ten sets with a sentence each. Every contender draws its units from the
same seed, on the same context rows; differences are paired over tables, or over sets (samples averaged).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import environment
import numpy as np
from datasets import load
from paired import difference, set_means

if TYPE_CHECKING:
    from modelgpt_edge.data.table import Rows
    from modelgpt_edge.schema import Schema

CONTEXTS = (16, 32, 64, 128, 256, 1024)
FEW = (16, 32, 64)
QUERY = 1_000
# Rows that only the one who names the columns has seen.
KNOWN = 1_000
# The prior's tables follow from this, the context and their number, 1 or more; those of training from two integers. numpy pads
# seeds with zeros, so none of three that doesn't end in one is one of two.
SEED = 2402
COLUMNS = (6, 40)
DRAWS = 4
# The least probability that log loss counts with: at 16 rows a floor that is not calibrated yet is too sure of single rows.
LEAST = 0.01
# Words for the places of categories; the last, which -1 takes, is a missing cell.
WORDS = np.array([*(f"w{place}" for place in range(1_000)), ""], object)
PLAIN, NAMED, RANDOM = "no names", "named", "names at random"
METRICS = (("accuracy", "accuracy"), ("log_loss", "log loss"))
# What someone who knows the field would say, written before anything was measured.
TASKS = {
    "uci/iris": "tell the species from petal length and petal width",
    "uci/wine": "tell the cultivar from flavanoids, proline and color intensity",
    "uci/breast_cancer": "predict whether a tumour is malignant from worst radius, worst concave points and worst perimeter",
    "uci/heart_disease": "predict heart disease from chest pain, thal, max HR and ST by exercise",
    "uci/adult": "predict whether a person earns over 50k from education, age, hours per week and marital status",
    "uci/car_evaluation": "judge a car from safety, persons and buying price",
    "uci/wine_quality": "predict the quality of a wine from alcohol and volatile acidity",
    "uci/dry_bean": "tell the kind of bean from its area, perimeter and roundness",
    "uci/rice": "tell the variety of rice from major axis length, area and eccentricity",
    "uci/bank_marketing": "predict whether a client subscribes from the duration of the call, month and balance",
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.update(environment.threads(1))  # for the worker processes, before they import numpy
    jobs = [(name, context, seed) for context in CONTEXTS for name in TASKS for seed in range(options.seeds)]
    jobs += [("prior", context, table) for context in CONTEXTS for table in range(1, options.tables + 1)]
    rows: list[dict] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for (name, context, number), found in zip(jobs, pool.map(measure, jobs)):
            rows += found
            if name != "prior" or number % 50 == 0:
                environment.say(f"{context:,} rows of {name}, {number}{'' if found else ': left out'}")
    result = environment.result("requirement", ["modelgpt-edge", "numpy"], {"tasks": TASKS, "rows": rows})
    environment.publish(result, _report(rows, result), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200, help="tables of the prior for every context (default 200)")
    parser.add_argument("--seeds", type=int, default=6, help="samples of every set for every context (default 6)")
    parser.add_argument("--jobs", type=int, default=environment.cores(), help="tables at a time, one thread each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def measure(job: tuple[str, int, int]) -> list[dict]:
    """Scores of every contender on one table; none where it can't be had: too few rows, or a class without one."""
    name, context, number = job
    scores = _of_prior(context, number) if name == "prior" else _of_set(name, context, number)
    where = {"source": "prior", "set": f"{context}/{number}"} if name == "prior" else {"source": "uci", "set": name}
    return [{**where, "context": context, "number": number, "contender": c, **score} for c, score in scores.items()]


def _of_prior(context: int, number: int) -> dict[str, dict]:
    from modelgpt_edge.data.table import Rows
    from modelgpt_edge.parameters.prepare import classification_targets, encode, prepare
    from modelgpt_edge.parameters.relevance import relevance
    from modelgpt_edge.schema import Column, Schema
    from modelgpt_edge.training.examples import draw_named
    from modelgpt_edge.training.priors import draw_sizes, draw_table

    rng = np.random.default_rng([SEED, context, number])
    sizes = draw_sizes(rng, (max(24, context),) * 2, COLUMNS, regression=0)
    drawn = draw_table(rng, context + QUERY + KNOWN, sizes.columns, sizes.classes)
    order = rng.permutation(len(drawn.targets))
    rows = Rows(
        {f"n{i}": column for i, column in enumerate(drawn.numbers.T)},
        {f"c{i}": WORDS[column] for i, column in enumerate(drawn.codes.T)},
        drawn.targets.astype(np.int32),
    )
    train, test, known = (rows.take(part) for part in np.split(order, [context, context + QUERY]))
    columns = [*(Column(name, "number") for name in rows.numbers), *(Column(name, "category") for name in rows.words)]
    classes = tuple(f"k{k}" for k in range(drawn.classes))
    schema = Schema(tuple(columns), Column("y", "category"), "", "classification", "", classes)
    if len(set(train.labels.tolist())) < len(classes):
        return {}
    encoder = prepare(train, classification_targets(train.labels, len(classes)), schema).encoder
    weight = relevance(encode(encoder, known), classification_targets(known.labels, len(classes)))
    return _contend(train, test, schema, draw_named(encoder, weight, rng), rng)


def _of_set(name: str, context: int, seed: int) -> dict[str, dict]:
    from modelgpt_edge.data.table import read_rows
    from modelgpt_edge.errors import InputError
    from modelgpt_edge.request import Request
    from modelgpt_edge.table_pipeline import understand

    dataset = load(name)
    rng = np.random.default_rng([SEED, context, seed])
    order = rng.permutation(dataset.rows)
    if dataset.rows < 1.5 * context:
        return {}
    request = Request(TASKS[name], dataset.take(order[:context]), dataset.label, "classification", None, ("x86",), seed)
    try:
        table = understand(request).table
    except InputError:  # one class alone
        return {}
    test = read_rows(dataset.take(order[context : context + QUERY]), table.schema)
    return _contend(table.sample, test, table.schema, frozenset(table.schema.named), rng)


def _contend(train: Rows, test: Rows, schema: Schema, named: frozenset[str], rng: np.random.Generator) -> dict[str, dict]:
    """Scores by contender; none where a solve breaks down."""
    random = frozenset(rng.choice([c.name for c in schema.columns], len(named), replace=False).tolist())
    seed = int(rng.integers(2**31))
    try:
        return {
            contender: _score(train, test, replace(schema, columns=_naming(schema, names)), seed)
            for contender, names in ((PLAIN, frozenset()), (NAMED, named), (RANDOM, random))
        }
    except np.linalg.LinAlgError:
        return {}


def _naming(schema: Schema, names: frozenset[str]) -> tuple:
    return tuple(replace(column, named=column.name in names) for column in schema.columns)


def _score(train: Rows, test: Rows, schema: Schema, seed: int) -> dict[str, float]:
    from modelgpt_edge.child import softmax
    from modelgpt_edge.parameters.floor import emit_floor
    from modelgpt_edge.parameters.prepare import classification_targets, encode, prepare
    from modelgpt_edge.parameters.units import DRAW

    targets = classification_targets(train.labels, len(schema.classes))
    ready = prepare(train, targets, schema)
    floor = emit_floor(ready, targets, DRAW, DRAWS, np.random.default_rng(seed))
    p = softmax(floor.scores(encode(ready.encoder, test)).mean(0))
    truth = np.asarray(test.labels, np.int32)  # -1 for a class that the context doesn't have
    own = np.where(truth >= 0, p[np.arange(len(p)), truth], 0)
    return {"accuracy": float((p.argmax(1) == truth).mean()), "log_loss": float(-np.log(np.clip(own, LEAST, 1)).mean())}


def _report(rows: list[dict], result: Mapping) -> str:
    from modelgpt_edge.parameters.relevance import NAMED_ROWS

    samples = len({r["number"] for r in rows if r["source"] == "uci"})
    text = [
        "# What it is worth that the task names columns",
        f"{environment.described(result['machine'])}; `{result['command']}`",
        f"A column that the task names is 1 + {NAMED_ROWS} / rows times as relevant when hidden units are drawn. Cells: the "
        "mean without names; what the names change, mean [95 % bootstrap interval], p of the two-sided Wilcoxon signed-rank "
        "test, over tables or sets. *At random*: as many names, of any columns, so a misleading requirement. All are the floor "
        "alone, four draws, the mean of its heads, without blend, temperature and guard, on up to "
        f"{QUERY:,} other rows; probabilities below {LEAST} count as {LEAST} in log loss, so that no single row decides it.",
        "## Tables of the synthetic prior\n\n" + _table(rows, "prior", "tables"),
        "Such tables have no words, so names are drawn as a person would choose them, about two: by what columns tell on "
        f"{KNOWN:,} rows that nothing else sees, and one in five at random (`training/examples.draw_named`). The tables are "
        "none that training draws, and none that the weight of a name was chosen on.",
        "## The ModelGPT paper's ten sets\n\n" + _table(rows, "uci", "sets"),
        "The product's own rules read the sentence, which someone who knew the fields wrote before anything was measured "
        f"(`TASKS` in `bench/requirement.py`). {samples} samples a set, averaged.",
    ]
    return "\n\n".join(text) + "\n"


def _table(rows: list[dict], source: str, what: str) -> str:
    lines = []
    for contexts in (*((context,) for context in CONTEXTS), FEW):
        mine = [r for r in rows if r["source"] == source and r["context"] in contexts]
        if not mine:
            continue
        cells = [f"{contexts[0]:,}" + (f" to {contexts[-1]:,}" if len(contexts) > 1 else ""), len({r["set"] for r in mine})]
        for key, _ in METRICS:
            plain = set_means(mine, key, contender=PLAIN)
            cells.append(f"{plain.mean():.4f}")
            cells += [difference(set_means(mine, key, contender=c) - plain) for c in (NAMED, RANDOM)]
        lines.append(cells)
    head = ["rows", what]
    for _, title in METRICS:
        head += [title, NAMED, RANDOM]
    return environment.markdown_table(head, lines)


if __name__ == "__main__":
    main()
