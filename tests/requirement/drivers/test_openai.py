"""The client of OpenAI-compatible servers, against real ones that misbehave in every way that they do."""

from __future__ import annotations

import json
import socket
import time

import pytest

from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement import rules
from modelgpt_edge.requirement.drivers.openai import OpenAI
from modelgpt_edge.requirement.drivers.opening import open_driver

TASK = "who is going to walk away? mind how long they are here"
FACTS = {
    **{"label": "left", "label_words": "walk away", "kind": "classification", "kind_words": "who"},
    "columns": [{"column": "tenure", "words": "how long they are here"}],
}
TOLD = {"sentence": "Tell from tenure and charges whether a customer has left.", "classes": {"no": "stays", "yes": "goes away"}}


def asks_well(requirement):
    return requirement.schema.label.name == "left" and requirement.sentence == TOLD["sentence"]


def as_the_rules(requirement, task, table):
    plain = rules.write_requirement(Request(task, table), profile(open_source(table), 0))
    return (requirement.schema, requirement.sentence, requirement.driver) == (plain.schema, plain.sentence, "rules")


def test_a_good_server(server, answers, ask, customers):
    says = answers["says"]
    requirement = ask(server.plays(says(FACTS), says(TOLD)).driver(key="a-key"), TASK, customers)
    assert asks_well(requirement)
    assert requirement.driver == "openai:a/model"
    for headers, body in server.asked:
        assert headers["Authorization"] == "Bearer a-key"
        assert (body["model"], body["temperature"]) == ("a/model", 0)
        assert [m["role"] for m in body["messages"]] == ["system", "user"]
        assert body["response_format"]["json_schema"]["strict"] is True
        assert body["response_format"]["json_schema"]["schema"]["additionalProperties"] is False


def test_without_a_key_none_is_sent(server, answers, ask, customers):
    says = answers["says"]
    ask(server.plays(says(FACTS), says(TOLD)).driver(), TASK, customers)
    assert all("Authorization" not in headers for headers, _ in server.asked)


@pytest.mark.parametrize("status", [400, 415, 422, 501])
def test_a_server_without_structured_output_is_asked_plainly(server, answers, ask, customers, status):
    says = answers["says"]

    def turn(handler):
        body = server.asked[-1][1]
        first = "label_words" in body["messages"][1]["content"]
        (says("no such option", status) if set(body) != {"model", "messages"} else says(FACTS if first else TOLD))(handler)

    assert asks_well(ask(server.plays(turn).driver(), TASK, customers))
    sent = [set(body) - {"model", "messages"} for _, body in server.asked[:3]]
    assert sent == [{"temperature", "max_tokens", "response_format"}, {"temperature", "max_tokens"}, set()]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, answers, ask, customers, status):
    says = answers["says"]
    busy = says("later", status)
    assert asks_well(ask(server.plays(busy, busy, says(FACTS), busy, says(TOLD)).driver(), TASK, customers))
    assert len(server.asked) == 5


def test_a_connection_that_breaks_is_tried_again(server, answers, ask, customers):
    says = answers["says"]
    assert asks_well(ask(server.plays(hangs_up, says(FACTS), says(TOLD)).driver(), TASK, customers))


@pytest.mark.parametrize(
    ("status", "what", "cure"),
    [
        (401, "wants a key", "MODELGPT_EDGE_API_KEY"),
        (403, "wants a key", "MODELGPT_EDGE_API_KEY"),
        (404, "no such address or model", "openai:BASE_URL#MODEL"),
        (429, "refuses", "--driver rules"),
        (503, "refuses", "--driver rules"),
        (400, "refuses", "--driver rules"),
    ],
)
def test_a_refusal_is_told_with_the_servers_words_and_without_the_key(server, answers, ask, customers, status, what, cure):
    refuses = answers["says"](b'{"error": "we are\n\x1b[31mclosed to sk-secret"}', status)
    with pytest.raises(InputError) as caught:
        ask(server.plays(refuses).driver(key="sk-secret"), TASK, customers)
    told = str(caught.value)
    assert what in told
    assert cure in told
    assert f"status {status}" in told
    assert "we are [31mclosed" in told
    assert "secret" not in told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(server, other_server, answers, ask, customers, status):
    def elsewhere(handler):
        handler.send_response(status)
        handler.send_header("Location", f"{other_server.url}/chat/completions")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    other_server.plays(answers["says"](FACTS))
    with pytest.raises(InputError, match="sends elsewhere"):
        ask(server.plays(elsewhere).driver(key="sk-secret"), TASK, customers)
    assert len(server.asked) == 1
    assert other_server.asked == []


def hangs_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_nobody_there(ask, customers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(InputError, match=r"can't be asked: .*refused.* Start the server"):
        ask(OpenAI(url, "m", waits=(0,)), TASK, customers)


def test_no_such_host(ask, customers):
    with pytest.raises(InputError, match="can't be asked"):
        ask(OpenAI("http://no-such-host.invalid/v1", "m", waits=()), TASK, customers)


def test_hanging_up_for_good(server, ask, customers):
    with pytest.raises(InputError, match="can't be asked"):
        ask(server.plays(hangs_up).driver(), TASK, customers)
    assert len(server.asked) == 3


def drips(start):
    """A turn that sends the start of an answer, and then a byte now and then for ever."""

    def turn(handler):
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    return turn


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow:",
        b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nEA60\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 60000\r\n\r\n",
    ],
)
def test_a_server_that_drips_for_ever_is_left(server, ask, customers, start):
    with pytest.raises(InputError, match=r"can't be asked: no answer in 0\.5 s"):
        ask(server.plays(drips(start)).driver(seconds=0.5, waits=(5,)), TASK, customers)


