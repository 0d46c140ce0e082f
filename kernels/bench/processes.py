"""Work in processes of its own, beside what this process does: kernels compiled ahead of time, or run in the interpreter.

Whether Triton interprets is settled when it is imported, so neither can be had in this process for sure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels.ahead import Resource
from modelgpt_edge.kernels.bench.checks import Check

# Seconds, so that nothing hangs for ever; on two busy cores all compile in 115, and the interpreter takes 10.
COMPILE_LIMIT, INTERPRET_LIMIT = 900, 300


def compile_ahead(kernel: str) -> list[Resource]:
    """What a kernel takes of each kind of GPU, in every configuration; compiled anew unless Triton's cache has it.

    Raises:
        GateError: it doesn't compile.
    """
    found = _run("modelgpt_edge.kernels.ahead", ["--json", kernel], COMPILE_LIMIT, interpret=False)
    return [Resource(**r) for r in found]


def interpret(kernels: Sequence[str]) -> list[Check]:
    """Small cases of kernels in Triton's interpreter.

    Raises:
        GateError: they don't run.
    """
    return [Check(**c) for c in _run("modelgpt_edge.kernels.bench.checks", kernels, INTERPRET_LIMIT, interpret=True)]


def _run(module: str, arguments: Sequence[str], limit: float, *, interpret: bool) -> list[dict[str, Any]]:
    variables = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    if interpret:
        variables["TRITON_INTERPRET"] = "1"
    command = [sys.executable, "-m", module, *arguments]
    try:
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise GateError(f"it didn't end in {limit:g} s", where=module, cure="Run again when the machine is idle.") from error
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
        told = " ".join(["python -m", module, *arguments])
        raise GateError(f"it failed: {last}", where=module, cure=f"See: {told}")
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found
