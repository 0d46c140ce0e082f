"""The contenders of bench/text.py, each a function from a few labelled texts to a model of them, timed from the texts on.

The clock holds opening the encoder, embedding and fitting; imports come before it. All of them start from the same weights of
one small sentence encoder, TF-IDF apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from text_sets import Texts
from text_tuning import fine_tune

if TYPE_CHECKING:
    from modelgpt_edge.architecture.text.encoder import TextEncoder

PENALTIES = (1.0, 10.0, 100.0)
FOLDS = 3
JUDGED = 2_000
# TF-IDF's C: its vectors are of unit length too, and sklearn's 1 keeps their logits close to nil.
SPARSE_C = 10.0
SETFIT_BATCH = 16
# SetFit's way to start from names alone: this sentence for each class, so many times.
TEMPLATE, TEMPLATES = "This sentence is {}", 8


@dataclass(frozen=True)
class Settings:
    """What a run asks of its contenders.

    Attributes:
        test_rows: at most so many test rows; None for all.
        setfit_iterations: pairs of each kind that SetFit draws for every row.
        tuning_rows: rows that fine-tuning sees, epochs counted, within its least and most epochs.
    """

    threads: int = 2
    test_rows: int | None = None
    setfit_iterations: int = 20
    tuning_rows: int = 6_000


@dataclass(frozen=True)
class Task:
    """What a contender learns from: classes by name, labelled texts (perhaps none), and how it is run."""

    classes: tuple[str, ...]
    rows: Texts
    seed: int
    settings: Settings


@dataclass(frozen=True, eq=False)
class Asked:
    """Test rows, and what the frozen encoder makes of them: computed once, outside every clock."""

    rows: Texts

    @cached_property
    def embeddings(self) -> np.ndarray:
        """As the product has them."""
        return open_encoder().embed(self.rows.texts, self.rows.pairs)

    @cached_property
    def features(self) -> np.ndarray:
        """As the peers on the frozen encoder have them: the same for texts, their own for pairs."""
        return self.embeddings if self.rows.pairs is None else frozen_features(open_encoder(), self.rows)


@dataclass(frozen=True)
class Fit:
    """A fitted contender: probabilities (N, K) of what is asked, seconds from texts to model, and what else is known."""

    probabilities: Callable[[Asked], np.ndarray]
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


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


def open_encoder() -> TextEncoder:
    """The product's encoder, opened afresh."""
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    return TextEncoder.of(find_encoder())


def frozen_features(encoder: TextEncoder, rows: Texts) -> np.ndarray:
    """Embeddings u of texts (N, D); of pairs |u - v| and u v (N, 2 D), as InferSent has them (Conneau et al. 2017)."""
    first = encoder.embed(rows.texts)
    if rows.pairs is None:
        return first
    second = encoder.embed(rows.pairs)
    return np.concatenate([np.abs(first - second), first * second], 1)


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


def _frozen(task: Task) -> Fit:
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    x = frozen_features(open_encoder(), task.rows)
    model = LogisticRegression(max_iter=1000).fit(x, task.rows.labels)
    seconds = time.perf_counter() - start
    return Fit(lambda asked: spread(model.predict_proba(asked.features), model.classes_, task), seconds)


def _frozen_tuned(task: Task) -> Fit:
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    x = frozen_features(open_encoder(), task.rows)
    c = _choose_c(x, task)
    model = LogisticRegression(C=c, max_iter=1000).fit(x, task.rows.labels)
    seconds = time.perf_counter() - start
    return Fit(lambda asked: spread(model.predict_proba(asked.features), model.classes_, task), seconds, {"C": c})


