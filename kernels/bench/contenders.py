"""What a user of plain torch would write instead: the baselines that every kernel is timed beside.

Each gets its operands laid out as it likes them, before the clock, and may leave its result as it comes: no baseline pays for
what only our layout wants. All give the same weights or sums; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.work import Factors, Tables
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.shapes import Layer
from modelgpt_edge.kernels.store import FLOOR

Codes = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Prepared:
    """A baseline with its operands: what is timed, and how one group (m, n) is read from its result."""

    call: Callable[[], Any]
    part: Callable[[Any, int], Tensor]


Prepare = Callable[[Any], Prepared]


COMPILED = "torch.compile"
# One product a basis, of the rows of all requests that share it.
ROWS = "torch.bmm, requests as rows"
# Our own emission in the factors' type, and torch's quantisation after it.
TWO_STEPS = "emit, then torch's int8"


def quantise(weight: Tensor) -> Codes:
    """Symmetric int8 with a step a column, of weights (..., m, n) that may be overwritten."""
    largest = weight.abs().amax(-2, keepdim=True).float().clamp(min=FLOOR)
    return weight.mul_(127 / largest).round_().clamp_(-127, 127).to(torch.int8), largest / 127


def _finish(work: Factors) -> Callable[[Tensor], Tensor | Codes]:
    """What is left to do with a product in the factors' type."""
    # A tensor that has the type already is given back as it is.
    return quantise if work.kind == torch.int8 else lambda weight: weight.to(work.kind)


def _floats(made: Tensor | Codes, *index: int) -> Tensor:
    """One matrix of a stack, or the only one, as it will be used."""
    if isinstance(made, Tensor):
        return made[index]
    codes, steps = made
    return codes[index].float() * steps[index]


def _emit_in_turn(work: Factors) -> Prepared:
    pairs, finish = list(zip(work.left, work.right)), _finish(work)
    return Prepared(lambda: [finish(torch.matmul(c, b)) for c, b in pairs], lambda made, g: _floats(made[g]))


def _emit_padded(work: Factors) -> Prepared:
    left, right, finish = _padded(list(work.left)), _padded(list(work.right)), _finish(work)
    sizes = list(zip(work.left.rows.tolist(), work.right.columns.tolist()))
    return Prepared(lambda: finish(torch.bmm(left, right)), lambda made, g: _floats(made, g)[: sizes[g][0], : sizes[g][1]])


def _padded(matrices: Sequence[Tensor]) -> Tensor:
    most = [max(m.shape[axis] for m in matrices) for axis in (0, 1)]
    stack = matrices[0].new_zeros(len(matrices), *most)
    for place, matrix in zip(stack, matrices):
        place[: matrix.shape[0], : matrix.shape[1]] = matrix
    return stack


def _emit_shapes(work: Factors) -> Prepared:
    return _emit_stacks(work, torch.bmm)


def _emit_grouped(work: Factors) -> Prepared:
    product = getattr(torch.nn.functional, "grouped_mm", None)
    if product is None:
        raise TargetUnavailableError(f"torch {torch.__version__} has no grouped_mm", cure="It came with torch 2.10.")
    return _emit_stacks(work, product)


def _emit_stacks(work: Factors, product: Callable[[Tensor, Tensor], Tensor]) -> Prepared:
    """One product for all groups of one shape, whichever layer and request they are of."""
    stacks, where, finish = *_stacks(work), _finish(work)
    return Prepared(
        lambda: [finish(product(left, right)) for left, right in stacks],
        lambda made, g: _floats(made[where[g][0]], where[g][1]),
    )


def _stacks(work: Factors) -> tuple[list[tuple[Tensor, Tensor]], dict[int, tuple[int, int]]]:
    groups: dict[tuple[int, int], list[int]] = {}
    for g, size in enumerate(zip(work.left.rows.tolist(), work.right.columns.tolist())):
        groups.setdefault(size, []).append(g)
    stacks = [tuple(torch.stack([side[g] for g in mine]) for side in (work.left, work.right)) for mine in groups.values()]
    where = {g: (stack, place) for stack, mine in enumerate(groups.values()) for place, g in enumerate(mine)}
    return [(left, right) for left, right in stacks], where


