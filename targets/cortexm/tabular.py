"""Emit a child as C: `emit_child` lays it out, makes its tables and fills the tabular template."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelgpt_edge.child import Child
from modelgpt_edge.targets.cortexm.emitted import Emitted
from modelgpt_edge.targets.cortexm.layout import Layout, lay_out
from modelgpt_edge.targets.cortexm.literals import class_literals, comment, comment_text, constants, numbered, wrapped
from modelgpt_edge.targets.cortexm.quantise import round_up
from modelgpt_edge.targets.cortexm.tabular_fp32 import fp32_tables
from modelgpt_edge.targets.cortexm.tabular_int8 import int8_tables
from modelgpt_edge.targets.cortexm.tabular_tables import Shape
from modelgpt_edge.targets.cortexm.template import fill

NUMERICS = {
    "int8": "int8: int8 weights with a scale for each unit, int16 values, integer sums.",
    "fp32": "fp32: float32 throughout, with an exponential and a sine of its own.",
}


def emit_child(child: Child, precision: str, name: str = "model") -> Emitted:
    """Emit a child as one .c and one .h.

    Args:
        precision: ``int8`` or ``fp32``.
        name: prefix of the public names, and of the header's file.

    Raises:
        InputError: the name is no C identifier, or the child has more columns or another form than the template takes.
    """
    layout = lay_out(child)
    shape = Shape.of(layout, 2 if precision == "int8" else 1)
    sizes, flags = shape.sizes(layout), shape.flags(layout)
    words = round_up(sizes["WORDS"], 2) if layout.one_hots else 0
    if precision == "int8":
        tables, shifts = int8_tables(layout, shape)
        sizes |= {**shifts, "HOT": shape.values}
        scratch_bytes = 2 * (shape.values + words)
        scratch = f"typedef union {{ int32_t aligned; int16_t values[{shape.values + words}]; }} {name}_scratch;"
    else:
        tables = fp32_tables(layout, shape)
        scratch_bytes = 4 * shape.values + 2 * words
        hot = f" int16_t hot[{words}];" if words else ""
        scratch = f"typedef struct {{ float values[{shape.values}];{hot} }} {name}_scratch;"
    tables = [table for table in tables if table.values.size]
    blocks = {
        "title": comment([*_title(precision), f"What goes in and out is told in {name}.h."]),
        "heading": comment(_heading(name, precision, layout)),
        "sizes": "\n".join(_public_sizes(name, layout, scratch_bytes)),
        "scratch": scratch,
        "classes": class_literals(child.classes),
        "tables": "",
    }
    code = fill(f"tabular_{precision}.c", name, flags, blocks)
    names = set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", code))
    used = [(key, value) for key, value in sizes.items() if key in names]
    places = "uint8_t" if shape.one_hots + shape.always <= 256 else "uint16_t"
    types = [f"typedef {places} column_t;"] if "column_t" in code else []
    blocks["tables"] = "\n".join([constants(used), *types, *(table.declaration() for table in tables)])
    return Emitted(
        source=fill(f"tabular_{precision}.c", name, flags, blocks),
        header=fill("tabular.h", name, flags, blocks),
        precision=precision,
        table_bytes=sum(table.bytes for table in tables),
        scratch_bytes=scratch_bytes,
    )


def _public_sizes(name: str, layout: Layout, scratch_bytes: int) -> Iterator[str]:
    prefix, encoder = name.upper(), layout.encoder
    yield f"#define {prefix}_NUMBERS {len(encoder.numbers)}"
    yield f"#define {prefix}_CATEGORIES {len(encoder.words)}"
    yield f"#define {prefix}_OUTPUTS {len(layout.classes) or layout.head_bias.size}"
    yield f"#define {prefix}_SCRATCH_BYTES {scratch_bytes} /* what {name}_scratch takes of RAM */"


def _title(precision: str) -> Iterator[str]:
    yield "A generated model for tables, in C by modelgpt-edge. It needs no libc and no heap; its tables are constant."
    yield NUMERICS[precision] + " It computes the same bits on every core and host."


def _heading(name: str, precision: str, layout: Layout) -> Iterator[str]:
    prefix, encoder = name.upper(), layout.encoder
    yield from _title(precision)
    yield ""
    yield f"    static {name}_scratch scratch;"
    yield f"    float outputs[{prefix}_OUTPUTS];"
    yield f"    int32_t place = {name}_predict(numbers, categories, outputs, &scratch);"
    if encoder.numbers:
        yield ""
        yield f"numbers[{prefix}_NUMBERS], NaN where one is missing:"
        yield from numbered(encoder.numbers)
    if encoder.words:
        yield ""
        yield f"categories[{prefix}_CATEGORIES], the place of the word among those known, -1 where it is missing or unknown:"
        for place, (word, vocabulary) in enumerate(zip(encoder.words, encoder.vocabularies)):
            yield f"    {place} {comment_text(word)}:"
            yield from wrapped([f'{i} "{comment_text(known)}"' for i, known in enumerate(vocabulary)], "        ")
    yield ""
    if layout.classes:
        yield f"outputs[{prefix}_OUTPUTS], probabilities of:"
        yield from numbered(layout.classes)
    else:
        yield f"outputs[{prefix}_OUTPUTS], the value."
