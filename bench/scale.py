"""How a build grows with the rows: 1e3 to 1e6 rows x 20 columns, time, time a row, peak memory and score.

Each size is a mixed CSV file (14 numbers, 6 columns of words, gaps, a nonlinear label) streamed to a temporary folder. Ours is
the whole process, `modelgpt-edge build` from start to package. Peers are processes too, start and reading of the same file
included, and fit once: no cross-validated score, no compiling, no check, all of which a build does. Peak memory is the kernel's
figure for each process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import environment
import processes

PEERS = {"lightgbm": "LightGBM", "linear": "logistic regression"}
REFERENCE = 100_000


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.peer:
        fit_once(options.peer, options.file, options.threads)
        return
    result = {
        "bench": "scale",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy", "onnxruntime", "lightgbm", "scikit-learn"]),
        "threads": options.threads,
        "sizes": [],
    }
    for rows in options.rows:
        result["sizes"].append(size(rows, options.threads, [] if options.no_peers else list(PEERS)))
        add_growth(result["sizes"])
        if options.json:  # after every size: the largest may be stopped by hand
            environment.write_json(options.json, result)
    sys.stdout.write(_markdown(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=_rows, default=_rows("1e3,1e4,1e5,1e6"), help="sizes (default 1e3,1e4,1e5,1e6)")
    parser.add_argument(
        "--threads", type=int, default=environment.cores(), help="threads of every contender (default: all cores)"
    )
    parser.add_argument("--no-peers", action="store_true", help="measure the builds alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--peer", choices=list(PEERS), help=argparse.SUPPRESS)  # how this bench starts itself for a peer
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parser


def _rows(text: str) -> list[int]:
    try:
        rows = [int(float(part)) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1e3,1e4, got {text!r}") from None
    if min(rows) < 100:
        raise argparse.ArgumentTypeError(f"expected at least 100 rows, got {min(rows)}")
    return rows


def size(rows: int, threads: int, peers: Sequence[str]) -> dict:
    """Measure one size: ours, then each peer on the same file."""
    import synthetic

    pinned = environment.threads(threads)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table.csv"
        synthetic.write_mixed(path, rows)
        environment.say(f"{rows:,} rows, {path.stat().st_size / 1e6:.1f} MB: build")
        run, facts = processes.build(path, Path(name) / "table.edge", environment=pinned)
        measured = {
            "rows": rows,
            "file_mb": path.stat().st_size / 1e6,
            "seconds": run.seconds,
            "peak_mb": run.peak_mb,
            "score": facts.get("score"),
            "generator": facts.get("generator"),
            "peers": {},
        }
        for key in peers:
            environment.say(f"{rows:,} rows: {PEERS[key]}")
            own = [sys.executable, __file__, "--peer", key, "--file", str(path), "--threads", str(threads)]
            other = processes.measure(own, pinned)
            if other.code:
                environment.say(f"{PEERS[key]} failed:\n{other.stderr.strip()[-1000:]}")
                continue
            measured["peers"][key] = {
                "seconds": other.seconds,
                "fit_seconds": float(other.stdout),
                "peak_mb": other.peak_mb,
                "ours_over_peer": run.seconds / other.seconds,
            }
    return measured


def add_growth(sizes: list[dict]) -> None:
    """Add to each size its seconds a row over those at 1e5 rows: 1 is linear growth, more is worse."""
    reference = next((s["seconds"] / s["rows"] for s in sizes if s["rows"] == REFERENCE), None)
    for measured in sizes:
        measured["seconds_a_row_over_1e5"] = measured["seconds"] / measured["rows"] / reference if reference else None


def fit_once(key: str, path: Path, threads: int) -> None:
    """Read the file, fit one peer, print the seconds of the fit (encoding included) on stdout: the body of a peer's process."""
    import pandas as pd
    from peers import fit_peer

    frame = pd.read_csv(path)
    labels = frame.pop("label").tolist()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    sys.stdout.write(f"{fit_peer(key, columns, labels, 'classification', 0, threads).fit_seconds}\n")


def _markdown(result: dict) -> str:
    header = ["rows", "build, s", "a row, over 1e5", "peak, MB", "score"]
    header += [f"{title}, s (ours / it)" for title in PEERS.values()]
    rows = []
    for s in result["sizes"]:
        growth, score = s["seconds_a_row_over_1e5"], s["score"] or {}
        value = f"{score['metric']} {score['value']:.4f}" if score.get("value") is not None else ""
        peers = [f"{p['seconds']:.2f} ({p['ours_over_peer']:.2f} x)" if (p := s["peers"].get(key)) else "" for key in PEERS]
        shown = "" if growth is None else f"{growth:.2f} x"
        rows.append([f"{s['rows']:,}", f"{s['seconds']:.2f}", shown, f"{s['peak_mb']:.0f}", value, *peers])
    head = f"{environment.described(result['machine'])}; {result['threads']} threads; {result['when']}; `{result['command']}`"
    return head + "\n\n" + environment.markdown_table(header, rows)


if __name__ == "__main__":
    main()