def _emit_rows(work: Factors) -> Prepared:
    """One product for all layers of one size, each of its basis and of all requests' rows."""
    finish, requests = _finish(work), work.requests
    groups: dict[Layer, list[int]] = {}
    for number, layer in enumerate(work.layers):
        groups.setdefault(layer, []).append(number)
    stacks, where = list[tuple[Tensor, Tensor, Layer]](), dict[int, tuple[int, int]]()
    for stack, (layer, mine) in enumerate(groups.items()):
        rows = [torch.cat([work.left[number * requests + q] for q in range(requests)]) for number in mine]
        stacks.append((torch.stack(rows), torch.stack([work.right[number * requests] for number in mine]), layer))
        where |= {number: (stack, place) for place, number in enumerate(mine)}

    def call() -> list[Tensor | Codes]:
        return [finish(torch.bmm(left, right).view(-1, layer.inputs, layer.outputs)) for left, right, layer in stacks]

    def part(made: Any, group: int) -> Tensor:
        stack, place = where[group // requests]
        return _floats(made[stack], place * requests + group % requests)

    return Prepared(call, part)


def _emit_compiled(work: Factors) -> Prepared:
    stacks, where, finish = *_stacks(work), _finish(work)

    @torch.compile
    def emitted(stacks: list[tuple[Tensor, Tensor]]) -> list[Tensor | Codes]:
        return [finish(torch.bmm(left, right)) for left, right in stacks]

    return Prepared(lambda: emitted(stacks), lambda made, g: _floats(made[where[g][0]], where[g][1]))


def _emit_two_steps(work: Factors) -> Prepared:
    held = work.left.data.dtype

    def call() -> list[Codes]:
        made = emit(work.left, work.right, held).values
        return [quantise(weight) for weight in _layers(made.data, made.offset.tolist(), work)]

    return Prepared(call, lambda made, g: _floats(made[g // work.requests], g % work.requests))


def _layers(flat: Tensor, offset: list[int], work: Factors) -> list[Tensor]:
    """Each layer's matrices of all requests (Q, m, n), where they lie: at equal distances."""
    made, requests = [], work.requests
    for layer, size in enumerate(work.layers):
        first = layer * requests
        apart = offset[first + 1] - offset[first] if requests > 1 else size.inputs * size.outputs
        shape, strides = (requests, size.inputs, size.outputs), (apart, size.outputs, 1)
        made.append(flat.as_strided(shape, strides, offset[first]))
    return made


def _merge_in_turn(work: Factors) -> Prepared:
    assert work.base is not None
    assert work.scale is not None
    finish, scale, base = _finish(work), work.scale.flatten().tolist(), list(work.base)
    each = [(base[g // work.requests], a, b, s) for g, (a, b, s) in enumerate(zip(work.left, work.right, scale))]
    return Prepared(lambda: [finish(torch.addmm(w, a, b, alpha=s)) for w, a, b, s in each], lambda made, g: _floats(made[g]))


def _merge_layers(work: Factors) -> Prepared:
    layers, finish = _merge_stacks(work), _finish(work)
    return Prepared(
        lambda: [finish(torch.baddbmm(w, a * s, b)) for w, a, b, s in layers],
        lambda made, g: _floats(made[g // work.requests], g % work.requests),
    )


def _merge_stacks(work: Factors) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    assert work.base is not None
    assert work.scale is not None
    made = []
    for layer, weight in enumerate(work.base):
        mine = range(layer * work.requests, (layer + 1) * work.requests)
        left = torch.stack([work.left[g] for g in mine])
        right = work.right[mine[0]].expand(len(mine), -1, -1) if work.shared else torch.stack([work.right[g] for g in mine])
        made.append((weight, left, right, work.scale[layer].to(weight.dtype).view(-1, 1, 1)))
    return made


def _merge_compiled(work: Factors) -> Prepared:
    layers, finish = _merge_stacks(work), _finish(work)

    @torch.compile
    def merged(layers: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> list[Tensor | Codes]:
        return [finish(torch.baddbmm(w, a * s, b)) for w, a, b, s in layers]

    return Prepared(lambda: merged(layers), lambda made, g: _floats(made[g // work.requests], g % work.requests))


def _sums_in_turn(work: Tables) -> Prepared:
    stacks = _table_stacks(work)
    each = [[side[g : g + 1] for side in stacks] for g in range(work.count)]
    return Prepared(lambda: [_sums(*one) for one in each], lambda made, g: made[g][0])


def _sums_batched(work: Tables) -> Prepared:
    stacks = _table_stacks(work)
    return Prepared(lambda: _sums(*stacks), lambda made, g: made[g])


def _sums_compiled(work: Tables) -> Prepared:
    stacks, summed = _table_stacks(work), torch.compile(_sums)
    return Prepared(lambda: summed(*stacks), lambda made, g: made[g])


def _table_stacks(work: Tables) -> list[Tensor]:
    return [torch.stack(list(side)) for side in (work.inputs, work.targets, work.units.weight, work.units.offset)]


def _sums(x: Tensor, y: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
    """Gram matrices (G, F, F) of [X, units, 1, Y], multiplied in float32; of x (G, N, D) and units as `BatchUnits` has them."""
    leaf = offset.shape[-1]
    tanh, *steps = torch.split(
        torch.baddbmm(weight[:, -1:], x, weight[:, :-1]), [weight.shape[-1] - 3 * leaf, leaf, leaf, leaf], dim=-1
    )
    boxes = torch.relu(sum(torch.sigmoid(z) for z in steps) - offset)
    f = torch.cat([x, torch.tanh(tanh), boxes, torch.ones_like(x[..., :1]), y], dim=-1)
    return torch.bmm(f.mT, f).double()


BASELINES: dict[str, dict[str, Prepare]] = {
    "emit": {
        "torch.matmul in a loop": _emit_in_turn,
        "torch.bmm, padded": _emit_padded,
        "torch.bmm a shape": _emit_shapes,
        "grouped_mm a shape": _emit_grouped,
        ROWS: _emit_rows,
        COMPILED: _emit_compiled,
        TWO_STEPS: _emit_two_steps,
    },
    "merge": {"torch.addmm in a loop": _merge_in_turn, "torch.baddbmm a layer": _merge_layers, COMPILED: _merge_compiled},
    "gram": {"a table at a time": _sums_in_turn, "batched": _sums_batched, COMPILED: _sums_compiled},
}


def baselines(case: Case) -> dict[str, Prepare]:
    """How to prepare each baseline of a case, by its name; preparing may fail where torch can't do it."""
    unfit = {name for name, fits in ((TWO_STEPS, case.stored == "i8"), (ROWS, case.shared)) if not fits}
    return {name: prepare for name, prepare in BASELINES[case.kernel].items() if name not in unfit}
