"""The app in C++17: the C app's model and readers, a row with named fields and strings, and a main() of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from modelgpt_edge.child import Child
from modelgpt_edge.embed.c_app import c_files, c_value, describe
from modelgpt_edge.embed.columns import AppColumn
from modelgpt_edge.embed.filling import fill
from modelgpt_edge.requirement.wording import clean
from modelgpt_edge.targets.cortexm.literals import comment_text

FROM_C = ("model.c", "model.h", "row.c", "row.h", "reading.c", "reading.h", "csv.c", "csv.h")
STATIC = ("main.cpp", "Makefile", "CMakeLists.txt")
# Capitals can't meet a field's name, which has none.
CLASSES = """struct Prediction {
    std::string label;
    std::array<float, ROW_CLASSES> probabilities; /* in the order of row_classes */
};

inline Prediction predict(const Row &row) {
    const ::row plain = {@PLAIN@};
    Prediction out{};
    out.label = row_classes[predict_row(&plain, out.probabilities.data())];
    return out;
}"""
VALUE = """inline float predict(const Row &row) {
    const ::row plain = {@PLAIN@};
    float out[MODEL_OUTPUTS];
    predict_row(&plain, out);
    return out[0];
}"""
PRINT_CLASSES = """    const model::Prediction prediction = model::predict(row);
    std::cout << prediction.label << '\\n';
    for (int k = 0; k < ROW_CLASSES; k++)
        std::cout << row_classes[k] << ": " << 100 * prediction.probabilities[k] << " %\\n";"""
PRINT_VALUE = """    std::cout << model::predict(row) << '\\n';"""


def cpp_files(
    child: Child, columns: Sequence[AppColumn], sentence: str, model: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Sources of the app, its Makefile and CMakeLists.txt included; `model` as in `c_files`."""
    c = c_files(child, columns, sentence, model)
    static = resources.files(__package__).joinpath("cpp")
    generated = {"model.hpp": header(child, columns, sentence), "one_row.cpp": one_row(child, columns)}
    return {
        **{name: c[name] for name in FROM_C},
        **{name: text.encode() for name, text in generated.items()},
        **{name: static.joinpath(name).read_bytes() for name in STATIC},
    }


def header(child: Child, columns: Sequence[AppColumn], sentence: str) -> str:
    """``model.hpp``."""
    fields = [f"    {_field(c)} /* {describe(c)} */" for c in columns]
    plain = ", ".join(f"row.{c.field}.c_str()" if c.type == "word" else f"row.{c.field}" for c in columns)
    values = {
        "SENTENCE": comment_text(clean(sentence, 300)),
        "FIELDS": "\n".join(fields),
        "PREDICT": fill(CLASSES if child.classes else VALUE, {"PLAIN": plain}),
    }
    return fill(_template("model.hpp.txt"), values)


def one_row(child: Child, columns: Sequence[AppColumn]) -> str:
    """``one_row.cpp``: a typical row."""
    values = [f"    row.{c.field} = {_value(c)};" for c in columns]
    show = PRINT_CLASSES if child.classes else PRINT_VALUE
    return fill(_template("one_row.cpp.txt"), {"VALUES": "\n".join(values), "PRINT": show})


def _field(column: AppColumn) -> str:
    return f"std::string {column.field};" if column.type == "word" else f"float {column.field} = MISSING;"


def _value(column: AppColumn) -> str:
    return f'model::days("{column.typical}")' if column.type == "date" else c_value(column)


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("cpp", name).read_text(encoding="utf-8")