def _choose_c(x: np.ndarray, task: Task) -> float:
    """The C whose log loss on held-out rows, of 2,000 at most, is least; the largest where some class has one row alone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rng = np.random.default_rng([task.seed, 5])
    pick = rng.permutation(len(x))[:JUDGED] if len(x) > JUDGED else np.arange(len(x))
    x, y = x[pick], task.rows.labels[pick]
    folds = min(FOLDS, int(np.bincount(y).min()))
    if folds < 2:
        return PENALTIES[-1]
    cut = StratifiedKFold(folds, shuffle=True, random_state=task.seed)
    losses = [
        log_loss(y, cross_val_predict(LogisticRegression(C=c, max_iter=1000), x, y, cv=cut, method="predict_proba"))
        for c in PENALTIES
    ]
    return PENALTIES[int(np.argmin(losses))]


def _tfidf(task: Task) -> Fit:
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = task.rows
    start = time.perf_counter()
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit([*rows.texts, *(rows.pairs or [])])

    def encode(texts: Texts) -> Any:
        first = words.transform(texts.texts)
        if texts.pairs is None:
            return first
        second = words.transform(texts.pairs)
        return hstack([abs(first - second), first.multiply(second)]).tocsr()

    model = LogisticRegression(C=SPARSE_C, max_iter=1000).fit(encode(rows), rows.labels)
    seconds = time.perf_counter() - start
    return Fit(lambda asked: spread(model.predict_proba(encode(asked.rows)), model.classes_, task), seconds)


def spread(p: np.ndarray, seen: np.ndarray, task: Task) -> np.ndarray:
    """Probabilities (N, seen) as (N, K): classes without an example have none."""
    whole = np.zeros((len(p), len(task.classes)))
    whole[:, seen] = p
    return whole


def _setfit(task: Task) -> Fit:
    """SetFit (Tunstall et al. 2022): the encoder tuned on pairs of rows by their cosine, then a logistic regression.

    Pairs, batch and epochs are the paper's; all else is the library's usual.
    """
    import setfit
    import torch  # noqa: TID251 - SetFit's own
    from datasets import Dataset, disable_progress_bars
    from transformers import ProgressCallback
    from transformers.utils import logging

    from modelgpt_edge.architecture.text.files import find_encoder

    disable_progress_bars()
    logging.disable_progress_bar()
    setfit.logging.set_verbosity_error()
    torch.set_num_threads(task.settings.threads)
    texts, labels = task.rows.texts, task.rows.labels.tolist()
    if not texts:
        texts = [TEMPLATE.format(name.replace("_", " ")) for name in task.classes for _ in range(TEMPLATES)]
        labels = [k for k in range(len(task.classes)) for _ in range(TEMPLATES)]
    start = time.perf_counter()
    model = setfit.SetFitModel.from_pretrained(str(find_encoder().folder))
    with tempfile.TemporaryDirectory() as folder:
        options = setfit.TrainingArguments(
            output_dir=folder,
            batch_size=SETFIT_BATCH,
            num_epochs=1,
            num_iterations=task.settings.setfit_iterations,
            seed=task.seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        trainer = setfit.Trainer(model=model, args=options, train_dataset=Dataset.from_dict({"text": texts, "label": labels}))
        trainer.st_trainer.remove_callback(ProgressCallback)
        trainer.train()
    seconds = time.perf_counter() - start

    def probabilities(asked: Asked) -> np.ndarray:
        p = model.predict_proba(asked.rows.texts, as_numpy=True, show_progress_bar=False)
        return spread(p, np.asarray(model.model_head.classes_), task)

    return Fit(probabilities, seconds)


def _tuned(low_rank: bool) -> Callable[[Task], Fit]:
    def fit(task: Task) -> Fit:
        settings = task.settings
        start = time.perf_counter()
        tuned = fine_tune(task.rows, len(task.classes), task.seed, settings.threads, settings.tuning_rows, low_rank=low_rank)
        seconds = time.perf_counter() - start
        facts = {"rate": tuned.rate, "epochs": tuned.epochs, "last_seconds": tuned.seconds}
        return Fit(lambda asked: tuned.probabilities(asked.rows), seconds, facts)

    return fit


SKLEARN = ("sklearn",), ("scikit-learn",)
TORCH = ("torch", "transformers")
OWN = (), ("modelgpt-edge", "onnxruntime")
OURS = TextContender("ours", "modelgpt-edge", _ours, *OWN, words=True)
CONTENDERS = (
    OURS,
    TextContender("floor", "modelgpt-edge, without LoRA", _floor, *OWN, words=True),
    TextContender("tiny", "modelgpt-edge, tiny (1 MB)", _tiny, *OWN, words=True),
    TextContender("frozen", "frozen encoder + logistic regression", _frozen, *SKLEARN),
    TextContender("frozen-cv", "frozen encoder + logistic regression, C by cross-validation", _frozen_tuned, *SKLEARN),
    TextContender("tfidf", "TF-IDF + logistic regression", _tfidf, *SKLEARN),
    TextContender(
        "setfit",
        "SetFit",
        _setfit,
        (*TORCH, "setfit"),
        (*TORCH, "setfit", "sentence-transformers"),
        ("setfit_iterations",),
        slow=True,
        words=True,
        pairs=False,
        most_rows=6_000,
    ),
    TextContender("finetune", "fine-tuning, all weights", _tuned(False), TORCH, TORCH, ("tuning_rows",), slow=True),
    TextContender("lora", "fine-tuning, LoRA", _tuned(True), (*TORCH, "peft"), (*TORCH, "peft"), ("tuning_rows",), slow=True),
)
