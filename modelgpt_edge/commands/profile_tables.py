"""A profile for people: a few small tables, each of its columns explained in a line below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from modelgpt_edge.commands.printing import size, table
from modelgpt_edge.runtime.profile import HERE, Profile, Report
from modelgpt_edge.runtime.sensors import whole_rail

SLOWER = 1.1  # a last third this much slower than the first is told
BUSY = 0.9  # a processor that was had for less of the time than this is told
COUNTS = {"p50_us": "median", "p90_us": "p90", "p99_us": "p99"}


def print_report(report: Report) -> None:
    """Everything that was measured, then what wasn't, and why."""
    machine = report.machine
    named = [str(machine[part]) for part in ("board", "processor", "architecture") if part in machine]
    click.echo(f"Machine       {', '.join(named)}; {machine['cores']} cores, {machine['kernel']}")
    for line in _settings(report.settings):
        click.echo(line)
    here = [p for p in report.profiles if p.how == HERE and "warm" in p.figures]
    if here:
        click.echo(f"Rows          {report.rows}, one thread\n")
        _print_latency(here)
        _print_sustained(here)
        _print_start(here)
        _print_sensors(here)
    elsewhere = [p for p in report.profiles if p.figures and p not in here]
    for profile in elsewhere:
        click.echo(f"{profile.variant} ({profile.how}): {', '.join(map(_count, *zip(*profile.figures.items())))}")
    for profile in report.profiles:
        if profile.reason:
            click.echo(f"-     {profile.variant}: not profiled here: {profile.reason}")
    if report.kept:
        click.echo("Evidence      added to checks.json, sealed")


def _settings(settings: Mapping[str, Any]) -> list[str]:
    lines = []
    if "power_mode" in settings:
        lines.append(f"Power mode    {settings['power_mode']}")
    if "clocks" in settings:
        told = []
        for name, clock in settings["clocks"].items():
            bounds = (
                f" {clock['least_mhz']:,.0f} to {clock['most_mhz']:,.0f} MHz" if {"least_mhz", "most_mhz"} <= set(clock) else ""
            )
            told.append(f"{name} {clock.get('governor', '')}{bounds}".strip())
        lines.append(f"Clocks        {'; '.join(told)}")
    if "throttling" in settings:
        lines.append(f"Throttling    {', '.join(settings['throttling']) or 'none, now or since the start'}")
    return lines


def _print_latency(profiles: Sequence[Profile]) -> None:
    rows = []
    for profile in profiles:
        warm, batch = profile.figures["warm"], profile.figures["batch"]
        rows.append([profile.variant, *_three(warm), _time(batch["p50_us"]), f"{batch['rows_per_s']:,.0f}"])
    click.echo(table(["variant", "warm p50", "p90", "p99", f"{batch['rows']} rows", "rows/s"], rows, right=(1, 2, 3, 4, 5)))
    calls = " to ".join(f"{n:,}" for n in sorted({p.figures["warm"]["calls"] for p in profiles}))
    first = profiles[0].figures["warm"]["warm_up_calls"]
    click.echo(
        f"  warm: one row at a time, {calls} calls after {first} that aren't counted; p50, p90, p99: quantiles of its time"
    )
    click.echo(f"  {batch['rows']} rows: median time of such a batch, and the rows a second that makes\n")


def _print_sustained(profiles: Sequence[Profile]) -> None:
    rows, remarks = [], []
    for profile in profiles:
        run = profile.figures["sustained"]
        first, last = run["first_third"], run["last_third"]
        rows.append([profile.variant, *_three(first), *_three(last), f"{run['rows_per_s']:,.0f}"])
        rise = last["p50_us"] / first["p50_us"]
        if rise > SLOWER:
            remarks.append(f"  {profile.variant} slows down: the last third's median is {rise - 1:.0%} above the first's")
        if run["processor_share"] < BUSY:
            share = f"{1 - run['processor_share']:.0%}"
            remarks.append(f"  {profile.variant} waited {share} of the time: other programs ran, or it waited for a GPU")
    head = ["variant", "first p50", "p90", "p99", "last p50", "p90", "p99", "rows/s"]
    click.echo(table(head, rows, right=tuple(range(1, len(head)))))
    seconds = profiles[0].figures["sustained"]["seconds"]
    click.echo(f"  one row after the other for {seconds:.3g} s without a pause: the first and the last third of that time,")
    click.echo("  so that a board that gets too hot shows; rows/s: over the whole run")
    for remark in remarks:
        click.echo(remark)
    click.echo()


