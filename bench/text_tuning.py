"""Fine-tuning of the sentence encoder by gradient steps, all weights or LoRA, as a peer in bench/text.py: a plain torch loop.

The head is linear on the mean of the tokens' states, scaled to the length that the encoder's own training gave its logits; it
starts at nothing. Learning rate and epochs are the likeliest on held-out rows; choosing them is part of the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from metrics import log_loss
from text_sets import Texts

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the peers are torch models

BATCH, ASKED_BATCH = 16, 64
LEAST_EPOCHS, MOST_EPOCHS = 4, 40
# Rates of the encoder; the new head has one of its own.
RATES, LOW_RANK_RATES = (3e-5, 1e-4, 3e-4), (3e-4, 1e-3, 3e-3)
HEAD_RATE = 1e-3
# Which of the rates, and how many epochs, where a class has one row and none can be held out.
USUAL_RATE, USUAL_EPOCHS = 1, 10
RANK, ALPHA, LOW_RANK_DROPOUT = 8, 16, 0.05
SCALE = 20.0
WARM, DECAY = 0.1, 0.01
HELD_OUT = 0.2
# Rates are compared on at most so many rows.
JUDGED = 2_000
LENGTH = 256

Predict = Callable[[Texts], np.ndarray]


@dataclass(frozen=True)
class Tuned:
    """A tuned encoder with its head.

    Attributes:
        probabilities: of texts (N, K).
        rate: that it was tuned at; epochs: how often it saw every row.
        seconds: of the last training alone, the choice of rate and epochs left out.
    """

    probabilities: Predict
    rate: float
    epochs: int
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """How to train: classes, seed, epochs, and LoRA or all weights."""

    classes: int
    seed: int
    epochs: int
    low_rank: bool


def fine_tune(rows: Texts, classes: int, seed: int, threads: int, seen: int, low_rank: bool) -> Tuned:
    """Tune the encoder on labelled texts or pairs.

    Args:
        seen: rows that it sees at most, epochs counted, within LEAST_EPOCHS and MOST_EPOCHS.
        low_rank: LoRA on queries and values (Hu et al. 2021) instead of all weights.
    """
    import torch  # noqa: TID251

    torch.set_num_threads(threads)
    rates = LOW_RANK_RATES if low_rank else RATES
    most = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(seen / len(rows.labels))))
    learn, held_out = _cut(rows, np.random.default_rng([seed, 3]))
    rate, epochs = rates[USUAL_RATE], min(USUAL_EPOCHS, most)
    if len(held_out.labels):
        losses = np.array([_train(learn, rate, _Plan(classes, seed, most, low_rank), held_out)[1] for rate in rates])
        best, last = np.unravel_index(losses.argmin(), losses.shape)
        rate, epochs = rates[best], int(last) + 1
    start = time.perf_counter()
    predict, _ = _train(rows, rate, _Plan(classes, seed, epochs, low_rank))
    return Tuned(predict, rate, epochs, time.perf_counter() - start)


def _cut(rows: Texts, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Rows to learn from and held-out ones, a fifth of each class and one at least; none where a class has but one."""
    order = rng.permutation(len(rows.labels))[:JUDGED]
    counts = np.bincount(rows.labels[order])
    if counts[counts > 0].min() < 2:
        return rows, rows.take(order[:0])
    mine = [order[rows.labels[order] == k] for k in np.flatnonzero(counts)]
    held_out = np.concatenate([part[: max(1, round(HELD_OUT * len(part)))] for part in mine])
    return rows.take(np.setdiff1d(order, held_out)), rows.take(held_out)


def _train(rows: Texts, rate: float, plan: _Plan, held_out: Texts | None = None) -> tuple[Predict, list[float]]:
    """AdamW, its rate rising over a tenth of the steps and falling to nothing: what predicts then, and the log loss of held-out
    rows after every epoch where there are some.
    """
    import torch  # noqa: TID251

    torch.manual_seed(plan.seed)
    rng = np.random.default_rng([plan.seed, 4])
    read, encoder = _open(plan.low_rank)
    head = torch.nn.Linear(encoder.config.hidden_size, plan.classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    tuned = [p for p in encoder.parameters() if p.requires_grad]
    groups = [{"params": tuned, "lr": rate}, {"params": head.parameters(), "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps = plan.epochs * -(-len(rows.labels) // BATCH)
    warm = max(1, round(WARM * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min((s + 1) / warm, (steps - s) / steps))

    def predict(asked: Texts) -> np.ndarray:
        encoder.eval()
        order = np.argsort([len(text) for text in asked.texts])
        found = np.empty((len(order), plan.classes), np.float32)
        with torch.inference_mode():
            for part in np.array_split(order, range(ASKED_BATCH, len(order), ASKED_BATCH)):
                found[part] = head(_pooled(encoder, read(asked.take(part)))).softmax(1).numpy()
        return found

    losses = []
    for _ in range(plan.epochs):
        encoder.train()
        for part in np.array_split(rng.permutation(len(rows.labels)), range(BATCH, len(rows.labels), BATCH)):
            batch = rows.take(part)
            logits = head(_pooled(encoder, read(batch)))
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.labels.astype(np.int64)))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
        if held_out is not None:
            losses.append(log_loss(predict(held_out), held_out.labels))
    return predict, losses


def _open(low_rank: bool) -> tuple[Callable[[Texts], dict[str, torch.Tensor]], Any]:
    """What turns texts into tokens, and the encoder of the product's weights."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    from modelgpt_edge.architecture.text.files import find_encoder

    logging.disable_progress_bar()
    folder = find_encoder().folder
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    if low_rank:
        from peft import LoraConfig, get_peft_model

        asked = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=LOW_RANK_DROPOUT, target_modules=["query", "value"])
        encoder = get_peft_model(encoder, asked)

    def read(texts: Texts) -> dict[str, torch.Tensor]:
        options = {"padding": True, "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
        return dict(tokenizer(texts.texts, texts.pairs, **options))

    return read, encoder


def _pooled(encoder: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean of the tokens' states (N, D), SCALE long."""
    import torch  # noqa: TID251

    states, mask = encoder(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
    return SCALE * torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
