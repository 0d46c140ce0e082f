"""What is measured: what a server launches, every kernel at sizes of real templates, and what that moves and multiplies.

Only numbers come in here, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.shapes import Layer, Table

KERNELS = ("emit", "merge", "gram")
BYTES = {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2, "i8": 1}
RANK = 16


@dataclass(frozen=True)
class Case:
    """One row of the table: a launch.

    Attributes:
        kernel: emit, merge or gram.
        template: whose sizes they are, for people.
        shape: the layers of one request, or for gram one request's table.
        requests: of the launch; each has factors, or rows and units, of its own.
        shared: all requests have the second factor of a layer in common.
        held, stored: types of the operands and of the result.
        rank: of the factors; 0 for gram.
        compiled: timed beside torch.compile as well, which takes seconds to compile.
        launched: a server launches it; the others show the kernels in other types and at other sizes of templates.
    """

    kernel: str
    template: str
    shape: tuple[Layer, ...] | Table
    requests: int
    held: str
    stored: str
    rank: int = 0
    compiled: bool = False
    shared: bool = False
    launched: bool = False

    @property
    def types(self) -> str:
        """Operands and result, for people."""
        return self.held if self.held == self.stored else f"{self.held} to {self.stored}"

    @property
    def name(self) -> str:
        """The row for people, unlike any other's."""
        rank = f" rank {self.rank}" if self.rank else ""
        return f"{self.kernel} {self.template}{rank} {self.types} x {self.requests:,}"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Of one request; none for gram."""
        return () if isinstance(self.shape, Table) else self.shape

    @property
    def result_bytes(self) -> int:
        """What must be written."""
        if isinstance(self.shape, Table):
            return self.requests * (self.shape.features + 1 + self.shape.outputs) ** 2 * BYTES[self.stored]
        values = sum(layer.inputs * layer.outputs for layer in self.shape) * BYTES[self.stored]
        steps = sum(layer.outputs for layer in self.shape) * BYTES["fp32"] if self.stored == "i8" else 0
        return self.requests * (values + steps)

    @property
    def moved_bytes(self) -> int:
        """What must be read and written: each operand once, and the result once."""
        width = BYTES[self.held]
        if isinstance(self.shape, Table):
            t = self.shape
            read = t.rows * (t.columns + t.outputs) + (t.columns + 1) * (t.tanh + 3 * t.leaf) + t.leaf
            return self.result_bytes + self.requests * read * width
        left = self.requests * sum(self.rank * layer.inputs for layer in self.shape)
        right = (1 if self.shared else self.requests) * sum(self.rank * layer.outputs for layer in self.shape)
        base = sum(layer.inputs * layer.outputs for layer in self.shape) if self.kernel == "merge" else 0
        return self.result_bytes + (left + right + base) * width

    @property
    def flops(self) -> int:
        """Multiplications and additions that must be made; a symmetric sum's are counted once."""
        if isinstance(self.shape, Table):
            t = self.shape
            units = 2 * t.columns * (t.tanh + 3 * t.leaf)
            width = t.features + 1 + t.outputs
            return self.requests * t.rows * (units + width * (width + 1))
        added = 2 if self.kernel == "merge" else 0
        return self.requests * sum(layer.inputs * layer.outputs * (2 * self.rank + added) for layer in self.shape)


def cases() -> list[Case]:
    """All rows, in the order of the table."""
    return [*_adapters("emit"), *_weights("emit"), *_adapters("merge"), *_weights("merge"), *_sums()]


def _adapters(kernel: str) -> list[Case]:
    """What a server launches for texts, for one request and for as many as it takes at a time."""
    if kernel == "emit":
        first = Case(kernel, "MiniLM LoRA", shapes.LORA_FACTORS, 1, "fp32", "fp32", shapes.LORA_BASIS, shared=True)
    else:
        first = Case(kernel, "MiniLM LoRA", shapes.LORA_PRODUCTS, 1, "fp32", "fp32", shapes.LORA_RANK, shared=True)
    kinds = ("fp32",) if kernel == "emit" else shapes.LORA_STORED
    return [replace(first, stored=stored, requests=n, launched=True) for stored in kinds for n in shapes.REQUESTS[:2]]


def _weights(kernel: str) -> list[Case]:
    """A layer of a text template in the types that ship, at every number of requests; other types and ranks at one."""
    many = shapes.REQUESTS[1]
    made = []
    for stored in ("fp16", "i8"):
        layer = Case(kernel, "MiniLM layer", shapes.MINILM_LAYER, many, "fp16", stored, RANK)
        # What a compiler can fuse is the quantisation; of float types the product is all there is.
        made += [replace(layer, requests=n, compiled=(n, stored) == (many, "i8")) for n in shapes.SWEEP]
        made.append(replace(layer, template="MiniLM", shape=shapes.MINILM))
    plain = Case(kernel, "MiniLM layer", shapes.MINILM_LAYER, many, "fp16", "fp16", RANK)
    others = (("bf16", "bf16"), ("fp32", "fp32"), ("fp32", "fp16"), ("fp32", "i8"))
    made += [replace(plain, held=held, stored=stored) for held, stored in others]
    return [*made, *(replace(plain, rank=rank) for rank in shapes.RANKS if rank != RANK)]


def _sums() -> list[Case]:
    one, many, _ = shapes.REQUESTS
    small, large = shapes.TABLES
    sizes = [(small, one), (small, many), *((large, n) for n in shapes.REQUESTS)]
    sizes += [(shapes.WIDE_TABLE, one), (shapes.WIDE_TABLE, many), (shapes.LONG_TABLE, one)]
    return [
        Case(
            "gram",
            f"{t.rows:,} x {t.columns}, {_units(t)}",
            t,
            n,
            "fp32",
            "fp64",
            compiled=(t, n) == (large, many),
            launched=t != small,  # a draw has 640 units
        )
        for t, n in sizes
    ]


def _units(table: Table) -> str:
    return f"{table.tanh + table.leaf} units"