def test_a_server_that_is_silent_is_left(server, ask, customers):
    with pytest.raises(InputError, match=r"can't be asked: no answer in 0\.5 s"):
        ask(server.plays(lambda handler: server.ended.wait(60)).driver(seconds=0.5, waits=(5,)), TASK, customers)


def test_half_an_answer_is_a_broken_connection_and_is_asked_for_again(server, answers, ask, customers):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "60000")
        handler.end_headers()
        handler.wfile.write(answers["completion"](json.dumps(FACTS)))

    says = answers["says"]
    assert asks_well(ask(server.plays(half, half, says(FACTS), says(TOLD)).driver(), TASK, customers))
    server.asked.clear()
    with pytest.raises(InputError, match=r"can't be asked: IncompleteRead\(\d+ bytes read, \d+ more expected\)"):
        ask(server.plays(half).driver(), TASK, customers)
    assert len(server.asked) == 3


NONSENSE = {
    "a page": b"<html>It works!</html>",
    "nothing": b"",
    "no choices": b'{"choices": []}',
    "a list": b"[1, 2]",
    "no text": b'{"choices": [{"message": {"content": null}}]}',
    "deep": b"[" * 60_000,
    "not utf-8": b'{"choices": "\xff\xfe"}',
    "talk": "I think that you want to predict something. Good luck!",
    "half a json": json.dumps(FACTS)[:-3],
    "another object": {"answer": 42},
    "deep talk": '{"label": ' * 5_000,
    "braces": "{" * 60_000,
    "wrong types": {"label": ["left"], "kind": 3, "columns": "tenure", "label_words": {}, "sentence": ["x"], "classes": 1},
    "invented columns": {
        **{"label": "loyalty", "label_words": "walk away", "kind": "ranking", "kind_words": "who"},
        **{"columns": [{"column": "shoe size", "words": "how long they are here"}], "sentence": "Bananas are yellow fruit."},
    },
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_noted_and_the_rules_ship(server, answers, ask, customers, nonsense):
    requirement = ask(server.plays(answers["says"](nonsense)).driver(), TASK, customers)
    assert as_the_rules(requirement, TASK, customers)
    assert "Nothing was taken from its answers: the rules stand." in requirement.notes[0]
    assert len(requirement.notes) >= 2
    assert all(note.isprintable() and len(note) < 600 for note in requirement.notes)


@pytest.mark.parametrize("told", [True, False])
def test_ten_megabytes_are_not_read(server, ask, customers, told):
    def floods(handler):
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(10 << 20))
        handler.end_headers()
        for _ in range(160):
            handler.wfile.write(b"x" * (1 << 16))

    requirement = ask(server.plays(floods).driver(), TASK, customers)
    assert as_the_rules(requirement, TASK, customers)
    assert sum("longer than 64 kB" in note for note in requirement.notes) == 2


@pytest.mark.parametrize(
    "around",
    [
        "```json\nIT\n```",
        '<think>{"label": "region"} or {"sentence": "so"}</think>IT',
        "Sure {}! Here you are: IT I hope {that} helps.",
    ],
)
def test_an_answer_is_found_in_what_stands_around_it(server, answers, ask, customers, around):
    says = answers["says"]
    turns = [says(around.replace("IT", json.dumps(answer))) for answer in (FACTS, TOLD)]
    assert asks_well(ask(server.plays(*turns).driver(), TASK, customers))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("openai:", "no such driver"),
        ("openai", "no such driver"),
        ("gpt:x", "no such driver"),
        ("", "no such driver"),
        ("openai:http://localhost:8000/v1", "named by URL and model"),
        ("openai:#m", "named by URL and model"),
        ("openai:localhost:8000/v1#m", "no server's URL"),
        ("openai:ftp://localhost/v1#m", "no server's URL"),
        ("openai:http://#m", "no server's URL"),
        ("openai:http://localhost:port/v1#m", "no server's URL"),
        ("openai:http://local host/v1#m", "no server's URL"),
        ("openai:http://localhost/v1\r\nX-Evil:1#m", "no server's URL"),
        ("openai:http://me:secret@localhost/v1#m", "isn't used"),
        ("openai:http://localhost/v1?key=secret#m", "isn't used"),
    ],
)
def test_a_name_that_is_none_is_refused_without_its_secrets(name, what):
    with pytest.raises(InputError, match=what) as caught:
        open_driver(name)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "ours", "other", "key"),
    [
        ("https://example.org/v1#m", "", "o", "o"),
        ("https://example.org/v1#m", "e", "o", "e"),
        ("http://127.0.0.1:1/v1#m", "", "o", "o"),
        ("http://[::1]:1/v1#m", "", "o", "o"),
        ("http://localhost:1/v1#m", "", "", None),
        ("http://192.0.2.1/v1#m", "", "o", None),
        ("http://localhost.example.org/v1#m", "", "o", None),
        ("http://192.0.2.1/v1#m", " e\n", "o", "e"),
    ],
)
def test_a_key_for_another_service_is_not_sent_in_the_clear(monkeypatch, name, ours, other, key):
    monkeypatch.setenv("MODELGPT_EDGE_API_KEY", ours)
    monkeypatch.setenv("OPENAI_API_KEY", other)
    driver = open_driver(f"openai:{name}")
    assert isinstance(driver, OpenAI)
    assert driver.key == key
    assert "key" not in repr(driver)


def test_a_key_that_no_header_can_hold_is_refused_unseen(monkeypatch):
    monkeypatch.setenv("MODELGPT_EDGE_API_KEY", "sk-secret\nX-Evil: 1")
    with pytest.raises(InputError, match="can't be sent") as caught:
        open_driver("openai:https://example.org/v1#m")
    assert "secret" not in str(caught.value)
