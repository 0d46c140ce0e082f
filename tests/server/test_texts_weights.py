"""Weights for texts over HTTP: what a build with LoRA makes, alone and in a batch, by workers and on a device."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from modelgpt_edge.adapted_file import ABOUT, PRECISIONS, read_adapted
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.text import lora
from modelgpt_edge.parameters.text.generate import TextGenerated, generate_text
from modelgpt_edge.parameters.text.lora import attention, describe_task
from modelgpt_edge.parameters.text.prior import word_prior

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[2]
CSV, PROFILE = {"Content-Type": "text/csv"}, {"Content-Type": "application/x-safetensors"}
TASK = {"task": "route bank support questions"}
NAMES = ("card lost", "refund", "exchange rate")
NAMED = {**TASK, "classes": ",".join(NAMES)}
SAID = ["my card is gone", "give me my money back", "how many yen is that"]


@pytest.fixture(scope="module")
def support() -> bytes:
    """Labelled questions."""
    return (ROOT / "examples" / "support.csv").read_bytes()


@pytest.fixture(scope="module")
def on_cpu(serve) -> Iterator:
    """A server on torch's CPU device."""
    with serve("--device", "torch-cpu", "--workers", "2", "--batch", "8") as serving:
        yield serving


def post(client: httpx.Client, body: bytes = b"", **options: str) -> httpx.Response:
    answer = client.post("/v1/parameters", params={**TASK, **options}, content=body, headers=CSV if body else {})
    assert answer.status_code == 200, answer.text
    return answer


def built(encoder: TextEncoder, body: bytes, classes: Sequence[str]) -> TextGenerated:
    """What a build with LoRA generates of a CSV of texts and labels, or of names."""
    return generate_text(encoder, *examples(body, classes), classes, {}, generator="lora")


