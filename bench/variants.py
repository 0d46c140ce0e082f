"""How faithful the compiled forms are: label agreement with the fp32 reference, and accuracy lost, on held-out rows.

Every set is halved; a child is generated from one half, compiled by each backend in each precision, run on the other half, and
held against the numpy reference. What can't run here runs by its stand-in, which computes the same (TensorRT's ONNX in ONNX
Runtime, C for a microcontroller in this machine's build). All of a precision's forms are shown, those too that a build would
leave out; "sets within limits" counts those on which the form keeps them (99.5 % agreement, half a point lost at most).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import datasets
import environment
import numpy as np
from wheels import MissingDataError

from modelgpt_edge.compile.selection import AGREEMENT, LOSS
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.data.table import read_rows
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.prepare import encode
from modelgpt_edge.request import Request
from modelgpt_edge.table_pipeline import understand
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.registry import find_target

FORMS = (
    ("x86", "native", "fp32"),
    ("x86", "tvm", "fp32"),
    ("x86", "onnxruntime", "fp32"),
    ("x86", "onnxruntime", "fp16"),
    ("x86", "onnxruntime", "int8"),
    ("x86", "onnxruntime", "int8-dynamic"),
    ("jetson-orin-nano", "tensorrt", "fp16"),
    ("jetson-orin-nano", "tensorrt", "int8"),
    ("cortex-m4", "c", "fp32"),
    ("cortex-m4", "c", "int8"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    rows = []
    for name in datasets.groups()[options.sets]:
        try:
            rows += measure(name, options.draws)
        except MissingDataError as error:
            environment.say(f"skipped {name}: {error}")
    result = {
        "bench": "variants",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy", "onnxruntime", "apache-tvm"]),
        "rows": rows,
    }
    if options.json:
        environment.write_json(options.json, result)
    text = markdown(rows)
    if options.table:
        machine = f"{environment.described(result['machine'])}; {result['when']}; `{result['command']}`"
        options.table.write_text(f"# Compiled forms\n{__doc__}\n{machine}\n\n{text}\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="report", choices=["development", "report"])
    parser.add_argument("--draws", type=int, default=4, help="draws that a child is distilled from (default 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here, as Markdown")
    return parser


def measure(name: str, draws: int) -> list[dict]:
    """One set: a row for each form."""
    dataset = datasets.load(name)
    train, test = datasets.split(dataset, 0)
    request = Request("classify the rows", dataset.take(train), dataset.label, "classification", None, ("x86",), 0, draws)
    understood = understand(request)
    units = [size.architecture.units for size in reversed(understood.sizes) if size.architecture.units]
    child = generate(understood.table, units, draws, 0).child
    held = read_rows(dataset.take(test), understood.requirement.schema)
    numbers, codes = child.encoder.pack(held.numbers, held.words, len(held))
    reference = child.outputs(child.encoder.encode(numbers, codes)).argmax(1)
    source = ChildSource(child, "bench", calibrate(child, encode(child.encoder, understood.table.sample)))
    rows = []
    for target_name, backend_name, precision in FORMS:
        backend, target = BACKENDS[backend_name], find_target(target_name)
        artefact = backend.compile(source, target, precision)
        with tempfile.TemporaryDirectory() as folder:
            for file, content in artefact.files.items():
                (Path(folder) / file).write_bytes(content)
            files = Path(folder).joinpath
            executor = backend.load(files, target) if target.is_here else backend.stand_in(files, target)
            got = executor.run(numbers, codes).argmax(1)
        rows.append(
            {
                "set": name,
                "target": target_name,
                "backend": backend_name,
                "precision": precision,
                "rows": len(held),
                "bytes": int(artefact.facts.get("flash_bytes", sum(map(len, artefact.files.values())))),
                "agreement": float((got == reference).mean()),
                "loss": float((reference == held.labels).mean() - (got == held.labels).mean()),
            }
        )
    environment.say(f"{name}: least agreement {min(r['agreement'] for r in rows):.4f}")
    return rows


def markdown(rows: list[dict]) -> str:
    """The table: a line for each form, over all sets."""
    lines = []
    for form in FORMS:
        mine = [r for r in rows if (r["target"], r["backend"], r["precision"]) == form]
        weights = [r["rows"] for r in mine]
        agreement, loss = [r["agreement"] for r in mine], [r["loss"] for r in mine]
        good = sum(a >= AGREEMENT and b <= LOSS for a, b in zip(agreement, loss))
        lines.append(
            [
                " ".join(form),
                f"{np.average(agreement, weights=weights):.2%}",
                f"{min(agreement):.2%}",
                f"{np.mean(loss):+.2%}",
                f"{max(loss):+.2%}",
                f"{good} of {len(mine)}",
                f"{np.median([r['bytes'] for r in mine]):,.0f}",
            ]
        )
    shares = ["rows that agree", "least of a set", "accuracy lost, mean", "most of a set"]
    head = ["form", *shares, "sets within limits", "bytes, median"]
    return environment.markdown_table(head, lines)


if __name__ == "__main__":
    main()
