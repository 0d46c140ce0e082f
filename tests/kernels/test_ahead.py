"""Every kernel in every configuration compiled for four kinds of GPU, and what the machine code takes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.kernels.ahead import CAPABILITIES, OPERATIONS, SHARED_BYTES, Resource, resources
from modelgpt_edge.kernels.launch import INTERPRETED


@pytest.fixture(scope="module", params=OPERATIONS)
def compiled(request) -> list[Resource]:
    """In a process of its own: this one may have Triton's interpreter."""
    surroundings = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "modelgpt_edge.kernels.ahead", "--json", request.param]
    ended = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return [Resource(**r) for r in json.loads(ended.stdout)]


def test_nothing_spills_and_everything_fits(compiled, record_property):
    for line in _told(compiled):
        record_property("ahead of time", line)
    assert {r.cc for r in compiled} == set(CAPABILITIES)
    for r in compiled:
        assert r.spills == 0, r
        assert 0 < r.registers <= 255, r
        assert r.shared_bytes <= SHARED_BYTES[r.cc], r


def test_loads_go_on_while_it_computes(compiled):
    """Where a configuration asks for more than one stage and rows are aligned: otherwise the specialisation was lost."""
    staged = [r for r in compiled if r.stages > 1 and r.aligned]
    assert {r.cc for r in staged} == set(CAPABILITIES)
    assert all(r.pipelined for r in staged), [r for r in staged if not r.pipelined]


def test_products_are_the_tensor_cores_and_a_groups_of_warps_where_a_tile_has_its_64_rows(compiled):
    """On an H100 Triton has `wgmma` for tiles of 64 rows or more, in `emit` and `merge` where BM is 64, and in `gram`.

    Tiles of 32 rows are too few for it, and take `mma.sync`.
    """
    for r in compiled:
        assert r.tensor_cores, r
        if r.cc == 90:
            assert ("wgmma" in r.tensor_cores) is (r.kernel.startswith("gram") or "BM 64" in r.configuration), r


def _told(compiled: list[Resource]) -> Iterator[str]:
    """A line a kernel for the terminal: of each kind of GPU the most that a configuration takes."""
    for kernel, aligned in dict.fromkeys((r.kernel, r.aligned) for r in compiled):
        most = []
        for cc in CAPABILITIES:
            mine = [r for r in compiled if (r.kernel, r.aligned, r.cc) == (kernel, aligned, cc)]
            registers, shared = max(r.registers for r in mine), max(r.shared_bytes for r in mine)
            most.append(f"sm_{cc} {registers} registers, {shared:,} B shared")
        yield f"{kernel}, {'aligned' if aligned else 'any size'}: {'; '.join(most)}"


@pytest.mark.skipif(not INTERPRETED, reason="Triton compiles in this process")
def test_the_interpreter_cannot_compile():
    with pytest.raises(TargetUnavailableError, match="TRITON_INTERPRET"):
        resources(["gram"], [80])
