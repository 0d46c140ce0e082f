"""The options that make a request one about texts, and the job that ``POST /v1/parameters`` makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelgpt_edge.errors import nearest
from modelgpt_edge.requirement.classes_asked import read_classes
from modelgpt_edge.server import bodies
from modelgpt_edge.server.errors import RequestError, no_pictures
from modelgpt_edge.server.jobs import TextsJob

MODALITIES = ("table", "text")


@dataclass(frozen=True)
class TextOptions:
    """As the query gives them, None for those that it doesn't.

    Attributes:
        modality: of MODALITIES; classes: names between commas; described: ``name: meaning`` each; text: a column's name;
            precision: that the weights are sent in.
    """

    modality: str | None
    classes: str | None
    described: list[str] | None
    text: str | None
    precision: str | None

    @property
    def about_texts(self) -> bool:
        """Whether the request is about texts: it says so, or names classes or a column of texts."""
        return self.modality == "text" or any(given is not None for given in (self.classes, self.described, self.text))

    def require_table(self) -> None:
        """RequestError where an option can't be one of a request about a table or a profile."""
        require_modality(self.modality)
        if self.precision is not None:
            raise _refused("this option is for texts", "precision", self.precision, "Leave it out, or say modality=text.")

    def job(
        self,
        upload: bodies.Upload | None,
        task: str,
        label: str | None,
        kind: str | None,
        seed: int,
        tables: Mapping[str, object],
    ) -> TextsJob:
        """The job of a request about texts.

        Args:
            upload: labelled rows; None where there are none.
            tables: options that only tables have and that are given.

        Raises:
            InputError: options that don't fit together, or classes that are no names.
        """
        require_modality(self.modality)
        if self.modality == "table":
            cure = "Leave out classes, class and text, or modality=table."
            raise _refused("these options are for texts", "modality", self.modality, cure)
        for name, value in tables.items():
            raise _refused("this option is for tables", name, value, "Leave it out.")
        if upload is not None and upload.type == bodies.SAFETENSORS:
            raise _refused("a profile is one of a table", "Content-Type", upload.type, "Send labelled texts as rows.")
        named = read_classes(self.classes, self.described or ())
        data = None if upload is None else upload.path
        return TextsJob(data, task, label, kind, named, self.text, self.precision or "fp32", seed)


def require_no_rows(given: Mapping[str, object]) -> None:
    """RequestError where a profile comes with an option that only rows have, None for those that aren't given."""
    for name, value in given.items():
        if value is not None:
            cure = "Leave it out, or send the rows themselves."
            raise _refused("this option is for rows, and a profile has none", name, value, cure)


def require_modality(modality: str | None) -> None:
    """InputError where nothing is made of what a request is about; asked before its body is read."""
    if modality == "image":
        raise no_pictures("modality", modality)
    if modality is not None and modality not in MODALITIES:
        raise _refused("there is no such modality here", "modality", modality, nearest(modality, MODALITIES))


def _refused(what: str, where: str, seen: object, cure: str) -> RequestError:
    return RequestError(422, what, where=where, seen=seen, cure=cure)
