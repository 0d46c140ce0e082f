"""What must be refused: each with a status, a reason and a cure, and the server goes on."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random

import numpy as np
import pytest
from safetensors.numpy import save

from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Refused, RowsJob

CSV = {"Content-Type": "text/csv"}
PROFILE = {"Content-Type": "application/x-safetensors"}
QUICK = {"units": "20"}  # a model of hundredths of a second
TASK = {"task": "predict the outcome"}
F32 = np.float32
ROWS, TWO = np.zeros((6, 2), F32), np.eye(2, dtype=F32)[[0, 1, 0, 1, 0, 1]]
PROFILES = {
    "no safetensors": (b"not safetensors at all", "this is no safetensors file"),
    "a header that lies": (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "this is no safetensors file"),
    "cut short": (save({"encoded": ROWS, "targets": TWO})[:-9], "this is no safetensors file"),
    "a tensor is absent": (save({"encoded": ROWS}), "the profile lacks a tensor"),
    "NaN": (save({"encoded": np.full((6, 2), np.nan, F32), "targets": TWO}), "a value is no finite number"),
    "other rows": (save({"encoded": ROWS[:5], "targets": TWO}), "a profile's arrays don't fit together"),
    "other type": (save({"encoded": ROWS.astype(np.float64), "targets": TWO}), "a profile's arrays don't fit together"),
    "one dimension": (save({"encoded": ROWS[:, 0].copy(), "targets": TWO}), "a profile's arrays don't fit together"),
    "no dimension": (save({"encoded": np.array(1, F32), "targets": TWO}), "a profile's arrays don't fit together"),
    "one row": (save({"encoded": ROWS[:1], "targets": TWO[:1]}), "this is too few or too many"),
    "not one-hot": (save({"encoded": ROWS, "targets": TWO * F32(2)}), "the targets are not one-hot"),
    "wrong owners": (
        save({"encoded": ROWS, "targets": TWO, "owners": np.arange(3)}),
        "the owners don't fit the encoded columns",
    ),
    "an owner below none": (
        save({"encoded": ROWS, "targets": TWO, "owners": np.array([0, -1])}),
        "an owner is no column's number",
    ),
}


@pytest.mark.parametrize("case", PROFILES)
def test_a_malformed_profile_is_refused(case, server):
    body, what = PROFILES[case]
    with server.client() as client:
        answer = client.post("/v1/parameters", params=QUICK, content=body, headers=PROFILE)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"] == what
    assert answer.json()["cure"]
    assert "/tmp" not in answer.text, "a path of the server shows"


@pytest.mark.parametrize(
    ("option", "value"), [("task", "predict it"), ("label", "y"), ("kind", "regression"), ("score", "true")]
)
def test_a_profile_takes_no_option_of_rows(option, value, server, profile):
    with server.client() as client:
        answer = client.post("/v1/parameters", params={**QUICK, option: value}, content=profile(), headers=PROFILE)
    assert (answer.status_code, answer.json()["where"]) == (422, option), answer.text
    assert answer.json()["error"] == "this option is for rows, and a profile has none"


def test_rows_without_a_label_are_told(server):
    rows = "a,b,y\n" + "".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}\n" for i in range(40)) + "2,3,\n"
    with server.client() as client:
        answer = client.post("/v1/parameters", params={"task": "predict y", "units": "20"}, content=rows, headers=CSV)
    facts = json.loads(answer.headers["modelgpt-facts"])
    assert (facts["rows"], facts["notes"]) == (40, ["1 of 41 rows have no usable label and are left out"])


@pytest.mark.parametrize(
    ("body", "kind", "status", "what"),
    [
        (b"PAR1 and then nothing", "application/vnd.apache.parquet", 422, "the Parquet file is damaged or cut short"),
        (b"a,b\n", "text/csv", 422, "the table has no data rows"),
        (b"\x1f\x8b\x08broken", "application/gzip", 422, None),
        (b"a,outcome\n1,x\n2,x\n", "text/csv", 422, None),
        (b"", "text/csv", 400, "the body is empty"),
        (b"a,b\n1,2\n", "application/x-www-form-urlencoded", 415, "a body of this type isn't taken"),
        (b"a,b\n1,2\n", "", 415, "a body of this type isn't taken"),
        (b"a,b\n1,2\n", "application/octet-stream", 415, "a body of this type isn't taken"),
    ],
)
def test_bad_rows_are_refused(body, kind, status, what, server):
    with server.client() as client:
        answer = client.post("/v1/parameters", params=TASK, content=body, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"error", "where", "seen", "cure", "code"}
    assert told["code"] == 1
    assert what is None or told["error"] == what
    assert told["cure"]
    assert "/tmp" not in answer.text, "a path of the server shows"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, "task"),
        ({**TASK, "label": "nope"}, None),
        ({**TASK, "kind": "clustering"}, None),
        ({**TASK, "draws": "3"}, "draws"),
        ({**TASK, "draws": "many"}, "draws"),
        ({**TASK, "units": "7"}, "units"),
        ({**TASK, "units": "1000000"}, "units"),
        ({**TASK, "seed": "-1"}, "seed"),
        ({**TASK, "sed": "1"}, "query"),
        ({**TASK, "draws": ["1", "2"]}, "draws"),
        ({**TASK, "text": ["a", "b"]}, "text"),
    ],
)
def test_bad_options_are_refused(options, where, server, csv):
    with server.client() as client:
        answer = client.post("/v1/parameters", params=options, content=csv, headers=CSV)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error", "where", "seen", "cure", "code"}
    assert where is None or answer.json()["where"] == where
    assert answer.json()["cure"]


def test_a_build_without_a_task_says_what_is_missing(server, csv):
    with server.client() as client:
        answer = client.post("/v1/build", content=csv, headers=CSV)
    cure = "Give task: What the model shall do, in a sentence; limits and devices named in it count."
    told = {"error": "an option is missing", "where": "task", "seen": "", "cure": cure, "code": 1}
    assert (answer.status_code, answer.json()) == (422, told)


def test_unknown_routes_and_methods_are_told_in_the_same_words(server):
    asked = [
        ("GET", "/v2/nothing", 404, "there is no such route", "See /docs for the routes.", None),
        ("GET", "/v1/parameters", 405, "this route doesn't take this method", "Use POST.", "POST"),
        ("DELETE", "/v1/targets", 405, "this route doesn't take this method", "Use GET.", "GET"),
    ]
    with server.client() as client:
        for method, route, status, error, cure, allowed in asked:
            answer = client.request(method, route)
            assert answer.status_code == status
            seen = "" if allowed is None else method
            assert answer.json() == {"error": error, "where": route, "seen": seen, "cure": cure, "code": 1}
            assert answer.headers.get("Allow") == allowed


@pytest.mark.parametrize("route", ["/v1/parameters", "/v1/build", "/v1/refit"])
def test_a_request_without_a_body_is_told_so_whatever_its_type(route, server):
    options = {} if route == "/v1/refit" else TASK
    with server.client() as client:
        for headers in ({}, CSV, {"Content-Type": "text/html"}):
            answer = client.post(route, params=options, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (400, "the body is empty"), answer.text
            assert answer.json()["cure"].startswith("Send ")


def _head(length: int | str, kind: str = "text/csv") -> bytes:
    size = f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}"
    return f"POST /v1/parameters?task=predict+x HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{size}\r\n\r\n".encode()


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server):
    with server.connect() as wire:
        wire.sendall(_head(1 << 30) + b"a,b\n")
        answer = wire.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"the body is too long" in answer
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    ("route", "kind"), [("/v1/build", "text/html"), ("/v1/build", PROFILE["Content-Type"]), ("/v1/refit", "text/csv")]
)
def test_a_type_that_a_route_does_not_take_is_refused(route, kind, server, csv):
    with server.client() as client:
        options = TASK if route == "/v1/build" else {}
        answer = client.post(route, params=options, content=csv, headers={"Content-Type": kind})
    assert answer.status_code == 415, answer.text
    assert answer.json()["error"] == "a body of this type isn't taken"


@pytest.fixture(scope="module")
def parquet(patients) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(patients), out)
    return out.getvalue()


def test_packed_rows_that_are_cut_short_are_refused(server, csv, parquet):
    packed = gzip.compress(csv)
    cases = (("application/gzip", packed[:-20]), ("application/vnd.apache.parquet", parquet[:-20]))
    with server.client() as client:
        for kind, body in cases:
            answer = client.post("/v1/parameters", params=TASK, content=body, headers={"Content-Type": kind})
            assert answer.status_code == 422, answer.text
            assert "damaged or cut short" in answer.json()["error"]


def test_damage_in_a_parquet_file_is_never_the_servers_fault(parquet, tmp_path):
    """A few bytes changed, a hundred times over: weights, or the reason why not."""
    statuses = set()
    for seed in range(100):
        draw, body = random.Random(seed), bytearray(parquet)
        for _ in range(draw.randint(1, 3)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        (tmp_path / "rows.parquet").write_bytes(body)
        with contextlib.suppress(MemoryError):
            result = do(RowsJob(tmp_path / "rows.parquet", TASK["task"], "outcome", units=0))
            statuses.add(result.status if isinstance(result, Refused) else 200)
    assert statuses == {200, 422}


def test_a_parquet_file_with_fewer_rows_than_it_says_is_refused(parquet, tmp_path):
    """Sixty rows, which its end tells in several places as the byte 120: in one of them it is the whole file's."""
    reasons = set()
    for place in (n for n in range(len(parquet) // 2, len(parquet)) if parquet[n] == 120):
        (tmp_path / "rows.parquet").write_bytes(parquet[:place] + bytes([122]) + parquet[place + 1 :])
        result = do(RowsJob(tmp_path / "rows.parquet", TASK["task"], "outcome", units=0))
        if isinstance(result, Refused):
            assert result.status == 422
            reasons.add(result.error["seen"])
    assert "60 rows instead of 61" in reasons


def test_an_upload_that_is_cut_short_is_forgotten(server, csv, until):
    before = server.metric("modelgpt_requests_total", route="/v1/parameters", status="499")
    for _ in range(3):
        with server.connect() as wire:
            wire.sendall(_head(len(csv) + 1000) + csv)
    until(lambda: server.metric("modelgpt_requests_total", route="/v1/parameters", status="499") == before + 3)
    with server.client() as client:
        assert client.post("/v1/parameters", params=TASK, content=csv, headers=CSV).status_code == 200
    assert server.metric("modelgpt_accepted") == 0


@pytest.mark.parametrize("route", ["/v1/build", "/v1/refit"])
def test_a_form_that_is_cut_short_is_forgotten(route, server, csv, until):
    part = b'--x\r\nContent-Disposition: form-data; name="data"; filename="a.csv"\r\n\r\n' + csv
    lines = [f"POST {route}?{'task=predict+x' if route == '/v1/build' else ''} HTTP/1.1", "Host: localhost"]
    lines += ["Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(part) + 1000}", "", ""]
    before = server.metric("modelgpt_requests_total", route=route, status="499")
    with server.connect() as wire:
        wire.sendall("\r\n".join(lines).encode() + part)
    until(lambda: server.metric("modelgpt_requests_total", route=route, status="499") == before + 1)
