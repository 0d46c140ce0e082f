"""What a server tells of itself: health, metrics that count what happened, targets, and a page of its routes."""

from __future__ import annotations

import asyncio
import json
from html.parser import HTMLParser

import httpx
import pytest

from modelgpt_edge.server.app import create_app
from modelgpt_edge.server.listing import Listing
from modelgpt_edge.server.page import page
from modelgpt_edge.server.settings import Settings

CSV = {"Content-Type": "text/csv"}


def test_metrics_count_what_happened(server, csv):
    with server.client() as client:
        before = _counts(client.get("/metrics").text)
        for _ in range(3):
            assert client.post("/v1/parameters", params={"task": "predict the outcome"}, content=csv, headers=CSV).is_success
        client.post("/v1/parameters", params={"task": ""}, content=csv, headers=CSV)
        client.get("/nowhere")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    after = _counts(answer.text)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more('modelgpt_requests_total{route="/v1/parameters",status="200"}') == 3
    assert more('modelgpt_requests_total{route="/v1/parameters",status="422"}') == 1
    assert more('modelgpt_requests_total{route="none",status="404"}') == 1
    assert more("modelgpt_models_total") == 3
    assert more("modelgpt_batch_size_sum") == 4
    assert more("modelgpt_received_bytes_total") == 4 * len(csv)
    assert more('modelgpt_request_seconds_count{route="/v1/parameters"}') == 4
    assert after["modelgpt_workers"] == 2
    assert after["modelgpt_accepted"] == 0


def _counts(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_health_tells_workers_and_room(server):
    with server.client() as client:
        answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "workers": 2, "accepted": 0, "queue": 128}


def test_health_can_be_asked_without_a_body(server):
    with server.client() as client:
        answer, whole = client.head("/healthz"), client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == whole.headers["content-length"]


def test_targets_are_looked_at_once_a_minute_however_many_ask():
    now, looks = [0.0], []

    def look() -> list[dict[str, object]]:
        looks.append(now[0])
        return [{"name": f"look {len(looks)}"}]

    async def ask() -> None:
        listing = Listing(look, 60, lambda: now[0])
        told = await asyncio.gather(*(listing.told() for _ in range(5)))
        assert told == [[{"name": "look 1"}]] * 5
        now[0] = 59.9
        assert await listing.told() == [{"name": "look 1"}]
        now[0] = 60.0
        assert await listing.told() == [{"name": "look 2"}]
        assert looks == [0.0, 60.0]

    asyncio.run(ask())


def test_targets_that_cannot_be_told_are_looked_at_again():
    looks = []

    def look() -> list[dict[str, object]]:
        looks.append(None)
        if len(looks) == 1:
            raise OSError("no compiler can be started")
        return [{"name": "x86"}]

    async def ask() -> None:
        listing = Listing(look)
        with pytest.raises(OSError, match="no compiler"):
            await listing.told()
        assert await listing.told() == [{"name": "x86"}]

    asyncio.run(ask())


def test_targets_are_those_of_the_command_line(server, cli, probed_once):
    here = json.loads(cli("targets", "--json").out)
    with server.client() as client:
        there = client.get("/v1/targets").json()
    assert [t["name"] for t in there] == [t["name"] for t in here]
    assert there == here


def test_the_page_tells_every_route_and_what_its_body_is(server):
    with server.client() as client:
        described = client.get("/openapi.json").json()
    routes = {path: set(methods) for path, methods in described["paths"].items()}
    assert routes == {
        "/healthz": {"get"},
        "/metrics": {"get"},
        "/v1/targets": {"get"},
        "/v1/parameters": {"post"},
        "/v1/build": {"post"},
        "/v1/packages/{identity}": {"get"},
        "/v1/refit": {"post"},
    }
    parameters = described["paths"]["/v1/parameters"]["post"]
    assert {"text/csv", "application/x-safetensors"} <= set(parameters["requestBody"]["content"])
    tables, texts = {"units", "draws", "score"}, {"modality", "classes", "class", "text", "precision"}
    assert {p["name"] for p in parameters["parameters"]} == {"task", "label", "kind", "seed"} | tables | texts
    assert all(p["description"] for p in parameters["parameters"])
    assert {"200", "413", "415", "422", "429", "503"} <= set(parameters["responses"])
    build = described["paths"]["/v1/build"]["post"]
    assert {"multipart/form-data", "text/csv"} <= set(build["requestBody"]["content"])
    assert {"modality", "classes", "class", "text"} < {p["name"] for p in build["parameters"]}
    assert "HTTPBearer" in described["components"]["securitySchemes"]


class _Parts(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src", "action", "data", "style"):
                self.links.add(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_for_people_tells_all_of_it_and_fetches_nothing(server):
    with server.client() as client:
        described, answer = client.get("/openapi.json").json(), client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    parts = _Parts()
    parts.feed(answer.text)
    assert not parts.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert {link for link in parts.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in parts.links if link.startswith("#")} == parts.ids
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    for path, methods in described["paths"].items():
        assert path in parts.text
        for told in methods.values():
            for paragraph in told["description"].split("\n\n"):
                assert paragraph.replace("`", "") in parts.text
            for parameter in told.get("parameters", ()):
                assert parameter["name"] in parts.text
                assert parameter.get("description", "").replace("`", "") in parts.text
            for kind in told.get("requestBody", {}).get("content", {}):
                assert kind in parts.text
    assert f'"{server.url}/v1/parameters?task=predict+churn"' in parts.text, "the examples ask another server"


def test_what_the_page_is_made_of_is_escaped():
    app = create_app(Settings())
    description = {**app.openapi(), "info": {"title": "<script>", "version": "1&2", "description": "`<b>`"}}
    made = page(description, 'http://x"><script>')
    assert "<script>" not in made
    assert "1&amp;2" in made
    assert "<code>&lt;b&gt;</code>" in made


def test_an_internal_error_is_told_in_the_same_words():
    """As of an application whose service was never started."""

    async def ask() -> httpx.Response:
        inside = httpx.ASGITransport(create_app(Settings()), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=inside, base_url="http://here") as client:
            return await client.get("/healthz")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.json().items() >= {"error": "an internal error", "where": "server", "code": 1}.items()
