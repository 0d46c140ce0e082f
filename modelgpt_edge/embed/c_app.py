"""The app in C: the model, its columns by name, readers of cells and of CSV, and a main() that puts them together."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from modelgpt_edge.child import Child
from modelgpt_edge.embed.columns import AppColumn
from modelgpt_edge.embed.filling import fill
from modelgpt_edge.requirement.wording import clean
from modelgpt_edge.targets.cortexm.literals import comment_text, float_literal, string_literal
from modelgpt_edge.targets.cortexm.tabular import emit_child

STATIC = ("reading.h", "reading.c", "csv.h", "csv.c", "main.c", "Makefile")
TYPES = {"number": "ROW_NUMBER", "date": "ROW_DATE", "word": "ROW_WORD"}
SHOWN = 8  # words of a vocabulary that a comment lists
PRINT_CLASSES = """    printf("%s\\n", row_classes[best]);
    for (int k = 0; k < ROW_CLASSES; k++) printf("%s: %.1f %%\\n", row_classes[k], 100 * outputs[k]);"""
PRINT_VALUE = """    (void)best;
    printf("%g\\n", outputs[0]);"""


def c_files(
    child: Child, columns: Sequence[AppColumn], sentence: str, model: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Sources of the app, its Makefile included.

    Args:
        model: ``model.c`` and ``model.h`` of a compiled variant; made from the child in fp32 where not given.
    """
    generated = {
        "row.h": row_header(child, columns, sentence),
        "row.c": row_source(child, columns),
        "one_row.c": one_row(child, columns),
    }
    static = resources.files(__package__).joinpath("c")
    return {
        **(emit_child(child, "fp32").files if model is None else model),
        **{name: text.encode() for name, text in generated.items()},
        **{name: static.joinpath(name).read_bytes() for name in STATIC},
    }


def row_header(child: Child, columns: Sequence[AppColumn], sentence: str) -> str:
    """``row.h``."""
    types = {"number": "float ", "date": "float ", "word": "const char *"}
    fields = [f"    {types[c.type]}{c.field}; /* {describe(c)} */" for c in columns]
    values = {
        "SENTENCE": comment_text(clean(sentence, 300)),
        "COLUMNS": str(len(columns)),
        "CLASSES": str(len(child.classes)),
        "FIELDS": "\n".join(fields),
    }
    return fill(_template("row.h.txt"), values)


def row_source(child: Child, columns: Sequence[AppColumn]) -> str:
    """``row.c``."""
    words = [c for c in columns if c.type == "word"]
    places = {c.name: f"vocabulary_{i}" for i, c in enumerate(words)}
    vocabularies = [f"static const char *const {places[c.name]}[] = {_strings(c.vocabulary)};" for c in words]
    numbers = [f"        row->{c.field}," for c in columns if c.type != "word"]
    codes = [f"        place_of(row->{c.field}, {places[c.name]}, {len(c.vocabulary)})," for c in words]
    head = ["label", *(f"p({name})" for name in child.classes)] if child.classes else ["value"]
    values = {
        "VOCABULARIES": "\n".join(vocabularies),
        "COLUMNS": "\n".join(_entry(c, places.get(c.name, "0")) for c in columns),
        "CLASSES": _strings(child.classes),
        "LABELS": _strings(csv_line([name]) for name in child.classes),
        "HEADER": string_literal(csv_line(head)),
        "PLACE": PLACE if words else "",
        "NUMBERS": "\n".join(numbers) or "        0,",
        "CODES": "\n".join(codes) or "        0,",
    }
    return fill(_template("row.c.txt"), values)


PLACE = """
static int32_t place_of(const char *word, const char *const *vocabulary, int32_t count) {
    return find_word(word ? word : "", vocabulary, count);
}
"""


def one_row(child: Child, columns: Sequence[AppColumn]) -> str:
    """``one_row.c``: a typical row."""
    values = [f"        .{c.field} = {c_value(c)}," for c in columns]
    show = PRINT_CLASSES if child.classes else PRINT_VALUE
    return fill(_template("one_row.c.txt"), {"VALUES": "\n".join(values), "PRINT": show})


def c_value(column: AppColumn) -> str:
    """A column's typical value as a C expression."""
    if column.type == "date":
        return f'read_days("{column.typical}", "iso")'
    return string_literal(column.typical) if column.type == "word" else float_literal(column.number)


def describe(column: AppColumn) -> str:
    """What a column is, for a comment: its name as the table spells it, its type, and the first of its words."""
    name = f'"{clean(column.name, 60)}"'
    if column.type != "word":
        return comment_text(f"{name}, {'days since 1970-01-01' if column.type == 'date' else 'a number'}")
    words = [clean(word, 30) for word in column.vocabulary[:SHOWN]]
    more = ", ..." if len(column.vocabulary) > SHOWN else ""
    return comment_text(f"{name}, a word: {', '.join(words)}{more}")


def csv_line(cells: Sequence[str]) -> str:
    """Cells as a line of CSV, as ``modelgpt-edge predict`` writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().removesuffix("\n")


def _entry(column: AppColumn, vocabulary: str) -> str:
    name, form = string_literal(column.name), string_literal(column.date_format)
    return f"    {{{name}, {TYPES[column.type]}, '{column.decimal}', {form}, {vocabulary}, {len(column.vocabulary)}}},"


def _strings(texts: Iterable[str]) -> str:
    """The initialiser of an array of strings; of one null pointer where there is none, since C has no empty array."""
    return "{" + (", ".join(map(string_literal, texts)) or "0") + "}"


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("c", name).read_text(encoding="utf-8")
