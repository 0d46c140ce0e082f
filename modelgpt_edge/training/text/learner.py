"""What learns: the hypernetwork and the heads that judge it, an optimizer, and how far it has come. One method takes a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.episodes import Episode
from modelgpt_edge.training.text.hypernetwork import Heads, Hypernetwork

RATE, WARM_UP, DECAY, LONGEST_GRADIENT = 1e-3, 100, 0.01, 1.0


@dataclass(frozen=True)
class TextRecipe:
    """What a training is made of; the same in every leg.

    Attributes:
        seed: of every draw; episodes: of a step; steps: of the whole training, over which the rate of learning falls to nil.
        encoder: sha256 of the encoder; data: what episodes are drawn from, in words.
    """

    seed: int
    episodes: int
    steps: int
    encoder: str
    data: str


@dataclass
class TextProgress:
    """How far training has come: steps taken, and seconds that they took."""

    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StepFigures:
    """Means of a step over its queries: log loss by the adapted and by the plain encoder, and shares of them that are right."""

    loss: float
    plain: float
    right: float
    plain_right: float


class TextLearner:
    """The state of a training.

    Attributes:
        parameters: all that learns, by name; optimizer: whose state checkpoints keep.
    """

    def __init__(self, shape: LoraShape, recipe: TextRecipe, encoder: TorchEncoder, device: torch.device) -> None:
        self.shape, self.recipe, self.encoder, self.device = shape, recipe, encoder, device
        self.progress = TextProgress()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.hypernetwork, self.heads = Hypernetwork(shape).to(device), Heads().to(device)
        self.parameters = dict(self.hypernetwork.named_parameters(prefix="hypernetwork"))
        self.parameters |= dict(self.heads.named_parameters(prefix="heads"))
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=RATE, weight_decay=DECAY)

    def learn(self, episodes: Sequence[Episode], stopped: Callable[[], bool] = lambda: False) -> StepFigures | None:
        """Take one step on some episodes.

        Returns:
            Figures before the step; not a number where a loss or a gradient isn't finite: the step then counts, but changes no
            parameter. None where `stopped` said so midway: nothing has changed then.
        """
        self.optimizer.zero_grad()
        figures = []
        for episode in episodes:
            if stopped():
                return None
            loss, *others = self._judge(episode)
            (loss / len(episodes)).backward()  # type: ignore[no-untyped-call]
            figures.append([float(loss.detach()), *others])
        length = torch.nn.utils.clip_grad_norm_(self.parameters.values(), LONGEST_GRADIENT)
        means = np.mean(figures, axis=0).tolist()
        finite = math.isfinite(sum(means) + float(length))
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = rate(self.progress.step, self.recipe.steps)
            self.optimizer.step()
        self.progress.step += 1
        return StepFigures(*means) if finite else StepFigures(*[math.nan] * 4)

    def _judge(self, episode: Episode) -> tuple[Tensor, float, float, float]:
        """Loss of an episode by the adapted encoder, that by the plain one, and the shares of queries that are right."""
        updates = self.hypernetwork(torch.from_numpy(episode.task).to(self.device))
        sayings = [ids for own in episode.names for ids in own]
        parts = [len(sayings), len(episode.support.ids), len(episode.queries.ids)]
        embedded = self.encoder.embed([*sayings, *episode.support.ids, *episode.queries.ids], updates)
        said, support, queries = torch.split(embedded, parts)
        owner = torch.tensor([k for k, own in enumerate(episode.names) for _ in own], device=self.device)
        sums = torch.zeros(len(episode.names), said.shape[1], device=self.device).index_add(0, owner, said)
        labels = torch.from_numpy(episode.support.labels).to(self.device)
        truth = torch.from_numpy(episode.queries.labels).to(self.device)

        def judge(names: Tensor, support: Tensor, queries: Tensor) -> tuple[Tensor, float]:
            logits = self.heads(names, support, labels, queries)
            loss = torch.stack([functional.cross_entropy(own, truth) for own in logits]).mean()
            return loss, float((logits[1].argmax(1) == truth).float().mean())

        loss, right = judge(functional.normalize(sums, dim=-1), support, queries)
        with torch.no_grad():
            arrays = (episode.directions.T.copy(), episode.support.embeddings, episode.queries.embeddings)
            plain, plain_right = judge(*(torch.from_numpy(array).to(self.device) for array in arrays))
        return loss, float(plain), right, plain_right

    def weights(self) -> dict[str, Floats]:
        """The hypernetwork's parameters, by the names of `LoraShape.arrays`."""
        return {name: p.detach().cpu().numpy().copy() for name, p in self.hypernetwork.named_parameters()}

    def generator(self) -> LoraGenerator:
        """The hypernetwork as a build has it, but in float32."""
        return LoraGenerator(self.shape, self.weights(), self.recipe.encoder, False, "")


def rate(step: int, steps: int) -> float:
    """The rate of learning: up over the first steps, then along a cosine to nil."""
    share = min(1.0, step / steps)
    return RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
