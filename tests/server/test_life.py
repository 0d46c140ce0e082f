"""A server's life: workers that die, clients that hang up, and an end that finishes what was accepted."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

CSV = {"Content-Type": "text/csv"}
PROFILE = {"Content-Type": "application/x-safetensors"}
QUICK = {"units": "20"}
SLOW = {"task": "predict the outcome", "draws": "4", "score": "true"}


def _ended(pid: int) -> bool:
    """Whether a process has; whoever adopted it may not have looked yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_a_worker_that_dies_is_replaced_and_its_request_alone_fails(serve, csv, profile, until):
    with serve("--workers", "1") as serving:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(f"{serving.url}/v1/parameters", params=SLOW, content=csv, headers=CSV, timeout=60))

        asking = threading.Thread(target=ask)
        with serving.held():
            asking.start()
            until(lambda: serving.metric("modelgpt_batch_size_count") == 1)
            for pid in serving.workers():
                os.kill(pid, signal.SIGKILL)
        asking.join()
        assert answers[0].status_code == 503, answers[0].text
        assert answers[0].headers["Retry-After"] == "1"
        assert answers[0].json()["error"] == "the worker died"
        with serving.client() as client:
            answer = client.post("/v1/parameters", params=QUICK, content=profile(), headers=PROFILE)
            assert answer.status_code == 200, answer.text
            assert client.get("/healthz").json()["workers"] == 1
        assert serving.metric("modelgpt_workers_replaced_total") >= 1


def test_an_idle_worker_that_dies_is_replaced_before_anybody_asks(serve, until):
    with serve("--workers", "1") as serving, serving.client() as client:
        (worker,) = serving.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: serving.metric("modelgpt_workers_replaced_total") == 1)
        until(lambda: client.get("/healthz").status_code == 200)
        assert client.get("/healthz").json()["workers"] == len(serving.workers()) == 1
        assert serving.workers() != [worker]


def test_health_is_down_while_no_worker_can_be_had_and_mends_itself(serve, profile, until):
    with serve("--workers", "1") as serving, serving.client() as client:
        assert client.get("/healthz").status_code == 200
        (worker,) = serving.workers()
        server = serving.process.pid
        usual = resource.prlimit(server, resource.RLIMIT_NOFILE)
        # No file left for another worker's pipe; the connection at hand stays.
        resource.prlimit(server, resource.RLIMIT_NOFILE, (3, usual[1]))
        os.kill(worker, signal.SIGKILL)
        until(lambda: client.get("/healthz").status_code == 503)
        assert client.get("/healthz").json()["status"] == "down"
        resource.prlimit(server, resource.RLIMIT_NOFILE, usual)
        until(lambda: client.get("/healthz").status_code == 200)
        assert client.post("/v1/parameters", params=QUICK, content=profile(), headers=PROFILE).status_code == 200


def _request(csv: bytes) -> bytes:
    lines = [f"POST /v1/parameters?{urlencode(SLOW)} HTTP/1.1", "Host: localhost", "Content-Type: text/csv"]
    return "\r\n".join([*lines, f"Content-Length: {len(csv)}", "", ""]).encode() + csv


def test_a_client_that_hangs_up_leaves_nothing_behind(serve, csv, until):
    with serve("--workers", "1", "--batch", "1") as serving:
        with serving.held():
            for place in range(6):
                with serving.connect() as wire:
                    wire.sendall(_request(csv))
                    until(lambda: serving.metric("modelgpt_accepted") == 1)
                until(lambda: serving.metric("modelgpt_accepted") == 0)
                assert serving.metric("modelgpt_batch_size_count") == 1, f"request {place} was launched for nobody"
        answer = httpx.post(f"{serving.url}/v1/parameters", params=SLOW, content=csv, headers=CSV, timeout=60)
        assert answer.status_code == 200
        assert serving.metric("modelgpt_batch_size_count") == 2


