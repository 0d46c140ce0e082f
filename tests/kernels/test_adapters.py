"""A server's adapters of texts through the Triton kernels, against numpy in float64; and that the bench has their sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors
from safetensors.numpy import load, save_file

from modelgpt_edge.adapted_file import PRECISIONS, lay_over
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import WEIGHTS, EncoderFiles
from modelgpt_edge.architecture.text.shape import Shape
from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.bench.cases import cases
from modelgpt_edge.kernels.bench.work import draw as draw_case
from modelgpt_edge.kernels.emit import triton as emit_fast
from modelgpt_edge.kernels.launch import DTYPES, INTERPRETED
from modelgpt_edge.kernels.merge import triton as merge_fast
from modelgpt_edge.parameters.text import batched_lora
from modelgpt_edge.parameters.text.batched_lora import Placed, emit_adapters
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape, attention
from modelgpt_edge.server import device_texts
from modelgpt_edge.server.settings import DEVICE_BATCH
from modelgpt_edge.server.steps import BegunTexts

CPU = torch.device("cpu")
# Of both sums, the first factor's and the product's, and the base.
LENGTH = 1 + shapes.LORA_BASIS + shapes.LORA_RANK
# An encoder's layers and width: small ones beyond a strip of columns, and MiniLM-L6's.
SMALL, MINILM = (2, 24), (6, 384)
# Requests of a launch: two of one precision in the interpreter, and on a GPU as many as a server takes at a time.
MANY = {SMALL: 4, MINILM: DEVICE_BATCH}


def encoder_of(layers: int, width: int, folder: Path) -> TextEncoder:
    """A sentence encoder of random weights; no tokenizer is needed here."""
    shape, dice = Shape(layers, width, 4, 8, 8, 8, 2, 1e-12), np.random.default_rng(0)
    weights = {name: dice.normal(size=sizes).astype(np.float32) for name, sizes in shape.arrays.items()}
    save_file(weights, folder / WEIGHTS)
    return TextEncoder.of(EncoderFiles("random", folder, shape, "mean", 8, b""))


def generator_of(encoder: TextEncoder) -> LoraGenerator:
    """A generator for it whose updates are as large as the weights are."""
    shape, dice = LoraShape.of(encoder.files.shape), np.random.default_rng(1)
    weights = {name: dice.normal(size=sizes).astype(np.float32) for name, sizes in shape.arrays.items()}
    return LoraGenerator(shape, weights, encoder.files.sha256, False, "")


@pytest.fixture(scope="module", params=[SMALL, pytest.param(MINILM, marks=pytest.mark.gpu)], ids=["small", "MiniLM"])
def size(request) -> tuple[int, int]:
    return request.param


@pytest.fixture(scope="module")
def encoder(size, tmp_path_factory) -> TextEncoder:
    return encoder_of(*size, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def generator(encoder) -> LoraGenerator:
    return generator_of(encoder)


@pytest.fixture(scope="module")
def tasks(size) -> list[np.ndarray]:
    dice = np.random.default_rng(2)
    return [dice.normal(size=2 * size[1] + 3).astype(np.float32) for _ in range(MANY[size])]


@pytest.fixture
def placed(generator, encoder, place, monkeypatch) -> Placed:
    """On the device. The interpreter's is the CPU, for which a caller gets plain torch: here Triton takes it all the same."""
    if INTERPRETED:
        monkeypatch.setattr(batched_lora, "emit", lambda left, right, kind: emit_fast.emit(left, right, kind, None, None))
        monkeypatch.setattr(batched_lora, "merge", merge_fast.merge)
    return Placed.on(place, generator, encoder)


def wanted(generator: LoraGenerator, encoder: TextEncoder, task: np.ndarray, group: int) -> torch.Tensor:
    """One product of an adapted encoder in float64: of each layer queries, keys and values as one, then outputs."""
    layer, which = divmod(group, 2)
    name, shape = ("qkv", "out")[which], generator.shape
    basis, up = (generator.weights[f"{name}.{part}"][layer].astype(float) for part in ("basis", "up"))
    left = (generator.coefficients(task)[layer].astype(float) @ basis).reshape(shape.width, shape.rank)
    return torch.from_numpy(attention(encoder, layer)[which] + left @ up)


@pytest.mark.parametrize("stored", shapes.LORA_STORED)
def test_adapters_are_those_of_numpy(stored, placed, generator, encoder, tasks, assert_close, assert_codes):
    made = emit_adapters(placed, tasks, DTYPES[stored])
    groups, requests = 2 * generator.shape.layers, len(tasks)
    assert len(made.values) == groups * requests
    # All of a small encoder; of a large one every group, and every request once.
    for one in range(0, groups * requests, 1 if requests < groups else 11):
        group, request = divmod(one, requests)
        right = wanted(generator, encoder, tasks[request], group)
        if made.steps is None:
            assert_close(made.values[one], right, LENGTH)
        else:
            assert_codes(made.values[one], made.steps[one], right, LENGTH)


