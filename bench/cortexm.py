"""Emitted C on an emulated Cortex-M4: flash, RAM and instructions of networks beside emx-onnx-cgen's, and of a table's model.

Both generators' C is compiled by the same compiler, in the same firmware; emx's once with -O2 and once with -O3, the kinder of
which its ratio stands on. Instructions are counted by QEMU, repeatably; they are no cycles. The table's models are scored on
rows that their generation never saw, five times over, with the C itself as compiled for the core (the host build gives the same
bits, which is checked here on the first fold).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emx
import environment
import numpy as np

CORE = "cortex-m4"
FLASH, RAM = 64 << 10, 16 << 10
FOLDS = 5
ROWS = 4
HEART = environment.ROOT / "examples" / "heart.csv"
TASK = "predict heart disease from a patient's vitals"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    from threadpoolctl import threadpool_limits

    from modelgpt_edge.targets.cortexm.toolchain import cross_version

    with threadpool_limits(1):
        result = {
            "bench": "cortexm",
            "command": environment.command(),
            "when": environment.now(),
            "machine": environment.machine(),
            "versions": {
                **environment.versions(["modelgpt-edge", "numpy"]),
                "emx-onnx-cgen": emx.VERSION,
                "gcc": cross_version(),
            },
            "core": CORE,
            "networks": {name: measure_network(name, network) for name, network in networks().items()},
            "table": measure_table(options.data, options.label, options.task),
        }
    if options.json:
        environment.write_json(options.json, result)
    sys.stdout.write(_markdown(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HEART, metavar="CSV", help="the table (default examples/heart.csv)")
    parser.add_argument("--label", default="label", help="its label column")
    parser.add_argument("--task", default=TASK, help="what to predict")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    return parser


def networks() -> dict[str, Any]:
    """MLP 30-64-64-3, and three convolutions on 3 x 32 x 32 with a mean and ten outputs; weights are random, as emx's are."""
    from modelgpt_edge.network import Conv2D, Dense, GlobalAveragePool, Network

    draw = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        reach = 1 / np.sqrt(np.prod(shape[:-1]))
        return draw.uniform(-reach, reach, shape).astype(np.float32)

    def dense(inputs: int, outputs: int, relu: bool = False) -> Any:
        return Dense(weights(inputs, outputs), weights(1, outputs)[0], relu)

    def conv(channels: int, outputs: int, stride: int) -> Any:
        return Conv2D(weights(3, 3, channels, outputs), weights(1, outputs)[0], stride, (1, 1, 1, 1), True)

    return {
        "MLP 30-64-64-3": Network((30,), (dense(30, 64, True), dense(64, 64, True), dense(64, 3))),
        "CNN, 3 convolutions, 3x32x32": Network(
            (32, 32, 3), (conv(3, 16, 1), conv(16, 32, 2), conv(32, 64, 2), GlobalAveragePool(), dense(64, 10))
        ),
    }


@dataclass(frozen=True)
class Taken:
    """What a model takes of the core."""

    flash_bytes: int
    ram_bytes: int
    instructions: float


def take(files: dict[str, bytes], flags: Sequence[str], numbers: np.ndarray, codes: np.ndarray) -> tuple[Taken, np.ndarray]:
    """Compile for the core, measure, and run rows; stack as it was seen to grow."""
    from modelgpt_edge.targets.cortexm import qemu
    from modelgpt_edge.targets.cortexm.cores import CORES
    from modelgpt_edge.targets.cortexm.toolchain import measure

    core, usual = CORES[CORE], qemu.FLAGS
    size = measure(files, core, flags)
    qemu.FLAGS = tuple(flags)
    try:
        ran = qemu.Firmware(files, core).run(numbers, codes, count=True)
    finally:
        qemu.FLAGS = usual
    ram = size.static_bytes + size.scratch_bytes + ran.stack_bytes
    return Taken(size.flash_bytes, ram, float(ran.instructions or 0)), ran.outputs


def measure_network(name: str, network: Any) -> dict[str, Any]:
    """Both of our forms and emx's, each checked against the numpy forward pass."""
    from modelgpt_edge.network_onnx import channels_first, network_to_onnx
    from modelgpt_edge.targets.cortexm.network import emit_network
    from modelgpt_edge.targets.cortexm.toolchain import FLAGS

    environment.say(name)
    draw = np.random.default_rng(1)
    x, calibration = (draw.normal(size=(count, *network.input_shape)).astype(np.float32) for count in (ROWS, 64))
    expected, codes = network.forward(x), np.zeros((ROWS, 0), np.int32)
    found: dict[str, Any] = {}
    for precision in ("int8", "fp32"):
        files = emit_network(network, precision, calibration).files
        found[f"ours, {precision}"] = _checked(take(files, FLAGS, x.reshape(ROWS, -1), codes), expected)
    before, after = channels_first(network.input_shape), channels_first(network.shapes()[-1])
    theirs = emx.emit(network_to_onnx(network).SerializeToString(), before, after)
    first = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x).reshape(ROWS, -1)
    loose = ("-std=gnu11", "-w", "-ffunction-sections", "-Wl,--gc-sections")
    for level in ("-O2", "-O3"):
        found[f"emx-onnx-cgen, fp32, {level}"] = _checked(take(theirs, (level, *loose), first, codes), expected)
    kinder = min(facts["instructions"] for who, facts in found.items() if who.startswith("emx"))
    for facts in found.values():
        facts["over_emx"] = facts["instructions"] / kinder
    return found


