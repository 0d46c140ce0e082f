"""Gradient descent on few pictures, as a peer in bench/images.py: a head on frozen features, or a whole EfficientNet-Lite0.

Learning rate and epochs are the likeliest on held-out pictures, a fifth of each class; choosing them is part of the work.
The network is the library's own (efficientnet-lite-pytorch) with the weights that the product has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from metrics import log_loss
from processes import cpu_seconds

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the peers are torch models

BATCH, ASKED_BATCH = 16, 32
HELD_OUT = 0.2
# Of the whole network: rates of the backbone, one for the new head, and epochs that may be chosen.
RATES, HEAD_RATE = (1e-4, 3e-4, 1e-3), 1e-3
LEAST_EPOCHS, MOST_EPOCHS = 5, 10
# Of the head alone, which is quick.
HEAD_RATES, HEAD_EPOCHS = (1e-4, 1e-3, 1e-2), 100
# Which of the three rates, and how many epochs, where a class has one picture and none can be held out.
USUAL_RATE, USUAL_EPOCHS, USUAL_HEAD_EPOCHS = 1, 10, 30
WARM, DECAY = 0.1, 0.01
# A random square of at least so much of a side is seen of a picture.
LEAST_SEEN = 0.8
MIDDLE, REACH = 127.0, 128.0

Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tuned:
    """What was tuned.

    Attributes:
        scores: (N, K) of features (N, D), or of pictures (N, S, S, 3).
        rate: that it was tuned at; epochs: how often it saw every picture.
        cpu_seconds: of the last training alone, the choice of rate and epochs left out.
    """

    scores: Scores
    rate: float
    epochs: int
    cpu_seconds: float


@dataclass(frozen=True)
class _Network:
    """What is trained: a network, its optimiser's groups without their rate's schedule, and how a batch goes in."""

    module: Any
    groups: list[dict]
    enter: Callable[[np.ndarray, bool], torch.Tensor]


def tune_head(features: np.ndarray, labels: np.ndarray, classes: int, seed: int, threads: int) -> Tuned:
    """Adam on a linear head that starts at nothing, on frozen features (N, D)."""
    import torch  # noqa: TID251

    def start(rate: float) -> _Network:
        head = _empty_head(features.shape[1], classes)
        return _Network(head, [{"params": list(head.parameters()), "lr": rate}], lambda part, learns: torch.from_numpy(part))

    torch.set_num_threads(threads)
    return _tune(start, features, labels, seed, HEAD_RATES, (1, HEAD_EPOCHS, USUAL_HEAD_EPOCHS))


def tune_whole(
    pictures: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int,
    threads: int,
    weights: Mapping[str, np.ndarray],
    mirror: bool,
) -> Tuned:
    """AdamW on all weights of EfficientNet-Lite0 under a new head; its batch normalisation keeps ImageNet's statistics.

    Args:
        pictures: (N, S, S, 3) uint8; of each a random square is seen, mirrored half of the time where `mirror`.
        weights: of the backbone, by the library's names.
    """
    import torch  # noqa: TID251

    torch.set_num_threads(threads)

    def start(rate: float) -> _Network:
        network = open_network(pictures.shape[1], classes, weights)
        body = [p for name, p in network.named_parameters() if not name.startswith("_fc.")]
        groups = [{"params": body, "lr": rate}, {"params": list(network._fc.parameters()), "lr": HEAD_RATE}]
        return _Network(network, groups, lambda part, learns: _seen(part, mirror) if learns else normalised(part))

    return _tune(start, pictures, labels, seed, RATES, (LEAST_EPOCHS, MOST_EPOCHS, USUAL_EPOCHS))


def open_network(size: int, classes: int, weights: Mapping[str, np.ndarray]) -> Any:
    """The library's EfficientNet-Lite0 for pictures of a size, of these weights, under a head that starts at nothing."""
    import torch  # noqa: TID251
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", image_size=size, num_classes=classes, drop_connect_rate=0.0)
    own = {name: torch.from_numpy(array) for name, array in weights.items() if not name.startswith("_fc.")}
    lacking, strange = network.load_state_dict(own, strict=False)
    if strange or any(not name.startswith("_fc.") and "num_batches" not in name for name in lacking):
        raise ValueError(f"the backbone's weights don't fit the library's network: {lacking}, {strange}")
    network._fc = _empty_head(network._fc.in_features, classes)
    return network.to(memory_format=torch.channels_last)


