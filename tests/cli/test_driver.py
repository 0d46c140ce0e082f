"""``build --driver`` on the command line: what is sent is what is shown, and the package says what came of it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelgpt_edge.manifest import MANIFEST

pytestmark = pytest.mark.usefixtures("one_repeat")

TASK = ("--task", "which patients will be in a bad way? how old they are matters", "--data", "table.csv")
ANSWERS = (
    {
        **{"label": "outcome", "label_words": "in a bad way", "kind": "classification", "kind_words": "which"},
        "columns": [{"column": "age", "words": "how old they are"}],
    },
    {
        "sentence": "Tell from age, weight and city whether the outcome is ill or well.",
        "classes": {"ill": "in a bad way", "well": "fine"},
    },
)


@pytest.fixture(autouse=True)
def table(patients, write_csv, tmp_path, monkeypatch):
    """A table whose label is neither its last column nor usually named, in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rows = [{"outcome": p["outcome"], "age": p["age"], "weight": p["weight"], "city": p["city"]} for p in patients]
    return write_csv(Path("table.csv"), rows)


@pytest.fixture
def model(request):
    """A server that gives ANSWERS, or those of an indirect parameter, its driver's name, and what it was asked."""
    asked = []
    answers = getattr(request, "param", ANSWERS)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"choices": [{"message": {"content": json.dumps(answers[len(asked) - 1])}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"openai:http://127.0.0.1:{http.server_port}/v1#wise", asked
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_build_with_a_model(cli, model):
    driver, asked = model
    ran = cli("build", *TASK, "--driver", driver, "--out", "m.edge", "--json", "--draws", "1")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["requirement"]["sentence"] == ANSWERS[1]["sentence"]
    assert report["requirement"]["label"] == "outcome"
    assert len(asked) == 2
    told = json.loads(Path("m.edge", MANIFEST).read_text())["requirement"]
    assert told["driver"] == "openai:wise"
    assert told["meanings"] == ANSWERS[1]["classes"]
    assert [c["name"] for c in told["schema"]["columns"] if c["named"]] == ["age"]
    assert any("Taken from its answers: label outcome, named columns age, a sentence" in note for note in told["notes"])
    assert "127.0.0.1" not in json.dumps(told)
    assert cli("predict", "m.edge", "table.csv").code == 0
    assert cli("verify", "m.edge").code == 0


BANK = {
    "card lost": "a card that was lost or stolen",
    "refund": "money back for an order",
    "exchange rate": "what a currency costs",
    "cannot log in": "trouble with signing in to the account",
}
SENTENCE = "Route a question of the bank's support to card lost, refund, exchange rate or cannot log in."
TRUE = {"sentence": SENTENCE, "classes": BANK}
SWAPPED = {"sentence": SENTENCE, "classes": dict(zip(BANK, [*list(BANK.values())[1:], BANK["card lost"]]))}


@pytest.mark.parametrize("model", [(TRUE,), (SWAPPED,)], indirect=True, ids=["true", "swapped"])
def test_what_classes_of_texts_mean_moves_a_model_only_where_the_encoder_has_it_so(cli, model, request):
    driver, asked = model
    told = "true" in request.node.callspec.id
    build = ("build", "--task", "route bank support questions", "--classes", ",".join(BANK), "--encoder", "tiny", "--json")
    plain = cli(*build, "--out", "plain.edge")
    helped = cli(*build, "--out", "helped.edge", "--driver", driver)
    assert (plain.code, helped.code, len(asked)) == (0, 0, 1), helped.err
    requirement = json.loads(helped.out)["requirement"]
    assert requirement["meanings"] == (BANK if told else {})
    assert (requirement["sentence"] == SENTENCE) is told
    heads = [Path(f"{name}.edge", "head.safetensors").read_bytes() for name in ("plain", "helped")]
    assert (heads[0] == heads[1]) is not told
    notes = " ".join(json.loads(helped.out)["notes"])
    assert ('refund: "money back for an order"; exchange rate: "what a currency costs"' in notes) is told
    assert ("What it says of the classes was not taken: of card lost it says" in notes) is not told


@pytest.mark.parametrize("private", [(), ("--private",)])
def test_what_is_shown_is_what_is_sent(cli, model, private):
    driver, asked = model
    shown = cli("build", *TASK, "--label", "outcome", "--driver", driver, "--show-prompt", *private)
    assert shown.code == 0
    assert asked == []
    assert list(Path().glob("*.edge")) == []
    assert cli("build", *TASK, "--label", "outcome", "--driver", driver, "--dry-run", *private).code == 0
    parts = [message["content"] for body in asked for message in body["messages"]]
    parts += [json.dumps(b["response_format"]["json_schema"]["schema"], ensure_ascii=False) for b in asked]
    for part in parts:
        assert part in shown.out
    cells = {"Rome", "Paris", "Oslo", "ill", "well"}
    assert any(f'"{cell}"' in json.dumps(asked) + shown.out for cell in cells) is not bool(private)


def test_what_would_be_asked_of_classes_alone(cli, model):
    driver, asked = model
    options = ("--classes", "refund,login", "--driver", driver, "--show-prompt")
    shown = cli("build", "--task", "route questions", *options)
    assert shown.code == 0
    assert asked == []
    assert shown.out.count("Question ") == 1
    assert '"route questions"' in shown.out
    assert 'for each of ["refund", "login"] what it means' in shown.out


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--show-prompt",), "the rules ask no model"),
        (("--driver", "gtp"), "there is no such driver"),
        (("--driver", "openai:x#y", "--show-prompt"), "no server's URL"),
        (("--driver", "openai:http://127.0.0.1:9/v1#m", "--server", "http://127.0.0.1:9"), "is asked here"),
    ],
)
def test_what_can_not_be(cli, options, what):
    ran = cli("build", *TASK, *options)
    assert ran.code == 1
    assert what in ran.err
    assert list(Path().glob("*.edge")) == []
