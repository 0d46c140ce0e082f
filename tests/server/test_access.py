"""Pages of other sites: a browser on this machine sends what they like, but its `Host` and `Origin` give them away."""

from __future__ import annotations

import pytest

PROFILE = {"Content-Type": "application/x-safetensors"}
QUICK = {"units": "20"}


def _own(serving) -> str:
    return serving.url.removeprefix("http://")


@pytest.mark.parametrize("route", ["/healthz", "/metrics", "/v1/targets", "/docs", "/v1/packages/x"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::1"]
)
def test_a_server_of_this_machine_alone_is_not_asked_by_another_name(host, route, server):
    with server.client() as client:
        answer = client.get(route, headers={"Host": host})
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"] == "the server isn't asked by this name"
    assert "--allow-host" in answer.json()["cure"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321"])
def test_its_own_names_are_taken_with_any_port(host, server):
    with server.client() as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost.evil.example",
        "null",
        "http://localhost:1",
        "http://localhost",
        "http://127.0.0.1",
    ],
)
def test_a_form_of_another_sites_page_is_refused(origin, server, csv):
    with server.client() as client:
        files = {"data": ("a.csv", csv)}
        answer = client.post("/v1/build", params={"task": "predict the outcome"}, files=files, headers={"Origin": origin})
        assert answer.status_code == 403, answer.text
        assert answer.json()["error"] == "a page of another site sends this"
        assert answer.json()["where"] == "Origin"


def test_its_own_page_may_ask(server, profile):
    headers = {**PROFILE, "Origin": f"http://{_own(server)}"}
    with server.client() as client:
        assert client.post("/v1/parameters", params=QUICK, content=profile(), headers=headers).status_code == 200


def test_a_proxys_name_is_taken_where_it_is_allowed(serve, profile):
    with (
        serve("--workers", "1", "--allow-host", "Models.Example.com", "--allow-host", "10.0.0.7") as serving,
        serving.client() as client,
    ):
        for host in ("models.example.com", "10.0.0.7:8321", "localhost"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200
        assert client.get("/healthz", headers={"Host": "example.com"}).status_code == 403
        # A proxy that asks by its own name passes the page's origin on.
        headers = {**PROFILE, "Origin": "https://models.example.com"}
        assert client.post("/v1/parameters", params=QUICK, content=profile(), headers=headers).status_code == 200
        headers["Origin"] = "https://example.com"
        assert client.post("/v1/parameters", params=QUICK, content=profile(), headers=headers).status_code == 403


def test_who_bears_the_token_may_come_by_any_name_and_from_any_page(serve, profile, tmp_path):
    (tmp_path / "token").write_text("secret-words\n", encoding="utf-8")
    with serve("--workers", "1", "--token-file", str(tmp_path / "token")) as serving, serving.client() as client:
        headers = {**PROFILE, "Host": "anywhere.example", "Origin": "https://elsewhere.example"}
        asked = {"params": QUICK, "content": profile()}
        assert client.post("/v1/parameters", headers=headers, **asked).status_code == 401
        headers["Authorization"] = "Bearer secret-words"
        assert client.post("/v1/parameters", headers=headers, **asked).status_code == 200


@pytest.mark.parametrize("name", ["http://models.example.com", "models.example.com:80", "a/b", ""])
def test_what_is_no_hosts_name_is_refused(name, cli):
    ran = cli("serve", "--port", "0", "--allow-host", name)
    assert ran.code == 1
    assert "error: --allow-host: this is no host's name" in ran.err
