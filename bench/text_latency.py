"""One sentence on one thread: the graph that a package holds against ONNX Runtime on the plainly exported encoder.

The peer is transformers' model of the same weights through torch.onnx.export, from token ids to the states of the tokens: no
pooling, no head. Ours goes from token ids to probabilities of 77 classes, in fp32 and in int8. Both get the same ids, and
tokenizing is left out. Calls are interleaved, and before a clock starts the two are held against each other.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environment
import numpy as np
from latency import interleaved

if TYPE_CHECKING:
    from modelgpt_edge.architecture.text.encoder import TextEncoder

PLAIN, FP32, INT8 = "plain export, fp32", "modelgpt-edge, fp32", "modelgpt-edge, int8"
CLASSES, WARM_UP, CALLS = 77, 20, 200
SENTENCES = (
    "where is my card?",
    "i am still waiting on my new card, can you tell me when it will arrive?",
    "i was charged twice for the same order last week, and the shop says that it has sent the money back to me already, but i "
    "still don't see it on my account: what can i do now?",
)
# Largest difference of embeddings of unit length: rounding of another order of the same sums.
SAME = 1e-4
Call = Callable[[], Any]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    encoder = TextEncoder.of(find_encoder(), threads=1)
    environment.say("exporting")
    plain = export(encoder)
    own = {name: graph(encoder, precision) for name, precision in ((FP32, "fp32"), (INT8, "int8-dynamic"))}
    measured = [measure(encoder, plain, own, text, options.calls) for text in SENTENCES]
    bytes_ = {PLAIN: len(plain), **{name: len(content) for name, content in own.items()}}
    distributions = ["modelgpt-edge", "onnxruntime", "onnxscript", "torch", "transformers"]
    result = environment.result("text_latency", distributions, {"bytes": bytes_, "sentences": measured})
    environment.publish(result, report(result), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=CALLS, help=f"timed calls of each, of every sentence (default {CALLS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


def export(encoder: TextEncoder) -> bytes:
    """transformers' model of the encoder's files as ONNX: batch and length free, `last_hidden_state` out."""
    import torch  # noqa: TID251 - what is exported is a torch model
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(encoder.files.folder).eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    examples = {name: torch.ones((2, 8), dtype=torch.int64) for name in names}  # one tensor thrice would become one input
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=encoder.files.length)}
    shapes = dict.fromkeys(names, free)
    file = io.BytesIO()
    program = torch.onnx.export(model, (), kwargs=examples, input_names=names, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    program.save(file)
    return file.getvalue()


def graph(encoder: TextEncoder, precision: str) -> bytes:
    """The graph in the folder of a package's variant for x86, under a head of so many classes."""
    from modelgpt_edge.compile.text.source import TextSource
    from modelgpt_edge.targets.onnxruntime import OnnxRuntime
    from modelgpt_edge.targets.registry import find_target
    from modelgpt_edge.text_head import TextHead

    weight = np.random.default_rng(0).normal(size=(encoder.width(), CLASSES)).astype(np.float32)
    head = TextHead(weight, np.zeros(CLASSES, np.float32))
    source = TextSource(encoder, head, tuple(f"class {k}" for k in range(CLASSES)), "bench")
    return OnnxRuntime().compile(source, find_target("x86"), precision).files["model.onnx"]


def measure(encoder: TextEncoder, plain: bytes, own: dict[str, bytes], text: str, calls: int) -> dict[str, Any]:
    """Milliseconds of a sentence by each, and ours over the plain one's."""
    from modelgpt_edge.targets.onnxruntime import open_session

    ids = np.array(encoder.tokens.ids([text]), np.int64)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    session = open_session(plain)
    _require_same(session.run(None, feed)[0], encoder, text)
    ready: dict[str, Call] = {PLAIN: lambda: session.run(None, feed)}
    codes = {"codes": encoder.codes([text])}
    for name, content in own.items():
        ready[name] = _call(open_session(content), codes)
    for call in ready.values():
        for _ in range(WARM_UP):
            call()
    environment.say(f"{ids.shape[1]} tokens, {calls} calls of each")
    times = interleaved(ready, calls)
    base = float(np.median(times[PLAIN]))
    found = {
        name: {
            "median_ms": float(np.median(t)) / 1e3,
            "p99_ms": float(np.percentile(t, 99)) / 1e3,
            "over_plain": float(np.median(t)) / base,
        }
        for name, t in times.items()
    }
    return {"text": text, "tokens": int(ids.shape[1]), "calls": calls, "contenders": found}


def _call(session: Any, feed: dict[str, np.ndarray]) -> Call:
    return lambda: session.run(None, feed)


def _require_same(states: np.ndarray, encoder: TextEncoder, text: str) -> None:
    """Stop the bench unless the export, pooled, says what the product's encoder says."""
    mean = states[0].mean(0)
    off = float(np.abs(mean / np.linalg.norm(mean) - encoder.embed([text])[0]).max())
    if not off < SAME:
        raise SystemExit(f"the export differs from the product's encoder by {off:.1e}: nothing was timed")


def report(result: dict) -> str:
    """The page."""
    sentences = result["sentences"]
    rows = []
    for name, size in result["bytes"].items():
        cells = [f"{s['contenders'][name]['median_ms']:.2f} ({s['contenders'][name]['over_plain']:.2f} x)" for s in sentences]
        ratios = [s["contenders"][name]["over_plain"] for s in sentences]
        rows.append([name, f"{size / 1e6:.1f}", *cells, f"{math.exp(np.mean(np.log(ratios))):.2f}"])
    head = ["graph", "MB", *(f"{s['tokens']} tokens, ms" for s in sentences), "times the plain one, geometric mean"]
    text = [
        "# One sentence on one thread",
        f"{environment.described(result['machine'])}; {result['when']}; `{result['command']}`",
        "Median of interleaved calls, from token ids. The plain export (transformers, torch.onnx.export) ends at the tokens' "
        f"states; ours pools them and has a head of {CLASSES} classes.",
        environment.markdown_table(head, rows),
    ]
    return "\n\n".join(text) + "\n"


if __name__ == "__main__":
    main()
