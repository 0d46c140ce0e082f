"""LoRA for many requests at once: updates by the kernel `emit`, fused into the encoder's weights by `merge`.

What a GPU server makes encoders with; on a CPU the kernels are plain torch. Nothing that a build imports may import this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - for the GPU server, as the kernels

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.merge import merge
from modelgpt_edge.kernels.ragged import Ragged, Stored
from modelgpt_edge.kernels.transfer import send
from modelgpt_edge.parameters.text.lora import PRODUCTS, SCALE, LoraGenerator, attention, require_fit


@dataclass(frozen=True, eq=False)
class Placed:
    """A generator and what of its encoder it updates, on a device, for all launches to come.

    Attributes:
        bases, ups: second factors of what makes the first factor of each product, and its own second factor; of each layer
            those of PRODUCTS in turn.
        base: the encoder's own products (inputs, outputs), as `lora.attention` has them.
    """

    generator: LoraGenerator
    bases: Ragged
    ups: Ragged
    base: Ragged
    device: torch.device

    @staticmethod
    def on(device: torch.device, generator: LoraGenerator, encoder: TextEncoder) -> Placed:
        """Lay them on a device; InputError where the generator was trained for another encoder."""
        require_fit(generator, encoder)
        layers = range(generator.shape.layers)
        places = [(layer, product) for layer in layers for product in PRODUCTS]

        def ragged(matrices: Sequence[Floats]) -> Ragged:
            return Ragged.of([send(np.ascontiguousarray(m), device) for m in matrices])

        bases = ragged([generator.weights[f"{product}.basis"][layer] for layer, product in places])
        ups = ragged([generator.weights[f"{product}.up"][layer] for layer, product in places])
        return Placed(generator, bases, ups, ragged([w for layer in layers for w in attention(encoder, layer)]), device)


def emit_adapters(placed: Placed, tasks: Sequence[Floats], kind: torch.dtype = torch.float32) -> Stored:
    """The products of attention for the tasks of Q requests, each to the bit what it would be alone.

    Args:
        tasks: as by `describe_task`, one a request and at least one.
        kind: what the weights are stored in, as for `merge`.

    Returns:
        2 L Q weights (inputs, outputs): those of all requests for the first product first. On the device.
    """
    shape, requests, products = placed.generator.shape, len(tasks), len(PRODUCTS)
    count = shape.layers * products
    coefficients = np.stack([placed.generator.coefficients(task) for task in tasks], 1)  # (L, Q, J)
    rows = Ragged.batch(send(coefficients.reshape(-1, 1, shape.basis), placed.device))
    # A group is one product of one request: rows of one matrix would make sums that depend on how many there are. All requests
    # of a product come one after the other, so its basis stays in the cache.
    layers, request = np.repeat(np.arange(count) // products, requests), np.tile(np.arange(requests), count)
    each = np.repeat(np.arange(count), requests)
    downs = emit(rows.take(layers * requests + request), placed.bases.take(each), torch.float32).values
    left = Ragged(downs.data, downs.offset, np.full(len(each), shape.width), np.full(len(each), shape.rank))
    scale = torch.full((count, requests), SCALE, device=placed.device)
    return merge(placed.base, left, placed.ups.take(each), scale, kind)
