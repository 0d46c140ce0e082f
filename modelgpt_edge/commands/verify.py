"""``modelgpt-edge verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json
from modelgpt_edge.errors import GateError, PackageError

if TYPE_CHECKING:
    from modelgpt_edge.evidence_file import Seals
    from modelgpt_edge.gate import Hop
    from modelgpt_edge.runtime.verify import Verified

ANEW = "Copy the package again, or build it anew."


@click.command("verify")
@PACKAGE
@click.option(
    "--variant", metavar="NAME", help="Check this one alone: TARGET-BACKEND-PRECISION, or 'model' for the ONNX model."
)
@JSON
def command(package: str, variant: str | None, as_json: bool) -> None:
    """Check a PACKAGE: checksums and paths, then every variant against the golden rows, hop by hop.

    A variant runs on its device, else in its emulator, else by a stand-in that computes the same here; the line says which.
    Exit 3 where one doesn't reproduce the golden rows.
    """
    from modelgpt_edge.evidence_file import check_seals, read_evidence
    from modelgpt_edge.runtime.opening import open_package
    from modelgpt_edge.runtime.verify import verify_forms

    opened = open_package(package)
    seals = check_seals(read_evidence(opened.path))
    found = verify_forms(opened, variant)
    if variant is not None and found[0].error is not None:
        raise found[0].error
    files = len(opened.manifest.files)
    unit = {"image": "picture", "text": "text"}.get(opened.manifest.requirement.modality, "row")
    hops = [v.hop for v in found if v.hop is not None]
    if as_json:
        print_json(
            {
                "package": package,
                "files": files,
                "passed": all(h.passed for h in hops) and not seals.broken and not any(v.damaged for v in found),
                "hops": [v.to_json() for v in found if v.hop is not None],
                "not_run": {v.form: str(v.error) for v in found if v.error is not None},
                "evidence": {"sealed": seals.kept, "unsealed": seals.unsealed, "broken": list(seals.broken)},
            }
        )
    else:
        click.echo(f"{files} files have the checksums that build wrote")
        for form in found:
            _print_form(form, unit)
        _print_seals(seals)
        _print_nearer(found)
    _require(found, seals)


def _print_form(form: Verified, unit: str) -> None:
    if form.hop is not None:
        click.echo(("ok    " if form.hop.passed else "FAIL  ") + _line(form.hop, unit))
    else:
        click.echo(f"{'FAIL ' if form.damaged else '-    '} {form.form}: not run here: {form.error}")


def _line(hop: Hop, unit: str) -> str:
    """The hop's own line; outputs of a wrong shape have no differences to tell."""
    return hop.line(unit) if hop.bad or hop.max_abs is not None else f"{hop.name}: FAILED ({hop.failure})"


def _print_seals(seals: Seals) -> None:
    for broken in seals.broken:
        click.echo(f"FAIL  checks.json: {broken} was changed since it was written")
    if kept := _counted(seals.kept):
        click.echo(f"ok    checks.json: {kept} as written")
    if unsealed := _counted(seals.unsealed):
        click.echo(f"-     checks.json: {unsealed} without a seal, so that nobody can tell whether they were changed")


def _counted(counts: Mapping[str, int]) -> str:
    """``1 engine and 2 profiles``; "" for none."""
    from modelgpt_edge.evidence_file import KINDS

    told = [f"{counts[kind]} {word}{'' if counts[kind] == 1 else 's'}" for kind, word in KINDS.items() if counts[kind]]
    return " and ".join(told)


def _print_nearer(found: Sequence[Verified]) -> None:
    """Why variants ran by a stand-in, each reason once."""
    reasons: dict[str, list[str]] = {}
    for form in found:
        if form.because and not form.because.startswith("in "):
            reasons.setdefault(form.because, []).append(form.form)
    for because, forms in reasons.items():
        click.echo(f"note  no nearer to the device here: {because.rstrip('.')} ({', '.join(forms)})")


def _require(found: Sequence[Verified], seals: Seals) -> None:
    """The error that the exit code comes from: a hop that failed before damage."""
    failed = [v.hop for v in found if v.hop is not None and not v.hop.passed]
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        what = f"the numeric gate failed at hop {failed[0].name!r}{more}: {failed[0].failure}"
        raise GateError(what, where="verify", cure=f"Don't use this variant. {ANEW}")
    for form in found:
        if form.damaged and form.error is not None:
            raise form.error
    if seals.broken:
        cure = f"Don't trust that evidence: measure it again. {ANEW}"
        raise PackageError("evidence was changed since it was written", where="checks.json", seen=list(seals.broken), cure=cure)
