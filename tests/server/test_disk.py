"""Room on the disk: what would fill it is refused, what finds it full is told, and the server goes on."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
from fastapi import Request

from modelgpt_edge.server.archive import write_files
from modelgpt_edge.server.bodies import UploadLimits, _file_name, save_body
from modelgpt_edge.server.disk import RESERVE, writing
from modelgpt_edge.server.errors import RequestError

MEGABYTE = 1 << 20
CSV, TASK = {"Content-Type": "text/csv"}, {"task": "predict the outcome"}
# A disk of its own, in the memory of a namespace that ends with the server.
WITHIN = ("unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size="$SIZE" none "$TMPDIR" && exec "$@"', "sh")


def _namespaces() -> bool:
    return (
        shutil.which("unshare") is not None and subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0
    )


@pytest.fixture(scope="module")
def tight(serve, tmp_path_factory):
    """A server with thirty megabytes for uploads."""
    if not _namespaces():
        pytest.skip("a small disk needs user namespaces, which Debian gives and some containers do not")
    folder, size = tmp_path_factory.mktemp("disk"), str(RESERVE + 30 * MEGABYTE)
    with serve("--workers", "1", within=WITHIN, TMPDIR=str(folder), SIZE=size) as serving:
        yield serving


def test_an_upload_that_would_fill_the_disk_is_refused_before_it_is_read(tight):
    lines = ["POST /v1/parameters?task=predict+x HTTP/1.1", "Host: localhost", "Content-Type: text/csv"]
    with tight.connect() as wire:
        wire.sendall("\r\n".join([*lines, f"Content-Length: {40 * MEGABYTE}", "", "a,b"]).encode())
        answer = wire.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 507")
    assert b"the server's disk is full" in answer
    assert b"TMPDIR" in answer


@pytest.mark.parametrize("route", ["/v1/parameters", "/v1/build", "/v1/refit"])
def test_an_upload_that_tells_no_length_is_refused_when_the_disk_is_near_its_end(route, tight, csv):
    head = b'--x\r\nContent-Disposition: form-data; name="data"; filename="a.csv"\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    for headers, begin in ((CSV, b"a,b\n"), (form, head)):
        if (route, headers) not in (("/v1/parameters", form), ("/v1/refit", CSV)):
            with tight.client() as client:
                content = iter([begin, *[b"1,2\n" * (MEGABYTE // 4)] * 40])
                answer = client.post(route, params=TASK if route != "/v1/refit" else {}, content=content, headers=headers)
                assert answer.status_code == 507, answer.text
                assert answer.json()["error"] == "the server's disk is full"
                assert "/tmp" not in answer.text
    with tight.client() as client:
        assert client.post("/v1/parameters", params=TASK, content=csv, headers=CSV).status_code == 200


def test_build_server_takes_a_full_disk_for_a_server_that_cannot_now(tight, cli, tmp_path):
    (tmp_path / "table.csv").write_bytes(b"a,outcome\n" + b"1,x\n2,y\n" * (5 * MEGABYTE))
    options = ("--task", TASK["task"], "--data", tmp_path / "table.csv", "--server", tight.url)
    ran = cli("build", *options, "--out", tmp_path / "m.edge")
    assert ran.code == 1
    assert "the server can't do it now" in ran.err
    assert "507: the server's disk is full" in ran.err
    assert "--fallback" in ran.err


def _request(body: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/x-tar")]}, receive)


def test_a_disk_that_is_full_all_the_same_is_told(tmp_path):
    (tmp_path / "body").symlink_to("/dev/full")

    async def save() -> None:
        with writing():
            await save_body(_request(b"x" * 100_000), tmp_path, UploadLimits(MEGABYTE, 60), lambda size: None)

    with pytest.raises(RequestError, match="the server's disk is full") as refused:
        asyncio.run(save())
    assert refused.value.status == 507


def test_a_full_disk_is_told_when_an_archive_is_unpacked(tmp_path):
    (tmp_path / "a").symlink_to("/dev/full")
    with pytest.raises(RequestError, match="the server's disk is full"), writing():
        write_files(tmp_path, [("a", b"x" * 100_000)])


def test_other_faults_of_the_disk_are_none_of_this(tmp_path):
    with pytest.raises(FileNotFoundError), writing():
        Path(tmp_path / "nowhere" / "a").write_bytes(b"x")


@pytest.mark.parametrize("name", ["table.safetensors", "rows.parquet", "a.csv.gz", "x.jsonl"])
def test_a_file_keeps_its_whole_ending(name):
    assert _file_name(name, Path(name).suffix) == name
