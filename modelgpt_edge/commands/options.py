"""Options that several commands share: named alike, they mean alike everywhere."""

from __future__ import annotations

import click

PACKAGE = click.argument("package", type=click.Path())
FORCE = click.option("--force", is_flag=True, help="Replace what lies at --out.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines on stdout.")
VARIANT = click.option(
    "--variant", metavar="NAME", help="Variant to run: TARGET-BACKEND-PRECISION, or 'model' for the ONNX model itself."
)
TOKEN_FILE = click.option(
    "--token-file",
    type=click.Path(),
    metavar="FILE",
    help="File with the server's bearer token. Default: the variable MODELGPT_EDGE_TOKEN.",
)
