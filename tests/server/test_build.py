"""Packages over HTTP: the local build's own bytes, progress in order, and refusals in the command line's words."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

import modelgpt_edge
from modelgpt_edge.server.archive import read_tar

CSV = {"Content-Type": "text/csv"}
EVENTS = {**CSV, "Accept": "text/event-stream"}
OPTIONS = {"task": "predict the outcome", "draws": "1", "target": "jetson"}
# What may differ from build to build: measured times.
MEASURED = "checks.json"


@pytest.fixture(scope="module")
def local(csv, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    (folder / "table.csv").write_bytes(csv)
    built = modelgpt_edge.build(
        "predict the outcome", folder / "table.csv", draws=1, target="jetson", out=folder / "local.edge"
    )
    return built.path


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != MEASURED}


def _events(server, options: dict[str, str], csv: bytes) -> list[tuple[str, dict]]:
    with server.client() as client, client.stream("POST", "/v1/build", params=options, content=csv, headers=EVENTS) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = answer.read().decode()
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in blocks]


def test_the_tar_holds_the_local_builds_bytes(server, csv, local):
    with server.client() as client:
        answer = client.post("/v1/build", params=OPTIONS, content=csv, headers=CSV)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-tar"
    assert sha256(answer.content).hexdigest() == answer.headers["modelgpt-sha256"]
    files = dict(read_tar(io.BytesIO(answer.content), 1 << 24))
    assert files.pop(MEASURED)
    assert files == _files(local)


def test_events_tell_the_stages_in_order_and_then_where_the_package_is(server, csv, local):
    events = _events(server, OPTIONS, csv)
    assert [kind for kind, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    stages = list(dict.fromkeys(values["stage"] for kind, values in events if kind == "progress"))
    assert stages == ["reading", "scoring sizes", "generating", "cross-validating", "compiling", "writing"]
    shares = [values["share"] for kind, values in events if kind == "progress" and values["stage"] == "cross-validating"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    kind, package = events[-1]
    assert kind == "package"
    assert package["report"]["requirement"]["classes"] == ["ill", "well"]
    assert "/tmp" not in json.dumps(package), "a path of the server shows"
    for _ in range(2):
        content = httpx.get(server.url + package["url"], timeout=60).content
        assert sha256(content).hexdigest() == package["sha256"]
        assert len(content) == package["bytes"]
    files = dict(read_tar(io.BytesIO(content), 1 << 24))
    assert files.pop(MEASURED)
    assert files == _files(local)
    missing = httpx.get(f"{server.url}/v1/packages/{package['id'][:-1]}", timeout=60)
    assert missing.status_code == 404
    assert "Build it again" in missing.json()["cure"]


REFUSED = {
    "no label": ({"label": "nope"}, 422, 1),
    "no target": ({"target": "toaster"}, 422, 1),
    "no fit": ({"max_flash": "100"}, 422, 5),
    "no size": ({"max_flash": "much"}, 422, 1),
    "no backend": ({"target": "rtx", "backend": "tvm"}, 501, 4),
    "no draws": ({"draws": "3"}, 422, 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_build_says_why(case, server, csv):
    options, status, code = REFUSED[case]
    with server.client() as client:
        answer = client.post("/v1/build", params={**OPTIONS, **options}, content=csv, headers=CSV)
        assert answer.status_code == status, answer.text
        assert answer.json()["code"] == code
        assert answer.json()["error"]
        assert answer.json()["cure"]
        if case != "no size":  # which is refused before there is a stream
            kind, told = _events(server, {**OPTIONS, **options}, csv)[-1]
            assert kind == "error"
            assert told == {**answer.json(), "status": status}


@pytest.fixture
def remote(server, cli):
    """`build --server` of a table."""

    def build(data: Path, *options: str | Path, url: str = server.url):
        common = ("--task", "predict the outcome", "--draws", "1", "--target", "jetson", "--data", data)
        return cli("build", *common, "--server", url, *options)

    return build


def test_build_server_writes_what_a_local_build_does(remote, csv, local, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_bytes(csv)
    ran = remote(Path("table.csv"), "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["package"] == "table.edge"
    assert [line.removesuffix(" ...") for line in ran.err.splitlines()] == [
        *("uploading", "reading", "scoring sizes", "generating", "cross-validating", "compiling", "writing", "fetching")
    ]
    assert _files(tmp_path / "table.edge") == _files(local)
    assert modelgpt_edge.load("table.edge", "model").predict({"age": 41, "weight": 70, "city": "Rome"})
    again = remote(Path("table.csv"))
    assert again.code == 1
    assert "--force" in again.err
    forced = remote(Path("table.csv"), "--force")
    assert forced.code == 0
    assert "Package       table.edge in" in forced.out


def test_test_rows_go_along(remote, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    (tmp_path / "fresh rows.csv").write_bytes(csv)
    ran = remote(tmp_path / "table.csv", "--test", tmp_path / "fresh rows.csv", "--out", tmp_path / "m.edge", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["score"]["rows"] == 60
    assert "fresh" in json.loads(ran.out)["score"]["method"]


def test_who_is_refused_is_told_so_and_nothing_falls_back(remote, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    for options, code, words in (
        (("--label", "nope"), 1, "nope"),
        (("--max-flash", "100"), 5, "flash"),
        (("--data", "nowhere.csv"), 1, "nowhere.csv"),
    ):
        ran = remote(tmp_path / "table.csv", *options, "--fallback", "--out", tmp_path / "m.edge")
        assert ran.code == code, ran.err
        assert words in ran.err
        assert "WARNING" not in ran.err
        assert not (tmp_path / "m.edge").exists()


def test_a_server_that_is_not_there_is_an_error_or_loudly_a_local_build(remote, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    nobody = "http://127.0.0.1:9"
    ran = remote(tmp_path / "table.csv", "--out", tmp_path / "m.edge", url=nobody)
    assert ran.code == 1
    assert "the server can't do it now" in ran.err
    assert "--fallback" in ran.err
    assert not (tmp_path / "m.edge").exists()
    ran = remote(tmp_path / "table.csv", "--out", tmp_path / "m.edge", "--fallback", url=nobody)
    assert ran.code == 0, ran.err
    assert "WARNING: NOT BUILT ON THE SERVER, building on this machine instead" in ran.err
    assert (tmp_path / "m.edge" / "manifest.json").is_file()


@pytest.mark.parametrize("url", ["ftp://here", "http://", "http://here:port"])
def test_what_is_no_url_is_refused(url, remote, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    ran = remote(tmp_path / "table.csv", "--out", tmp_path / "m.edge", "--fallback", url=url)
    assert ran.code == 1
    assert "this is no server's URL" in ran.err


def test_fallback_and_dry_run_go_with_a_server_or_without(cli, remote, csv, tmp_path):
    (tmp_path / "table.csv").write_bytes(csv)
    ran = cli("build", "--task", "predict the outcome", "--data", tmp_path / "table.csv", "--fallback")
    assert (ran.code, "--fallback" in ran.err) == (1, True)
    ran = remote(tmp_path / "table.csv", "--dry-run")
    assert (ran.code, "--dry-run" in ran.err) == (1, True)


def test_the_token_goes_along_and_a_wrong_one_is_told(serve, cli, csv, tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_bytes(csv)
    (tmp_path / "token").write_text("secret-words\n", encoding="utf-8")
    (tmp_path / "wrong").write_text("other-words\n", encoding="utf-8")
    common = ("build", "--task", "predict the outcome", "--draws", "1", "--data", tmp_path / "table.csv")
    with serve("--workers", "1", "--max-body", "100kB", "--token-file", str(tmp_path / "token")) as serving:
        for options in ((), ("--token-file", tmp_path / "wrong")):
            ran = cli(*common, "--server", serving.url, "--fallback", *options, "--out", tmp_path / "no.edge")
            assert ran.code == 1, ran.err
            assert "the token is missing or wrong" in ran.err
            assert "WARNING" not in ran.err
        ran = cli(*common, "--server", serving.url, "--token-file", tmp_path / "token", "--out", tmp_path / "a.edge")
        assert ran.code == 0, ran.err
        monkeypatch.setenv("MODELGPT_EDGE_TOKEN", "secret-words\n")
        ran = cli(*common, "--server", serving.url, "--out", tmp_path / "b.edge")
        assert ran.code == 0, ran.err
        # Refused while it is still being sent: the reason must come through.
        (tmp_path / "table.csv").write_bytes(csv + csv.partition(b"\n")[2] * 20_000)
        ran = cli(*common, "--server", serving.url, "--fallback", "--out", tmp_path / "no.edge")
        assert ran.code == 1, ran.err
        assert "the body is too long" in ran.err
        assert "WARNING" not in ran.err
    assert _files(tmp_path / "a.edge") == _files(tmp_path / "b.edge")
    assert not (tmp_path / "no.edge").exists()


def test_a_file_name_of_any_length_and_script_is_taken(server, csv):
    with server.client() as client:
        answer = client.post(
            "/v1/build",
            params={"task": "predict the outcome", "label": "nope"},
            files={"data": ("\U00020000" * 200 + ".csv", csv)},
        )
    assert answer.status_code == 422, answer.text


def test_a_form_with_other_parts_is_refused(server, csv):
    query = urlencode(OPTIONS)
    with server.client() as client:
        for files, what in (
            ({"rows": ("a.csv", csv)}, "the form has other parts than are wanted"),
            ({"data": ("a.csv", csv), "tset": ("b.csv", csv)}, "the form has other parts than are wanted"),
            ({"data": ("a.csv", csv), "test": ("b.csv", csv), "more": ("c.csv", csv)}, "the form can't be read"),
            ({"data": (None, csv)}, "the form can't be read"),
        ):
            answer = client.post(f"/v1/build?{query}", files=files)
            assert answer.status_code == 400
            assert answer.json()["error"] == what
        cut = b'--x\r\nContent-Disposition: form-data; name="data"; filename="a.csv"\r\n\r\n' + csv
        answer = client.post(f"/v1/build?{query}", content=cut, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code == 400, answer.text
