"""The app in Python: the package itself, copied, and a script around `modelgpt_edge.load`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from modelgpt_edge.child import Child
from modelgpt_edge.embed.columns import AppColumn
from modelgpt_edge.runtime.opening import Package

FOLDER = "model.edge"
ANY_VARIANT = "VARIANT: str | None = None"
ONE_ROW = '''"""One row, column by column: where your own app begins."""

from pathlib import Path

import modelgpt_edge

model = modelgpt_edge.load(Path(__file__).parent / "model.edge", {variant})
row = {{
{values}
}}
{show}
'''
SHOW_CLASSES = """(probabilities,) = model.predict_proba(row)
for name, probability in zip(model.classes, probabilities):
    print(f"{name}: {probability:.1%}")"""
SHOW_VALUE = """print(model.predict(row)[0])"""


def python_files(package: Package, child: Child, columns: Sequence[AppColumn], variant: str | None) -> dict[str, bytes]:
    """``app.py``, ``one_row.py``, ``requirements.txt`` and the package."""
    app = resources.files(__package__).joinpath("python", "app.py").read_text(encoding="utf-8")
    values = "\n".join(f"    {c.name!r}: {python_value(c)}," for c in columns)
    show = SHOW_CLASSES if child.classes else SHOW_VALUE
    return {
        "app.py": app.replace(ANY_VARIANT, f"VARIANT: str | None = {variant!r}").encode(),
        "one_row.py": ONE_ROW.format(variant=repr(variant), values=values, show=show).encode(),
        "requirements.txt": f"modelgpt-edge=={version('modelgpt-edge')}\n".encode(),
        **{f"{FOLDER}/{name}": content for name, content in _contents(package.path).items()},
    }


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder).as_posix()): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def python_value(column: AppColumn) -> str:
    """A column's typical value as a Python or JavaScript expression: a number, or a text in quotes."""
    return column.typical.replace(",", ".") if column.type == "number" else repr(column.typical)
