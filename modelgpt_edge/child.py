"""The child: a generated tabular model as plain arrays, and its fp32 forward pass in numpy.

This is the reference that every compiled artefact is held against, and the encoding that the runtime runs for
backends that take the numeric core alone. Only numpy may come in here.

Shape letters: N rows, C number columns, W waves, R rank columns, Q knots, M missing flags, S word columns,
D encoded columns, P hidden units (T of them dense, G groups of sparse, H of leaf, B a group), K outputs (classes, or 1 value).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

CLIP = np.float32(5.0)


@dataclass(frozen=True)
class Encoder:
    """How raw columns become the D encoded columns that the units see.

    Number columns are widened by waves (``sin(2 pi (f x + p))``, for dates), gaps take the median, and each is
    standardised and clipped at 5. Selected columns get a rank-normal twin, a piecewise linear table of Q knots.
    Columns that had gaps get a flag; words are one-hot over a vocabulary, unknown words are all zeros.

    Attributes:
        numbers, words: names of the raw columns, in order.
        vocabularies: the known words of each word column.
        wave_column, wave_frequency, wave_phase: (W,) source column, cycles per unit, phase in cycles.
        median, center, scale: (C + W,) fill value, mean and 1 / standard deviation.
        rank_column: (R,) index into the C + W columns; rank_knots, rank_values: (R, Q), knots ascending.
        flag_column: (M,) index into the C + W columns.
    """

    numbers: tuple[str, ...]
    words: tuple[str, ...]
    vocabularies: tuple[tuple[str, ...], ...]
    wave_column: Ints
    wave_frequency: Floats
    wave_phase: Floats
    median: Floats
    center: Floats
    scale: Floats
    rank_column: Ints
    rank_knots: Floats
    rank_values: Floats
    flag_column: Ints

    @property
    def width(self) -> int:
        """D, the number of encoded columns."""
        return len(self.median) + len(self.rank_column) + len(self.flag_column) + sum(map(len, self.vocabularies))

    def owners(self) -> list[str]:
        """The raw column behind each of the D encoded columns."""
        wide = [*self.numbers, *(self.numbers[c] for c in self.wave_column)]
        return [
            *wide,
            *(wide[c] for c in self.rank_column),
            *(wide[c] for c in self.flag_column),
            *(name for name, vocabulary in zip(self.words, self.vocabularies) for _ in vocabulary),
        ]

    def codes(self, words: list[NDArray[np.object_]]) -> Ints:
        """Positions of S columns of N words in their vocabularies, (N, S); -1 for unknown or missing words."""
        rows = len(words[0]) if words else 0
        out = np.full((rows, len(words)), -1, np.int32)
        for s, (column, vocabulary) in enumerate(zip(words, self.vocabularies)):
            place = {word: i for i, word in enumerate(vocabulary)}
            out[:, s] = [place.get(word, -1) for word in column]
        return out

    def pack(self, numbers: Mapping[str, Floats], words: Mapping[str, NDArray[np.object_]], rows: int) -> tuple[Floats, Ints]:
        """Typed columns of N rows by name, others among them, as numbers (N, C) and word codes (N, S)."""
        matrix = np.empty((rows, len(self.numbers)), np.float32)
        for c, name in enumerate(self.numbers):
            matrix[:, c] = numbers[name]
        codes = self.codes([words[name] for name in self.words]) if self.words else np.zeros((rows, 0), np.int32)
        return matrix, codes

    def encode(self, numbers: Floats, codes: Ints) -> Floats:
        """Raw numbers (N, C), NaN where missing, and word codes (N, S) to encoded columns (N, D)."""
        rows = max(len(numbers), len(codes))
        # An infinite day has no phase: its waves are NaN, which counts as missing.
        with np.errstate(over="ignore", invalid="ignore"):
            waves = self.wave_frequency * numbers[:, self.wave_column] + self.wave_phase
            wide = np.concatenate([numbers, np.sin(np.float32(2 * np.pi) * waves)], axis=1)
        missing = np.isnan(wide)
        filled = np.where(missing, self.median, wide)
        with np.errstate(over="ignore"):
            parts = [np.clip((filled - self.center) * self.scale, -CLIP, CLIP)]
        ranks = np.empty((rows, len(self.rank_column)), np.float32)
        for r, c in enumerate(self.rank_column):
            ranks[:, r] = np.interp(filled[:, c], self.rank_knots[r], self.rank_values[r])
        parts += [ranks, missing[:, self.flag_column].astype(np.float32)]
        for s, vocabulary in enumerate(self.vocabularies):
            parts.append((codes[:, s : s + 1] == np.arange(len(vocabulary), dtype=np.int32)).astype(np.float32))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Units:
    """Hidden units over D encoded columns: emitted, never trained.

    Sparse and leaf units stand in groups that share eight columns, so that a device gathers few values and multiplies
    small dense blocks.

    Attributes:
        dense_weight, dense_bias: (D, T), (T,); ``tanh(e W + b)``.
        sparse_column: (G, 8) columns of each group; sparse_weight: (G, 8, B), at most three of the eight not zero;
            sparse_bias: (G, B). ``tanh``, B units a group.
        leaf_column: (H, 8); leaf_slope: (H, 8, 3 B), at most one of the eight not zero; leaf_bias: (H, 3 B). Soft steps
            ``sigmoid``; steps u, B + u and 2 B + u belong to unit u of the group.
        leaf_offset: (H, B) the number of steps less one: ``relu(sum of steps - offset)``, an AND of thresholds.
    """

    dense_weight: Floats
    dense_bias: Floats
    sparse_column: Ints
    sparse_weight: Floats
    sparse_bias: Floats
    leaf_column: Ints
    leaf_slope: Floats
    leaf_bias: Floats
    leaf_offset: Floats

    @property
    def counts(self) -> tuple[int, int, int]:
        """Dense, sparse and leaf units: T, G B, H B."""
        return self.dense_bias.size, self.sparse_bias.size, self.leaf_offset.size

    @property
    def count(self) -> int:
        """All units, P."""
        return sum(self.counts)

    def activate(self, encoded: Floats) -> Floats:
        """Encoded rows (N, D) to hidden units (N, P), in the order dense, sparse, leaf."""
        rows = len(encoded)
        hidden = np.empty((rows, self.count), np.float32)
        dense, sparse, _ = np.split(hidden, np.cumsum(self.counts)[:2], axis=1)
        np.add(encoded @ self.dense_weight, self.dense_bias, out=dense)
        for g, (columns, weight, bias) in enumerate(zip(self.sparse_column, self.sparse_weight, self.sparse_bias)):
            size = len(bias)
            np.add(encoded[:, columns] @ weight, bias, out=sparse[:, g * size : (g + 1) * size])
        tanh = hidden[:, : sum(self.counts[:2])]
        np.tanh(tanh, out=tanh)
        at = sum(self.counts[:2])
        for columns, slope, bias, offset in zip(self.leaf_column, self.leaf_slope, self.leaf_bias, self.leaf_offset):
            size = len(offset)
            # sigmoid(z) = (1 + tanh(z / 2)) / 2, which needs no guard against overflow
            steps = np.tanh((encoded[:, columns] @ slope + bias) * np.float32(0.5))
            total = steps[:, :size] + steps[:, size : 2 * size] + steps[:, 2 * size :]
            hidden[:, at : at + size] = np.maximum(np.float32(0.5) * (total + 3) - offset, 0)
            at += size
        return hidden

    def part(self, draw: int, draws: int) -> Units:
        """The units of one draw out of `draws` equal ones."""

        def block(count: int) -> slice:
            size = count // draws
            return slice(draw * size, (draw + 1) * size)

        dense, sparse, leaf = (block(len(a)) for a in (self.dense_bias, self.sparse_bias, self.leaf_offset))
        return Units(
            self.dense_weight[:, dense],
            self.dense_bias[dense],
            self.sparse_column[sparse],
            self.sparse_weight[sparse],
            self.sparse_bias[sparse],
            self.leaf_column[leaf],
            self.leaf_slope[leaf],
            self.leaf_bias[leaf],
            self.leaf_offset[leaf],
        )

    @staticmethod
    def none(width: int) -> Units:
        """No hidden unit at all: what the plain linear model has."""
        f = np.float32
        column, weight, bias = np.zeros((0, 8), np.int32), np.zeros((0, 8, 1), f), np.zeros((0, 1), f)
        steps = np.zeros((0, 8, 3), f), np.zeros((0, 3), f)
        return Units(np.zeros((width, 0), f), np.zeros(0, f), column, weight, bias, column, *steps, bias)


@dataclass(frozen=True)
class Child:
    """A generated model: encoder, hidden units and head.

    Attributes:
        head_weight: (D + P, K), over the encoded columns (the linear skip) and then the units.
        head_bias: (K,).
        classes: names in the order of the K outputs; empty for regression.
    """

    encoder: Encoder
    units: Units
    head_weight: Floats
    head_bias: Floats
    classes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Numbers stored in the model: encoder tables, units and head."""
        arrays = [getattr(self.encoder, f.name) for f in fields(Encoder)] + [getattr(self.units, f.name) for f in fields(Units)]
        return sum(a.size for a in [*arrays, self.head_weight, self.head_bias] if isinstance(a, np.ndarray))

    def scores(self, encoded: Floats) -> Floats:
        """Logits (N, K), or values (N, 1) for regression, of encoded rows (N, D)."""
        out = encoded @ self.head_weight[: encoded.shape[1]] + self.head_bias
        if self.units.count:
            out = out + self.units.activate(encoded) @ self.head_weight[encoded.shape[1] :]
        return out

    def outputs(self, encoded: Floats) -> Floats:
        """Probabilities (N, K), or values (N, 1) for regression, of encoded rows (N, D)."""
        scores = self.scores(encoded)
        return softmax(scores) if self.classes else scores


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits (N, K) along the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
