"""The trained corrector in numpy: the transformer of `training/corrector.py`, which tests hold it to, without torch.

It reads a table as cells with the floor's logits, and tells by how much to correct the logits of rows whose labels it isn't
shown. What was learnt lies beside this file as float16 safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.cells import FIRST_CATEGORY, SLOTS

SHIPPED = Path(__file__).with_name("corrector.safetensors")
FORMAT = "modelgpt-edge corrector 2"
# Classes, and columns that share a token.
CLASSES, PAIR = 10, 2
# Logit of a class that the table hasn't; the scale at which the floor's logits enter; those beyond SURE say no more than it.
ABSENT, SCORE_SCALE, SURE = np.float32(-1e4), np.float32(0.25), 12.0
# Orders of columns and classes that corrections are averaged over: none means anything, and the model knows that only nearly.
ORDERS = 2


@dataclass(frozen=True)
class Corrector:
    """The parameters by name, float32, and the number of attention heads."""

    weights: Mapping[str, Floats]
    heads: int

    @staticmethod
    def read(path: Path) -> Corrector:
        """Read what `train tabular` exported.

        Raises:
            PackageError: the file is missing, cut short or no corrector.
        """
        try:
            with safe_open(path, framework="np") as file:
                facts = file.metadata() or {}
                if facts.get("format") != FORMAT:
                    raise ValueError(f"its format is {facts.get('format')!r}, not {FORMAT!r}")
                names = file.keys()
                weights = {name: file.get_tensor(name).astype(np.float32) for name in names}
                return Corrector(weights, int(json.loads(facts["architecture"])["heads"]))
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            cure = "Install modelgpt-edge anew."
            raise PackageError("the trained generator can't be read", where=str(path), seen=str(error), cure=cure) from error

    def corrections(self, cells: Floats, labels: Floats, scores: Floats, rng: np.random.Generator) -> Floats:
        """Corrections (N - n, K) of the logits of the rows after the first n, averaged over random orders.

        Args:
            cells: (N, C, S), the n context rows first.
            labels: one-hot (n, K) of the context rows, at most 10 classes; one that doesn't occur isn't corrected.
            scores: the floor's logits (N, K), leave-one-out on context rows.
        """
        context, classes = labels.shape
        centred = np.clip(scores - scores.mean(1, keepdims=True), -SURE, SURE)
        total = np.zeros((len(cells) - context, classes), np.float32)
        for _ in range(ORDERS):
            place = rng.permutation(CLASSES)[:classes]
            shown, said = np.zeros((2, len(cells), CLASSES), np.float32)
            shown[:context, place], said[:, place] = labels, centred
            slots = np.concatenate([np.arange(FIRST_CATEGORY), rng.permutation(np.arange(FIRST_CATEGORY, SLOTS))])
            mixed = cells[:, rng.permutation(cells.shape[1])][:, :, slots]
            total += self.forward(mixed, shown, said, context)[:, place]
        return (total / ORDERS).astype(np.float32)

    def forward(self, cells: Floats, labels: Floats, scores: Floats, context: int) -> Floats:
        """Corrections (N - n, 10) in one order; zero for classes without a context row. All T tokens of a row are (N, T, D).

        Args:
            labels: one-hot (N, 10), zero on query rows.
            scores: (N, 10), centred.
        """
        known = labels.any(0)
        query = (np.arange(len(cells)) >= context).astype(np.float32)[:, None]
        chances = softmax(np.where(known, scores, ABSENT))
        floor = np.where(known, scores, np.float32(0)) * SCORE_SCALE
        label = self._linear("label", np.concatenate([labels, chances, floor, query], axis=1))
        padded = np.pad(cells, ((0, 0), (0, cells.shape[1] % PAIR), (0, 0)))
        paired = self._linear("cell", padded.reshape(len(cells), -1, PAIR * SLOTS))
        tokens = np.concatenate([paired, label[:, None]], axis=1)
        depth = sum(name.endswith(".norm_rows.gain") for name in self.weights)
        for i in range(depth):
            layer = f"layers.{i}."
            # Of the last layer nothing but the label's token is asked for.
            first = tokens.shape[1] - 1 if i == depth - 1 else 0
            normed = self._norm(layer + "norm_columns", tokens)
            tokens = tokens[:, first:] + self._attend(layer + "columns", normed[:, first:], normed)
            by_token = np.ascontiguousarray(self._norm(layer + "norm_rows", tokens).transpose(1, 0, 2))  # (T, N, D)
            # One token after the other: attention of all rows to all context rows is large.
            for t, rows in enumerate(by_token):
                tokens[:, t] += self._attend(layer + "rows", rows[None], rows[None, :context])[0]
            hidden = _gelu(self._norm(layer + "norm_hidden", tokens) @ self.weights[layer + "up.weight"].T)
            tokens += hidden @ self.weights[layer + "down.weight"].T
        correction = self._linear("correction", self._norm("norm", tokens[context:, -1]))
        return np.where(known, correction, np.float32(0))

    def _linear(self, name: str, values: Floats) -> Floats:
        return values @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name: str, values: Floats) -> Floats:
        """RMSNorm with a gain (Zhang and Sennrich 2019)."""
        square = np.einsum("...d,...d->...", values, values)[..., None] / np.float32(values.shape[-1])
        return values / np.sqrt(square + np.float32(1e-6)) * self.weights[f"{name}.gain"]

    def _attend(self, name: str, asking: Floats, asked: Floats) -> Floats:
        """Sequences (G, N, D) attend to others (G, M, D) with H heads: (G, N, D)."""
        width = asking.shape[2]
        query = self._split(asking @ self.weights[f"{name}.query.weight"].T)
        key_value = asked @ self.weights[f"{name}.key_value.weight"].T
        key, value = self._split(key_value[..., :width]), self._split(key_value[..., width:])
        logits = query @ key.transpose(0, 1, 3, 2) * np.float32((width // self.heads) ** -0.5)  # (G, H, N, M)
        attended = (softmax(logits) @ value).transpose(0, 2, 1, 3).reshape(asking.shape)
        return np.matmul(attended, self.weights[f"{name}.out.weight"].T, dtype=np.float32)

    def _split(self, values: Floats) -> Floats:
        """(G, N, D) as (G, H, N, D / H)."""
        return values.reshape(*values.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)


def _gelu(x: Floats) -> Floats:
    """x times the normal distribution's Phi(x), by Abramowitz and Stegun's 7.1.26, which is exact to 1.5e-7."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = np.reciprocal(np.float32(1) + np.float32(0.3275911) * z)
    poly: Floats = np.full_like(x, 1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        poly = poly * t + np.float32(factor)
    tail = poly * t * np.exp(-z * z) / 2
    return x * np.where(x >= 0, 1 - tail, tail)
