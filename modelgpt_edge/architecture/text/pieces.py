"""The vocabulary of a tiny model: which pieces of a WordPiece tokenizer it keeps, and that tokenizer without the rest.

Pieces are told by their ids in the whole tokenizer, which BERT's kind orders by how frequent they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import InputError

# Pieces that stand for no text, such as [CLS] and [unused7].
NO_TEXT = re.compile(r"\[[^\]]+\]")
EULER = 0.5772


@dataclass(frozen=True)
class Vocabulary:
    """A WordPiece tokenizer's pieces.

    Attributes:
        description: its ``tokenizer.json``; pieces: by id, those alone that stand for text.
    """

    description: Mapping[str, Any]
    pieces: Mapping[int, str]

    @staticmethod
    def of(files: EncoderFiles) -> Vocabulary:
        """Of an encoder; InputError where its tokenizer is of another kind."""
        description = json.loads(files.tokenizer)
        model = description.get("model", {})
        if model.get("type") != "WordPiece":
            cure = "Give tiny alone, or tiny:NAME of an encoder with BERT's WordPiece."
            raise InputError("a tiny model is made of WordPiece", where="--encoder", seen=model.get("type"), cure=cure)
        ordered = sorted(model["vocab"].items(), key=lambda item: item[1])
        return Vocabulary(description, {place: piece for piece, place in ordered if not NO_TEXT.fullmatch(piece)})

    @property
    def unknown(self) -> int:
        """The id of what isn't known."""
        model = self.description["model"]
        return int(model["vocab"][model["unk_token"]])

    @cached_property
    def letters(self) -> frozenset[int]:
        """Single characters, at a word's start or inside: what any word of ASCII can be spelled with, and other scripts."""
        prefix = self.description["model"]["continuing_subword_prefix"]
        return frozenset(place for place, piece in self.pieces.items() if len(piece.removeprefix(prefix)) == 1)

    @cached_property
    def frequency(self) -> Mapping[int, float]:
        """Share of each piece in a text by Zipf's law and its rank; single characters count as the most frequent."""
        total = np.log(max(2, len(self.pieces))) + EULER
        longer = [place for place in self.pieces if place not in self.letters]
        return dict.fromkeys(self.letters, 1 / total) | {place: 1 / ((r + 1) * total) for r, place in enumerate(longer)}

    def usual(self, count: int) -> list[int]:
        """Ids of ASCII's characters and of so many others, the most frequent first, whatever the texts."""
        return sorted({*self._spelling, *self._others[:count]})

    def chosen(self, counts: Mapping[int, int], count: int) -> list[int]:
        """The same, but pieces of the user's texts go before others.

        Args:
            counts: how often each stands there, by id.
        """
        own = [p for p, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if p in self.pieces]
        ordered = dict.fromkeys([p for p in own if p not in self._spelling] + self._others)
        return sorted({*self._spelling, *list(ordered)[:count]})

    @cached_property
    def _spelling(self) -> frozenset[int]:
        return frozenset(p for p in self.letters if self.pieces[p].isascii())

    @cached_property
    def _others(self) -> list[int]:
        """All but those, single characters of other scripts last: there are many, and each is rare."""
        longer = [p for p in self.pieces if p not in self.letters]
        return [*longer, *sorted(self.letters - self._spelling)]

    def tokenizer(self, kept: Sequence[int]) -> bytes:
        """The ``tokenizer.json`` of the unknown piece and of those kept, in this order: their places are its ids.

        Nothing stands around a text, and no special token can be typed.
        """
        names = [self.description["model"]["unk_token"], *(self.pieces[place] for place in kept)]
        sequence = {"Sequence": {"id": "A", "type_id": 0}}
        other = {"Sequence": {"id": "B", "type_id": 1}}
        described = {
            **self.description,
            "model": {**self.description["model"], "vocab": {name: place for place, name in enumerate(names)}},
            "added_tokens": [],
            "truncation": None,
            "padding": None,
            "post_processor": {
                **{"type": "TemplateProcessing", "single": [sequence], "pair": [sequence, other], "special_tokens": {}},
            },
        }
        return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()

    def codes(self, whole: Sequence[int], place: int, ids: Sequence[int]) -> Ints:
        """Token ids (N, L) of texts of one piece each, as the whole tokenizer has one.

        Args:
            whole: ids of such a text; place: where in it the piece stands; ids: the pieces.
        """
        codes = np.tile(np.array(whole, np.int32), (len(ids), 1))
        codes[:, place] = ids
        return codes


def sums(ids: Sequence[Sequence[int]], rows: Floats) -> Floats:
    """Sums of a table's rows (V, D) over the pieces of each text, at unit length (N, D); nothing of a text without any."""
    made = np.zeros((len(ids), rows.shape[1]), np.float32)
    for text, own in zip(made, ids):
        if own:
            text += rows[own].sum(0)
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), np.float32(1e-12))