def examples(body: bytes, classes: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Texts and class positions of a CSV, or of nothing."""
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    return [row["text"] for row in rows], np.array([classes.index(row["label"]) for row in rows], np.int32)


@pytest.mark.parametrize("shown", [False, True])
def test_workers_give_what_a_build_with_lora_makes_to_the_bit(shown, server, encoder, support):
    body = support if shown else b""
    with server.client() as client:
        answer = post(client, body, modality="text") if shown else post(client, classes=NAMED["classes"])
    assert answer.headers["content-type"] == "application/x-safetensors"
    read = read_adapted(answer.content, encoder)
    assert shown or read.classes == NAMES
    here = built(encoder, body, read.classes)
    for name, weight in here.encoder.weights.items():
        np.testing.assert_array_equal(read.encoder.weights[name], weight, err_msg=name)
    np.testing.assert_array_equal(read.head.weight, here.head.weight)
    np.testing.assert_array_equal(read.head.bias, here.head.bias)
    facts = json.loads(answer.headers["modelgpt-facts"])
    assert facts.items() >= {"modality": "text", "precision": "fp32", "encoder": "all-MiniLM-L6-v2"}.items()
    assert facts["rows"] == len(here.truth)
    assert facts["parameters"] == 24 * 384 * 384 + 385 * len(read.classes)
    assert ("score" in facts) == shown
    if shown:
        assert facts["score"]["value"] == here.scores.child.value


def test_the_answer_classifies_texts_and_says_which_encoder_it_is_for(server, encoder):
    with server.client() as client:
        content = post(client, **{"classes": NAMED["classes"], "class": "cash: take money out of a machine"}).content
    read = read_adapted(content, encoder)
    assert read.classes == (*NAMES, "cash")
    texts = [*SAID, "i want to take cash out of the machine"]
    assert read.head.logits(read.encoder.embed(texts)).argmax(1).tolist() == [0, 1, 2, 3]
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    told = json.loads(header["__metadata__"][ABOUT])
    assert told["encoder_sha256"] == encoder.files.sha256
    assert told["generator_sha256"] == lora.require_shipped().sha256
    own = set(encoder.files.weights())
    assert {name for name in load(content) if name.startswith("encoder.")} <= own, "transformers' names"
    for spoilt in (content[:-9], content[:100], b"", save({"x": np.ones(1)})):
        with pytest.raises(PackageError, match="can't be read"):
            read_adapted(spoilt, encoder)


def test_a_file_for_another_encoder_is_refused(server, encoder):
    with server.client() as client:
        content = post(client, classes=NAMED["classes"]).content
    other = TextEncoder(replace(encoder.files, length=99), encoder.weights)
    with pytest.raises(PackageError, match=r"adapted from another encoder.*all-MiniLM-L6-v2"):
        read_adapted(content, other)


@pytest.mark.parametrize(("where", "precision"), [("server", "fp16"), ("server", "int8"), ("on_cpu", "int8")])
def test_less_precise_weights_are_near_and_their_head_is_solved_on_them(where, precision, request, encoder, support):
    with request.getfixturevalue(where).client() as client:
        content = post(client, support, modality="text", precision=precision).content
    read, arrays = read_adapted(content, encoder), load(content)
    assert len(content) < 14_163_700 * PRECISIONS[precision] / 4 + 100_000
    texts, labels = examples(support, read.classes)
    task = describe_task(word_prior(encoder, read.classes, {}), encoder.embed(texts))
    exact = lora.require_shipped().adapt(encoder, task)
    for layer in range(encoder.files.shape.layers):
        for mine, theirs in zip(attention(read.encoder, layer), attention(exact, layer)):
            step = np.abs(theirs).max(0) / 127 if precision == "int8" else np.abs(theirs) * 2.0**-10 + 2.0**-24
            assert (np.abs(mine - theirs) <= 0.51 * step + 1e-6).all()
    name = "encoder.layer.3.attention.self.key.weight"
    assert arrays[name].dtype == {"fp16": np.float16, "int8": np.int8}[precision]
    assert (f"{name}_scale" in arrays) == (precision == "int8")
    again = generate_text(read.encoder, texts, labels, read.classes, {}, generator="floor")
    np.testing.assert_array_equal(read.head.weight, again.head.weight)


def test_on_a_device_the_bits_are_the_same_alone_and_in_a_batch_and_near_to_numpys(on_cpu, encoder, support, profile):
    asked = [
        (b"", {"classes": NAMED["classes"]}),
        (b"", {"classes": "good,bad,so so", "precision": "int8"}),
        (b"", {"classes": "a b,c d", "class": "e f: what is neither", "precision": "fp16"}),
        (b"", {"classes": "a b,c d"}),
        (support, {"modality": "text", "precision": "int8"}),
    ]

    async def together() -> tuple[list[httpx.Response], httpx.Response]:
        async with httpx.AsyncClient(base_url=on_cpu.url, timeout=100) as client:
            table = client.post("/v1/parameters", params={"units": "640"}, content=profile(1), headers=PROFILE)
            posts = [client.post("/v1/parameters", params={**TASK, **o}, content=b, headers=CSV if b else {}) for b, o in asked]
            with on_cpu.held():
                sent = asyncio.gather(*posts, table)
                while (await client.get("/healthz")).json()["accepted"] < len(posts) + 1:
                    await asyncio.sleep(0.02)
            *texts, other = await sent
            return texts, other

    texts, other = asyncio.run(together())
    assert {a.status_code for a in (*texts, other)} == {200}, [a.text for a in texts]
    assert max(int(a.headers["modelgpt-batch"]) for a in texts) > 1
    assert other.headers["modelgpt-batch"] == "1", "a launch holds one kind"
    assert len({a.content for a in texts}) == len(asked)
    with on_cpu.client() as client:
        for (body, options), batched in zip(asked, texts):
            alone = post(client, body, **options)
            assert alone.headers["modelgpt-batch"] == "1"
            assert alone.content == batched.content
        assert (
            client.post("/v1/parameters", params={"units": "640"}, content=profile(1), headers=PROFILE).content == other.content
        )
    read = read_adapted(texts[0].content, encoder)
    here = built(encoder, b"", read.classes)
    for name, weight in here.encoder.weights.items():
        np.testing.assert_allclose(read.encoder.weights[name], weight, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(read.head.weight, here.head.weight, atol=1e-4)


def test_only_the_devices_process_has_torch(on_cpu):
    with on_cpu.client() as client:
        post(client, classes=NAMED["classes"])
    maps = ["libtorch" in Path(f"/proc/{pid}/maps").read_text() for pid in (on_cpu.process.pid, *on_cpu.workers())]
    assert maps[0] is False
    assert sum(maps) == 1
