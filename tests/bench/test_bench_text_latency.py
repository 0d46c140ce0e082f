"""The bench of one sentence's time: what it exports is the product's encoder, and its page says what was measured."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import text_latency
from text_latency import FP32, INT8, PLAIN, _require_same, report

MACHINE = {"cpu": "made", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11"}


def sentence(tokens, **ratios):
    of = {PLAIN: 1.0, FP32: ratios["fp32"], INT8: ratios["int8"]}
    return {
        "text": "a",
        "tokens": tokens,
        "calls": 3,
        "contenders": {name: {"median_ms": 10 * r, "p99_ms": 20 * r, "over_plain": r} for name, r in of.items()},
    }


def test_the_page_has_every_sentence_and_the_geometric_mean():
    measured = [sentence(7, fp32=0.5, int8=0.4), sentence(20, fp32=2.0, int8=0.9)]
    sizes = {PLAIN: 91_000_000, FP32: 90_000_000, INT8: 23_300_000}
    page = report({"machine": MACHINE, "when": "now", "command": "python", "bytes": sizes, "sentences": measured})
    assert "| graph | MB | 7 tokens, ms | 20 tokens, ms | times the plain one, geometric mean |" in page
    assert "| modelgpt-edge, fp32 | 90.0 | 5.00 (0.50 x) | 20.00 (2.00 x) | 1.00 |" in page
    assert "| modelgpt-edge, int8 | 23.3 | 4.00 (0.40 x) | 9.00 (0.90 x) | 0.60 |" in page


def test_nothing_is_timed_where_the_export_says_something_else():
    class Encoder:
        def embed(self, texts):
            return np.array([[0.6, 0.8]], np.float32)

    _require_same(np.array([[[2.0, 4.0], [4.0, 4.0]]], np.float32), Encoder(), "a")
    with pytest.raises(SystemExit, match="nothing was timed"):
        _require_same(np.array([[[2.0, 4.0], [4.0, 5.0]]], np.float32), Encoder(), "a")


def test_sentences_are_of_several_lengths():
    lengths = [len(text.split()) for text in text_latency.SENTENCES]
    assert lengths == sorted(set(lengths))
