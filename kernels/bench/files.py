"""What a run leaves in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelgpt_edge.kernels.bench.plots import draw_roofline, draw_sweep
from modelgpt_edge.kernels.bench.run import Report
from modelgpt_edge.kernels.bench.table import markdown


def append_row(folder: Path, row: dict[str, Any]) -> None:
    """Append a measured row to `rows.jsonl`, which several runs may share."""
    with (folder / "rows.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_report(report: Report, folder: Path) -> None:
    """Write `kernels.md` and `kernels.json`, and of a timed run the pictures."""
    (folder / "kernels.md").write_text(markdown(report), encoding="utf-8")
    (folder / "kernels.json").write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    if report.roofs is not None and report.rows:
        (folder / "roofline.svg").write_text(draw_roofline(report.rows, report.roofs), encoding="utf-8")
        (folder / "size_sweep.svg").write_text(draw_sweep(report.rows, report.roofs), encoding="utf-8")
