"""The contenders of bench/text.py: the product's generators, and its peers, each with what it needs and what it can't learn.

The clock holds opening the encoder, embedding and fitting; imports come before it. All of them start from the same weights of
one small sentence encoder, TF-IDF apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from text_peers import frozen, frozen_tuned, set_fit, tfidf, tuning
from text_task import Asked, Fit, Task, open_encoder


@dataclass(frozen=True)
class TextContender:
    """A contender.

    Attributes:
        key: its name on the command line; title: in tables.
        needs: modules that must import; distributions: packages whose versions its results record.
        settings: fields of Settings that its results depend on.
        slow: minutes a fit, so that --slow-seeds and --slow-shots hold for it.
        words: it can start from names of classes alone.
        pairs: it takes pairs of texts.
        most_rows: most rows that it can learn from.
    """

    key: str
    title: str
    fit: Callable[[Task], Fit]
    needs: tuple[str, ...]
    distributions: tuple[str, ...]
    settings: tuple[str, ...] = ()
    slow: bool = False
    words: bool = False
    pairs: bool = True
    most_rows: int | None = None

    def why_not(self, shots: str, rows: int, paired: bool) -> str | None:
        """Why it can't learn such a task; None if it can."""
        if paired and not self.pairs:
            return "takes no pairs"
        if shots == "0" and (paired or not self.words):
            return "words say nothing of pairs" if paired else "needs examples"
        if self.most_rows is not None and rows > self.most_rows:
            return f"lists every pair of rows, too many of {rows:,}"
        return None


def _ours(task: Task) -> Fit:
    return _generated(task, None)


def _floor(task: Task) -> Fit:
    """Without LoRA: what ships where there is none, but for a guard that may leave the words out."""
    if task.rows.pairs is not None:
        return _generated(task, "linear")
    return _generated(task, "floor" if task.rows.texts else "words")


def _generated(task: Task, generator: str | None) -> Fit:
    from modelgpt_edge.parameters.text.generate import generate_text

    rows = task.rows
    start = time.perf_counter()
    options = {"generator": generator, "pairs": rows.pairs}
    made = generate_text(open_encoder(), rows.texts, rows.labels, task.classes, {}, task.seed, **options)
    seconds = time.perf_counter() - start

    def probabilities(asked: Asked) -> np.ndarray:
        own = made.encoder
        return made.head.probabilities(own.embed(asked.rows.texts, asked.rows.pairs) if own.adapted else asked.embeddings)

    return Fit(probabilities, seconds, {"generator": made.generator})


def _tiny(task: Task) -> Fit:
    """The tiny model of the encoder's words, whose pieces are in the user's cache from the warm-up on."""
    from modelgpt_edge.parameters.text.generate import generate_text
    from modelgpt_edge.text_templates import tiny_template

    rows = task.rows
    start = time.perf_counter()
    columns = [rows.texts] if rows.pairs is None else [rows.texts, rows.pairs]
    template = tiny_template(open_encoder(), columns, rows.labels, task.classes, {}, None, task.seed, lambda stage, share: None)
    options = {"pairs": rows.pairs, "menu": template.menu, "afresh": template.afresh}
    made = generate_text(template.encoder, rows.texts, rows.labels, task.classes, {}, task.seed, **options)
    seconds = time.perf_counter() - start
    facts = {"generator": made.generator, "encoder": made.encoder.files.name}
    return Fit(lambda asked: made.head.probabilities(made.encoder.embed(asked.rows.texts, asked.rows.pairs)), seconds, facts)


SKLEARN = ("sklearn",), ("scikit-learn",)
TORCH = ("torch", "transformers")
OWN = (), ("modelgpt-edge", "onnxruntime")
OURS = TextContender("ours", "modelgpt-edge", _ours, *OWN, words=True)
FLOOR = TextContender("floor", "modelgpt-edge, without LoRA", _floor, *OWN, words=True)
CONTENDERS = (
    OURS,
    FLOOR,
    TextContender("tiny", "modelgpt-edge, tiny (1 MB)", _tiny, *OWN, words=True),
    TextContender("frozen", "frozen encoder + logistic regression", frozen, *SKLEARN),
    TextContender("frozen-cv", "frozen encoder + logistic regression, C by cross-validation", frozen_tuned, *SKLEARN),
    TextContender("tfidf", "TF-IDF + logistic regression", tfidf, *SKLEARN),
    TextContender(
        "setfit",
        "SetFit",
        set_fit,
        (*TORCH, "setfit"),
        (*TORCH, "setfit", "sentence-transformers"),
        ("setfit_iterations",),
        slow=True,
        words=True,
        pairs=False,
        most_rows=6_000,
    ),
    TextContender("finetune", "fine-tuning, all weights", tuning(False), TORCH, TORCH, ("tuning_rows",), slow=True),
    TextContender("lora", "fine-tuning, LoRA", tuning(True), (*TORCH, "peft"), (*TORCH, "peft"), ("tuning_rows",), slow=True),
)
