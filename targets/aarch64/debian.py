"""Fetch Debian's arm64 packages with this machine's own apt, whose settings and installed packages stay untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable")
SECONDS = 600


def fetch(packages: Mapping[str, Sequence[str]], folder: Path) -> list[Path]:
    """Download arm64 packages into a folder; those that lie there already are not fetched again.

    Args:
        packages: names of packages by the suite that they come from.
        folder: also holds apt's lists.

    Raises:
        TargetUnavailableError: this is no Debian, or apt failed; its message is passed on.
    """
    mirror = _mirror()
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.is_file() else ""
    (apt / "sources.list").write_text("".join(f"deb {signed}{mirror} {s} main\n" for s in packages), encoding="utf-8")
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": apt / "parts",
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
    }
    given = [f"-o{name}={value}" for name, value in options.items()]
    _run(["apt-get", *given, "--quiet", "update"], folder)
    _run(["apt-get", *given, "--quiet", "download", *(f"{p}/{s}" for s, names in packages.items() for p in names)], folder)
    return [_newest(folder, name) for names in packages.values() for name in names]


def unpack(packages: Sequence[Path], root: Path) -> None:
    """Unpack packages into a root, without running any of their scripts.

    Raises:
        TargetUnavailableError: a package is damaged.
    """
    for package in packages:
        _run(["dpkg-deb", "--extract", str(package), str(root)], package.parent)


def _mirror() -> str:
    """Where this machine's own Debian comes from."""
    absent = next((tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None), None)
    cure = "Set it up on Debian or in a Debian container, or check the package on the board itself."
    if absent:
        raise TargetUnavailableError(f"there is no {absent} here", where="set-up of aarch64", cure=cure)
    fields = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    listed = _run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"], Path.cwd())
    for line in listed.splitlines():
        suite, component, uri = line.split(maxsplit=2)
        if suite in SUITES and component == "main":
            return uri
    raise TargetUnavailableError("apt here has no Debian among its sources", where="set-up of aarch64", cure=cure)


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        ran = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailableError(f"{command[0]} can't be run: {error}", where="set-up of aarch64") from error
    if ran.returncode != 0:
        said = next((line for line in ran.stderr.splitlines() if line.startswith("E:")), ran.stderr.strip())
        cure = "Check the network and try again: what was fetched is kept."
        raise TargetUnavailableError(f"{command[0]} failed: {said[:400]}", where="set-up of aarch64", cure=cure)
    return ran.stdout


def _newest(folder: Path, name: str) -> Path:
    """The file of a package; the one fetched last where an older version lies beside it."""
    found = sorted(folder.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise TargetUnavailableError("apt fetched no such package", where="set-up of aarch64", seen=name, cure="Try again.")
    return found[-1]
