"""The manifest of a package: what it holds, written by the compiler and checked by whoever opens it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from modelgpt_edge.errors import PackageError
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.schema import ColumnType

SCHEMA_VERSION = 4
SEAL = "checksum"
MANIFEST, CHECKS, TRUTH, GOLDEN, CARD, REPORT, FRONTIER = (
    "manifest.json",
    "checks.json",
    "model.onnx",
    "golden.safetensors",
    "MODEL_CARD.md",
    "report.svg",
    "frontier.svg",
)


@dataclass(frozen=True)
class Variant:
    """One compiled form of the model.

    Attributes:
        target, backend, precision: what it is for.
        path: its folder in the package.
        front: ``native``, ``packed`` (numbers and word positions) or ``encoded`` (the numeric core alone).
        status: how near to the device it was run, of `targets.target.CHECKED`.
        bytes: size of its folder: what goes on the device.
    """

    target: str
    backend: str
    precision: str
    path: str
    front: str
    status: str
    bytes: int

    @property
    def name(self) -> str:
        """Name to choose it by: target, backend and precision."""
        return f"{self.target}-{self.backend}-{self.precision}"


@dataclass(frozen=True)
class Manifest:
    """What a package holds.

    Attributes:
        requirement: the task, understood; its schema tells the columns.
        columns: every column of the table but the label, in its order.
        inputs: names of the columns that the model takes, numbers and dates first, then words.
        vocabularies: the known words of each word column.
        classes: in the order of the probabilities; empty for regression.
        architecture: template and sizes; generator: who emitted the weights, every generator's held-out loss, the blend, how
            far the child is from the wide model that it was distilled from, and what fine-tuning did, None where it wasn't
            asked for.
        score: the honest score, with those of the plain linear model and the baseline beside it.
        seed: of every draw.
        variants: compiled forms.
        versions: of the tools that built it.
        files: sha256 by path of every file that build wrote, but this one and the growing checks.json.
        schema_version: of this format.
    """

    requirement: Requirement
    columns: tuple[str, ...]
    inputs: tuple[str, ...]
    vocabularies: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    architecture: Mapping[str, Any]
    generator: Mapping[str, Any]
    score: Mapping[str, Any]
    seed: int
    variants: tuple[Variant, ...]
    versions: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        values["requirement"] = self.requirement.to_json()
        return values

    @staticmethod
    def from_json(values: Any) -> Manifest:
        """Read what `sealed` made of `to_json`.

        Raises:
            PackageError: of a newer schema, changed since it was sealed, or not a manifest.
        """
        cure = "Build the package anew."
        if not isinstance(values, dict) or not isinstance(values.get("schema_version"), int):
            raise PackageError("this is not a manifest", where=MANIFEST, cure=cure)
        if values["schema_version"] != SCHEMA_VERSION:
            newer = values["schema_version"] > SCHEMA_VERSION
            raise PackageError(
                f"the package has a {'newer' if newer else 'older'} schema than this version reads ({SCHEMA_VERSION})",
                where=MANIFEST,
                seen=values["schema_version"],
                cure="Update modelgpt-edge: pip install -U modelgpt-edge." if newer else cure,
            )
        if sealed(values) != values:
            raise PackageError(
                "the manifest was changed since the package was built: its checksum differs",
                where=MANIFEST,
                seen=values.get(SEAL),
                cure="Copy the package again, or build it anew.",
            )
        try:
            manifest = Manifest(
                **{
                    **{name: value for name, value in values.items() if name != SEAL},
                    "requirement": Requirement.from_json(values["requirement"]),
                    "columns": _texts(values["columns"]),
                    "inputs": _texts(values["inputs"]),
                    "vocabularies": tuple(map(_texts, values["vocabularies"])),
                    "classes": _texts(values["classes"]),
                    "variants": tuple(Variant(**v) for v in values["variants"]),
                    "files": dict(values["files"]),
                }
            )
            manifest._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PackageError("the manifest can't be read", where=MANIFEST, seen=str(error), cure=cure) from error
        return manifest

    def _check(self) -> None:
        """ValueError where the parts that the runtime relies on don't fit together."""
        known = {c.name: c.type for c in self.requirement.schema.columns}
        strange = set(self.inputs) - set(known)
        if strange or not self.inputs:
            raise ValueError(f"inputs that are no columns: {sorted(strange)}")
        if not set(known.values()) <= set(get_args(ColumnType)):
            raise ValueError(f"columns of an unknown type: {known}")
        if len(self.vocabularies) != sum(known[name] == "category" for name in self.inputs):
            raise ValueError(f"{len(self.vocabularies)} vocabularies for the word columns among {list(self.inputs)}")
        if self.requirement.modality == "text" and int(self.architecture["tokens"]) < 1:
            raise ValueError("a text model that reads no token")
        if self.requirement.modality == "image" and int(self.architecture["size"]) < 1:
            raise ValueError("a model of pictures that sees no pixel")
        _texts([text for v in self.variants for text in (v.target, v.backend, v.precision, v.path, v.front)])


def _texts(values: Any) -> tuple[str, ...]:
    """A list of texts as a tuple; TypeError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"not a list of texts: {str(values)[:60]}")
    return tuple(values)


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's JSON values with their own checksum among them: files are told from damaged ones by what it lists."""
    rest = {name: value for name, value in values.items() if name != SEAL}
    return {**rest, SEAL: hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}