def normalised(pictures: np.ndarray) -> torch.Tensor:
    """Pictures (N, S, S, 3) uint8 as the network takes them, (N, 3, S, S)."""
    import torch  # noqa: TID251

    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - MIDDLE) / REACH


def held_out(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places to learn from and held-out ones, a fifth of each class and one at least; none where a class has but one."""
    order = rng.permutation(len(labels))
    if np.bincount(labels).min() < 2:
        return order, order[:0]
    mine = [order[labels[order] == k] for k in np.unique(labels)]
    apart = np.concatenate([part[: max(1, round(HELD_OUT * len(part)))] for part in mine])
    return np.setdiff1d(order, apart), apart


def _empty_head(width: int, classes: int) -> Any:
    import torch  # noqa: TID251

    head = torch.nn.Linear(width, classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    return head


def _tune(
    start: Callable[[float], _Network],
    values: np.ndarray,
    labels: np.ndarray,
    seed: int,
    rates: Sequence[float],
    epochs: tuple[int, int, int],
) -> Tuned:
    """Choose rate and epochs on held-out rows, then train on all; `epochs` are the least, the most and the usual."""
    least, most, chosen = epochs
    rate = rates[USUAL_RATE]
    learn, apart = held_out(labels, np.random.default_rng([seed, 3]))
    if len(apart):
        asked = values[apart], labels[apart]
        losses = np.array([_train(start(r), values[learn], labels[learn], seed, most, least, asked)[1] for r in rates])
        best, last = np.unravel_index(losses.argmin(), losses.shape)
        rate, chosen = rates[best], least + int(last)
    begun = cpu_seconds()
    scores, _ = _train(start(rate), values, labels, seed, chosen)
    return Tuned(scores, rate, chosen, cpu_seconds() - begun)


def _train(
    network: _Network,
    values: np.ndarray,
    labels: np.ndarray,
    seed: int,
    epochs: int,
    least: int = 1,
    asked: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Scores, list[float]]:
    """AdamW, its rates rising over a tenth of the steps and falling to nothing: what scores then, and the log loss of held-out
    rows after every epoch from the `least` on where there are some.
    """
    import torch  # noqa: TID251

    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 4])
    optimiser = torch.optim.AdamW(network.groups, weight_decay=DECAY)
    steps = epochs * -(-len(labels) // BATCH)
    warm = max(1, round(WARM * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min((s + 1) / warm, (steps - s) / steps))

    def scores(given: np.ndarray) -> np.ndarray:
        network.module.eval()
        with torch.inference_mode():
            parts = [
                network.module(network.enter(given[i : i + ASKED_BATCH], False)) for i in range(0, len(given), ASKED_BATCH)
            ]
        return torch.cat(parts).numpy()

    losses = []
    for epoch in range(1, epochs + 1):
        _learning(network.module)
        for part in np.array_split(rng.permutation(len(labels)), range(BATCH, len(labels), BATCH)):
            truth = torch.from_numpy(labels[part].astype(np.int64))
            loss = torch.nn.functional.cross_entropy(network.module(network.enter(values[part], True)), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        if asked is not None and epoch >= least:
            losses.append(log_loss(_softmax(scores(asked[0])), asked[1]))
    return scores, losses


def _learning(module: Any) -> None:
    """Dropout on, statistics of batch normalisation as they are: few pictures tell worse ones."""
    import torch  # noqa: TID251

    module.train()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def _seen(pictures: np.ndarray, mirror: bool) -> torch.Tensor:
    """A random square of each picture, at the pictures' own size, perhaps mirrored."""
    import torch  # noqa: TID251

    many = len(pictures)
    side = LEAST_SEEN + (1 - LEAST_SEEN) * torch.rand(many)
    moves = (2 * torch.rand(2, many) - 1) * (1 - side)
    turn = torch.where(torch.rand(many) < 0.5, -1.0, 1.0) if mirror else torch.ones(many)
    nothing = torch.zeros(many)
    maps = torch.stack([torch.stack([side * turn, nothing, moves[0]], 1), torch.stack([nothing, side, moves[1]], 1)], 1)
    whole = normalised(pictures)
    grid = torch.nn.functional.affine_grid(maps, list(whole.shape), align_corners=False)
    return torch.nn.functional.grid_sample(whole, grid, mode="bilinear", padding_mode="border", align_corners=False)