def _print_start(profiles: Sequence[Profile]) -> None:
    rows = []
    for profile in profiles:
        cold, memory = profile.figures["cold"], profile.figures["memory"]
        parts = [_time(cold[f"{part}_ms"] * 1e3) for part in ("total", "start", "import", "load", "first_row")]
        above = memory["peak_bytes"] - memory["numpy_alone_bytes"]
        rows.append([profile.variant, *parts, size(memory["peak_bytes"]), size(max(0, above))])
    head = ["variant", "cold", "start", "import", "load", "first row", "peak memory", "above numpy"]
    click.echo(table(head, rows, right=tuple(range(1, len(head)))))
    cold, bare = profiles[0].figures["cold"], profiles[0].figures["memory"]["numpy_alone_bytes"]
    click.echo(
        f"  cold: from the start of a process to its first row, the median of {cold['processes']}, files in the page cache:"
    )
    click.echo(
        "  Python's start, import of the runtime, load (every checksum, the backend's library, the variant), the first row"
    )
    click.echo("  peak memory: most that such a process has resident, a batch included and a GPU's memory not")
    click.echo(f"  above numpy: above the {size(bare)} of a Python that has imported numpy\n")


def _print_sensors(profiles: Sequence[Profile]) -> None:
    read = [p for p in profiles if p.figures["sensors"]]
    if not read:
        click.echo("Sensors       nothing here tells power, clocks or temperature\n")
        return
    rows = []
    for profile in read:
        for quantity, unit in (("watts", "W"), ("mhz", "MHz"), ("celsius", "C")):
            for name, found in profile.figures["sensors"].get(quantity, {}).items():
                values = [_value(found[when], unit) for when in ("before", "during", "least", "most")]
                rows.append([profile.variant, name, *values, _energy(profile.figures["energy"].get(name))])
    head = ["variant", "sensor", "before", "during", "least", "most", "a row"]
    click.echo(table(head, rows, right=(2, 3, 4, 5, 6)))
    click.echo(
        "  means over a second before the run and during the sustained run, and the extremes during it; a row: energy it takes"
    )
    if not any(p.figures["energy"] for p in read):
        click.echo("  nothing here tells power")
    elif rail := whole_rail(list(read[0].figures["energy"])):
        click.echo(f"  {rail} feeds the whole module, and the others are parts of it")
    click.echo()


def _three(quantiles: Mapping[str, float]) -> list[str]:
    return [_time(quantiles[f"p{q}_us"]) for q in (50, 90, 99)]


def _time(microseconds: float) -> str:
    """Three significant digits with their unit."""
    for unit, step in (("us", 1.0), ("ms", 1e3)):
        if microseconds < 999.5 * step:
            return f"{_digits(microseconds / step)} {unit}"
    return f"{_digits(microseconds / 1e6)} s"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} {unit}" if unit == "W" else f"{value:,.0f} {unit}"


def _energy(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    above = found["mj_per_row_above_idle"]
    return f"{found['mj_per_row']:.3g} mJ" + ("" if above is None else f" ({above:.3g} above idle)")


def _count(name: str, value: Any) -> str:
    """A backend's own figure in words."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return f"{name.replace('_', ' ')} {value}"
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes').replace('_', ' ')} {size(int(value))}"
    if name.endswith("_us"):
        return f"{COUNTS.get(name, name.removesuffix('_us').replace('_', ' '))} {_time(value)}"
    if name.endswith("_ms"):
        return f"{name.removesuffix('_ms').replace('_', ' ')} {_time(value * 1e3)}"
    return f"{name.replace('_', ' ')} {value:,.6g}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value:,}"
