"""Our schedule of one fused kernel for a CPU: products in register tiles, sums along memory in lanes, the rest in vectors.

TVM leaves CPU code as plain loops. Two kinds of reduction are told apart by what lies along memory: where outputs do
(`_tile_outputs`: matrix products, convolutions in NHWC, means over rows), neighbouring outputs fill a vector and the epilogue
is computed while the tile is in registers; where the summed axis does (`_sum_in_lanes`: narrow products, softmax, layer norm),
lanes hold partial sums. Imported only while a template is compiled, as it needs TVM.
"""

# ruff: noqa: TID251 - this is the folder that imports TVM, and only while a template is compiled
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tvm.ir import Call, Var
from tvm.ir.prim import expr as prim
from tvm.s_tir import Schedule, ScheduleError
from tvm.tirx import IterVar
from tvm_ffi.structural import structural_walk

from modelgpt_edge.targets.tvm.machine import Tile

LANES = 8  # floats in an AVX2 register; two of NEON's
WIDTHS = (4 * LANES, 2 * LANES, LANES)
_ARITHMETIC = (prim.Add, prim.Sub, prim.Mul, prim.Div, prim.Max, prim.Min, Call)


def schedule(function: Any, tile: Tile) -> Any:
    """A scheduled copy of a kernel; the kernel as it was where its form is none that the rule knows."""
    plan = Schedule(function)
    try:
        _inline(plan)
        finished: set[str] = set()
        for block in _blocks(plan):
            if _is_reduction(plan.get(block)):
                _reduce(plan, block, tile, finished)
        for block in _blocks(plan):
            name = plan.get(block).name_hint
            if name not in finished and not _is_reduction(plan.get(block)) and len(plan.get_loops(block)):
                _vectorise(plan, block)
    except ScheduleError:
        return function
    return plan.mod["main"].with_attrs(dict(function.attrs))


def _blocks(plan: Schedule) -> list[Any]:
    return list(plan.get_child_blocks(plan.get_sblock("root")))


def _is_reduction(block: Any) -> bool:
    return any(v.iter_type == IterVar.CommReduce for v in block.iter_vars)


def _extent(plan: Schedule, loop: Any) -> int:
    return int(plan.get(loop).extent)


def _found(root: Any, kinds: Any) -> list[Any]:
    nodes: list[Any] = []
    structural_walk(root, (kinds, lambda node: nodes.append(node)))
    return nodes


def _is_work(block: Any) -> bool:
    """Whether a block computes with floats, rather than only moves them."""
    return any("float" in str(node.ty) for node in _found(block.body, _ARITHMETIC))


def _size(block: Any) -> int:
    size = 1
    for variable in block.iter_vars:
        size *= int(variable.dom.extent)
    return size


def _inline(plan: Schedule) -> None:
    """Compute blocks inside their consumers where that repeats no work: movements anywhere, arithmetic used once."""
    for handle in _blocks(plan):
        block = plan.get(handle)
        consumers = [plan.get(c) for c in plan.get_consumers(handle)]
        if _is_reduction(block) or not consumers:
            continue
        if _is_work(block):
            alone = len(consumers) == 1 and not _is_reduction(consumers[0]) and _size(block) >= _size(consumers[0])
            if not alone:
                continue
        plan.compute_inline(handle)


def _last_index(region: Any) -> list[Any]:
    """Variables in the index along memory of what a block reads or writes."""
    return _found(region.region[-1].min, Var) if len(region.region) else []


def _indexes(variable: Any, regions: list[Any]) -> bool:
    return any(v.same_as(variable) for region in regions for v in _last_index(region))


def _reduce(plan: Schedule, handle: Any, tile: Tile, finished: set[str]) -> None:
    block, loops = plan.get(handle), list(plan.get_loops(handle))
    if len(loops) != len(block.iter_vars) or len(block.writes) != 1:
        return
    outer = [i for i, v in enumerate(block.iter_vars) if v.iter_type == IterVar.DataPar]
    summed = [i for i, v in enumerate(block.iter_vars) if v.iter_type == IterVar.CommReduce]
    # What is read once an output, such as a mean that is subtracted, doesn't count: the rest is read along what is summed.
    summed_over = [block.iter_vars[i].var for i in summed]
    reads = [r for r in block.reads if any(v.same_as(s) for v in _found(r.region, Var) for s in summed_over)]

    def along_memory(axis: int) -> bool:
        return _indexes(block.iter_vars[axis].var, reads) and _extent(plan, loops[axis]) % LANES == 0

    neighbours = [i for i in outer if along_memory(i) and _indexes(block.iter_vars[i].var, block.writes)]
    if neighbours:
        _tile_outputs(plan, handle, loops, outer, summed, neighbours[-1], tile, finished)
        return
    lanes = [i for i in summed if along_memory(i)]
    if lanes and outer:
        _sum_in_lanes(plan, handle, loops[lanes[-1]], len(outer), finished)


