"""``modelgpt-edge verify``."""

from __future__ import annotations

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json


@click.command("verify")
@PACKAGE
@JSON
def command(package: str, as_json: bool) -> int:
    """Check a PACKAGE: checksums and paths, then every variant against the golden rows, hop by hop.

    Exit 3 where a variant doesn't reproduce the golden rows.
    """
    from modelgpt_edge.runtime.opening import open_package
    from modelgpt_edge.runtime.verify import verify_package

    opened = open_package(package)
    hops, left_out = verify_package(opened)
    passed = all(h.passed for h in hops)
    if as_json:
        print_json(
            {
                "package": package,
                "files": len(opened.manifest.files),
                "passed": passed,
                "hops": [h.to_json() for h in hops],
                "not_run": left_out,
            }
        )
    else:
        click.echo(f"{len(opened.manifest.files)} files have the checksums that build wrote")
        for hop in hops:
            click.echo(("ok    " if hop.passed else "FAIL  ") + hop.line())
        for name, reason in left_out.items():
            click.echo(f"-     {name}: not run here: {reason}")
    return 0 if passed else 3
