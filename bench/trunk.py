"""The tiny trunk under solved heads, beside bare pixels and an untrained trunk; and what it takes of a microcontroller.

Balanced accuracy on up to 2,000 pictures that no head learnt from, means over seeds. Pixels and features get the same logistic
regression, its C by cross-validation on the pictures at hand; `as built` is the head that a build solves on the same features.
The whole model in int8 is the device's C, run here; flash, RAM and instructions are those of a head of ten classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import environment
import numpy as np
from picture_heads import as_built, balanced, logistic, untrained
from picture_sets import NOTES, SETS, PictureSet, draws, read_set
from wheels import MissingDataError

ASKED, BUILT, PIXELS = 2000, "trunk, as built", "pixels, logistic"
# Sets that nothing of the trunk was chosen on, and the gain over pixels that was its goal at so many pictures of a class.
UNSEEN, COMPARED, GOAL = ("digits", "fashion"), 20, 8.0
CORES = ("cortex-m4", "cortex-m7")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    from threadpoolctl import threadpool_limits

    from modelgpt_edge.architecture.image.trunk import Trunk

    trunk = (Trunk.read(options.trunk) if options.trunk else Trunk.shipped()).with_colours()
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    with threadpool_limits(1):
        for name in options.sets:
            try:
                rows += measure_set(read_set(name), trunk, options.shots, range(options.seeds))
            except MissingDataError as error:
                skipped[name] = str(error)
                environment.say(f"{name} is left out: {error}")
        sizes = measure_sizes(trunk)
    facts = {
        "trunk": {"sha256": trunk.sha256, "parameters": trunk.shape.parameters, **trunk.story},
        "skipped": skipped,
        "rows": rows,
        "sizes": sizes,
    }
    found = environment.result("trunk", ["modelgpt-edge", "numpy", "scikit-learn", "onnxruntime"], facts)
    environment.publish(found, _markdown(found), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trunk", type=Path, metavar="FILE", help="what `train images` wrote (default: the shipped one)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5, 10, 20, 100], metavar="N", help="pictures of a class")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables here too")
    return parser


def measure_set(found: PictureSet, trunk: Any, shots: Sequence[int], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each contender, number of shots and seed."""
    environment.say(f"{found.name}: {len(found.labels):,} pictures")
    from modelgpt_edge.architecture.image.template import TrunkTemplate

    levels, labels = found.at(trunk.size), found.labels
    pixels = levels[..., :1] if found.grey else levels
    pixels = pixels.reshape(len(levels), -1).astype(np.float32) / 255
    features, unlearnt = trunk.features(levels), untrained(trunk).features(levels)
    solve_built = partial(as_built, TrunkTemplate(trunk).linear)
    contenders: dict[str, tuple[np.ndarray, Callable[..., np.ndarray]]] = {
        PIXELS: (pixels, logistic),
        "untrained trunk, as built": (unlearnt, solve_built),
        "trunk, logistic": (features, logistic),
        BUILT: (features, solve_built),
    }
    rows = []
    for count in shots:
        for seed, (learnt, asked) in zip(seeds, draws(labels, count, ASKED, seeds)):
            for name, (values, solve) in contenders.items():
                weight, bias = solve(values[learnt], labels[learnt])
                right = balanced(values[asked] @ weight + bias, labels[asked])
                row = {"set": found.name, "shots": count, "seed": seed}
                rows.append({**row, "contender": name, "accuracy": right})
                if name == BUILT:
                    int8 = in_int8(trunk, weight, bias, levels[learnt], levels[asked])
                    if int8 is not None:
                        rows.append({**row, "contender": "whole, int8", "accuracy": balanced(int8, labels[asked])})
        environment.say(f"{found.name}, {count} shots: done")
    return rows


def in_int8(trunk: Any, weight: np.ndarray, bias: np.ndarray, learnt: np.ndarray, asked: np.ndarray) -> np.ndarray | None:
    """Scores of the whole model in int8, calibrated on what it learnt from; None without a C compiler."""
    from modelgpt_edge.errors import TargetUnavailableError
    from modelgpt_edge.targets.backend import PixelNetwork
    from modelgpt_edge.targets.cortexm.host import open_on_host
    from modelgpt_edge.targets.cortexm.network import emit_pixels

    given = PixelNetwork(trunk.network(weight, bias, probabilities=False), learnt[:200])
    try:
        return open_on_host(emit_pixels(given, "int8").files).run(np.zeros((len(asked), 0), np.float32), asked)
    except TargetUnavailableError:
        return None


