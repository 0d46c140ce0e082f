"""The page of all routes: plain HTML made from the OpenAPI description, with no script and nothing fetched from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from modelgpt_edge.server.openapi import ADDRESS, SAMPLES

# The page may load nothing, run nothing and be framed by nobody.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --box: #f5f7f9; --page: #fff;
  --mark: #0b6e4f }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #2c3642; --box: #1a222b; --page: #12181f; --mark: #5fd0a5 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 54rem; padding: 2.5rem 1.25rem 5rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif }
h1 { font-size: 1.7rem; margin: 0 }
h1 small { font-size: .9rem; font-weight: 400; color: var(--soft) }
h2 { font: 600 1.1rem/1.4 ui-monospace, monospace; margin: 3rem 0 .5rem; padding-top: 1.25rem; overflow-wrap: anywhere;
  border-top: 1px solid var(--line) }
h3 { font-size: .8rem; margin: 1.25rem 0 .35rem; color: var(--soft); text-transform: uppercase; letter-spacing: .05em }
b { color: var(--mark); margin-right: .6rem }
a { color: inherit; text-decoration-color: var(--line); text-underline-offset: .2em }
nav { columns: 2; margin: 1.5rem 0 0; font: .9rem/2 ui-monospace, monospace }
nav a { display: block; text-decoration: none }
nav a:hover, a:focus { text-decoration: underline }
code, pre { font: .88em/1.5 ui-monospace, monospace; background: var(--box); border-radius: .3rem }
code { padding: .1em .3em; overflow-wrap: anywhere }
pre { padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line) }
table { border-collapse: collapse; width: 100% }
td { padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); vertical-align: top }
tr:first-child td { border: 0 }
td:first-child { white-space: nowrap }
td:nth-child(2) { color: var(--soft); min-width: 9rem }
td:last-child { width: 100% }
@media (max-width: 40rem) {
  nav { columns: 1 }
  td { display: block; border: 0; padding: 0 }
  td:first-child { padding-top: .7rem }
}
"""


def page(description: Mapping[str, Any], address: str) -> str:
    """The page.

    Args:
        description: as OpenAPI has it.
        address: where the server was asked, for the examples.
    """
    info = description["info"]
    routes = [(path, method, told) for path, methods in description["paths"].items() for method, told in methods.items()]
    links = "".join(f'<a href="#{_anchor(m, p)}"><b>{m.upper()}</b>{escape(p)}</a>' for p, m, _ in routes)
    sections = "".join(part for route in routes for part in _section(*route, address))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>{_text(info['description'])}"
        f'<p>For machines: <a href="openapi.json">openapi.json</a>. Where the server has a token, every request but those for '
        f"health bears it: <code>-H &quot;Authorization: Bearer $TOKEN&quot;</code>.</p><nav>{links}</nav>{sections}</html>"
    )


def _section(path: str, method: str, told: Mapping[str, Any], address: str) -> Iterator[str]:
    yield f'<h2 id="{_anchor(method, path)}"><b>{method.upper()}</b>{escape(path)}</h2>{_text(told.get("description", ""))}'
    for sample in told.get(SAMPLES, ()):
        yield f"<pre>{escape(sample['source'].replace(ADDRESS, address))}</pre>"
    if parameters := told.get("parameters"):
        yield "<h3>Options</h3>" + _table((p["name"], _kind(p), p.get("description", "")) for p in parameters)
    if body := told.get("requestBody"):
        yield "<h3>Body</h3><p>" + _codes(body["content"]) + "</p>"
    answers = told["responses"].items()
    yield "<h3>Answers</h3>" + _table((status, ", ".join(a.get("content", {})), a["description"]) for status, a in answers)


def _kind(parameter: Mapping[str, Any]) -> str:
    """A parameter's type, and its default or that it is needed."""
    schema = parameter["schema"]
    several = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = " or ".join(f"{k['items']['type']}s" if k.get("type") == "array" else str(k.get("type", "text")) for k in several)
    if parameter.get("required"):
        return f"{kind}, needed"
    return f"{kind}, {json.dumps(schema['default'])}" if schema.get("default") not in (None, "", []) else kind


def _table(rows: Any) -> str:
    cells = (f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{_inline(what)}" for name, kind, what in rows)
    return f"<table>{''.join(cells)}</table>"


def _codes(names: Any) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in names)


def _text(text: str) -> str:
    """Paragraphs."""
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))


def _anchor(method: str, path: str) -> str:
    return f"{method}{re.sub(r'[^a-z0-9]+', '-', path)}".strip("-")
