"""The compiler's entry for text models: an encoder and an emitted head in, gated artefacts out, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.text.samples import SAMPLES
from modelgpt_edge.child import Floats
from modelgpt_edge.compile.candidate import Probe
from modelgpt_edge.compile.compiler import Compiled, Examined, compile_examined
from modelgpt_edge.compile.text.source import TextSource, text_graph
from modelgpt_edge.errors import GateError
from modelgpt_edge.gate import compare, require
from modelgpt_edge.golden import Golden
from modelgpt_edge.limits import Limits
from modelgpt_edge.targets.onnxruntime import executor_of, open_session
from modelgpt_edge.targets.target import Target

# An encoder takes milliseconds a text, and seconds in an emulator: fewer rows than of a table tell as much of its numerics.
REAL_TEXTS, PROBED = 10, 256
HARD_TEXTS = (
    "",
    "x",
    "\U0001f600 \U0001f468‍\U0001f469‍\U0001f467 ok?",
    "取消订单 please",
    "CAFÉ\tco\u0308op\n\x00\x07",
    "0.5 % of $1,000",
)


def compile_text(
    source: TextSource,
    columns: Sequence[Sequence[str]],
    labels: NDArray[np.int32] | None,
    targets: tuple[Target, ...],
    limits: Limits,
    backends: Sequence[str] = (),
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Compiled:
    """Compile a text model for targets and pass every kept artefact through the gate.

    Args:
        columns: texts of the user, and the second ones of pairs; where there are none, texts about the classes, and samples are
            taken beside them. For golden rows and measurement.
        labels: class positions (N,) of the texts; None where nobody knows them.
        limits, backends: as for `compile_child`; raises as it does.
    """
    for name, array in (("weight", source.head.weight), ("bias", source.head.bias)):
        if not np.isfinite(array).all():
            what = f"the numeric gate failed at hop 'emit': head {name} holds NaN or infinite values"
            raise GateError(what, where="gate", cure="Please report the classes and this message.")
    if labels is None:  # texts about the classes are clear cases: others tell more of the numerics
        own = [[*_spread(columns[0], REAL_TEXTS // 2), *_spread(SAMPLES, REAL_TEXTS // 2)]]
        columns = [[*columns[0][: PROBED - len(SAMPLES)], *SAMPLES]]
    else:
        own = [_spread(texts, REAL_TEXTS) for texts in columns]
    hard = [HARD_TEXTS, HARD_TEXTS[::-1]][: len(columns)]
    golden = _golden(source, [[*some, *odd] for some, odd in zip(own, hard)])
    truth = text_graph(source, "fp32", with_label=True).SerializeToString()
    got = executor_of(open_session(truth)).run(golden.numbers, source.inputs(golden))
    hops = [compare("onnx", golden.outputs, got, "fp32")]
    require(hops)
    probe = _probe(source, [texts[:PROBED] for texts in columns], labels)
    ready = Examined(source, probe, golden, truth, hops)
    return compile_examined(ready, targets, limits, backends, progress)


def _spread(texts: Sequence[str], most: int) -> list[str]:
    """At most so many of the texts, evenly from first to last, the start of each.

    A long text tells no more of the numerics than its start does, and costs an emulator minutes.
    """
    pick = np.unique(np.linspace(0, len(texts) - 1, min(most, len(texts))).astype(np.intp))
    return [" ".join(texts[i].split()[:24]) for i in pick]


def _reference(source: TextSource, columns: Sequence[Sequence[str]]) -> Floats:
    """What the encoder and the head say, each by itself."""
    return source.head.probabilities(source.encoder.embed(*columns))


def _golden(source: TextSource, columns: Sequence[Sequence[str]]) -> Golden:
    words = np.array(columns, object).T
    return Golden(np.zeros((len(words), 0), np.float32), words, _reference(source, columns))


def _probe(source: TextSource, columns: Sequence[Sequence[str]], labels: NDArray[np.int32] | None) -> Probe:
    nothing, outputs = np.zeros((len(columns[0]), 0), np.float32), _reference(source, columns)
    given = outputs.argmax(1).astype(np.int32) if labels is None else labels[: len(outputs)]
    return Probe(nothing, source.encoder.codes(*columns), nothing, outputs, given, labels is not None)
