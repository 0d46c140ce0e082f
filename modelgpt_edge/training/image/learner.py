"""What learns: the trunk with a head for the photographs' classes and one for those that are drawn. One method takes a step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from numpy.typing import NDArray
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.architecture.image.trunk_shape import TrunkShape
from modelgpt_edge.training.image.augment import Augment
from modelgpt_edge.training.image.network import TorchTrunk
from modelgpt_edge.training.image.pictures import Pictures

RATE, MOMENTUM, DECAY, LONGEST_GRADIENT = 0.2, 0.9, 2e-4, 5.0
# The share of all steps in which the rate rises, and that of a batch which is drawn.
WARM_UP, DRAWN_SHARE = 0.1, 0.2


@dataclass(frozen=True)
class ImageRecipe:
    """What a training is made of; the same in every leg.

    Attributes:
        seed: of every draw; batch: pictures of a step; steps: of the whole training, over which the rate falls to nil.
        shape: of the trunk; drawn: classes that are drawn, each of `each` pictures.
        data: what photographs it learns from, in words.
    """

    seed: int
    batch: int
    steps: int
    shape: TrunkShape
    drawn: int
    each: int
    data: str

    @property
    def drawn_batch(self) -> int:
        """Drawn pictures of a step."""
        return round(DRAWN_SHARE * self.batch) if self.drawn else 0

    def to_json(self) -> dict[str, object]:
        """For checkpoints."""
        return asdict(self)


@dataclass
class ImageProgress:
    """How far training has come: steps taken, and seconds that they took."""

    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StepFigures:
    """Log loss of a step's photographs and of its drawn pictures, and the share of the photographs that is right."""

    loss: float
    drawn_loss: float
    right: float


class ImageLearner:
    """The state of a training.

    Attributes:
        model: trunk and heads; optimizer: whose state checkpoints keep.
    """

    def __init__(self, recipe: ImageRecipe, classes: int, device: torch.device) -> None:
        self.recipe, self.classes, self.device, self.progress = recipe, classes, device, ImageProgress()
        width = recipe.shape.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            heads = {"photographs": nn.Linear(width, classes)}
            if recipe.drawn:
                heads["drawn"] = nn.Linear(width, recipe.drawn)
            self.trunk, self.heads = TorchTrunk(recipe.shape), nn.ModuleDict(heads)
        self.model = nn.ModuleDict({"trunk": self.trunk, "heads": self.heads}).to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, nesterov=True)

    def learn(self, photographs: Pictures, drawn: NDArray[np.uint8]) -> StepFigures:
        """Take one step.

        Args:
            photographs: of all classes; drawn: (classes, each, 32, 32).

        Returns:
            Figures before the step; not a number where a loss or a gradient isn't finite: the step then counts, but changes no
            parameter.
        """
        pictures, labels = self._batch(photographs, drawn)
        own = self.recipe.batch - self.recipe.drawn_batch
        self.model.train()
        before = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        features = self.trunk(pictures.to(self.device, memory_format=torch.channels_last))
        logits = self.heads["photographs"](features[:own])
        losses = [functional.cross_entropy(logits, labels[:own])]
        right = float((logits.argmax(1) == labels[:own]).float().mean())
        if self.recipe.drawn_batch:
            losses.append(functional.cross_entropy(self.heads["drawn"](features[own:]), labels[own:]))
        shares = (own / self.recipe.batch, self.recipe.drawn_batch / self.recipe.batch)
        loss = torch.stack([share * part for share, part in zip(shares, losses)]).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        length = nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST_GRADIENT)
        finite = math.isfinite(float(loss.detach()) + float(length))
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = rate(self.progress.step, self.recipe.steps)
            self.optimizer.step()
        else:
            for name, buffer in self.model.named_buffers():
                buffer.copy_(before[name])
        self.progress.step += 1
        told = [float(part.detach()) for part in losses] if finite else [math.nan]
        return StepFigures(told[0], told[1] if len(told) > 1 else math.nan, right)

    def _batch(self, photographs: Pictures, drawn: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, 32, 32) and labels (N,) of a step, photographs first. All that is random in a step comes from here,
        so that a resumed training goes on as if it had never stopped."""
        step, own = self.progress.step, self.recipe.batch - self.recipe.drawn_batch
        rng = np.random.default_rng([self.recipe.seed, step])
        augment = Augment(torch.Generator().manual_seed(int(rng.integers(1 << 62))))
        chosen = rng.integers(len(photographs.labels), size=own)
        pictures = [augment.photographs(torch.from_numpy(photographs.levels[chosen]))]
        labels = [photographs.labels[chosen]]
        if self.recipe.drawn_batch:
            classes = rng.integers(len(drawn), size=self.recipe.drawn_batch)
            places = rng.integers(drawn.shape[1], size=self.recipe.drawn_batch)
            pictures.append(augment.drawn(torch.from_numpy(drawn[classes, places])))
            labels.append(classes)
        return torch.cat(pictures), torch.from_numpy(np.concatenate(labels)).to(self.device)


def rate(step: int, steps: int) -> float:
    """How far a step goes: rises at the beginning, then falls to nil in a line."""
    rising = (step + 1) / max(1.0, WARM_UP * steps)
    falling = (steps - step) / max(1.0, (1 - WARM_UP) * steps)
    return RATE * max(0.0, min(rising, falling, 1.0))