def _checked(taken: tuple[Taken, np.ndarray], expected: np.ndarray) -> dict[str, float]:
    facts, outputs = taken
    noise = outputs - expected
    quality = 10 * float(np.log10((expected**2).mean() / max(float((noise**2).mean()), 1e-20)))
    if quality < 30:
        raise SystemExit(f"the outputs are {quality:.0f} dB from the reference: nothing that was counted would mean anything")
    return {**vars(facts), "sqnr_db": quality}


def measure_table(data: Path, label: str, task: str) -> dict[str, Any]:
    """Models of a table: without a budget in numpy, and within 64 kB of flash and 16 kB of RAM in C, int8 and fp32."""
    columns = _read(data)
    rows = len(columns[label])
    fold = np.random.default_rng(0).permutation(rows) % FOLDS
    sums: dict[str, dict[str, list[float]]] = {}
    for f in range(FOLDS):
        environment.say(f"fold {f + 1} of {FOLDS}")
        for name, facts in _one_fold(columns, label, task, fold == f, first=f == 0).items():
            for key, value in facts.items():
                sums.setdefault(name, {}).setdefault(key, []).append(value)
    return {name: {key: float(np.mean(values)) for key, values in facts.items()} for name, facts in sums.items()}


def _one_fold(
    columns: dict[str, list[str]], label: str, task: str, held: np.ndarray, first: bool
) -> dict[str, dict[str, float]]:
    from modelgpt_edge.data.cells import read_words
    from modelgpt_edge.data.table import read_rows
    from modelgpt_edge.parameters.generate import generate
    from modelgpt_edge.request import Request
    from modelgpt_edge.table_pipeline import understand
    from modelgpt_edge.targets.cortexm.host import open_on_host
    from modelgpt_edge.targets.cortexm.sizes import Counts, estimate
    from modelgpt_edge.targets.cortexm.tabular import emit_child
    from modelgpt_edge.targets.cortexm.toolchain import FLAGS

    train = {name: [cell for cell, out in zip(cells, held) if not out] for name, cells in columns.items()}
    test = {name: read_words([cell for cell, out in zip(cells, held) if out]) for name, cells in columns.items()}
    understood = understand(Request(task, train, label, targets=(CORE,)))
    schema = understood.requirement.schema
    unseen = read_rows(test, schema)
    found: dict[str, dict[str, float]] = {}
    sizes, draws = [size.architecture.units for size in understood.sizes], understood.sizes[0].architecture.draws
    made: dict[int, Any] = {}

    def child_of(units: int) -> Any:
        if units not in made:
            made[units] = generate(understood.table, (units,), draws, 0, generator="floor" if units else "linear").child
        return made[units]

    whole = generate(understood.table, [units for units in reversed(sizes) if units], draws, 0, generator="floor").child
    packed = whole.encoder.pack(unseen.numbers, unseen.words, len(unseen))
    reference = whole.outputs(whole.encoder.encode(*packed))
    found["no budget, numpy fp32"] = {"units": whole.units.count, "accuracy": _accuracy(reference, unseen.labels)}
    for precision in ("int8", "fp32"):
        for units in sizes:
            child = child_of(units)
            flash, ram = estimate(Counts.of(child), precision)
            if flash <= FLASH and ram <= RAM:
                break
        packed = child.encoder.pack(unseen.numbers, unseen.words, len(unseen))
        expected = child.outputs(child.encoder.encode(*packed))
        files = emit_child(child, precision).files
        outputs = open_on_host(files).run(*packed)
        facts, emulated = take(files, FLAGS, packed[0][:ROWS], packed[1][:ROWS])
        if first and not np.array_equal(emulated.view(np.int32), outputs[:ROWS].view(np.int32)):
            raise SystemExit("the core's bits aren't the host build's: nothing that was counted would mean anything")
        found[f"64 kB and 16 kB, C {precision}"] = {
            "units": child.units.count,
            **vars(facts),
            "estimated_flash_bytes": flash,
            "estimated_ram_bytes": ram,
            "accuracy": _accuracy(outputs, unseen.labels),
            "agreement": float((outputs.argmax(1) == expected.argmax(1)).mean()),
        }
    return found


def _accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs.argmax(1) == labels).mean())


def _read(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _markdown(result: dict[str, Any]) -> str:
    parts = [f"{result['core']} in QEMU, gcc {result['versions']['gcc']}; {result['when']}; `{result['command']}`"]
    for name, found in result["networks"].items():
        header = [name, "flash, bytes", "RAM, bytes", "instructions", "of emx's", "signal to noise, dB"]
        rows = [
            [
                who,
                f"{f['flash_bytes']:,}",
                f"{f['ram_bytes']:,}",
                f"{f['instructions']:,.0f}",
                f"{f['over_emx']:.3f}",
                f"{f['sqnr_db']:.0f}",
            ]
            for who, f in found.items()
        ]
        parts.append(environment.markdown_table(header, rows))
    header = ["Table", "units", "flash, bytes", "RAM, bytes", "instructions", "accuracy", "labels as fp32's"]
    keys = (("units", ",.0f"), ("flash_bytes", ",.0f"), ("ram_bytes", ",.0f"), ("instructions", ",.0f"))
    shares = (("accuracy", ".4f"), ("agreement", ".4f"))
    rows = [[who, *(f"{f[k]:{form}}" if k in f else "" for k, form in (*keys, *shares))] for who, f in result["table"].items()]
    parts.append(environment.markdown_table(header, rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
