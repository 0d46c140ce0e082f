"""The compiler's entry for models of pictures: a backbone and an emitted head in, gated artefacts out, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.compile.candidate import Probe
from modelgpt_edge.compile.compiler import Compiled, Examined, compile_examined
from modelgpt_edge.compile.image.source import PictureSource, picture_graph
from modelgpt_edge.errors import GateError
from modelgpt_edge.gate import compare, require
from modelgpt_edge.golden import Golden
from modelgpt_edge.limits import Limits
from modelgpt_edge.targets.onnxruntime import executor_of, open_session
from modelgpt_edge.targets.target import Target

# A backbone takes milliseconds a picture, and seconds in an emulator: few real pictures, and hard ones beside them.
REAL_PICTURES, PROBED = 6, 128


def compile_pictures(
    source: PictureSource,
    pictures: NDArray[np.uint8],
    channels: Sequence[Floats],
    labels: NDArray[np.int32] | None,
    targets: tuple[Target, ...],
    limits: Limits,
    backends: Sequence[str] = (),
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Compiled:
    """Compile a model of pictures for targets and pass every kept artefact through the gate.

    Args:
        pictures: (N, S, S, 3) of the user; samples where there are none. For golden rows and measurement.
        channels: what the backbone says of them.
        labels: class positions (N,) of the pictures; None where nobody knows them.
        limits, backends: as for `compile_child`; raises as it does.
    """
    for name, array in (("weight", source.head.weight), ("bias", source.head.bias)):
        if not np.isfinite(array).all():
            what = f"the numeric gate failed at hop 'emit': head {name} holds NaN or infinite values"
            raise GateError(what, where="gate", cure="Please report the classes and this message.")
    pick = _spread(len(pictures), REAL_PICTURES)
    hard = hard_pictures(source.template.size)
    outputs = np.concatenate(
        [source.probabilities([c[pick] for c in channels]), source.probabilities(source.template.channels(hard))]
    )
    golden = Golden(
        np.zeros((len(outputs), 0), np.float32),
        np.zeros((len(outputs), 0), object),
        outputs,
        pictures=np.concatenate([pictures[pick], hard]),
    )
    truth = picture_graph(source, "fp32", with_label=True).SerializeToString()
    got = executor_of(open_session(truth)).run(golden.numbers, source.inputs(golden))
    hops = [compare("onnx", golden.outputs, got, "fp32")]
    require(hops)
    probed = _spread(len(pictures), PROBED)
    nothing = np.zeros((len(probed), 0), np.float32)
    reference = source.probabilities([c[probed] for c in channels])
    given = reference.argmax(1).astype(np.int32) if labels is None else labels[probed]
    probe = Probe(nothing, pictures[probed], nothing, reference, given, labels is not None)
    return compile_examined(Examined(source, probe, golden, truth, hops), targets, limits, backends, progress)


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of `count` positions, evenly from first to last."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.intp))


def hard_pictures(size: int) -> NDArray[np.uint8]:
    """Black, white, and noise (3, S, S, 3): what a camera gives with its lid on, in the sun, and without a signal."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise])
