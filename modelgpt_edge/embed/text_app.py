"""The app around a model of texts: a page that answers as you type, and scripts for Node. JavaScript alone so far."""

from __future__ import annotations

import csv
import io
from importlib import resources

from modelgpt_edge.embed.filling import fill
from modelgpt_edge.embed.javascript_app import ROW, json_literal
from modelgpt_edge.embed.page_graph import GRAPH, check_language, page_graph
from modelgpt_edge.embed.readme import EXAMPLE, README, text_readme
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.backend import TextFacts
from modelgpt_edge.targets.browser.text_files import text_files
from modelgpt_edge.tokens import TOKENIZER

TABLES_FILES = ("page.css", "bars.mjs", "csv.mjs", "predict.mjs", "one_row.mjs", "serve.mjs", "package.json")
PAGE = ("index.html", "app.mjs")


def text_app(package: Package, language: str, variant: Variant | None) -> tuple[dict[str, bytes], str | None]:
    """The app's files, and the name of the variant in it; None where the package's own model is.

    Raises:
        InputError: another language than JavaScript, or a variant that doesn't run in a page.
        TargetUnavailableError: the tokenizer isn't of the kind that runs in a page.
    """
    check_language(language, "texts")
    graph, used = page_graph(package, variant)
    manifest = package.manifest
    tokens, words = (int(manifest.architecture[name]) for name in ("tokens", "words"))
    facts = TextFacts(manifest.inputs, manifest.classes, tokens, words)
    values = dict.fromkeys(facts.columns, manifest.classes[0])
    row = "\n".join(f"  {json_literal(name)}: {json_literal(text)}," for name, text in values.items())
    example = io.StringIO()
    csv.writer(example, lineterminator="\n").writerows([list(values), list(values.values())])
    tables, own = (resources.files(__package__).joinpath(folder) for folder in ("javascript", "javascript_text"))
    return {
        GRAPH: graph,
        **text_files(facts, package.file(TOKENIZER).read_bytes()),
        "row.mjs": fill(ROW, {"VALUES": row}).encode(),
        **{name: tables.joinpath(name).read_bytes() for name in TABLES_FILES},
        **{name: own.joinpath(name).read_bytes() for name in PAGE},
        README: text_readme(manifest.requirement.sentence, facts).encode(),
        EXAMPLE: example.getvalue().encode(),
    }, used
