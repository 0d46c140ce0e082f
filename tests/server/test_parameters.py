"""Weights over HTTP: equal to what is emitted here, alone and in a batch, and never NaN."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from modelgpt_edge.child_file import read_child
from modelgpt_edge.data.profile import profile as profile_of
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import open_table
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.prepare import encode
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.rules import write_requirement

CSV = {"Content-Type": "text/csv"}
PROFILE = {"Content-Type": "application/x-safetensors"}
QUICK = {"units": "20"}  # a model of hundredths of a second
TASK = {"task": "predict the outcome"}


def _child(content: bytes, folder: Path):
    (folder / "child.safetensors").write_bytes(content)
    return read_child(folder / "child.safetensors")


def test_rows_give_a_child_that_predicts_them(server, csv, patients, tmp_path):
    with server.client() as client:
        answer = client.post("/v1/parameters", params=TASK, content=csv, headers=CSV)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-safetensors"
    facts = json.loads(answer.headers["modelgpt-facts"])
    assert facts.items() >= {"label": "outcome", "kind": "classification", "rows": 60}.items()
    assert float(answer.headers["modelgpt-seconds"]) > 0
    child = _child(answer.content, tmp_path)
    assert child.units.count == facts["units"]
    numbers = {name: np.array([row[name] for row in patients], np.float32) for name in ("age", "weight")}
    words = {"city": np.array([row["city"] for row in patients], object)}
    encoded = child.encoder.encode(*child.encoder.pack(numbers, words, len(patients)))
    said = [child.classes[place] for place in child.outputs(encoded).argmax(1)]
    assert np.mean([s == row["outcome"] for s, row in zip(said, patients)]) > 0.85


def test_with_a_score_the_child_is_the_builds_own(server, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    source = open_source(tmp_path / "table.csv")
    facts = profile_of(source, 3)
    schema = write_requirement(Request(TASK["task"], source), facts).schema
    table = open_table(source, facts, schema)
    here = generate(table, (40,), 2, 3)
    with server.client() as client:
        options = {**TASK, "units": "40", "draws": "2", "seed": "3", "score": "true"}
        answer = client.post("/v1/parameters", params=options, content=csv, headers=CSV)
    there = _child(answer.content, tmp_path)
    encoded = encode(here.child.encoder, table.sample)
    assert there.scores(encoded).tobytes() == here.child.scores(encoded).tobytes()
    told = json.loads(answer.headers["modelgpt-facts"])["score"]
    assert told["value"] == pytest.approx(here.scores.child.value)


@pytest.mark.parametrize(
    "kind", ["application/x-ndjson", "application/vnd.apache.parquet", "application/octet-stream", "text/csv"]
)
def test_every_kind_of_table_gives_the_same_weights(kind, server, csv, patients, tmp_path):
    headers = {"Content-Type": kind}
    if kind == "application/x-ndjson":
        body = "\n".join(json.dumps(row) for row in patients).encode()
    elif kind == "text/csv":
        body = b"\xef\xbb\xbf" + csv  # as Excel saves it
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(patients), tmp_path / "rows.parquet")
        body = (tmp_path / "rows.parquet").read_bytes()
        headers["Content-Disposition"] = 'attachment; filename="../up/rows.parquet"'
    with server.client() as client:
        plain = client.post("/v1/parameters", params={**TASK, **QUICK}, content=csv, headers=CSV)
        other = client.post("/v1/parameters", params={**TASK, **QUICK}, content=body, headers=headers)
    assert other.status_code == 200, other.text
    assert other.content == plain.content


def test_a_profile_gives_units_and_head_that_tell_its_classes(server, profile):
    body = profile(seed=5, rows=200)
    with server.client() as client:
        answer = client.post("/v1/parameters", params=QUICK, content=body, headers=PROFILE)
    assert answer.status_code == 200, answer.text
    given, tensors = load(body), load(answer.content)
    assert "encoder.median" not in tensors
    from modelgpt_edge.child import Units

    units = Units(**{name.removeprefix("units."): a for name, a in tensors.items() if name.startswith("units.")})
    assert units.count == 20
    features = np.concatenate([given["encoded"], units.activate(given["encoded"])], axis=1)
    logits = features @ tensors["head_weight"] + tensors["head_bias"]
    assert (logits.argmax(1) == given["targets"].argmax(1)).mean() > 0.97


def test_alone_and_in_a_batch_the_bits_are_the_same(server, csv, profile):
    jobs = [(PROFILE, profile(seed, 30 + 7 * seed, 2 + seed % 5), {**QUICK, "seed": str(seed % 3)}) for seed in range(14)]
    jobs += [(CSV, csv, {**TASK, "seed": str(seed)}) for seed in range(4)]
    with server.client() as client:
        alone = [client.post("/v1/parameters", params=p, content=body, headers=h) for h, body, p in jobs]

    async def together() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            asked = [client.post("/v1/parameters", params=p, content=body, headers=h) for h, body, p in [*jobs, *jobs]]
            with server.held():
                sent = asyncio.gather(*asked)
                while (await client.get("/healthz")).json()["accepted"] < len(asked):
                    await asyncio.sleep(0.02)
            return await sent

    batched = asyncio.run(together())
    assert {a.headers["modelgpt-batch"] for a in alone} == {"1"}
    assert max(int(a.headers["modelgpt-batch"]) for a in batched) > 4
    assert len({a.content for a in alone}) == len(jobs), "different requests must have different weights"
    for single, first, second in zip(alone, batched, batched[len(jobs) :]):
        assert single.content == first.content == second.content


@pytest.mark.parametrize("scale", [1e20, 1e37])
def test_weights_that_are_not_finite_are_never_sent_out(scale, server, profile):
    with server.client() as client:
        answer = client.post("/v1/parameters", params=QUICK, content=profile(scale=scale), headers=PROFILE)
    assert answer.status_code == 500
    told = answer.json()
    assert told["error"] == "the weights hold NaN or infinity and are not sent out"
    assert told["code"] == 3
    assert "rescale" in told["cure"]
