"""The browser's variant as files, without a browser: what goes in, what is said where there is none, what is served."""

from __future__ import annotations

import io
import json
import re
import tarfile
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.data.raw import MISSING
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.schema import Column
from modelgpt_edge.targets.browser import chrome, emulator, library
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb, page_facts
from modelgpt_edge.targets.browser.emulator import Chromium
from modelgpt_edge.targets.browser.server import serve
from modelgpt_edge.targets.registry import find_target

BROWSER = find_target("browser")


@pytest.fixture(scope="module")
def child() -> Child:
    """A linear model over a number, a date with two waves, and a word."""
    f, i = np.float32, np.int32
    encoder = Encoder(
        numbers=("age", "née"),
        words=("city",),
        vocabularies=(("Rome", 'O"slo'),),
        wave_column=np.array([1, 1], i),
        wave_frequency=np.array([0.5, 0.25], f),
        wave_phase=np.zeros(2, f),
        median=np.array([40, 0, 0, 0], f),
        center=np.array([40, 0, 0, 0], f),
        scale=np.array([0.1, 0.01, 1, 1], f),
        rank_column=np.zeros(0, i),
        rank_knots=np.zeros((0, 4), f),
        rank_values=np.zeros((0, 4), f),
        flag_column=np.array([0], i),
    )
    weight = np.random.default_rng(0).normal(size=(encoder.width, 2)).astype(f)
    return Child(encoder, Units.none(encoder.width), weight, np.zeros(2, f), ("no", "yes, much"))


@pytest.fixture
def variant(child, tmp_path) -> Path:
    for name, content in OnnxRuntimeWeb().compile(ChildSource(child, "0", {}), BROWSER, "fp32").files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_variant_is_the_graph_its_columns_and_the_module_that_reads_rows(variant):
    assert {p.name for p in variant.iterdir()} == {"model.onnx", "model.json", "model.mjs"}
    facts = json.loads((variant / "model.json").read_text(encoding="utf-8"))
    assert facts["classes"] == ["no", "yes, much"]
    assert [(c["name"], c["type"]) for c in facts["columns"]] == [("age", "number"), ("née", "date"), ("city", "word")]
    assert facts["columns"][2]["vocabulary"] == ["Rome", 'O"slo']


def test_the_tables_decimal_marks_and_date_formats_go_along_where_they_are_known(child):
    columns = (Column("née", "date", date_format="%d.%m.%Y"), Column("age", "number", decimal=","), Column("city", "category"))
    number, day, _ = json.loads(page_facts(child, columns))["columns"]
    assert (number["decimal"], day["format"]) == (",", "%d.%m.%Y")


def test_the_stand_in_computes_what_the_reference_does(variant, child):
    numbers = np.array([[63, 19000.5], [np.nan, np.nan], [np.inf, 1]], np.float32)
    codes = np.array([[1], [-1], [0]], np.int32)
    got = OnnxRuntimeWeb().stand_in(variant.joinpath, BROWSER).run(numbers, codes)
    np.testing.assert_allclose(got, child.outputs(child.encoder.encode(numbers, codes)), atol=1e-6)


def test_a_table_has_no_texts(child):
    with pytest.raises(TypeError, match="takes no texts"):
        _ = ChildSource(child, "0", {}).texts


def test_python_is_told_that_it_is_no_browser(variant):
    with pytest.raises(TargetUnavailableError, match=r"runs in a browser, not in Python.*model\.mjs"):
        OnnxRuntimeWeb().load(variant.joinpath, BROWSER)


def test_the_module_knows_the_spellings_of_a_missing_cell_that_python_knows():
    module = resources.files(emulator.__package__).joinpath("model.mjs").read_text(encoding="utf-8")
    listed = re.search(r"MISSING = new Set\((\[.*?\])\);", module, re.DOTALL)
    assert listed
    assert set(json.loads(re.sub(r",\s*\]", "]", listed[1]))) == MISSING


def test_a_missing_browser_is_told_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    found = Chromium().probe()
    assert not found.available
    assert found.how_to_get_it == f"{chrome.INSTALL} npm && {library.SET_UP}"
    with pytest.raises(TargetUnavailableError, match="Chromium is not installed"):
        Chromium().open("onnxruntime-web", tmp_path.joinpath, BROWSER)
    with pytest.raises(TargetUnavailableError, match="npm is not installed"):
        Chromium().set_up()


def test_a_browser_that_does_not_start_is_told(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    found = Chromium().probe()
    assert not found.available
    assert "doesn't start" in found.reason


def test_a_browser_that_ends_before_the_page_answers_is_told_with_what_it_said(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho no display >&2\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    with (
        serve({"page.html": b""}, "page.html") as page,
        pytest.raises(TargetUnavailableError, match=r"ended with status 3: no display"),
    ):
        chrome.visit(page)


def test_a_library_that_is_not_the_pinned_one_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive = tmp_path / "other.tgz"
    with tarfile.open(archive, "w:gz") as package:
        for name in library.FILES:
            package.addfile(tarfile.TarInfo(f"package/dist/{name}"), io.BytesIO())
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\ncp {archive} "$4"\n', encoding="utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(TargetUnavailableError, match="another package than the one that is pinned"):
        library.fetch_library(lambda stage, share: None)
    assert not library.has_library()


def test_npms_own_message_is_passed_on(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho ENOTFOUND registry >&2\nexit 1\n", encoding="utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(TargetUnavailableError, match="npm failed: ENOTFOUND registry"):
        library.fetch_library(lambda stage, share: None)
    assert not list((tmp_path / "modelgpt-edge" / "browser").iterdir())


def test_the_server_gives_its_contents_isolated_and_nothing_else(tmp_path):
    (tmp_path / "model.wasm").write_bytes(b"\0asm")
    with serve({"page.html": b"<p>", "lib/model.wasm": tmp_path / "model.wasm"}, "page.html") as page:
        folder = page.url.removesuffix("page.html")
        with urllib.request.urlopen(page.url) as answer:
            assert answer.read() == b"<p>"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        with urllib.request.urlopen(f"{folder}lib/model.wasm") as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"\0asm", "application/wasm")
        without_secret = re.sub(r"/[0-9a-f]{16}/", "/", page.url)
        for url in (f"{folder}other", f"{folder}../../../etc/passwd", without_secret):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url)
        assert page.answer(0) is None
        urllib.request.urlopen(urllib.request.Request(f"{folder}done", data=b"[1]", method="POST")).close()
        assert page.answer(1) == ("done", b"[1]")
