"""How commands speak: results on stdout, progress on stderr, tables that fit any terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import click

from modelgpt_edge.requirement.wording import shown

Progress = Callable[[str, float], None]
MOST_NAMED = 8


def print_json(values: object) -> None:
    """JSON on stdout."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """An aligned table; columns at the places in `right` are aligned to the right."""
    lines = [head, *rows]
    widths = [max(len(line[c]) for line in lines) for c in range(len(head))]

    def row(line: Sequence[str]) -> str:
        cells = [cell.rjust(widths[c]) if c in right else cell.ljust(widths[c]) for c, cell in enumerate(line)]
        return "  " + "  ".join(cells).rstrip()

    return "\n".join([row(head), "  " + "  ".join("-" * w for w in widths), *(row(line) for line in rows)])


def named_lines(names: Sequence[str]) -> list[str]:
    """The columns that the task names, and what that does, in one line; none without any."""
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    told = ", ".join(shown(name) for name in names[:MOST_NAMED]) + more
    return [f"Named         {told}: named in the task, so hidden units draw on them more while rows are few"]


def size(count: int) -> str:
    """Bytes for people, in kB of 1,024."""
    if count < 1 << 20:
        return f"{count} B" if count < 1 << 10 else f"{count / (1 << 10):.0f} kB"
    return f"{count / (1 << 20):.1f} MB" if count < 1 << 30 else f"{count / (1 << 30):.3g} GB"


def time_of(microseconds: float) -> str:
    """A time for people."""
    if microseconds < 1000:
        return f"{microseconds:.0f} us"
    return f"{microseconds / 1000:.3g} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.3g} s"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress callback: a bar on a terminal, a line a stage elsewhere."""
    if sys.stderr.isatty() and find_spec("rich"):
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description:<18}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting", total=None)

            def show(stage: str, share: float) -> None:
                bar.tasks[0].total = 1.0 if share else None  # a stage that doesn't tell its share pulses
                bar.update(task, description=stage, completed=share, refresh=True)

            yield show
    else:
        seen: set[str] = set()

        def line(stage: str, share: float) -> None:
            if stage not in seen:
                seen.add(stage)
                click.echo(f"{stage} ...", err=True)

        yield line
