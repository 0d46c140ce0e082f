"""LoRA for many requests at once: updates by the kernel `emit`, fused into the encoder's weights by `merge`.

What a GPU server makes encoders with; on a CPU the kernels are plain torch. Nothing that a build imports may import this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch  # noqa: TID251 - for the GPU server, as the kernels

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.merge import merge
from modelgpt_edge.kernels.ragged import Ragged, Stored
from modelgpt_edge.kernels.transfer import send
from modelgpt_edge.parameters.text.lora import PRODUCTS, SCALE, LoraGenerator, attention, require_fit


def emit_adapters(
    generator: LoraGenerator,
    encoder: TextEncoder,
    tasks: Sequence[Floats],
    device: torch.device,
    kind: torch.dtype = torch.float32,
) -> Stored:
    """The products of attention for the tasks of Q requests, of each layer those of `lora.attention` in turn.

    Args:
        tasks: as by `describe_task`, one a request and at least one.
        kind: what the weights are stored in, as for `merge`.

    Returns:
        2 L Q weights (inputs, outputs): those of all requests for the first product first. On the device.

    Raises:
        InputError: the generator was trained for another encoder.
    """
    require_fit(generator, encoder)
    shape, requests = generator.shape, len(tasks)
    coefficients = np.stack([generator.coefficients(task) for task in tasks], 1)  # (L, Q, J)
    places = [(layer, product) for layer in range(shape.layers) for product in PRODUCTS]
    layers = np.array([layer for layer, _ in places])

    def ragged(matrices: Sequence[Floats]) -> Ragged:
        return Ragged.of([send(np.ascontiguousarray(m), device) for m in matrices])

    # A group is a product of a layer: its basis is read once for all requests, each of which is a row of the coefficients.
    bases = ragged([generator.weights[f"{product}.basis"][layer] for layer, product in places])
    downs = emit(ragged(list(coefficients)).take(layers), bases, torch.float32).values
    # Each row is a matrix of its own.
    rows = (downs.offset[:, None] + np.arange(requests) * shape.width * shape.rank).ravel()
    left = Ragged(downs.data, rows, np.full(len(rows), shape.width), np.full(len(rows), shape.rank))
    up = ragged([generator.weights[f"{product}.up"][layer] for layer, product in places])
    base = ragged([weight for layer in range(shape.layers) for weight in attention(encoder, layer)])
    scale = torch.full((len(places), requests), SCALE, device=device)
    return merge(base, left, up.take(np.repeat(np.arange(len(places)), requests)), scale, kind)
