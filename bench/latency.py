"""Prediction latency in a warm process: one row, and a batch of 256, one thread, against scikit-learn, XGBoost and skl2onnx.

All contenders come from one table (1,000 rows x 30 numbers, 3 classes) and get rows as a float32 array; ours also as dicts.
Calls of all contenders are interleaved, so that a busy moment of the machine hits each alike, and none keeps the caches warm.
Reported are median and 99th percentile, and the ratio of ours to each peer. Before the clock starts every contender's answer is
checked for shape and sum, and an exported model against its original.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import environment
import numpy as np
import processes
import synthetic

ROWS, COLUMNS, CLASSES = 1000, 30, 3
WARM_UP = 50
OURS, OURS_DICT = "modelgpt-edge", "modelgpt-edge, rows as dict"
Call = Callable[[], Any]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    from threadpoolctl import threadpool_limits

    x, y = synthetic.three_classes(ROWS, COLUMNS)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as name:
        package = options.package or _package(x, y, Path(name))
        contenders = {**_ours(package), **_peers(x, y)}
        result = {
            "bench": "latency",
            "command": environment.command(),
            "when": environment.now(),
            "machine": environment.machine(),
            "versions": environment.versions(
                ["modelgpt-edge", "numpy", "onnxruntime", "scikit-learn", "skl2onnx", "xgboost-cpu"]
            ),
            "one_row": measure(contenders, x[:1], options.calls),
            "batch_256": measure(contenders, x[:256], max(options.calls // 10, 20)),
        }
    if options.json:
        environment.write_json(options.json, result)
    sys.stdout.write(_markdown(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--calls", type=int, default=1000, help="timed one-row calls of each contender (default 1000; batches a tenth)"
    )
    parser.add_argument(
        "--package", type=Path, metavar="DIR", help="use this package, built from the bench's table, and build none"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    return parser


def _package(x: np.ndarray, y: np.ndarray, folder: Path) -> Path:
    data = folder / "table.csv"
    synthetic.write_csv(data, {**synthetic.columns_of(x), "label": y.tolist()})
    environment.say("building the package")
    processes.build(data, folder / "table.edge")
    return folder / "table.edge"


# Each contender prepares a call for given rows (N, 30) float32; preparing (making dicts, naming inputs) is not timed.
Prepare = Callable[[np.ndarray], Call]


def _ours(package: Path) -> dict[str, Prepare]:
    from modelgpt_edge import load

    model = load(package)

    def dicts(rows: np.ndarray) -> Call:
        made = [{f"x{i}": float(v) for i, v in enumerate(row)} for row in rows]
        return lambda: model.predict_proba(made)

    return {OURS: lambda rows: lambda: model.predict_proba(rows), OURS_DICT: dicts}


def _peers(x: np.ndarray, y: np.ndarray) -> dict[str, Prepare]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    environment.say("fitting the peers")
    number = np.unique(y, return_inverse=True)[1]
    forest = RandomForestClassifier(n_estimators=200, random_state=0, n_jobs=1).fit(x, number)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x, number)
    booster = XGBClassifier(random_state=0, n_jobs=1).fit(x, number)

    def direct(model: Any) -> Prepare:
        return lambda rows: lambda: model.predict_proba(rows)

    return {
        "scikit-learn, random forest 200": direct(forest),
        "scikit-learn, logistic": direct(logistic),
        "XGBoost, scikit-learn interface": direct(booster),
        "skl2onnx, random forest 200": _exported(forest, x),
        "skl2onnx, logistic": _exported(logistic, x),
    }


def _exported(model: Any, x: np.ndarray) -> Prepare:
    """A scikit-learn model through skl2onnx, without the ZipMap, in ONNX Runtime on one thread."""
    import onnxruntime
    from skl2onnx import to_onnx

    exported = to_onnx(model, x[:1], options={"zipmap": False})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed, out = session.get_inputs()[0].name, [session.get_outputs()[1].name]
    difference = float(np.abs(session.run(out, {feed: x})[0] - model.predict_proba(x)).max())
    if difference > 1e-3:
        raise SystemExit(f"skl2onnx's export differs from its model by {difference:.1e}: its latency would mean nothing")
    return lambda rows: lambda: session.run(out, {feed: rows})[0]


def measure(contenders: dict[str, Prepare], rows: np.ndarray, calls: int) -> dict[str, dict[str, float]]:
    """Microseconds of each contender's call: median, 99th percentile, and ours over each on both."""
    ready = {name: prepare(np.ascontiguousarray(rows)) for name, prepare in contenders.items()}
    for name, call in ready.items():
        check(name, call(), len(rows))
        for _ in range(WARM_UP):
            call()
    environment.say(f"{len(rows)} rows a call, {calls} calls of each")
    times = interleaved(ready, calls)
    result = {
        n: {"median_us": float(np.median(t)), "p99_us": float(np.percentile(t, 99)), "calls": calls} for n, t in times.items()
    }
    for facts in result.values():
        for key in ("median", "p99"):
            facts[f"ours_over_it_{key}"] = result[OURS][f"{key}_us"] / facts[f"{key}_us"]
    return result


def check(name: str, answer: object, rows: int) -> None:
    """Stop the bench unless an answer holds probabilities."""
    p = np.asarray(answer)
    if p.shape != (rows, CLASSES) or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise SystemExit(f"{name} answered {p.shape}, not probabilities of {rows} rows x {CLASSES} classes: nothing was timed")


def interleaved(calls: dict[str, Call], rounds: int) -> dict[str, np.ndarray]:
    """Microseconds of `rounds` calls of each, taken in turn, each round starting with the next one."""
    names = list(calls)
    times = {name: np.empty(rounds) for name in names}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for step in range(len(names)):
                name = names[(turn + step) % len(names)]
                call = calls[name]
                start = time.perf_counter_ns()
                call()
                times[name][turn] = (time.perf_counter_ns() - start) / 1e3
    finally:
        gc.enable()
    return times


def _markdown(result: dict) -> str:
    parts = [f"{environment.described(result['machine'])}; one thread; {result['when']}; `{result['command']}`"]
    for key, title in (("one_row", "One row"), ("batch_256", "Batch of 256")):
        header = [title, "median, us", "p99, us", "ours / it, median", "ours / it, p99"]
        rows = [
            [
                n,
                f"{f['median_us']:,.1f}",
                f"{f['p99_us']:,.1f}",
                f"{f['ours_over_it_median']:.3f}",
                f"{f['ours_over_it_p99']:.3f}",
            ]
            for n, f in result[key].items()
        ]
        parts.append(environment.markdown_table(header, rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
