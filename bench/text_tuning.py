"""Fine-tuning of the sentence encoder by gradient steps, all weights or LoRA, as a peer in bench/text.py: a plain torch loop.

The head is linear on the mean of the tokens' states, scaled to the length that the encoder's own training gave its logits. The
learning rate is the one of a small grid that is likeliest on held-out rows; choosing it is part of the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from text_sets import Texts

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the peers are torch models

BATCH, ASKED_BATCH = 16, 64
LEAST_EPOCHS, MOST_EPOCHS = 4, 40
# Rates of the encoder, first the one that is taken where no row can be held out; the new head has a rate of its own.
RATES, LOW_RANK_RATES = (1e-4, 3e-5, 3e-4), (1e-3, 3e-4, 3e-3)
HEAD_RATE = 1e-2
RANK, ALPHA, LOW_RANK_DROPOUT = 8, 16, 0.05
SCALE = 20.0
WARM, DECAY = 0.1, 0.01
HELD_OUT = 0.2
# Rates are compared on at most so many rows.
JUDGED = 2_000
LENGTH = 256


@dataclass(frozen=True)
class Tuned:
    """A tuned encoder with its head.

    Attributes:
        probabilities: of texts (N, K).
        rate: that it was tuned at; epochs: how often it saw every row.
        seconds: of the last training alone, the choice of the rate left out.
    """

    probabilities: Callable[[Texts], np.ndarray]
    rate: float
    epochs: int
    seconds: float


def fine_tune(rows: Texts, classes: int, seed: int, threads: int, seen: int, low_rank: bool) -> Tuned:
    """Tune the encoder on labelled texts or pairs.

    Args:
        seen: rows that it sees, epochs counted, within LEAST_EPOCHS and MOST_EPOCHS.
        low_rank: LoRA on queries and values (Hu et al. 2021) instead of all weights.
    """
    import torch  # noqa: TID251

    torch.set_num_threads(threads)
    rates = LOW_RANK_RATES if low_rank else RATES
    rng = np.random.default_rng([seed, 3])
    learn, held_out = _cut(rows, rng)
    rate = rates[0]
    if len(held_out.labels):
        losses = []
        for rate in rates:
            predict = _train(learn, classes, seed, rate, _epochs(len(learn.labels), seen), low_rank)
            p = predict(held_out)[np.arange(len(held_out.labels)), held_out.labels]
            losses.append(-np.log(np.maximum(p, 1e-6)).mean())
        rate = rates[int(np.argmin(losses))]
    start = time.perf_counter()
    epochs = _epochs(len(rows.labels), seen)
    predict = _train(rows, classes, seed, rate, epochs, low_rank)
    return Tuned(predict, rate, epochs, time.perf_counter() - start)


def _epochs(rows: int, seen: int) -> int:
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(seen / rows)))


def _cut(rows: Texts, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Rows to learn from and held-out ones, a fifth of each class and one at least; none where a class has but one."""
    order = rng.permutation(len(rows.labels))[:JUDGED]
    counts = np.bincount(rows.labels[order])
    if counts[counts > 0].min() < 2:
        return rows, rows.take(order[:0])
    mine = [order[rows.labels[order] == k] for k in np.flatnonzero(counts)]
    held_out = np.concatenate([part[: max(1, round(HELD_OUT * len(part)))] for part in mine])
    return rows.take(np.setdiff1d(order, held_out)), rows.take(held_out)


def _train(rows: Texts, classes: int, seed: int, rate: float, epochs: int, low_rank: bool) -> Callable[[Texts], np.ndarray]:
    """A model after so many epochs of AdamW, the rate rising over a tenth of the steps and falling to nothing."""
    import torch  # noqa: TID251

    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 4])
    read, encoder = _open(low_rank)
    head = torch.nn.Linear(encoder.config.hidden_size, classes)
    tuned = [p for p in encoder.parameters() if p.requires_grad]
    groups = [{"params": tuned, "lr": rate}, {"params": head.parameters(), "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps = epochs * -(-len(rows.labels) // BATCH)
    warm = max(1, round(WARM * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min((s + 1) / warm, (steps - s) / steps))
    encoder.train()
    for _ in range(epochs):
        for part in np.array_split(rng.permutation(len(rows.labels)), range(BATCH, len(rows.labels), BATCH)):
            batch = rows.take(part)
            logits = head(_pooled(encoder, read(batch)))
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.labels.astype(np.int64)))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
    encoder.eval()

    def predict(asked: Texts) -> np.ndarray:
        order = np.argsort([len(text) for text in asked.texts])
        found = np.empty((len(order), classes), np.float32)
        with torch.inference_mode():
            for part in np.array_split(order, range(ASKED_BATCH, len(order), ASKED_BATCH)):
                found[part] = head(_pooled(encoder, read(asked.take(part)))).softmax(1).numpy()
        return found

    return predict


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
