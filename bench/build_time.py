"""How long a user waits: whole cold builds as processes, of tables and of pictures, the command line's start, generation alone.

A build is measured from process start to the finished package, for x86, interpreter start and imports included; "cold" means a
fresh process each time, while files stay in the page cache. Generation alone runs in this process on one thread, warmed up, on
1,000 rows x 30 columns of three classes, beside XGBoost tuned (30 trials x 3 folds) and default CatBoost on the same rows.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import environment
import processes
import synthetic
from picture_sets import draws, read_set
from wheels import MissingDataError

ROWS, COLUMNS = 1000, 30
# Photographs of each of ten classes, and pixels of a side of what the model takes in.
SHOTS, SIZES = 10, (224, 128)
GENERATIONS = ((1, "one draw, both heads"), (4, "four draws, both heads"))
MODULES = {"xgboost-tuned": "tuned_xgboost", "catboost": "catboost"}
PEERS = {"xgboost-tuned": "XGBoost tuned, 30 trials x 3 folds", "catboost": "CatBoost, default"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    result: dict = {
        "bench": "build_time",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy", "onnx", "onnxruntime", "xgboost-cpu", "catboost"]),
    }
    if "help" in options.parts:
        result["help"] = help_time(options.runs)
    if "builds" in options.parts:
        result["builds"] = builds(options.data, options.label, options.runs)
    if "pictures" in options.parts:
        result["builds"] = [*result.get("builds", []), *picture_builds(options.sizes, options.runs)]
    if "generation" in options.parts:
        result["generation"] = generation(options.runs)
    if options.json:
        environment.write_json(options.json, result)
    sys.stdout.write(_markdown(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["help", "builds", "pictures", "generation"]
    parser.add_argument("--runs", type=int, default=5, help="repetitions of each measurement (default 5)")
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="real table to build from (default: the first CSV file of examples/)"
    )
    parser.add_argument("--label", help="its label column (default: the one that build finds)")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="what to measure (default: everything)")
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        default=list(SIZES),
        metavar="N",
        help="input sizes of models of pictures (default 224 128)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    return parser


def help_time(runs: int) -> dict[str, float]:
    """Seconds of `modelgpt-edge --help`, process start to exit."""
    measured = [processes.measure([*processes.tool(), "--help"]) for _ in range(runs)]
    if any(run.code for run in measured):
        raise SystemExit(f"modelgpt-edge --help failed:\n{measured[0].stderr}")
    return environment.spread([run.seconds for run in measured])


def builds(data: Path | None, label: str | None, runs: int) -> list[dict]:
    """Cold builds of a real table and of the synthetic one."""
    real = data or next(iter(sorted((environment.ROOT / "examples").glob("*.csv"))), None)
    if real is None:
        environment.say("no CSV file in examples/ and no --data: only the synthetic table is built")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = folder / "synthetic.csv"
        x, y = synthetic.three_classes(ROWS, COLUMNS)
        synthetic.write_csv(made, {**synthetic.columns_of(x), "label": y.tolist()})
        measured = [_build(real.name, real, label, runs, folder)] if real else []
        return [*measured, _build(f"synthetic, {ROWS:,} x {COLUMNS}, 3 classes", made, "label", runs, folder)]


def picture_builds(sizes: Sequence[int], runs: int) -> list[dict]:
    """Cold builds of ten classes of ten photographs (CIFAR-10) at each input size; none where they aren't here."""
    from PIL import Image

    try:
        found = read_set("cifar10")
    except MissingDataError as reason:
        environment.say(f"no pictures are built from: {reason}")
        return []
    learnt, _ = next(draws(found.labels, SHOTS, 1, (0,)))
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "pictures"
        for place in learnt:
            path = data / found.classes[found.labels[place]] / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(found.levels[place]).save(path)
        told = f"{len(found.classes)} classes x {SHOTS} pictures"
        return [_build(f"{told} at {size} px", data, None, runs, Path(name), ["--size", str(size)]) for size in sizes]


def _build(name: str, data: Path, label: str | None, runs: int, folder: Path, more: Sequence[str] = ()) -> dict:
    seconds, peaks, facts = [], [], {}
    for run in range(runs):
        out = folder / f"{data.stem}-{run}.edge"
        measured, facts = processes.build(data, out, label, more=more)
        shutil.rmtree(out)
        environment.say(f"{name}: build {run + 1} of {runs} in {measured.seconds:.2f} s, {measured.peak_mb:.0f} MB")
        seconds.append(measured.seconds)
        peaks.append(measured.peak_mb)
    return {
        "table": name,
        "seconds": environment.spread(seconds),
        "peak_mb": max(peaks),
        "score": facts.get("score"),
        "architecture": facts.get("architecture"),
        "reported": {"seconds": facts.get("seconds"), "generator": facts.get("generator")},
    }


def generation(runs: int) -> list[dict]:
    """Seconds of the parameter generator alone and of the peers, one thread, on the synthetic table; ratios to four draws."""
    from ours import prepared_floor
    from peers import fit_peer
    from threadpoolctl import threadpool_limits

    x, y = synthetic.three_classes(ROWS, COLUMNS)
    with threadpool_limits(1):
        draw = prepared_floor(x, y)
        draw(1, 0)  # warm: imports, and the first touch of BLAS
        results = [
            {"what": what, "seconds": environment.spread(_times(lambda d=d: draw(d, 0), runs))} for d, what in GENERATIONS
        ]
        ours = results[-1]["seconds"]["median"]
        columns, labels = synthetic.columns_of(x), y.tolist()
        for key, title in PEERS.items():
            environment.say(f"fitting {title}")
            importlib.import_module(MODULES[key])
            seconds = fit_peer(key, columns, labels, "classification", 0).fit_seconds
            results.append({"what": title, "seconds": environment.spread([seconds]), "times_four_draws": seconds / ours})
    return results


def _times(call: Callable[[], object], runs: int) -> list[float]:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def _markdown(result: dict) -> str:
    def row(what: str, seconds: dict[str, float], *rest: str) -> list[str]:
        return [what, *[f"{seconds[k]:.3f}" for k in ("min", "median", "max")], str(seconds["runs"]), *rest]

    header = ["what", "min, s", "median, s", "max, s", "runs"]
    parts = [f"{environment.described(result['machine'])}; {result['when']}; `{result['command']}`"]
    processes = [row("--help", result["help"], "")] if "help" in result else []
    processes += [row(f"build, {b['table']}", b["seconds"], f"{b['peak_mb']:.0f}") for b in result.get("builds", [])]
    if processes:
        parts.append(environment.markdown_table([*header, "peak, MB"], processes))
    if "generation" in result:
        rows = [row(g["what"], g["seconds"], f"{g.get('times_four_draws', 1):.1f} x") for g in result["generation"][1:]]
        rows.insert(0, row(result["generation"][0]["what"], result["generation"][0]["seconds"], ""))
        parts.append(environment.markdown_table([*header, "against four draws"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
