"""A finalized engine on disk: the plan, and beside it the key that says for what it was built.

It is a cache in the package, `engines/<variant>/`, outside of the manifest's checksums: the key carries its own. The key is
compared before a plan is deserialised, as TensorRT would only say that it can't be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from modelgpt_edge.targets.tensorrt.board import Board
from modelgpt_edge.targets.tensorrt.recipe import Recipe

ENGINES, PLAN, RECORD = "engines", "engine.plan", "engine.json"


@dataclass(frozen=True)
class Key:
    """For what an engine was built; it runs where every part is the same.

    Attributes:
        onnx_sha256: of ``model.onnx``.
        tensorrt: version of TensorRT.
        sm, board, jetpack, cuda, driver: see `Board`.
        flags: see `Recipe.flags`.
    """

    onnx_sha256: str
    tensorrt: str
    sm: str
    board: str
    jetpack: str
    cuda: str
    driver: str
    flags: tuple[str, ...]

    @staticmethod
    def of(onnx: bytes, tensorrt: str, board: Board, recipe: Recipe) -> Key:
        """The key of an engine that would be built here and now."""
        here = (board.sm, board.model, board.jetpack, board.cuda, board.driver)
        return Key(sha256(onnx), tensorrt, *here, recipe.flags)

    def differences(self, here: Key) -> dict[str, str]:
        """By field, what doesn't match, in a clause each; empty where the engine may run here."""
        pairs = ((name, getattr(self, name), getattr(here, name)) for name in _SAY)
        return {name: _SAY[name](was, now) for name, was, now in pairs if was != now}


_SAY: Mapping[str, Callable[[Any, Any], str]] = {
    "onnx_sha256": lambda was, now: f"model.onnx has changed since it was built (sha256 {was[:12]}..., now {now[:12]}...)",
    "tensorrt": lambda was, now: f"it was built by TensorRT {was}, and {now} is here",
    "sm": lambda was, now: f"it was built for {was}, and this GPU is {now}",
    "board": lambda was, now: f"it was built on another model of board, {was!r}, and this is {now!r}",
    "jetpack": lambda was, now: f"it was built under {was}, and this board runs {now}",
    "cuda": lambda was, now: f"it was built with CUDA {was}, and {now} is here",
    "driver": lambda was, now: f"it was built under driver {was}, and {now} is here",
    "flags": lambda was, now: f"it was built with flags {', '.join(was)}, and the recipe wants {', '.join(now)}",
}


@dataclass(frozen=True)
class Record:
    """What ``engine.json`` holds.

    Attributes:
        key: for what it was built.
        engine_sha256, engine_bytes: of the plan, so that a cut one is known before it is deserialised.
        workspace_bytes: scratch memory that it was allowed.
    """

    key: Key
    engine_sha256: str
    engine_bytes: int
    workspace_bytes: int

    @staticmethod
    def of(key: Key, plan: bytes, workspace_bytes: int) -> Record:
        """The record of a plan."""
        return Record(key, sha256(plan), len(plan), workspace_bytes)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        values["key"]["flags"] = list(self.key.flags)
        return values

    @staticmethod
    def from_json(values: Any) -> Record:
        """Read what `to_json` made; ValueError, KeyError or TypeError where it is something else."""
        key = {**values["key"], "flags": tuple(map(str, values["key"]["flags"]))}
        if not all(isinstance(key[f.name], str) for f in fields(Key) if f.name != "flags"):
            raise TypeError("a part of the key is no text")
        return Record(Key(**key), str(values["engine_sha256"]), int(values["engine_bytes"]), int(values["workspace_bytes"]))


@dataclass(frozen=True)
class Found:
    """What lies in an engine's folder.

    Attributes:
        record, plan: None, b"" where there is no engine or it can't be read.
        problem: why not, a clause; "" where it was read whole.
    """

    record: Record | None
    plan: bytes
    problem: str = ""

    def differences(self, here: Key) -> Mapping[str, str]:
        """What keeps it from running here, by field of the key, or as ``file``."""
        if self.record is None:
            return {"file": self.problem}
        return self.record.key.differences(here)


def engine_folder(variant: Path) -> Path | None:
    """Where the engine of a variant's folder lies, ``engines/<variant>`` of its package; None where that would lie outside.

    Only a folder of a package has one: beside any other, a stranger's engine could be waiting.
    """
    package = variant.parent.parent
    folder = package / ENGINES / variant.name
    if variant.parent.name != "variants" or not folder.resolve().is_relative_to(package.resolve()):
        return None
    return folder


def read_engine(folder: Path | None) -> Found:
    """Read an engine and check that its plan is whole."""
    if folder is None or not (folder / RECORD).is_file():
        return Found(None, b"", "there is no engine for this board yet")
    try:
        record = Record.from_json(json.loads((folder / RECORD).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Found(None, b"", f"{RECORD} can't be read ({type(error).__name__}: {error})")
    try:
        plan = (folder / PLAN).read_bytes()
    except OSError as error:
        return Found(None, b"", f"{PLAN} can't be read ({error.strerror or error})")
    if len(plan) != record.engine_bytes or sha256(plan) != record.engine_sha256:
        seen = f"{len(plan):,} bytes, sha256 {sha256(plan)[:12]}..."
        expected = f"{record.engine_bytes:,} bytes, sha256 {record.engine_sha256[:12]}..."
        return Found(None, b"", f"{PLAN} was cut or changed ({seen}; expected {expected})")
    return Found(record, plan)


def sha256(content: bytes) -> str:
    """Checksum in hex."""
    return hashlib.sha256(content).hexdigest()
