"""The report as tables of words, the same for a terminal and for markdown; every column is explained below its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelgpt_edge.kernels.ahead import Resource
from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.checks import Check
from modelgpt_edge.kernels.bench.contenders import BASELINES
from modelgpt_edge.kernels.bench.models import DISTILLED, DRAWN, request
from modelgpt_edge.kernels.bench.roofs import Roofs
from modelgpt_edge.kernels.bench.rows import Goal, Row, Timed, geometric_mean, goals, worst
from modelgpt_edge.kernels.bench.run import Report
from modelgpt_edge.kernels.bench.surroundings import described
from modelgpt_edge.kernels.bench.timing import Spread

NOT_RUN = "not run"


@dataclass(frozen=True)
class Block:
    """A table: its first `left` columns aligned to the left, the others to the right; remarks below it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int
    remarks: Sequence[str] = ()


def header(report: Report) -> list[tuple[str, str]]:
    """Names and lines that come before the tables; the first says so where there is no GPU."""
    none = f"{report.no_gpu}: nothing is timed; kernels are checked in Triton's interpreter and compiled ahead of time"
    return (
        ([("No GPU", none)] if report.no_gpu else []) + described(report.surroundings) + [("Checks", _checked(report.checks))]
    )


def blocks(report: Report) -> list[Block]:
    """All tables of a report, in order."""
    measured = [_ours(report), _against(report.rows)] if report.rows else [_open(report.cases), _none_against(report.cases)]
    return [_roofs(report), *measured, _models(report), _summary(report), _checks(report.checks), _resources(report.resources)]


def _checked(checks: Sequence[Check]) -> str:
    groups = sum(c.groups for c in checks)
    return f"{len(checks)} are green: {groups:,} matrices against plain torch in float64"


def _roofs(report: Report) -> Block:
    names = ("device copy, TB/s", "float16 product, TFLOP/s", "tf32 product, TFLOP/s")
    rows = []
    for name, attribute in zip(names, ("copy", "half", "tf32")):
        cells = [_tera(getattr(found, attribute)) if found else "" for found in (report.roofs, report.sheet)]
        rows.append([name, cells[0] or NOT_RUN, cells[1] or "not known"])
    return Block(
        "Roofs",
        ("roof", "measured", "data sheet"),
        rows,
        1,
        (
            "device copy: of 1 GiB, read and written; products: of 8,192 x 8,192 matrices, on data sheets without sparsity",
            "a product of float32 in a kernel is three of tf32, so its roof is a third of that one's",
        ),
    )


TIMES = ("kernel", "p10 to p90", "span", "p10 to p90", "wall", "p10 to p90", "GB/s", "of roof", "TFLOP/s", "SQNR", "extra")
CASE = ("kernel", "template", "types", "requests")


def _ours(report: Report) -> Block:
    assert report.roofs is not None
    return Block("Times", (*CASE, *TIMES), [[*_case(r.case), *_times(r, report.roofs)] for r in report.rows], 3, TIME_REMARKS)


def _open(cases: Sequence[Case]) -> Block:
    rows = [[*_case(case), *[NOT_RUN] * len(TIMES)] for case in cases]
    return Block("Times", (*CASE, *TIMES), rows, 3, TIME_REMARKS)


TIME_REMARKS = (
    "kernel: the GPU's time of our Triton kernel alone; p10 to p90: quantiles; the second-level cache is overwritten before",
    "span: the GPU's time of the whole call, queued ahead of the GPU: copies of tables of sizes and fillings of buffers count",
    "wall: the host's time from the call to the end, allocations included",
    "GB/s: bytes that must be moved, each operand and the result once, by kernel time; TFLOP/s: operations alike",
    "of roof: the least time by the measured roofs, of memory (m) or arithmetic (a), by kernel time",
    "SQNR: signal to quantisation noise against float64, in dB; extra: memory at the most beyond operands and result",
)


def _case(case: Case) -> list[str]:
    rank = f", rank {case.rank}" if case.rank else ""
    return [case.kernel, case.template + rank, case.types, f"{case.requests:,}"]


def _times(row: Row, roofs: Roofs) -> list[str]:
    ours = row.ours
    return [
        *(cell for s in (row.kernel, ours.span, ours.wall) for cell in (duration(s.median), _from_to(s))),
        f"{row.bandwidth / 1e9:,.0f}",
        f"{row.share(roofs):.0%} {roofs.bound(row.case)[0]}",
        f"{row.speed / 1e12:.3g}",
        "-" if ours.sqnr_db is None else f"{ours.sqnr_db:.1f}",
        amount(ours.memory.extra),
    ]


def _from_to(found: Spread) -> str:
    return f"{duration(found.low)} to {duration(found.high)}"


AGAINST = ("span", "wall", "ratio", "on the wall", "SQNR", "extra")
AGAINST_REMARKS = (
    "ratio: how much longer than ours it takes, its span beside ours and its wall beside ours; *: the best by span",
    "operands lie as each baseline likes them, before the clock; it may leave its result as it comes",
    "a shape: one product for all groups of one size; padded: all groups to the largest; float32 without tf32",
    "requests as rows: one product a basis that all requests share, which LoRA rows alone have",
)


