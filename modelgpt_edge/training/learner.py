"""What learns: the corrector, its running average, its optimizers, and how far it has come. One method takes a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.training.batches import Batch, losses
from modelgpt_edge.training.corrector import Architecture, Corrector
from modelgpt_edge.training.ranks import Ranks

RATE, WARM_UP = 2e-3, 200
DECAY = 0.01
LONGEST_GRADIENT = 1.0
# The running average looks back over about 500 steps in the end, and over the last few at the beginning.
AVERAGE, AVERAGE_START = 0.998, 20
# Tables that go through the model at once on a CPU: more don't make it quicker, and take memory.
CPU_TABLES = 4


@dataclass
class Progress:
    """How far training has come: steps taken, tables met (again or not), the first shard that no step has met, seconds."""

    step: int = 0
    tables: int = 0
    shard: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StepLosses:
    """Mean log losses of a step: of the corrected floor, and of the floor alone."""

    loss: float
    floor: float


class Learner:
    """The state of a training. Matrices inside the layers learn by Muon (Jordan 2024), all else by AdamW.

    Attributes:
        average: the exponential moving average of the parameters, by name: what is exported.
        optimizers: by the names under which checkpoints keep their state.
    """

    def __init__(self, architecture: Architecture, seed: int, device: torch.device) -> None:
        self.architecture, self.progress, self.device = architecture, Progress(), device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = Corrector(architecture).to(device)
        self.average = {name: tensor.detach().clone() for name, tensor in self.model.named_parameters()}
        matrices = [p for name, p in self.model.named_parameters() if p.ndim == 2 and name.startswith("layers.")]
        others = [p for name, p in self.model.named_parameters() if p.ndim != 2 or not name.startswith("layers.")]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "muon": torch.optim.Muon(matrices, lr=RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"),
            "adamw": torch.optim.AdamW(others, lr=RATE, weight_decay=DECAY),
        }
        self._bfloat16 = fast_bfloat16(device)
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def learn(self, batch: Batch, ranks: Ranks, stopped: Callable[[], bool]) -> StepLosses | None:
        """Take one step on a batch, together with the other processes.

        Returns:
            The losses before the step; not a number where a loss or a gradient isn't finite: the step then counts, but changes
            no parameter. None where `stopped` said so midway, which only a process alone asks: nothing has changed then.
        """
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        total = torch.zeros(2, device=self.device)
        tables = len(batch.cells)
        for part in batch.parts(CPU_TABLES if self.device.type == "cpu" else tables):
            if ranks.world == 1 and stopped():
                return None
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
                loss, floor = losses(self.model, part)
            share = len(part.cells) / tables
            (loss * share).backward()  # type: ignore[no-untyped-call]
            total += torch.stack([loss.detach(), floor]) * share
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        ranks.average([*gradients, total])
        length = torch.nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST_GRADIENT)
        finite = math.isfinite(float(total.sum() + length))
        if finite:
            self._update()
        self.progress.step += 1
        self.progress.tables += tables * ranks.world
        return StepLosses(*total.tolist()) if finite else StepLosses(math.nan, math.nan)

    def _update(self) -> None:
        step = self.progress.step
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP)
            optimizer.step()
        decay = min(AVERAGE, (step + 2) / (step + 1 + AVERAGE_START))
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                self.average[name].lerp_(tensor, 1 - decay)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are quick: on recent GPUs, and on CPUs with AMX or AVX-512 for it.

    Elsewhere they are emulated, and tens of times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