def measure_sizes(trunk: Any) -> dict[str, dict[str, Any]] | str:
    """Flash, RAM and instructions on emulated cores; why not, where the toolchain isn't here."""
    from modelgpt_edge.errors import TargetUnavailableError
    from modelgpt_edge.targets.backend import PixelNetwork
    from modelgpt_edge.targets.cortexm.cores import CORES as FOUND
    from modelgpt_edge.targets.cortexm.network import emit_pixels
    from modelgpt_edge.targets.cortexm.qemu import Firmware
    from modelgpt_edge.targets.cortexm.toolchain import measure

    rng = np.random.default_rng(0)
    pictures = np.kron(rng.integers(0, 256, (16, 4, 4, 3), np.uint8), np.ones((1, 8, 8, 1), np.uint8))
    weight = (rng.normal(size=(trunk.width, 10)) / trunk.width).astype(np.float32)
    files = emit_pixels(PixelNetwork(trunk.network(weight, np.zeros(10, np.float32)), pictures), "int8").files
    found: dict[str, dict[str, Any]] = {}
    try:
        for core in CORES:
            size = measure(files, FOUND[core])
            ran = Firmware(files, FOUND[core]).run(np.zeros((1, 0), np.float32), pictures[:1], count=True)
            found[core] = {"flash_bytes": size.flash_bytes, "ram_bytes": size.ram_bytes, "instructions": ran.instructions}
    except TargetUnavailableError as error:
        return str(error)
    return found


def _preface(result: dict[str, Any]) -> list[str]:
    """The head of the page, and how far the trunk is above bare pixels."""

    def mean(name: str, contender: str) -> float:
        found = result["rows"]
        own = [r["accuracy"] for r in found if (r["set"], r["contender"], r["shots"]) == (name, contender, COMPARED)]
        return 100 * float(np.mean(own)) if own else float("nan")

    gains = ((name, mean(name, BUILT) - mean(name, PIXELS)) for name in UNSEEN)
    told = " and ".join(f"{gain:+.1f} on {name}" for name, gain in gains if np.isfinite(gain))
    above = (
        f"At {COMPARED} pictures of a class it is that many points above bare pixels: {told}. The goal was {GOAL:+g}."
        if told
        else ""
    )
    return [
        "# The tiny trunk for microcontrollers",
        f"{environment.described(result['machine'])}; `{result['command']}`; all measurements in `bench/results/trunk.json`.",
        "",
        "Balanced accuracy in % by pictures of a class, mean ± standard deviation over draws. The trunk is the one that a "
        "build takes, with channels that hand colours through ([ADR 23](adr/0023-templates-of-pictures.md)); pixels get a "
        f"logistic regression whose strength is tuned. {above}",
        "",
    ]


def _markdown(result: dict[str, Any]) -> str:
    rows, lines = result["rows"], _preface(result)
    sets, shots = list(dict.fromkeys(r["set"] for r in rows)), list(dict.fromkeys(r["shots"] for r in rows))
    for name in sets:
        body = []
        for contender in dict.fromkeys(r["contender"] for r in rows if r["set"] == name):
            cells = []
            for count in shots:
                own = [r["accuracy"] for r in rows if (r["set"], r["contender"], r["shots"]) == (name, contender, count)]
                cells.append(f"{100 * np.mean(own):.1f} ± {100 * np.std(own, ddof=min(1, len(own) - 1)):.1f}")
            body.append([contender, *cells])
        lines += [f"### {name}", NOTES[name], "", environment.markdown_table(["contender", *map(str, shots)], body), ""]
    if isinstance(result["sizes"], str):
        lines.append(f"Sizes: not run: {result['sizes']}")
    else:
        body = []
        for core, taken in result["sizes"].items():
            kilobytes = (f"{taken[part] / 1000:.1f} kB" for part in ("flash_bytes", "ram_bytes"))
            body.append([core, *kilobytes, f"{taken['instructions'] / 1e6:.1f} million"])
        lines.append(environment.markdown_table(["core", "flash", "RAM beside the picture", "instructions"], body))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
