"""The numeric checks that come before any time: every case's kernel against plain torch in float64.

Where there is no GPU the same kernels run small cases in Triton's interpreter; `python -m modelgpt_edge.kernels.bench.checks`
does that, in the process that it has for itself, and prints a list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels.bench.cases import KERNELS, Case
from modelgpt_edge.kernels.bench.numerics import decibels, power
from modelgpt_edge.kernels.bench.work import draw, sample
from modelgpt_edge.kernels.launch import TYPES
from modelgpt_edge.kernels.shapes import Layer, Table

# More than a tile, a prime, one: few programs, as each takes the interpreter a fiftieth of a second.
SMALL_LAYERS = (Layer(67, 70), Layer(5, 3), Layer(1, 16))
# A row of coefficients and a basis of more than a strip, as a server's adapters have them.
SMALL_ROWS = (Layer(1, 72), Layer(1, 72))
SMALL_TABLE = Table(37, 5, 17, 9, 2)
RANK = 8


@dataclass(frozen=True)
class Check:
    """What came of one case.

    Attributes:
        case: its name.
        kernel: emit, merge or gram.
        groups: matrices held against float64.
        sqnr_db: signal-to-quantisation-noise ratio over them; None where there was no number.
        fault: what is wrong, and in which group; "" where nothing is.
    """

    case: str
    kernel: str
    groups: int
    sqnr_db: float | None
    fault: str


def check(case: Case, place: torch.device) -> Check:
    """Launch a case's kernel once and hold a sample of its groups against float64."""
    work = draw(case, place)
    made, groups = work.launched(), sample(work)
    signal = noise = 0.0
    fault = ""
    for group, wanted in zip(groups.tolist(), work.exact(groups)):
        wrong = work.fault(made, group, wanted)
        fault = fault or (f"group {group}: {wrong}" if wrong else "")
        more, off = power(work.part(made, group), wanted)
        signal, noise = signal + more, noise + off
    return Check(case.name, case.kernel, len(groups), decibels(signal, noise), fault)


def small_cases(kernels: Iterable[str]) -> list[Case]:
    """A case for every kernel and types that the interpreter gets through in seconds."""
    made = []
    for kernel in kernels:
        if kernel == "gram":
            made.append(Case(kernel, "small table", SMALL_TABLE, 2, "fp32", "fp64"))
        else:
            made += [Case(kernel, "small layers", SMALL_LAYERS, 2, held, stored, RANK) for held, stored in TYPES]
            made.append(Case(kernel, "small shared", SMALL_ROWS, 2, "fp32", "fp32", RANK, shared=True))
    return made


def main(arguments: Sequence[str]) -> None:
    """Check the small cases of the kernels named, of all where none is, and print a JSON list."""
    torch.set_num_threads(1)
    found = [check(case, torch.device("cpu")) for case in small_cases(arguments or KERNELS)]
    print(json.dumps([asdict(c) for c in found]))


if __name__ == "__main__":
    main(sys.argv[1:])
