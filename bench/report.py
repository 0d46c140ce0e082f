"""From the rows of the accuracy bench to its report: means, ranks, wins and losses, Wilcoxon tests, one markdown page.

A set's score is the mean over its seeds, taken first; everything else is over sets. Only sets that every contender has finished
for the same seeds count, so no mean hides a failure; the ones left out are named.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from environment import command, described, markdown_table, now, read_jsonl
from metrics import METRICS, Metric

OURS = "modelgpt-edge"
SAME = 1e-9


@dataclass(frozen=True)
class Results:
    """Scores of contenders on the sets that all of them finished.

    Attributes:
        contenders: titles, in the order of the first axis below.
        sets: names, in the order of the second.
        scores: of each metric, (contenders, sets) means over seeds.
        rows: the rows behind them, one a (set, seed, contender).
        left_out: sets that some contender did not finish, with the contenders that lack them.
        absent: contenders without any result.
    """

    kind: str
    contenders: tuple[str, ...]
    sets: tuple[str, ...]
    scores: dict[str, np.ndarray]
    rows: list[dict]
    left_out: dict[str, list[str]]
    absent: tuple[str, ...]

    def of(self, contender: str) -> int:
        return self.contenders.index(contender)

    def median(self, contender: str, field: str) -> float:
        return statistics.median(row[field] for row in self.rows if row["contender"] == contender)


def latest(rows: Iterable[dict]) -> dict[tuple[str, int, str], dict]:
    """Rows by (set, seed, contender): a later row replaces an earlier one, and failed runs drop out."""
    kept = {(row["set"], row["seed"], row["contender"]): row for row in rows}
    return {key: row for key, row in kept.items() if "error" not in row}


def collect(path: Path, sets: Sequence[str], seeds: Iterable[int], kind: str, contenders: Sequence[str]) -> Results:
    """Gather the results of sets, seeds and contenders out of a JSONL file.

    A contender without any result is named apart, so that it doesn't leave out every set.
    """
    seeds = list(seeds)
    kept = latest(read_jsonl(path))
    present = [c for c in contenders if any((s, seed, c) in kept for s in sets for seed in seeds)]
    lacking = {s: [c for c in present if any((s, seed, c) not in kept for seed in seeds)] for s in sets}
    whole = [s for s in sets if present and not lacking[s]]
    scores = {
        metric.key: np.array(
            [[statistics.mean(kept[s, seed, c][metric.key] for seed in seeds) for s in whole] for c in present]
        ).reshape(len(present), len(whole))
        for metric in METRICS[kind]
    }
    rows = [kept[s, seed, c] for c in present for s in whole for seed in seeds]
    left_out = {s: c for s, c in lacking.items() if c}
    absent = tuple(c for c in contenders if c not in present)
    return Results(kind, tuple(present), tuple(whole), scores, rows, left_out, absent)


def ranks(scores: np.ndarray, rises: bool) -> np.ndarray:
    """Ranks (contenders, sets) from 1, the best; ties share their mean rank."""
    better = -scores if rises else scores
    above = (better[None] < better[:, None] - SAME).sum(axis=1)
    level = (np.abs(better[None] - better[:, None]) <= SAME).sum(axis=1)
    return above + (level + 1) / 2


@dataclass(frozen=True)
class Duel:
    """Ours against one peer over sets: wins, losses and ties of ours, and the two-sided Wilcoxon signed-rank p."""

    wins: int
    losses: int
    ties: int
    p: float


def duel(ours: np.ndarray, theirs: np.ndarray, rises: bool) -> Duel:
    """Compare two contenders' scores over sets; sets on which they tie say nothing to the test."""
    from scipy.stats import wilcoxon

    gain = (ours - theirs) if rises else (theirs - ours)
    gain = np.where(np.abs(gain) <= SAME, 0, gain)
    p = float(wilcoxon(gain[gain != 0]).pvalue) if gain.any() else 1.0
    return Duel(int((gain > 0).sum()), int((gain < 0).sum()), int((gain == 0).sum()), p)