def _tile_outputs(
    plan: Schedule,
    handle: Any,
    loops: list[Any],
    outer: list[int],
    summed: list[int],
    neighbours: int,
    tile: Tile,
    finished: set[str],
) -> None:
    """Loop over tiles, then over what is summed, then unrolled over the tile's rows, its vector innermost."""
    row_axis = next((i for i in reversed(outer) if i != neighbours and _extent(plan, loops[i]) > 1), None)
    rows = 1 if row_axis is None else _divisor(_extent(plan, loops[row_axis]), tile.rows)
    room = tile.vector * (tile.rows if row_axis is None else 1)
    vector = _divisor(_extent(plan, loops[neighbours]) // LANES, room // LANES) * LANES
    consumers = plan.get_consumers(handle)
    outer_loops = [loops[i] for i in outer if i != neighbours]
    inner_rows = []
    if rows > 1 and row_axis is not None:
        row_tiles, row = plan.split(loops[row_axis], [None, rows])
        outer_loops = [row_tiles if loop is loops[row_axis] else loop for loop in outer_loops]
        inner_rows = [row]
    tiles, lane = plan.split(loops[neighbours], [None, vector])
    sums = [loops[i] for i in summed]
    plan.reorder(*outer_loops, tiles, *sums, *inner_rows, lane)
    plan.vectorize(lane)
    for row in inner_rows:
        plan.unroll(row)
    if len(consumers) == 1 and not _is_reduction(plan.get(consumers[0])) and len(plan.get_producers(consumers[0])) == 1:
        plan.set_scope(handle, 0, "local")
        epilogue = consumers[0]
    else:
        epilogue = plan.cache_write(handle, 0, "local")
    plan.reverse_compute_at(epilogue, tiles)
    *rest, last = list(plan.get_loops(epilogue))[len(outer_loops) + 1 :]
    plan.vectorize(last)
    for loop in rest:
        plan.unroll(loop)
    start = plan.decompose_reduction(handle, sums[0])
    finished.update(plan.get(b).name_hint for b in (epilogue, start, handle))


def _sum_in_lanes(plan: Schedule, handle: Any, loop: Any, outer: int, finished: set[str]) -> None:
    """For each output sum 8 to 32 lanes apart, fold them to 8 lanes, then those to one."""
    width = next((w for w in WIDTHS if _extent(plan, loop) % w == 0 and _extent(plan, loop) > w), 0)
    if not width:
        return
    _, lane = plan.split(loop, [None, width])
    stages = [plan.rfactor(lane, outer)]
    if width > LANES:
        _, lane = plan.split(plan.get_loops(handle)[-1], [None, LANES])
        stages.append(plan.rfactor(lane, outer))
    output = plan.get_loops(handle)[outer - 1]
    for stage in reversed(stages):
        plan.set_scope(stage, 0, "local")
        plan.compute_at(stage, output)
        lane, *sums = list(plan.get_loops(stage))[outer:]
        plan.reorder(*sums, lane)
        plan.vectorize(lane)
        start = plan.decompose_reduction(stage, sums[0])
        finished.update(plan.get(b).name_hint for b in (stage, start))
    plan.unroll(plan.get_loops(handle)[-1])
    finished.add(plan.get(handle).name_hint)


def _vectorise(plan: Schedule, handle: Any) -> None:
    """Vectors along the last axis, or along all axes where the last one doesn't fill them."""
    loops = list(plan.get_loops(handle))
    last = loops[-1]
    if _extent(plan, last) % LANES and len(loops) > 1:
        last = plan.fuse(*loops)
    width = next((w for w in WIDTHS if _extent(plan, last) % w == 0), 0)
    if width:
        plan.vectorize(plan.split(last, [None, width])[1])


def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number that isn't above `most`."""
    return next(d for d in range(min(number, most), 0, -1) if number % d == 0)


def on_stack(function: Any) -> Any:
    """The function with its tiles on the stack, from where LLVM takes them into registers.

    For scope ``local`` on a CPU TVM would ask its runtime for memory on each call. Until all is scheduled that scope tells
    tiles from results that pass between kernels.
    """
    plan = Schedule(function)
    for handle in _blocks(plan):
        for index, region in enumerate(plan.get(handle).writes):
            if region.source.scope() == "local":
                plan.set_scope(handle, index, "global")
    return plan.mod["main"].with_attrs(dict(function.attrs))


def tiles_tried(tiles: tuple[Tile, ...], function: Any) -> Iterator[Any]:
    """The kernel under each tile, without those that come out equal."""
    seen: set[str] = set()
    for tile in tiles:
        scheduled = schedule(function, tile)
        text = scheduled.script()
        if text not in seen:
            seen.add(text)
            yield scheduled