def test_what_runs_for_a_client_that_hung_up_is_dropped(serve, csv, profile, until):
    asked = {"params": QUICK, "content": profile(), "headers": PROFILE, "timeout": 60}
    with serve("--workers", "1") as serving:
        url = f"{serving.url}/v1/parameters"
        alone = httpx.post(url, **asked)
        with ThreadPoolExecutor(1) as pool:
            with serving.held():
                with serving.connect() as wire:
                    wire.sendall(_request(csv))
                    until(lambda: serving.metric("modelgpt_batch_size_count") == 2)
                until(lambda: serving.metric("modelgpt_accepted") == 0)
                other = pool.submit(httpx.post, url, **asked)
                until(lambda: serving.metric("modelgpt_accepted") == 1)
            assert other.result().content == alone.content
        assert serving.metric("modelgpt_models_total") == 2
        assert serving.metric("modelgpt_workers_replaced_total") == 0


def test_a_client_that_hangs_up_ends_its_build(serve, csv, until):
    with serve("--workers", "1") as serving:
        headers = {**CSV, "Accept": "text/event-stream"}
        options = {"task": "predict the outcome", "finetune": "60"}
        with (
            serving.client() as client,
            client.stream("POST", "/v1/build", params=options, content=csv, headers=headers) as answer,
        ):
            lines = answer.iter_lines()
            while "fine-tuning" not in next(lines):
                pass
        until(lambda: serving.metric("modelgpt_workers_replaced_total") == 1)
        with serving.client() as client:
            answer = client.post("/v1/build", params={"task": "predict the outcome", "draws": "1"}, content=csv, headers=CSV)
        assert answer.status_code == 200, answer.text


def test_sigterm_under_load_ends_it_after_everything_accepted_is_answered(serve, csv, until):
    with serve("--workers", "2", "--queue", "40") as serving:
        answers: list[httpx.Response] = []

        def ask(seed: int) -> None:
            options = {"task": "predict the outcome", "seed": str(seed)}
            answers.append(httpx.post(f"{serving.url}/v1/parameters", params=options, content=csv, headers=CSV, timeout=60))

        asking = [threading.Thread(target=ask, args=(seed,)) for seed in range(24)]
        with serving.held():
            for thread in asking:
                thread.start()
            until(lambda: serving.metric("modelgpt_accepted") == len(asking))
            # A service manager tells the workers as well: they must not mind.
            workers = serving.workers()
            for pid in workers:
                os.kill(pid, signal.SIGTERM)
            serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(timeout=60) == 0
        for thread in asking:
            thread.join()
        assert [a.status_code for a in answers] == [200] * len(asking)
        assert len({a.content for a in answers}) == len(answers)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{serving.url}/healthz")
        assert all(map(_ended, workers))


def test_a_server_that_is_killed_takes_its_workers_with_it(serve, tmp_path, until):
    with serve("--workers", "1", TMPDIR=str(tmp_path)) as serving:
        workers = serving.workers()
        serving.process.kill()
        serving.process.wait()
        until(lambda: all(map(_ended, workers)))


def test_a_port_that_is_taken_is_told(server):
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "modelgpt_edge", "serve", "--port", port]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "can't listen there" in ran.stderr
    assert "Give another --port" in ran.stderr


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--queue", "0"], "--queue"),
        (["--port", "99999"], "--port"),
        (["--wait-ms", "-1"], "--wait-ms"),
        (["--max-body", "much"], "--max-body"),
        (["--timeout", "soon"], "--timeout"),
        (["--worker-memory", "much"], "--worker-memory"),
        (["--worker-memory", "1MB"], "--worker-memory"),
        (["--token-file", "/nowhere"], "--token-file"),
        (["--host", "no.such.host.invalid"], "--host"),
    ],
)
def test_bad_options_of_the_command(options, where, cli):
    ran = cli("serve", "--port", "0", *options)
    assert ran.code == 1
    assert f"error: {where}: " in ran.err
