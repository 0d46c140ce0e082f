"""Memory: an upload that unpacks to more than a worker may take ends as an answer, and the next one is served."""

from __future__ import annotations

import gzip
import io
import resource
import subprocess
import sys

import numpy as np
import pytest

from modelgpt_edge.server.memory import LEAST, fair_share, machine_memory

PROFILE = {"Content-Type": "application/x-safetensors"}
MEGABYTE = 1 << 20
LIMIT = 96 * MEGABYTE


def _gzip(*blocks: bytes) -> bytes:
    """Blocks packed one by one, so that many equal ones cost little time."""
    packed = {block: gzip.compress(block, 6, mtime=0) for block in set(blocks)}
    return b"".join(packed[block] for block in blocks)


def _dictionary_parquet() -> bytes:
    """A column of a megabyte's text, a thousand times over, in some kilobytes."""
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.DictionaryArray.from_arrays(np.zeros(1000, np.int32), pyarrow.array(["x" * MEGABYTE]))
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": text, "outcome": np.arange(1000) % 2}), out, compression="zstd")
    return out.getvalue()


def _runs_parquet() -> bytes:
    """Lists of a million numbers each, all the same."""
    import pyarrow
    from pyarrow import parquet

    lists = pyarrow.ListArray.from_arrays(np.arange(0, 41) * 10**6, np.zeros(40 * 10**6, np.int64))
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"lists": lists, "outcome": np.arange(40) % 2}), out, compression="zstd")
    return out.getvalue()


BOMBS = {
    "one line": ("application/gzip", lambda: _gzip(b"a,outcome\n", *[b"x" * MEGABYTE] * 400)),
    "one cell": ("application/gzip", lambda: _gzip(b'a,outcome\n"', *[b"x" * MEGABYTE] * 400, b'",1\n')),
    "columns": (
        "application/gzip",
        lambda: _gzip(*[b"a," * (MEGABYTE // 2)] * 40, b"outcome\n", *[b"1," * (MEGABYTE // 2)] * 40),
    ),
    "JSON": ("application/gzip", lambda: _gzip(b"[", *[b"{}," * (MEGABYTE // 4)] * 40, b"{}]")),
    "dictionary": ("application/vnd.apache.parquet", _dictionary_parquet),
    "runs": ("application/vnd.apache.parquet", _runs_parquet),
}


@pytest.fixture(scope="module")
def narrow(serve):
    with serve("--workers", "1", "--worker-memory", str(LIMIT)) as serving:
        yield serving


@pytest.mark.parametrize("case", BOMBS)
def test_an_upload_that_unpacks_to_too_much_is_told_and_the_next_is_served(case, narrow, profile, until):
    kind, made = BOMBS[case]
    body = made()
    assert len(body) < 2 * MEGABYTE
    with narrow.client() as client:
        answer = client.post(
            "/v1/parameters", params={"task": "predict the outcome"}, content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"] == "the server ran out of memory"
        assert "--worker-memory" in answer.json()["cure"]
        assert int(answer.headers["Retry-After"]) >= 1
        until(lambda: client.get("/healthz").status_code == 200)
        answer = client.post("/v1/parameters", params={"units": "20"}, content=profile(), headers=PROFILE)
        assert answer.status_code == 200, answer.text


def test_a_table_too_large_for_a_worker_is_told(narrow, profile):
    with narrow.client() as client:
        body = profile(rows=20_000, columns=200)
        answer = client.post("/v1/parameters", params={"draws": "4"}, content=body, headers=PROFILE)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"] == "the server ran out of memory"


def test_a_build_has_a_limit_as_well(narrow):
    kind, made = BOMBS["one line"]
    with narrow.client() as client:
        answer = client.post(
            "/v1/build", params={"task": "predict the outcome"}, content=made(), headers={"Content-Type": kind}
        )
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"] == "the server ran out of memory"


def test_every_worker_has_the_limit(narrow, until):
    until(lambda: len(narrow.workers()) >= 1)
    for worker in narrow.workers():
        assert LIMIT < resource.prlimit(worker, resource.RLIMIT_DATA)[0] < LIMIT + 512 * MEGABYTE


def test_the_shares_fit_the_machine():
    memory = machine_memory()
    for workers in (1, 2, 8):
        assert LEAST <= fair_share(workers) <= max(LEAST, memory // (2 * workers))


def test_the_limit_is_counted_from_what_is_held():
    code = """if True:
        from modelgpt_edge.server.memory import limit_memory
        held = bytearray(300 << 20)
        limit_memory(100 << 20)
        more = bytearray(60 << 20)
        try:
            bytearray(60 << 20)
        except MemoryError:
            print("short")
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "short\n", ran.stderr
