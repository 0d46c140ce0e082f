"""The onnxruntime-web backend: the graph of a table, of texts or of pictures, and the ES module that feeds it in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.schema import Column
from modelgpt_edge.targets.backend import Artefact, Availability, Executor, Files, Source
from modelgpt_edge.targets.browser.emulator import Chromium
from modelgpt_edge.targets.browser.library import VERSION
from modelgpt_edge.targets.browser.picture_files import picture_files
from modelgpt_edge.targets.browser.text_files import text_files
from modelgpt_edge.targets.browser.variant_files import FACTS, MODEL, MODULE, facts_file, module
from modelgpt_edge.targets.onnxruntime import executor_of, open_model
from modelgpt_edge.targets.target import Target
from modelgpt_edge.tokens import TOKENIZER


class OnnxRuntimeWeb:
    """Runs in a page, on WebAssembly."""

    name = "onnxruntime-web"
    precisions = ("fp32", "int8", "int8-dynamic")
    fronts = ("packed", "tokens", "pixels")
    by_default = True

    def probe(self) -> Availability:
        """Compiling needs nothing more; what runs the result is the emulator's business."""
        return Availability(True, VERSION, f"writes files for onnxruntime-web {VERSION}", "")

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """The graph, ``model.json`` and ``model.mjs``; of texts and of pictures also what turns them into the graph's inputs.

        Raises:
            TargetUnavailableError: the texts' tokenizer isn't of the kind that runs in a page.
        """
        if source.front == "tokens":
            beside = text_files(source.texts, source.beside[TOKENIZER])
            return Artefact({MODEL: source.onnx("tokens", precision), **beside}, "tokens")
        if source.front == "pixels":
            return Artefact({MODEL: source.onnx("pixels", precision), **picture_files(source.pictures)}, "pixels")
        files = {MODEL: source.onnx("packed", precision), FACTS: page_facts(source.child), MODULE: page_module()}
        return Artefact(files, "packed")

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """The same files with other weights."""
        return self.compile(source, target, precision)

    def load(self, files: Files, target: Target) -> Executor:
        """TargetUnavailableError: Python is no browser."""
        cure = f"Serve its folder to a page and import {MODULE}, whose first lines tell how."
        raise TargetUnavailableError("this variant runs in a browser, not in Python", where="onnxruntime-web", cure=cure)

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same graph in ONNX Runtime for Python."""
        return executor_of(open_model(files(MODEL)))

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """One row in headless Chromium here: ``p50_us``, ``p90_us``, ``p99_us``; and ``load_ms`` of library and model.

        Raises:
            TargetUnavailableError: Chromium or onnxruntime-web isn't here.
        """
        return Chromium().profile(files, numbers, codes)


def page_module() -> bytes:
    """``model.mjs`` of a table, the same for every model."""
    return module(MODULE)


def page_facts(child: Child, columns: Sequence[Column] = ()) -> bytes:
    """``model.json``: the columns as the graph takes them, numbers and dates before words, and the classes.

    Args:
        columns: the table's columns, for decimal marks and date formats; without them "." and ISO 8601.
    """
    encoder = child.encoder
    known = {c.name: c for c in columns}
    dates = {encoder.numbers[c] for c in encoder.wave_column}  # only a column of days has waves, and each has
    described: list[dict[str, Any]] = []
    for name in encoder.numbers:
        column = known.get(name)
        if name in dates:
            described.append({"name": name, "type": "date", "format": (column and column.date_format) or "iso"})
        else:
            described.append({"name": name, "type": "number", "decimal": column.decimal if column else "."})
    for name, vocabulary in zip(encoder.words, encoder.vocabularies):
        described.append({"name": name, "type": "word", "vocabulary": list(vocabulary)})
    return facts_file({"columns": described, "classes": list(child.classes)})
