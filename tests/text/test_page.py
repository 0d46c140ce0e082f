"""Models of texts in headless Chromium, loaded by a page as an app would: golden outputs, strings, pairs, what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.compile.text.compiler import HARD_TEXTS, compile_text
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.gate import compare, tolerance_of
from modelgpt_edge.limits import NO_LIMITS
from modelgpt_edge.manifest import MANIFEST
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb
from modelgpt_edge.targets.browser.emulator import Chromium, InChromium
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import RUNS_EMULATED
from modelgpt_edge.text_head import TextHead

pytestmark = pytest.mark.device
BROWSER = find_target("browser")
CLASSES = ("lost", 'a "b", c', "请问")
TEXTS = (
    *HARD_TEXTS,
    "where is my card [SEP] please?",
    "i want my money back " * 60,
    "ΌΣΟΣ \u0130 lone \ud800",
    "x" * 200,
    "a" * 5000,
)


@pytest.fixture(scope="module", autouse=True)
def chromium() -> Chromium:
    emulator = Chromium()
    emulator.set_up()
    found = emulator.probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"
    return emulator


def head(width: int) -> TextHead:
    draw = np.random.default_rng(2)
    return TextHead(draw.normal(size=(width, 3)).astype(np.float32), draw.normal(size=3).astype(np.float32))


@pytest.fixture(scope="module")
def source(tiny) -> TextSource:
    return TextSource(tiny, head(tiny.width()), CLASSES, "0", ("question",))


def written(source: TextSource, precision: str, folder: Path) -> Path:
    for name, content in OnnxRuntimeWeb().compile(source, BROWSER, precision).files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def variant(source, tmp_path_factory) -> Path:
    """Its fp32 form."""
    return written(source, "fp32", tmp_path_factory.mktemp("variant"))


def probabilities(predictions: Sequence[dict[str, Any]]) -> list[list[float]]:
    return [[p["probabilities"][name] for name in CLASSES] for p in predictions]


def test_a_build_for_the_browser_ran_in_one(tiny_encoder, questions, tmp_path):
    out = tmp_path / "questions.edge"
    built = modelgpt_edge.build("route questions", questions, encoder=str(tiny_encoder), target="browser", out=out)
    (kept,) = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["variants"]
    assert (kept["backend"], kept["front"], kept["status"]) == ("onnxruntime-web", "tokens", "runs under an emulator")
    assert {v["precision"] for v in built.report["variants"]} == {"fp32", "int8-dynamic"}
    assert all(v["latency_us"] > 0 for v in built.report["variants"])
    texts = [row["text"] for row in questions[::9]]
    predictions = InChromium((out / kept["path"]).joinpath).predict(texts)
    assert [p["label"] for p in predictions] == list(modelgpt_edge.load(out, "model").predict(texts))


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_chromium_says_what_the_reference_does(precision, source, chromium, sentences, tmp_path):
    texts = [*sentences, *HARD_TEXTS]
    codes = source.codes(np.array(texts, object)[:, None])
    executor = chromium.open("onnxruntime-web", written(source, precision, tmp_path).joinpath, BROWSER)
    got = executor.run(np.zeros((len(codes), 0), np.float32), codes)
    wanted = source.head.probabilities(source.encoder.embed(texts))
    hop = compare(precision, wanted, got, tolerance_of(precision, "tokens"))
    assert hop.passed, hop.line()


def test_an_app_gives_strings_and_gets_what_python_predicts(source, variant):
    rows = [*TEXTS, {"question": TEXTS[6], "note": "ignored"}, {"question": None}, None]
    predictions = InChromium(variant.joinpath).predict(rows)
    wanted = source.head.probabilities(source.encoder.embed([*TEXTS, TEXTS[6], "", ""]))
    np.testing.assert_allclose(probabilities(predictions), wanted, atol=1e-5)
    assert [p["label"] for p in predictions] == [CLASSES[k] for k in wanted.argmax(1)]


def test_pairs_come_as_arrays_or_objects(tiny, sentences, tmp_path):
    source = TextSource(tiny, head(tiny.width(pairs=True)), CLASSES, "0", ("sentence1", "sentence2"))
    first, second = list(sentences), [*HARD_TEXTS[: len(sentences)]]
    page = InChromium(written(source, "fp32", tmp_path).joinpath)
    rows = [[a, b] for a, b in zip(first, second)]
    objects = [{"sentence2": b, "sentence1": a} for a, b in rows]
    predictions = page.predict([*rows, *objects])
    wanted = source.head.probabilities(tiny.embed(first, second))
    np.testing.assert_allclose(probabilities(predictions), [*wanted, *wanted], atol=1e-5)
    for odd in ("one text", ["a", "b", "c"], ["a", 1]):
        with pytest.raises(TargetUnavailableError, match="the model takes two texts"):
            page.predict([odd])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"Question": "x"}, 'the row has no column "question"'),
        (["a", "b"], "the model takes a text; for many call predictAll"),
        (3, 'the row has no column "question"'),
    ],
)
def test_what_is_no_text_is_an_error_in_the_page_and_is_passed_on(row, said, variant):
    with pytest.raises(TargetUnavailableError, match=rf"the page failed: .*({said})"):
        InChromium(variant.joinpath).predict([row])


def test_one_text_is_timed_where_it_runs(source, variant, sentences):
    codes = source.codes(np.array(sentences, object)[:, None])
    measured = OnnxRuntimeWeb().profile(variant.joinpath, BROWSER, np.zeros((len(codes), 0), np.float32), codes)
    assert 0 < measured["p50_us"] <= measured["p90_us"] <= measured["p99_us"]


def test_the_real_encoder_runs_in_a_page_in_both_precisions(real, questions):
    """And in int8 it is what a page would load: about a quarter of fp32's size."""
    texts = [row["text"] for row in questions[::4]]
    labels = np.array([("lost", "refund", "rate").index(row["label"]) for row in questions[::4]], np.int32)
    source = TextSource(real, TextHead(*_solved(real, texts, labels)), ("lost", "refund", "rate"), "0")
    compiled = compile_text(source, [texts], labels, (BROWSER,), NO_LIMITS)
    forms = {c.precision: c for c in compiled.candidates}
    assert {c.checked for c in forms.values()} == {RUNS_EMULATED}
    assert all(c.passed for c in forms.values())
    assert forms["int8-dynamic"].bytes < 0.3 * forms["fp32"].bytes
    assert forms["int8-dynamic"].kept or forms["int8-dynamic"].because, "and it is told why where it isn't"


@pytest.mark.parametrize("target", ["browser", "raspberry-pi-5"])
def test_a_tiny_model_is_the_same_on_devices(target, tiny_encoder, questions, tmp_path):
    out = tmp_path / "tiny.edge"
    built = modelgpt_edge.build("route questions", questions, encoder=f"tiny:{tiny_encoder}", target=target, out=out)
    (kept,) = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["variants"]
    assert (kept["precision"], kept["status"]) == ("fp32", "runs under an emulator")
    assert all(check["passed"] for check in built.report["checks"])
    if target == "browser":
        asked = [row["text"] for row in questions[::5]] + list(TEXTS)
        model, page = modelgpt_edge.load(out, "model"), InChromium((out / kept["path"]).joinpath)
        got = [list(p["probabilities"].values()) for p in page.predict(asked)]
        np.testing.assert_allclose(got, model.predict_proba(asked), atol=1e-5)


def _solved(real: Any, texts: list[str], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each class's mean embedding as its row of a head."""
    embeddings = real.embed(texts)
    weight = np.stack([embeddings[labels == k].mean(0) for k in range(3)], axis=1)
    return 10 * weight.astype(np.float32), np.zeros(3, np.float32)
