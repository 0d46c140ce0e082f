"""Put a finalized engine and its evidence into a package: all is written first, then moved into place, or nothing is."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import InputError
from modelgpt_edge.evidence_file import ENGINES, evidence_bytes, read_evidence, with_evidence
from modelgpt_edge.manifest import CHECKS
from modelgpt_edge.targets.tensorrt.engine import PLAN, RECORD, Record


def store_engine(package: Path, folder: Path, plan: bytes, record: Record, evidence: Mapping[str, Any]) -> None:
    """Store an engine in its folder of the package, and its evidence in checks.json, in place of an older one's.

    Args:
        evidence: JSON values with the name of the variant as ``variant``.

    Raises:
        InputError: the disk is full or the package can't be written; it is as it was.
        PackageError: checks.json can't be read.
    """
    checks = evidence_bytes(with_evidence(read_evidence(package), ENGINES, [evidence], replacing="variant"))
    stage: Path | None = None
    try:
        stage = Path(tempfile.mkdtemp(prefix=".finalize.", dir=package))
        new = stage / "new"
        new.mkdir()
        _write(new / PLAN, plan)
        _write(new / RECORD, _json(record.to_json()))
        _write(stage / CHECKS, checks)
        folder.parent.mkdir(exist_ok=True)
        _swap(new, folder, stage / "old")
        os.replace(stage / CHECKS, package / CHECKS)
    except OSError as error:
        raise InputError(
            "the engine can't be written into the package, which is as it was",
            where=str(package),
            seen=error.strerror or str(error),
            cure="Free some space, or copy the package to a place that you can write to.",
        ) from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def _swap(new: Path, place: Path, old: Path) -> None:
    """Move a folder into a place, what was there into `old`; interrupted in between, that goes back."""
    try:
        if place.exists():
            place.rename(old)
        new.rename(place)
    finally:
        if not place.exists() and old.exists():
            old.rename(place)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
