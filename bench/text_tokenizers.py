"""onnxruntime-extensions' BertTokenizer against the tokenizers library: which strings differ, and how long a sentence takes.

pip install --target EXT --no-deps onnxruntime-extensions==0.15.2
PYTHONPATH=EXT python bench/text_tokenizers.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import onnxruntime_extensions
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from modelgpt_edge.architecture.text.files import find_encoder

NASTY = (
    "hello world", "", "   ", "Hello, WORLD! it's", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 ok", "取消订单",
    "CAFÉ co\u0308op naïve", "a\x00b\x07c", "tab\tnew\nline", "한국어 テスト", "\ufb01ne ligature ①", "مرحبا بالعالم",
    "Straße İstanbul ǅ", "[CLS] [SEP] x", "#" * 300, "x" * 10_000, "word " * 2_000, "\u00a0nb\u2003sp", "0.5%$€£",
    "don\u2019t \u201cquote\u201d", "e\u0301e\u0301", "\ufeffbom", "\u200bzero", "A" * 101, "हिन्दी", "ไทย",
)  # fmt: skip
SENTENCE = "I am still waiting on my card, can you tell me when it arrives?"
CALLS = 2_000


def main() -> None:
    encoder = find_encoder()
    tokenizer = Tokenizer.from_str(encoder.tokenizer.decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    session = _open_extension((encoder.folder / "vocab.txt").read_text(encoding="utf-8"))
    differ = []
    for text in NASTY:
        ours, theirs = tokenizer.encode(text).ids, session.run(None, {"text": [text]})[0].ravel().tolist()
        if ours != theirs:
            differ.append((text[:24], theirs[:8], ours[:8]))
    print(f"{len(differ)} of {len(NASTY)} strings differ: string, extension's ids, tokenizers' ids")
    for row in differ:
        print("  ", *row)
    print(f"extension   {_median_us(lambda: session.run(None, {'text': [SENTENCE]})):6.1f} us a sentence")
    print(f"tokenizers  {_median_us(lambda: tokenizer.encode(SENTENCE)):6.1f} us a sentence")


def _open_extension(vocabulary: str) -> onnxruntime.InferenceSession:
    node = helper.make_node(
        "BertTokenizer",
        ["text"],
        ["input_ids", "token_type_ids", "attention_mask", "offset"],
        domain="ai.onnx.contrib",
        vocab_file=vocabulary,
        do_lower_case=1,
        strip_accents=1,
        tokenize_chinese_chars=1,
    )
    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, None)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(helper.make_graph([node], "tokenizer", [text], [ids]), opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def _median_us(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


if __name__ == "__main__":
    main()
