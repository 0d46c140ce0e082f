"""What a worker does with a job of texts: names and examples embedded, the encoder adapted, and the head solved on it.

LoRA is what is asked for here, so no held-out text may choose the plain encoder instead, as in a build. Without a device the
encoder is adapted in numpy. Texts need more than tables do, so it is imported for the first job of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load
from threadpoolctl import threadpool_limits

from modelgpt_edge.adapted_file import PRECISIONS, Product, adapted_bytes, attention_arrays, lay_over, require_precision
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.errors import GateError, InputError
from modelgpt_edge.looking import look
from modelgpt_edge.parameters.text.generate import generate_text
from modelgpt_edge.parameters.text.lora import LoraGenerator, attention, describe_task, require_fit, require_shipped
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.text_rules import write_text_requirement
from modelgpt_edge.server.jobs import Done, TextsJob
from modelgpt_edge.server.steps import Begin, BegunTexts, Finish, Packed
from modelgpt_edge.text_pipeline import Texts, read_examples

Facts = dict[str, Any]


@lru_cache(maxsize=1)
def require_tools() -> tuple[LoraGenerator, TextEncoder]:
    """The generator that ships and the sentence encoder, read once.

    Raises:
        TargetUnavailableError: one of them isn't installed.
        InputError: the generator is for another encoder.
    """
    # A core is a worker's; more threads would make bits that depend on how many cores there are.
    encoder = TextEncoder.of(find_encoder(), threads=1)
    generator = require_shipped()
    require_fit(generator, encoder)
    return generator, encoder


def emit_texts(job: TextsJob, step: object) -> Done | Packed:
    """The whole job, or its first step or last one where that is what is asked for.

    Raises:
        ModelgptEdgeError: it can't be done, or the weights mustn't be sent out.
    """
    start = time.perf_counter()
    with threadpool_limits(1, "blas"):
        if isinstance(step, Finish):
            begun, facts, spent = step.begun.values()
            assert isinstance(step.made, bytes), "the device gives the arrays of attention"
            return _finish(begun, load(step.made), facts, start - spent - step.seconds)
        begun, facts = _begin(job)
        if isinstance(step, Begin):
            return Packed.of(begun, facts, time.perf_counter() - start, answer=_bytes(begun.precision))
        return _finish(begun, _adapt(begun), facts, start)


def _begin(job: TextsJob) -> tuple[BegunTexts, Facts]:
    """The task in numbers, by the plain encoder."""
    require_precision(job.precision)
    asked = Request(
        job.task,
        job.data,
        label=job.label,
        kind=job.kind,
        classes=dict(job.classes),
        texts=() if job.text is None else (job.text,),
        modality="text",
        seed=job.seed,
    )
    looked = look(asked)
    if looked.modality != "text":
        cure = "Name the column of texts by text=COLUMN, or leave out modality=text: the rows are a table's."
        raise InputError("there is no column of texts beside a label", where="modality", cure=cure)
    requirement = write_text_requirement(asked, looked.texts, looked.profile)
    schema = requirement.schema
    if len(schema.columns) > 1:
        cure = "Name one column by text=COLUMN, or build a package: it learns pairs from examples alone."
        raise InputError(
            "no encoder is adapted to pairs of texts", where="text", seen=[c.name for c in schema.columns], cure=cure
        )
    examples = Texts([[]], np.empty(0, np.int32))
    if looked.profile is not None:
        examples = read_examples(requirement, looked.profile.sample)
    _, encoder = require_tools()
    (texts,) = examples.columns
    embeddings = encoder.embed(texts) if texts else np.empty((0, encoder.width()), np.float32)
    task = describe_task(word_prior(encoder, schema.classes, requirement.meanings), embeddings)
    begun = BegunTexts(task, job.precision, texts, examples.labels, schema.classes, requirement.meanings, job.seed)
    label = {"label": schema.label.name} if texts else {}
    return begun, {"modality": "text", **label, "kind": schema.kind, "rows": len(texts)}


def _adapt(begun: BegunTexts) -> dict[str, NDArray[Any]]:
    """The arrays of attention, in numpy."""
    generator, encoder = require_tools()
    adapted = generator.adapt(encoder, begun.task)
    products = [weight for layer in range(generator.shape.layers) for weight in attention(adapted, layer)]
    return attention_arrays([Product.of(weight, begun.precision) for weight in products])


def _finish(begun: BegunTexts, arrays: Mapping[str, NDArray[Any]], facts: Facts, start: float) -> Done:
    """The head on the encoder as it is sent, rounding and all; GateError where weights mustn't be sent out."""
    _require_finite(arrays)
    generator, plain = require_tools()
    encoder = lay_over(plain, arrays)
    given = (begun.texts, begun.labels, begun.classes, begun.meanings, begun.seed)
    made = generate_text(encoder, *given, generator="floor" if begun.texts else "words")
    _require_finite({"head_weight": made.head.weight, "head_bias": made.head.bias})
    content = adapted_bytes(arrays, made.head, begun.classes, plain, generator.sha256)
    told: Facts = {"encoder": plain.files.name, "precision": begun.precision, "classes": len(begun.classes)}
    told["parameters"] = (
        sum(a.size for n, a in arrays.items() if n.endswith(".weight")) + made.head.weight.size + made.head.bias.size
    )
    if begun.texts:
        told["score"] = asdict(made.scores.child)
    return Done(content, {**facts, **told, "seconds": round(time.perf_counter() - start, 4)})


def _bytes(precision: str) -> int:
    """Of the attention of one request."""
    _, encoder = require_tools()
    return 4 * encoder.files.shape.layers * encoder.width() ** 2 * PRECISIONS[precision]


def _require_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    wrong = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if wrong:
        cure = "Ask for precision=fp32; where it happens again, report it with the request."
        raise GateError("the weights hold NaN or infinity and are not sent out", where="server", seen=wrong[0], cure=cure)