def write_report(path: Path, title: str, results: Results, unread: dict[str, str]) -> None:
    """Write the markdown page; `unread` are sets that could not be read here, with the reason."""
    parts = [f"# {title}", _preface(results, unread)]
    if results.sets:
        parts += [_means(results)]
        if OURS in results.contenders and len(results.contenders) > 1:
            parts += [f"## {OURS} against each", _duels(results)]
        parts += ["## Each set", *[_each_set(results, metric) for metric in METRICS[results.kind]]]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _preface(results: Results, unread: dict[str, str]) -> str:
    machines = sorted({described(row["machine"]) for row in results.rows})
    versions: dict[str, set[str]] = defaultdict(set)
    for row in results.rows:
        for name, version in row["versions"].items():
            versions[name].add(version)
    seeds = sorted({row["seed"] for row in results.rows})
    lines = [
        f"* {len(results.sets)} sets of raw columns, at most 2,000 rows of each, half for training",
        f"* Seeds: {', '.join(map(str, seeds))}",
        f"* Machine: {'; '.join(machines)}; one thread a fit",
        "* Versions: " + ", ".join(f"{name} {'/'.join(sorted(found))}" for name, found in sorted(versions.items())),
        f"* Written {now()} by `{command()}`",
    ]
    lines += [f"* No result at all: {contender}" for contender in results.absent]
    lines += [f"* Left out, not finished: {name} ({', '.join(lacking)})" for name, lacking in results.left_out.items()]
    lines += [f"* Left out, not here: {name} ({reason})" for name, reason in unread.items()]
    return "\n".join(lines)


def _means(results: Results) -> str:
    metrics = METRICS[results.kind]
    rank = {m.key: ranks(results.scores[m.key], m.rises).mean(axis=1) for m in metrics}
    first = metrics[0]
    order = sorted(results.contenders, key=lambda c: results.scores[first.key][results.of(c)].mean(), reverse=first.rises)
    header = ["contender", *[m.title for m in metrics], *[f"rank, {m.title}" for m in metrics], "fit, s", "model, bytes"]
    rows = []
    for c in order:
        i = results.of(c)
        means = [f"{results.scores[m.key][i].mean():.4f}" for m in metrics]
        mean_ranks = [f"{rank[m.key][i]:.2f}" for m in metrics]
        costs = [f"{results.median(c, 'fit_seconds'):.3f}", f"{results.median(c, 'model_bytes'):,.0f}"]
        rows.append([_shown(c), *means, *mean_ranks, *costs])
    note = (
        "Means over sets, mean rank (1 is best), median fit time of one thread, median size (peers: pickled; ours: parameters)."
    )
    return markdown_table(header, rows) + "\n\n" + note


def _duels(results: Results) -> str:
    metrics = METRICS[results.kind]
    header = ["peer", *[heading for m in metrics for heading in (f"{m.title}: won, lost, tied", "p")]]
    rows = []
    for c in results.contenders:
        if c == OURS:
            continue
        line = [c]
        for m in metrics:
            d = duel(results.scores[m.key][results.of(OURS)], results.scores[m.key][results.of(c)], m.rises)
            line += [f"{d.wins}, {d.losses}, {d.ties}", f"{d.p:.2g}"]
        rows.append(line)
    return (
        markdown_table(header, rows)
        + "\n\nOver sets; p of the two-sided Wilcoxon signed-rank test, uncorrected for the number of peers."
    )


def _each_set(results: Results, metric: Metric) -> str:
    scores = results.scores[metric.key]
    best = scores.max(axis=0) if metric.rises else scores.min(axis=0)
    header = ["set", *results.contenders]
    rows = [
        [name, *[f"**{v:.4f}**" if abs(v - best[s]) <= SAME else f"{v:.4f}" for v in scores[:, s]]]
        for s, name in enumerate(results.sets)
    ]
    return f"<details><summary>{metric.title}</summary>\n\n{markdown_table(header, rows)}\n\n</details>"


def _shown(contender: str) -> str:
    return f"**{contender}**" if contender == OURS else contender
