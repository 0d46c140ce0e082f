"""The peers in bench/text.py: logistic regression on the frozen encoder or on TF-IDF, SetFit, and fine-tuning.

Each is a function from a few labelled texts to a model of them, timed from the texts on; imports come before the clock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from text_sets import Texts
from text_task import Asked, Fit, Task, frozen_features, open_encoder, spread
from text_tuning import fine_tune

PENALTIES = (1.0, 10.0, 100.0)
FOLDS = 3
JUDGED = 2_000
# TF-IDF's C: its vectors are of unit length too, and sklearn's 1 keeps their logits close to nil.
SPARSE_C = 10.0
SETFIT_BATCH = 16
# SetFit's way to start from names alone: this sentence for each class, so many times.
TEMPLATE, TEMPLATES = "This sentence is {}", 8


def frozen(task: Task) -> Fit:
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    x = frozen_features(open_encoder(), task.rows)
    model = LogisticRegression(max_iter=1000).fit(x, task.rows.labels)
    seconds = time.perf_counter() - start
    return Fit(lambda asked: spread(model.predict_proba(asked.features), model.classes_, task), seconds)


def frozen_tuned(task: Task) -> Fit:
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    x = frozen_features(open_encoder(), task.rows)
    c = choose_c(x, task)
    model = LogisticRegression(C=c, max_iter=1000).fit(x, task.rows.labels)
    seconds = time.perf_counter() - start
    return Fit(lambda asked: spread(model.predict_proba(asked.features), model.classes_, task), seconds, {"C": c})


def choose_c(x: np.ndarray, task: Task) -> float:
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


def tfidf(task: Task) -> Fit:
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


def set_fit(task: Task) -> Fit:
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


def tuning(low_rank: bool) -> Callable[[Task], Fit]:
    def fit(task: Task) -> Fit:
        settings = task.settings
        start = time.perf_counter()
        tuned = fine_tune(task.rows, len(task.classes), task.seed, settings.threads, settings.tuning_rows, low_rank=low_rank)
        seconds = time.perf_counter() - start
        facts = {"rate": tuned.rate, "epochs": tuned.epochs, "last_seconds": tuned.seconds}
        return Fit(lambda asked: tuned.probabilities(asked.rows), seconds, facts)

    return fit
