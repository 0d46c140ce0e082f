"""LoRA from the hypernetwork: numpy, torch and the kernels say the same, these in plain torch (in Triton they do in
tests/kernels/test_adapters.py); what is built with it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID251 - numpy is held to it
from safetensors import safe_open

import modelgpt_edge
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import read_encoder
from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError
from modelgpt_edge.parameters.text import lora
from modelgpt_edge.parameters.text.batched_lora import Placed, emit_adapters
from modelgpt_edge.parameters.text.generate import generate_text
from modelgpt_edge.parameters.text.lora import LoraGenerator, LoraShape, attention, describe_task
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.training.text.checkpoint import ship
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.hypernetwork import Hypernetwork

CPU = torch.device("cpu")
CLASSES = ("lost", "refund", "rate")
LABELS = np.array([0, 2, 1, 2, 0, 0], np.int32)


@pytest.fixture(scope="module")
def generator(lora_file) -> LoraGenerator:
    return LoraGenerator.read(lora_file)


@pytest.fixture(scope="module")
def task(tiny, sentences) -> np.ndarray:
    return describe_task(word_prior(tiny, CLASSES, {}), tiny.embed(sentences))


def hypernetwork(generator: LoraGenerator) -> Hypernetwork:
    made = Hypernetwork(generator.shape)
    made.load_state_dict({name: torch.from_numpy(array) for name, array in generator.weights.items()})
    return made


def products(encoder: TextEncoder) -> list[np.ndarray]:
    return [weight for layer in range(encoder.files.shape.layers) for weight in attention(encoder, layer)]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kinds", [0, 2])
def test_torch_embeds_as_the_graph_does(pooling, kinds, write_encoder, sentences, tmp_path):
    encoder = TextEncoder.of(read_encoder(write_encoder(tmp_path / "e", kinds=kinds, pooling=pooling), "e"))
    made = TorchEncoder.of(encoder, CPU).embed(encoder.tokens.ids(sentences))
    np.testing.assert_allclose(made.numpy(), encoder.embed(sentences), atol=2e-6)


def test_torch_embeds_as_the_graph_does_by_the_real_encoder(real, sentences):
    made = TorchEncoder.of(real, CPU).embed(real.tokens.ids(sentences))
    np.testing.assert_allclose(made.numpy(), real.embed(sentences), atol=2e-6)


def test_step_nought_is_the_plain_encoder_to_the_bit(tiny, task):
    torch.manual_seed(0)
    fresh = Hypernetwork(LoraShape.of(tiny.files.shape))
    weights = {name: p.detach().numpy() for name, p in fresh.named_parameters()}
    start = LoraGenerator(fresh.shape, weights, tiny.files.sha256, False, "")
    adapted = start.adapt(tiny, task)
    assert adapted.weights.keys() == tiny.weights.keys()
    assert [name for name, array in tiny.weights.items() if not np.array_equal(array, adapted.weights[name])] == []
    assert np.abs(start.coefficients(task)).min() > 0, "what multiplies nothing yet is something, or nothing would be learnt"


def test_numpy_and_torch_emit_the_same_updates(generator, tiny, task):
    factors = hypernetwork(generator)(torch.from_numpy(task))
    for base, merged, (left, right) in zip(products(tiny), products(generator.adapt(tiny, task)), factors):
        update = (left @ right).detach().numpy()
        assert np.abs(update).max() > 0.01
        np.testing.assert_allclose(merged, base + update, atol=1e-5)


def test_fused_weights_embed_as_factors_beside_the_weights_do(generator, tiny, task, sentences):
    with torch.no_grad():
        factors = hypernetwork(generator)(torch.from_numpy(task))
        made = TorchEncoder.of(tiny, CPU).embed(tiny.tokens.ids(sentences), factors)
    adapted = generator.adapt(tiny, task).embed(sentences)
    np.testing.assert_allclose(adapted, made.numpy(), atol=1e-5)
    assert np.abs(adapted - tiny.embed(sentences)).max() > 0.01


def test_the_kernels_make_many_adapters_as_numpy_makes_one(generator, tiny, task):
    tasks = [task, describe_task(word_prior(tiny, ("good", "bad"), {}), np.empty((0, 32), np.float32)), task * 0.5]
    placed = Placed.on(CPU, generator, tiny)
    made = emit_adapters(placed, tasks)
    alone = [products(generator.adapt(tiny, one)) for one in tasks]
    assert len(made.values) == 4 * len(tasks)
    for place in range(4):
        for request in range(len(tasks)):
            got = made.floats(place * len(tasks) + request).numpy()
            np.testing.assert_allclose(got, alone[request][place], atol=1e-5)
    codes = emit_adapters(placed, tasks, torch.int8)
    assert codes.values.data.dtype == torch.int8
    np.testing.assert_allclose(codes.floats(0).numpy(), alone[0][0], atol=float(codes.steps[0].max()) * 0.51)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.int8])
def test_an_adapter_has_the_same_bits_alone_and_in_any_company(kind, generator, tiny, task):
    draw = np.random.default_rng(3)
    tasks = [task, *(draw.normal(size=len(task)).astype(np.float32) for _ in range(16))]
    placed = Placed.on(CPU, generator, tiny)

    def bits(made, requests: int, request: int) -> list[bytes]:
        groups = range(request, len(made.values), requests)
        steps = [] if made.steps is None else [made.steps[g].numpy().tobytes() for g in groups]
        return [*(made.values[g].numpy().tobytes() for g in groups), *steps]

    together = emit_adapters(placed, tasks, kind)
    for request, one in enumerate(tasks):
        assert bits(emit_adapters(placed, [one], kind), 1, 0) == bits(together, len(tasks), request)
    assert len({tuple(bits(together, len(tasks), request)) for request in range(len(tasks))}) == len(tasks)
    three = emit_adapters(placed, [tasks[n] for n in (9, 0, 4)], kind)
    assert bits(three, 3, 1) == bits(together, len(tasks), 0)


def test_the_kernels_make_adapters_of_the_real_encoder(real):
    shape = LoraShape.of(real.files.shape)
    draw = np.random.default_rng(0)
    weights = {name: (0.05 * draw.normal(size=sizes)).astype(np.float32) for name, sizes in shape.arrays.items()}
    generator = LoraGenerator(shape, weights, real.files.sha256, False, "")
    tasks = [draw.normal(size=2 * 384 + 3).astype(np.float32) for _ in range(2)]
    made = emit_adapters(Placed.on(CPU, generator, real), tasks)
    assert [tuple(made.floats(group).shape) for group in (0, 2)] == [(384, 1152), (384, 384)]
    for request, one in enumerate(tasks):
        for place, merged in enumerate(products(generator.adapt(real, one))):
            np.testing.assert_allclose(made.floats(2 * place + request).numpy(), merged, atol=1e-6)


def test_a_task_is_described_by_words_and_texts_and_no_label(tiny, sentences):
    prior, embeddings = word_prior(tiny, CLASSES, {}), tiny.embed(sentences)
    task = describe_task(prior, embeddings)
    assert (task.shape, task.dtype) == ((2 * 32 + 3,), np.float32)
    np.testing.assert_allclose(task[:32], 32**0.5 * prior.mean(1), rtol=1e-6)
    np.testing.assert_allclose(task[32:64], 32**0.5 * embeddings.mean(0), rtol=1e-5)
    np.testing.assert_allclose(task[64:], [np.log(3), np.log(3), 0], rtol=1e-6)
    alone = describe_task(prior, embeddings[:0])
    assert alone[32:64].tolist() == [0] * 32
    np.testing.assert_allclose(alone[64:], [np.log(3), 0, 1], rtol=1e-6)


def test_an_adapted_encoder_is_smoothed_by_itself(generator, tiny, task):
    adapted = generator.adapt(tiny, task)
    assert adapted.adapted
    assert not tiny.adapted
    name = "layer1_qkv"
    assert not np.allclose(adapted.smoothings[name].divisor, tiny.smoothings[name].divisor)


def test_examples_and_words_are_seen_twice(generator, tiny, sentences):
    made = generate_text(tiny, sentences, LABELS, CLASSES, {}, generator="lora", adapter=generator)
    assert (made.generator, made.adapter) == ("lora", generator.sha256)
    assert set(made.losses) == {"words", "linear", "floor", "lora"}
    by_hand = generator.adapt(tiny, describe_task(word_prior(tiny, CLASSES, {}), tiny.embed(sentences)))
    np.testing.assert_array_equal(made.encoder.embed(sentences), by_hand.embed(sentences))
    floor = generate_text(by_hand, sentences, LABELS, CLASSES, {}, generator="floor")
    np.testing.assert_array_equal(made.head.weight, floor.head.weight)
    np.testing.assert_array_equal(made.held_out, floor.held_out)
    assert made.losses["lora"] == floor.losses["floor"]
    assert floor.adapter is None


def test_without_examples_the_adapted_words_are_the_head(generator, tiny):
    made = generate_text(tiny, [], LABELS[:0], CLASSES, {}, generator="lora", adapter=generator)
    words = generate_text(made.encoder, [], LABELS[:0], CLASSES, {})
    assert (made.generator, made.scores.child.value) == ("lora", None)
    np.testing.assert_array_equal(made.head.weight, words.head.weight)
    assert np.abs(made.head.weight - generate_text(tiny, [], LABELS[:0], CLASSES, {}).head.weight).max() > 0.01


@pytest.mark.parametrize("examples", [0, 6])
def test_the_guard_considers_it_only_where_its_file_says_so(examples, lora_file, generator, tiny, sentences, tmp_path):
    texts, labels = sentences[:examples], LABELS[:examples]
    plain = generate_text(tiny, texts, labels, CLASSES, {}, adapter=generator)
    assert plain.generator == ("floor" if examples else "words")
    assert "lora" not in plain.losses
    ship(lora_file, tmp_path / "default.safetensors", default=True)
    usual = LoraGenerator.read(tmp_path / "default.safetensors")
    assert usual.default
    made = generate_text(tiny, texts, labels, CLASSES, {}, adapter=usual)
    assert (made.generator, made.adapter) == ("lora", usual.sha256)
    other = replace(usual, encoder_sha256="of another")
    assert generate_text(tiny, texts, labels, CLASSES, {}, adapter=other).generator == plain.generator


def test_enough_examples_decide_between_it_and_the_floor(generator, tiny, questions):
    texts = [row["text"] for row in questions]
    labels = np.array([CLASSES.index(row["label"]) for row in questions], np.int32)
    made = generate_text(tiny, texts, labels, CLASSES, {}, adapter=replace(generator, default=True))
    assert set(made.losses) == {"words", "linear", "floor", "lora"}
    assert made.losses[made.generator] == min(made.losses.values())


@pytest.mark.parametrize("default", [False, True])
def test_shipping_changes_nothing_but_what_the_file_says(default, lora_file, generator, tmp_path):
    ship(lora_file, tmp_path / "shipped.safetensors", default)
    read = LoraGenerator.read(tmp_path / "shipped.safetensors")
    assert (read.shape, read.default) == (generator.shape, default)
    for name, array in generator.weights.items():
        np.testing.assert_array_equal(read.weights[name], array)
    with safe_open(tmp_path / "shipped.safetensors", "np") as new, safe_open(lora_file, "np") as old:
        assert new.metadata() == old.metadata() | {"default": "yes" if default else "no"}


def test_what_does_not_fit_is_refused(generator, tiny, real, sentences, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="LoRA was trained for another encoder"):
        generate_text(real, [], LABELS[:0], CLASSES, {}, generator="lora", adapter=generator)
    with pytest.raises(InputError, match="words say nothing of pairs"):
        generate_text(tiny, sentences, LABELS, CLASSES, {}, generator="lora", pairs=sentences, adapter=generator)
    monkeypatch.setattr(lora, "SHIPPED", tmp_path / "none.safetensors")
    with pytest.raises(TargetUnavailableError, match=r"no trained generator of LoRA is installed .*Train one"):
        generate_text(tiny, sentences, LABELS, CLASSES, {}, generator="lora")


@pytest.mark.parametrize("kept", [0, 7, 300, -1])
def test_a_damaged_generator_is_a_clear_error(kept, lora_file, tmp_path):
    path = tmp_path / "lora.safetensors"
    path.write_bytes(lora_file.read_bytes()[:kept])
    with pytest.raises(PackageError, match="the generator of LoRA can't be read"):
        LoraGenerator.read(path)


@pytest.mark.parametrize("examples", [True, False])
def test_a_package_is_built_with_it(
    examples, cli, lora_file, generator, tiny_encoder, questions, write_csv, monkeypatch, tmp_path
):
    monkeypatch.setattr(lora, "SHIPPED", lora_file)
    told = ("--data", write_csv(tmp_path / "q.csv", questions)) if examples else ("--classes", ",".join(CLASSES))
    options = ("--task", "route questions", *told, "--encoder", tiny_encoder, "--out", tmp_path / "m.edge")
    ran = cli("build", *options, "--generator", "lora", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["generator"]["name"], report["generator"]["chosen_by"]) == ("lora", "user")
    assert all(check["passed"] for check in report["checks"])
    manifest = json.loads((tmp_path / "m.edge" / "manifest.json").read_text())
    assert manifest["generator"]["adapter"] == generator.sha256
    assert "low-rank updates of the encoder's attention" in (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()
    assert cli("verify", tmp_path / "m.edge").code == 0
    tiny = TextEncoder.of(read_encoder(tiny_encoder, "tiny"))
    texts = [row["text"] for row in questions] if examples else []
    labels = np.array([sorted(CLASSES).index(row["label"]) for row in questions] if examples else [], np.int32)
    classes = tuple(sorted(CLASSES)) if examples else CLASSES
    made = generate_text(tiny, texts, labels, classes, {}, generator="lora", adapter=generator)
    said = ["my card is gone", "give the money back"]
    answers = modelgpt_edge.load(tmp_path / "m.edge").predict_proba(said)
    np.testing.assert_allclose(answers, made.head.probabilities(made.encoder.embed(said)), atol=1e-4)


def test_what_people_read_of_it(cli, lora_file, tiny_encoder, monkeypatch, tmp_path):
    options = ("--task", "route questions", "--classes", "a b,c d", "--encoder", tiny_encoder, "--out", tmp_path / "m.edge")
    monkeypatch.setattr(lora, "SHIPPED", lora_file)
    ran = cli("build", *options, "--generator", "lora")
    assert ran.code == 0, ran.err
    assert "Generator     lora (the encoder adapted to the task, then as the others)" in ran.out
    monkeypatch.setattr(lora, "SHIPPED", tmp_path / "none")
    ran = cli("build", *options, "--generator", "lora", "--force")
    assert ran.code == 4
    assert "no trained generator of LoRA is installed" in ran.err