@pytest.mark.parametrize("stored", shapes.LORA_STORED)
def test_an_adapter_has_the_same_bits_alone_and_in_company(stored, placed, tasks):
    together = emit_adapters(placed, tasks, DTYPES[stored])
    for request in (0, len(tasks) - 1):
        alone = emit_adapters(placed, [tasks[request]], DTYPES[stored])
        for group in range(len(alone.values)):
            same = group * len(tasks) + request
            assert torch.equal(alone.values[group], together.values[same])
            assert together.steps is None or torch.equal(alone.steps[group], together.steps[same])


def test_a_servers_launch_gives_each_request_its_own_in_the_precision_asked_for(
    placed, generator, encoder, tasks, monkeypatch, assert_close
):
    monkeypatch.setattr(device_texts, "_placed", lambda device: placed)
    asked = [list(PRECISIONS)[n % len(PRECISIONS)] for n in range(len(tasks))]
    none = np.zeros(0, np.int32)
    begun = [BegunTexts(task, precision, [], none, ("a", "b"), {}, 0) for task, precision in zip(tasks, asked)]
    made = device_texts.adapt_batch(begun, placed.device)
    for task, precision, content in list(zip(tasks, asked, made))[-MANY[SMALL] :]:
        arrays = load(content)
        adapted = lay_over(encoder, arrays)
        for group in range(2 * generator.shape.layers):
            got = torch.from_numpy(attention(adapted, group // 2)[group % 2].copy())
            right = wanted(generator, encoder, task, group)
            if precision == "int8":
                # Half a step of the channel with the largest.
                assert (got - right).abs().max() <= 0.501 * right.abs().max() / 127
            else:
                assert_close(got, right, LENGTH, DTYPES[precision])


def test_the_bench_measures_what_a_server_launches(monkeypatch, tmp_path):
    """Sizes, types, what divides them and what requests share, for one request; and the variants that are compiled ahead."""
    encoder = encoder_of(*MINILM, tmp_path)
    seen = {"emit": [], "merge": []}
    for name, operation in (("emit", batched_lora.emit), ("merge", batched_lora.merge)):
        monkeypatch.setattr(batched_lora, name, lambda *given, _n=name, _f=operation: seen[_n].append(given) or _f(*given))
    placed = Placed.on(CPU, generator_of(encoder), encoder)
    rows = np.zeros(2 * 384 + 3, np.float32)
    for kind in device_texts.TYPES.values():
        made = emit_adapters(placed, [rows, rows], kind)
        assert made.values.unit == 16
    measured = [case for case in cases() if case.template == "MiniLM LoRA"]
    assert {case.requests for case in measured} == {1, DEVICE_BATCH}
    assert [DTYPES[s] for s in shapes.LORA_STORED] == list(device_texts.TYPES.values())

    (*factors, kind), *others = seen["emit"]
    assert all(given[2] == kind for given in others)
    _assert_alike(factors, kind, [case for case in measured if case.kernel == "emit"][:1])
    for base, left, right, scale, kind in seen["merge"]:
        stored = [c for c in measured if c.kernel == "merge" and DTYPES[c.stored] == kind][:1]
        work = _assert_alike((left, right), kind, stored)
        assert (base.data.dtype, base.unit) == (work.base.data.dtype, work.base.unit)
        assert (base.rows.tolist(), base.columns.tolist()) == (work.base.rows.tolist(), work.base.columns.tolist())
        assert scale.dtype == work.scale.dtype


def _assert_alike(factors, kind, found):
    """Operands of two requests are those of one case drawn for two."""
    (case,) = found
    work = draw_case(type(case)(**{**vars(case), "requests": 2}), CPU)
    assert (DTYPES[case.held], DTYPES[case.stored]) == (factors[0].data.dtype, kind)
    for given, drawn in zip(factors, (work.left, work.right)):
        assert given.unit == drawn.unit
        assert (given.rows.tolist(), given.columns.tolist()) == (drawn.rows.tolist(), drawn.columns.tolist())
    for right in (factors[1], work.right):
        assert (right.offset[::2] == right.offset[1::2]).all()
    fast = {"emit": emit_fast, "merge": merge_fast}[case.kernel]
    (variant,) = [v for v in fast.variants() if v.name == f"{case.kernel} LoRA {case.held} to {case.stored}"]
    assert variant.constants["UC" if case.kernel == "emit" else "UA"] == factors[0].unit
    assert variant.constants["UN"] == factors[1].unit
    assert "bias" not in variant.types
    return work
