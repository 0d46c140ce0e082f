"""The device's part of jobs of texts: the attention of all encoders of a launch, emitted and fused by the kernels.

torch comes in here, so that nothing but the device's own process may import this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch  # noqa: TID251 - the device is torch's
from safetensors.numpy import save

from modelgpt_edge.adapted_file import PRECISIONS, Product, attention_arrays
from modelgpt_edge.errors import ModelgptEdgeError
from modelgpt_edge.kernels.ragged import Stored
from modelgpt_edge.parameters.text.batched_lora import Placed, emit_adapters
from modelgpt_edge.server.steps import BegunTexts

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.int8}
# Requests that kernels are chosen with: configurations are kept for launches of every size.
WARM = 16


def adapt_batch(begun: Sequence[BegunTexts], device: torch.device) -> list[bytes]:
    """The arrays of `adapted_file.attention_arrays` for each request, as safetensors: a launch for each precision asked for."""
    placed, made = _placed(device), [b""] * len(begun)
    for precision in PRECISIONS:
        places = [n for n, one in enumerate(begun) if one.precision == precision]
        if not places:
            continue
        stored = _on_host(emit_adapters(placed, [begun[n].task for n in places], TYPES[precision]))
        for request, n in enumerate(places):
            groups = range(request, len(stored.values), len(places))
            made[n] = bytes(save(attention_arrays([_product(stored, group) for group in groups])))
    return made


def warm_texts(device: torch.device) -> None:
    """Choose kernels for every precision; nothing where no sentence encoder is installed, for texts are then refused."""
    try:
        placed = _placed(device)
    except ModelgptEdgeError:
        return
    task = torch.zeros(2 * placed.generator.shape.width + 3).numpy()
    for kind in TYPES.values():
        emit_adapters(placed, [task] * WARM, kind)


@lru_cache(maxsize=1)
def _placed(device: torch.device) -> Placed:
    """The generator that ships, for the encoder that is installed; they stay on the device."""
    from modelgpt_edge.server.text_emission import require_tools

    return Placed.on(device, *require_tools())


def _on_host(stored: Stored) -> Stored:
    """The same in the host's memory: one copy for all requests."""
    steps = None if stored.steps is None else replace(stored.steps, data=stored.steps.data.cpu())
    return Stored(replace(stored.values, data=stored.values.data.cpu()), steps)


def _product(stored: Stored, group: int) -> Product:
    steps = None if stored.steps is None else stored.steps[group].numpy()[0]
    return Product(stored.values[group].numpy(), steps)
