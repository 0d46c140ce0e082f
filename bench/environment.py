"""What every bench shares about its surroundings: machine facts, versions, threads, JSONL and markdown.

Only the standard library comes in here, so that a bench can pin its threads before numpy is first imported.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(count: int) -> dict[str, str]:
    """Environment variables that give a process `count` BLAS and OpenMP threads, which sleep while they wait.

    Threads that spin while they wait, OpenMP's default, slow a peer thirtyfold as soon as anything else runs on the machine.
    """
    return {**dict.fromkeys(THREAD_VARIABLES, str(count)), "OMP_WAIT_POLICY": "PASSIVE"}


def machine() -> dict[str, object]:
    """Processor, cores, memory in GB, system and Python of this machine."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of those distributions that are installed."""
    return {name: version for name in distributions if (version := _version(name))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def now() -> str:
    """The time to the second, UTC, ISO 8601."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def command() -> str:
    """The command line of this process as a reader would type it in the checkout."""
    script = Path(sys.argv[0]).resolve()
    shown = script.relative_to(ROOT).as_posix() if script.is_relative_to(ROOT) else script.name
    return " ".join(["python", shown, *sys.argv[1:]])


def say(text: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def append_jsonl(path: Path, row: Mapping[str, object]) -> None:
    """Append one row; each is flushed at once, so that a killed bench loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_jsonl(path: Path) -> list[dict]:
    """Rows of a JSONL file; none if it does not exist. A last line that a kill cut short is left out and said."""
    if not path.exists():
        return []
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
    return [row for row in rows if row is not None]


def _row(line: str, where: str) -> dict | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        say(f"{where}: not a JSON line, left out")
        return None


def write_json(path: Path, value: object) -> None:
    """Write indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def result(bench: str, distributions: Iterable[str], facts: Mapping[str, object]) -> dict:
    """What a bench found, with the command, the time, the machine and the versions that it was found by."""
    made = {"bench": bench, "command": command(), "when": now(), "machine": machine(), "versions": versions(distributions)}
    return {**made, **facts}


def publish(found: dict, report: str, json_to: Path | None, table: Path | None) -> None:
    """Print a report, and write it and all that was found where a file is given."""
    if json_to:
        write_json(json_to, found)
    sys.stdout.write(report)
    if table:
        table.write_text(report, encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A markdown table; the first `left` columns are left-aligned, the rest right-aligned."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def described(facts: Mapping[str, object]) -> str:
    """Machine facts in one line."""
    memory = f", {facts['memory_gb']} GB" if facts.get("memory_gb") else ""
    cores = f"{facts['cores']} core{'' if facts['cores'] == 1 else 's'}"
    return f"{facts['cpu']}, {cores}{memory}, {facts['system']}, Python {facts['python']}"


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum of repeated measurements."""
    return {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds), "runs": len(seconds)}
