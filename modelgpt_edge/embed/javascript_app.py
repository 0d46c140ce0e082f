"""The app in JavaScript: a page with a form, and scripts for Node, both on the browser target's module and onnxruntime-web."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from modelgpt_edge.child import Child
from modelgpt_edge.embed.columns import AppColumn
from modelgpt_edge.embed.filling import fill
from modelgpt_edge.schema import Column
from modelgpt_edge.targets.browser.backend import page_facts, page_module
from modelgpt_edge.targets.browser.variant_files import FACTS, MODEL, MODULE

STATIC = ("index.html", "page.css", "app.mjs", "csv.mjs", "predict.mjs", "one_row.mjs", "serve.mjs", "package.json")
ROW = """/** A typical row: a key for each of the model's columns, null where a cell is missing. */
export const row = {
@VALUES@
};
"""


def javascript_files(child: Child, columns: Sequence[AppColumn], schema: Sequence[Column], graph: bytes) -> dict[str, bytes]:
    """The page, the scripts and the model.

    Args:
        graph: packed ONNX.
    """
    static = resources.files(__package__).joinpath("javascript")
    values = "\n".join(f"  {json_literal(c.name)}: {_value(c)}," for c in columns)
    return {
        MODEL: graph,
        FACTS: page_facts(child, schema),
        MODULE: page_module(),
        "row.mjs": fill(ROW, {"VALUES": values}).encode(),
        **{name: static.joinpath(name).read_bytes() for name in STATIC},
    }


def _value(column: AppColumn) -> str:
    return column.typical.replace(",", ".") if column.type == "number" else json_literal(column.typical)


def json_literal(text: str) -> str:
    """A text as JavaScript; "__proto__" as a plain key would set the object's prototype."""
    literal = json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"[{literal}]" if text == "__proto__" else literal
