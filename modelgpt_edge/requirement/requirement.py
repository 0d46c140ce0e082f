"""The Requirement: what every later stage needs to know of the task, as one frozen record that a package carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelgpt_edge.errors import PackageError
from modelgpt_edge.limits import Limits
from modelgpt_edge.schema import Column, Dropped, Schema


@dataclass(frozen=True)
class Requirement:
    """A task, understood.

    Attributes:
        sentence: the requirement in one sentence of at most 300 characters.
        modality: ``table``.
        schema: columns, label, kind and classes.
        limits: limits that the task's text names.
        targets: canonical names of what to build for, at least one.
        mentioned_target: canonical name of the device that the task's text names, whether or not it is built for.
        notes: what the user should know of how the request was read, a sentence each.
        driver: what wrote the requirement: ``rules``, or the language model that something was taken from.
        meanings: what classes mean, by name, where the user or a language model told it.
    """

    sentence: str
    modality: str
    schema: Schema
    limits: Limits
    targets: tuple[str, ...]
    mentioned_target: str | None
    notes: tuple[str, ...]
    driver: str
    meanings: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The requirement as a dict of JSON values for the manifest; `from_json` gives the same requirement back."""
        values = asdict(self)
        lists: dict[str, Any] = _tuples_to_lists(values)
        return lists

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Requirement:
        """Read what `to_json` wrote.

        Raises:
            PackageError: a key is absent or unknown, or a value has another type than was written.
        """
        try:
            schema = dict(values["schema"])
            return cls(
                **{
                    **values,
                    "schema": Schema(
                        **{
                            **schema,
                            "columns": tuple(Column(**c) for c in schema["columns"]),
                            "label": Column(**schema["label"]),
                            "classes": tuple(schema["classes"]),
                            "dropped": tuple(Dropped(**d) for d in schema["dropped"]),
                        }
                    ),
                    "limits": Limits(**values["limits"]),
                    "targets": tuple(values["targets"]),
                    "notes": tuple(values["notes"]),
                    "meanings": dict(values["meanings"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            cure = "Build the package anew, or open it with the version that wrote it."
            raise PackageError("the requirement can't be read", where="manifest", seen=str(error), cure=cure) from error


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples_to_lists(v) for k, v in value.items()}
    return [_tuples_to_lists(v) for v in value] if isinstance(value, tuple) else value