def _against(rows: Sequence[Row]) -> Block:
    cells = []
    for row in rows:
        for name, found in row.baselines.items():
            if isinstance(found, Timed):
                ratio, wall = found.span.median / row.ours.span.median, found.wall.median / row.ours.wall.median
                times = [duration(found.span.median), duration(found.wall.median), f"{ratio:.2f}", f"{wall:.2f}"]
                times += ["-" if found.sqnr_db is None else f"{found.sqnr_db:.1f}", amount(found.memory.extra)]
            else:
                times = [found, "", "", "", "", ""]
            cells.append([*_case(row.case)[:3], f"{row.case.requests:,}", name + " *" * (name == row.best), *times])
    head = ("kernel", "template", "types", "requests", "baseline", *AGAINST)
    return Block("Baselines", head, cells, 5, AGAINST_REMARKS)


def _none_against(cases: Sequence[Case]) -> Block:
    kernels = dict.fromkeys(case.kernel for case in cases)
    rows = [[kernel, name, *[NOT_RUN] * 6] for kernel in kernels for name in BASELINES[kernel]]
    return Block("Baselines", ("kernel", "baseline", *AGAINST), rows, 2, AGAINST_REMARKS)


def _models(report: Report) -> Block:
    rows = [[s.words, f"{s.rate:,.0f}", str(s.batch), str(s.processes)] for s in report.models]
    rows = rows or [[request(units), *[NOT_RUN] * 3] for units in (DISTILLED, DRAWN)]
    remarks = [
        "a server's launches, without HTTP: workers read tables and draw units, the GPU solves heads, workers distil and write",
        "a launch: models of one; workers: processes, one for each core",
    ]
    if report.unserved:
        remarks.append(report.unserved)
    return Block("Models", ("request", "models a second", "a launch", "workers"), rows, 1, remarks)


def _summary(report: Report) -> Block:
    found = goals(report.rows, report.roofs, report.models)
    rows = [[goal.words, _figure(goal, goal.wanted), _measured(goal)] for goal in found]
    remarks = ["wanted of an H100"]
    for kernel in dict.fromkeys(r.case.kernel for r in report.rows):
        mine = [r for r in report.rows if r.case.kernel == kernel]
        last, mean = worst(mine), geometric_mean(r.ratio for r in mine)
        if last is not None and mean is not None:
            remarks.append(
                f"{kernel}: geometric mean {mean:.2f}; the worst row {last.case.name}, {last.ratio:.2f} of {last.best}"
            )
    launched = geometric_mean(r.ratio for r in report.rows if r.case.launched)
    told = "" if launched is None else f": geometric mean {launched:.2f}"
    remarks.append(
        f"a server launches LoRA for MiniLM and draws of 640 units{told}; other rows show the kernels in other types and sizes"
    )
    return Block("Summary", ("figure", "wanted", "measured"), rows, 1, remarks)


def _figure(goal: Goal, value: float) -> str:
    shown = f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return f"<= {shown}" if goal.most else f">= {shown}"


def _measured(goal: Goal) -> str:
    if goal.measured is None:
        return NOT_RUN
    shown = f"{goal.measured:.2f}" if goal.measured < 10 else f"{goal.measured:,.0f}"
    return shown + ("" if goal.met else ", not met")


def _checks(checks: Sequence[Check]) -> Block:
    rows = [[c.case, str(c.groups), "-" if c.sqnr_db is None else f"{c.sqnr_db:.1f}", c.fault or "green"] for c in checks]
    remarks = ("matrices: of the result, held against plain torch in float64; SQNR in dB over them",)
    return Block("Checks", ("case", "matrices", "SQNR", "found"), rows, 1, remarks)


def _resources(resources: Sequence[Resource]) -> Block:
    rows = []
    for r in resources:
        notes = ["aligned" if r.aligned else "any size", "pipelined" if r.pipelined else "not pipelined"]
        cells = [r.kernel, notes[0], f"sm_{r.cc}", r.configuration, notes[1]]
        rows.append([*cells, str(r.registers), str(r.spills), f"{r.shared_bytes:,}"])
    return Block(
        "Ahead of time",
        ("kernel", "rows", "GPU", "configuration", "loads", "registers", "spilt, B", "shared, B"),
        rows,
        5,
        (
            "every kernel in every configuration; sm_80: A100, sm_87: Jetson Orin, sm_90: H100 and H200, sm_100: B200",
            "registers and spilt bytes: of a thread; shared memory: of a program",
            "aligned: rows begin at multiples of 16 bytes",
            "LoRA: as a server launches it for adapters of texts, of rank and basis 8 and without bias",
            "pipelined: loads go on while the program computes",
        ),
    )


def _tera(value: float) -> str:
    return f"{value / 1e12:.3g}"


def duration(seconds: float) -> str:
    """Three digits with their unit."""
    for unit, step in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * step:
            return f"{seconds / step:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds:#.3g}".rstrip(".") + " s"


def amount(count: int) -> str:
    """Bytes with three digits."""
    for unit, step in (("B", 1), ("kB", 1 << 10), ("MB", 1 << 20)):
        if count < 1000 * step:
            return f"{count / step:.3g} {unit}"
    return f"{count / (1 << 30):.3g} GB"


def markdown(report: Report) -> str:
    """The whole report as a page."""
    lines = ["# Kernels", "", "`modelgpt-edge bench kernels` writes this page.", ""]
    lines += [f"* **{name}**: {line}" for name, line in header(report)]
    for block in blocks(report):
        rule = ["---"] * block.left + ["---:"] * (len(block.head) - block.left)
        lines += ["", f"## {block.title}", ""]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (block.head, rule, *block.rows)]
        lines += ["", *(f"* {remark}" for remark in block.remarks)]
    return "\n".join(lines) + "\n"
