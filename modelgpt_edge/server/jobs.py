"""What a request asks a worker process to do, and what comes back: plain values that go through a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelgpt_edge.limits import NO_LIMITS, Limits


@dataclass(frozen=True)
class RowsJob:
    """Weights from labelled rows.

    Attributes:
        data: file of the rows.
        units: hidden units; the fewest that say the same as the draws where not given, 0 for the plain linear model.
        score: whether to cross-validate, which takes several times as long.
    """

    data: Path
    task: str
    label: str | None = None
    kind: str | None = None
    units: int | None = None
    draws: int = 1
    seed: int = 0
    score: bool = False


@dataclass(frozen=True)
class ProfileJob:
    """Weights from columns that the client has encoded: safetensors with ``encoded``, ``targets`` and perhaps ``owners``."""

    data: Path
    units: int | None = None
    draws: int = 1
    seed: int = 0


@dataclass(frozen=True)
class RefitJob:
    """Weights of a package's shape from one user's rows.

    Attributes:
        template: the package's folder.
        score: whether to cross-validate and choose the blend anew, as `refit` does; the template's blend stays where not.
    """

    template: Path
    data: Path
    seed: int | None = None
    score: bool = False


@dataclass(frozen=True)
class TextsJob:
    """A sentence encoder's attention, adapted to a task of texts, and the head on it.

    Attributes:
        data: file of labelled texts; None where the classes' names are all there is.
        classes: names that are given besides, with what they mean ("" where nothing is said).
        text: the column of texts; found where not given.
        precision: of `adapted_file.PRECISIONS`.
    """

    data: Path | None
    task: str
    label: str | None = None
    kind: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict, hash=False)
    text: str | None = None
    precision: str = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class BuildJob:
    """A package from labelled rows or texts.

    Attributes:
        data: file of the rows; None where the classes' names are all there is.
        out: folder to write it to.
        classes: as of `TextsJob`; texts: columns of texts; modality: ``table`` or ``text``; all told from the data where not
            given.
    """

    data: Path | None
    out: Path
    task: str
    label: str | None = None
    kind: str | None = None
    targets: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    test: Path | None = None
    draws: int = 4
    generator: str | None = None
    finetune: float = 0.0
    seed: int = 0
    limits: Limits = NO_LIMITS
    classes: Mapping[str, str] = field(default_factory=dict, hash=False)
    texts: tuple[str, ...] = ()
    modality: str | None = None


Job = RowsJob | ProfileJob | RefitJob | TextsJob | BuildJob


@dataclass(frozen=True)
class Done:
    """What a job gave.

    Attributes:
        content: safetensors; empty for a build, whose package lies on disk.
        facts: about it, as JSON values.
    """

    content: bytes
    facts: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """Why a job gave nothing.

    Attributes:
        status: of HTTP.
        error: as JSON values.
        shared: whether it is the template's fault, and so that of every job with the same one.
    """

    status: int
    error: dict[str, Any]
    shared: bool = False


Result = Done | Refused
