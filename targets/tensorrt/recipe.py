"""The recipe: all that the board must know to build the engine that the host has in mind, as JSON beside the ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelgpt_edge.errors import PackageError
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.tensorrt.feed import ELEMENTS, Feed

RECIPE = "recipe.json"
WORKSPACE = 1 << 28  # bytes; the smallest board shares 4 GiB with everything else


@dataclass(frozen=True)
class Recipe:
    """How to build the engine of a variant.

    Attributes:
        precision: ``fp32``, ``fp16`` or ``int8``; the ONNX says it in its types, and the engine is typed strongly.
        feed: the one input, and its shapes.
        sm: CUDA architecture that it is for, such as ``sm_87``; None for any.
        board: the name on the box of the target.
        workspace_bytes: most scratch memory that a layer may take, unless the user says otherwise.
        facts: JetPack, CUDA and TensorRT versions that the target is known to have.
    """

    precision: str
    feed: Feed
    sm: str | None
    board: str = ""
    workspace_bytes: int = WORKSPACE
    facts: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(target: Target, precision: str, feed: Feed) -> Recipe:
        """The recipe of a target."""
        return Recipe(precision, feed, target.sm, target.title, facts=dict(target.facts))

    @property
    def flags(self) -> tuple[str, ...]:
        """What shapes the engine besides the ONNX: an engine built with other flags isn't this one."""
        return ("STRONGLY_TYPED", "REFIT", *(("NO_TF32",) if self.precision == "fp32" else ()), *self.feed.flags)

    def to_bytes(self) -> bytes:
        """As JSON."""
        shapes = {"min": list(self.feed.least), "opt": list(self.feed.best), "max": list(self.feed.most)}
        values = {
            "input": {"name": self.feed.name, "shape": shapes},
            "precision": self.precision,
            "strongly_typed": True,
            "workspace_bytes": self.workspace_bytes,
            "sm": self.sm,
            "board": self.board,
            "facts": dict(self.facts),
        }
        return (json.dumps(values, indent=2) + "\n").encode()

    @staticmethod
    def read(path: Path) -> Recipe:
        """Read what `to_bytes` wrote; PackageError where it can't be."""
        try:
            values = json.loads(path.read_bytes())
            name, shapes = values["input"]["name"], values["input"]["shape"]
            least, best, most = (tuple(map(int, shapes[end])) for end in ("min", "opt", "max"))
            if name not in ELEMENTS or not len(least) == len(best) == len(most) > 1:
                raise ValueError(f"no engine takes {values['input']}")
            return Recipe(
                precision=str(values["precision"]),
                feed=Feed(name, least, best, most),
                sm=values["sm"],
                board=str(values.get("board", "")),
                workspace_bytes=int(values["workspace_bytes"]),
                facts=dict(values.get("facts", {})),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            cure = "Build the package anew."
            raise PackageError("the recipe can't be read", where=str(path), seen=str(error), cure=cure) from error
