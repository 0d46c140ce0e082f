"""The evidence that grows: what is measured after a build goes into checks.json, each entry under a checksum of its own.

The manifest's checksums leave checks.json out, so that a board can add to it; an entry's seal tells whether it was changed
since it was written. A checksum is no signature: it finds damage and slips, not forgery.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.manifest import CHECKS, SEAL, sealed

ENGINES, PROFILES = "engines", "profiles"
KINDS = {ENGINES: "engine", PROFILES: "profile"}


@dataclass(frozen=True)
class Seals:
    """What the seals of a checks.json say.

    Attributes:
        kept: entries of each kind that are as they were written.
        unsealed: entries of each kind without a seal.
        broken: entries that were changed since, named for people.
    """

    kept: Mapping[str, int]
    unsealed: Mapping[str, int]
    broken: tuple[str, ...]


def read_evidence(package: Path) -> dict[str, Any]:
    """What a package's checks.json holds; nothing where there is none.

    Raises:
        PackageError: it can't be read, or doesn't hold what it should.
    """
    path = package / CHECKS
    try:
        checks = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(checks, dict) or not all(isinstance(checks.get(kind, []), list) for kind in KINDS):
            raise ValueError("not an object with lists of evidence")
    except (OSError, ValueError, RecursionError) as error:
        cure = "Copy the package again, or build it anew."
        raise PackageError("the evidence can't be read", where=str(path), seen=str(error), cure=cure) from error
    return checks


def with_evidence(
    checks: Mapping[str, Any], kind: str, entries: Sequence[Mapping[str, Any]], replacing: str | None = None
) -> dict[str, Any]:
    """What checks.json held, and new entries of a kind, sealed.

    Args:
        kind: `ENGINES` or `PROFILES`.
        entries: JSON values with the name of the variant as ``variant``.
        replacing: a key; older entries that have a new one's value there give way. None keeps them all.
    """
    new = [sealed(json.loads(json.dumps(dict(entry), allow_nan=False))) for entry in entries]
    gone = [] if replacing is None else [entry[replacing] for entry in new]
    kept = [e for e in checks.get(kind, []) if not (gone and isinstance(e, dict) and e.get(replacing) in gone)]
    return {**checks, kind: [*kept, *new]}


def evidence_bytes(checks: Mapping[str, Any]) -> bytes:
    """The content of checks.json."""
    return (json.dumps(checks, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def add_evidence(package: Path, kind: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append sealed entries to a package's checks.json, whole or not at all.

    Raises:
        PackageError: checks.json can't be read; it is left as it is.
        InputError: the package can't be written.
    """
    content = evidence_bytes(with_evidence(read_evidence(package), kind, entries))
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{CHECKS}.", dir=package)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, package / CHECKS)
    except OSError as error:
        raise InputError(
            "the evidence can't be written into the package, which is as it was",
            where=str(package / CHECKS),
            seen=error.strerror or str(error),
            cure="Free some space, or copy the package to a place that you can write to.",
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # it was moved into place
                os.unlink(temporary)


def check_seals(checks: Mapping[str, Any]) -> Seals:
    """Hold every entry against its seal."""
    kept, unsealed, broken = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), []
    for kind, word in KINDS.items():
        for place, entry in enumerate(checks.get(kind, []), 1):
            if not isinstance(entry, dict) or SEAL not in entry:
                unsealed[kind] += 1
            elif sealed(entry) == entry:
                kept[kind] += 1
            else:
                of = f" of {entry['variant']}" if isinstance(entry.get("variant"), str) else ""
                broken.append(f"{word} {place}{of}")
    return Seals(kept, unsealed, tuple(broken))
