"""A real Ray cluster of a head and two hosts, each with raylet and workers of its own, and servers that use it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import signal
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs pip install 'modelgpt-edge[serve-ray]'"),
]
CSV = {"Content-Type": "text/csv"}
PROFILE = {"Content-Type": "application/x-safetensors"}
TASK = {"task": "predict the outcome"}
CROWD = 60
REPLICA = b"ray::ServeReplica:modelgpt-edge-"


def parents() -> dict[int, int]:
    """The parent of every process that lives."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(stat.parent.name)] = int(parent)
    return found


def below(root: int) -> dict[int, int]:
    """Every process that a process started, or one of those did, and its parent."""
    of, known = parents(), {root}
    while more := {pid for pid, parent in of.items() if parent in known} - known:
        known |= more
    return {pid: of[pid] for pid in known - {root}}


def command(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def replicas(root: int) -> dict[int, int]:
    """Replicas' process ids, and those of their raylets."""
    return {pid: parent for pid, parent in below(root).items() if command(pid).startswith(REPLICA)}


def listens_everywhere(pid: int) -> bool:
    """Whether a process listens for TCP at another address than the loopback one."""
    mine, local = set(), ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                mine.add(os.readlink(file))
    fields = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return any(f[3] == "0A" and f"socket:[{f[9]}]" in mine and f[1].partition(":")[0] not in local for f in fields)


@contextlib.contextmanager
def held(pids: list[int]) -> Iterator[None]:
    """The workers of replicas stand still meanwhile."""
    workers = [pid for replica in pids for pid in below(replica) if b"spawn_main" in command(pid)]
    assert len(workers) == len(pids)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where Ray and the replicas keep their files: a short path, for the sockets' sake."""
    folder = Path(tempfile.mkdtemp(prefix="mge-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(place: Path, until) -> Iterator[str]:
    """A head that runs nothing, and two hosts of a core each; they end with this process, however that ends."""
    names = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "TMPDIR": str(place),
    }
    before, at_term = dict(os.environ), signal.getsignal(signal.SIGTERM)
    os.environ |= names
    try:
        from ray.cluster_utils import Cluster  # noqa: TID251 - a cluster is what is tested on

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            yield cluster.address
        finally:
            cluster.shutdown()
            signal.signal(signal.SIGTERM, at_term)
    finally:
        os.environ.clear()
        os.environ |= before
    until(lambda: not [pid for pid in below(os.getpid()) if b"raylet" in command(pid) or b"ray::" in command(pid)])


@pytest.fixture(scope="module")
def options(address) -> tuple[str, ...]:
    """Of a server that has two replicas."""
    return ("--engine", "ray", "--address", address, "--replicas", "2", "--queue", str(CROWD), "--timeout", "100")


@pytest.fixture(scope="module")
def remote(serve, options):
    """A server whose two replicas are on two hosts."""
    with serve(*options) as serving:
        yield serving


def test_a_replica_is_killed_under_load_and_every_accepted_request_gets_the_local_engines_bytes(
    remote, server, place, csv, until
):
    before = replicas(os.getpid())
    assert len(before) == 2
    assert len(set(before.values())) == 2, "both replicas are on one host"

    def ask(url: str, seed: int) -> httpx.Response:
        return httpx.post(f"{url}/v1/parameters", params={**TASK, "seed": str(seed)}, content=csv, headers=CSV, timeout=100)

    with ThreadPoolExecutor(CROWD) as pool:
        with held(list(before)):
            asked = [pool.submit(ask, remote.url, seed) for seed in range(CROWD)]
            # Every table has come to a replica, so each has accepted its part; and there is no room for more.
            until(lambda: len(list(place.glob("modelgpt-edge-replica-*/tmp*/*.csv"))) == CROWD)
            assert len(list(place.glob("modelgpt-edge-replica-*"))) == 2
            refused = ask(remote.url, CROWD)
            assert refused.status_code == 429, refused.text
            assert int(refused.headers["Retry-After"]) >= 1
            assert refused.json()["error"] == "the server has as much to do as it takes on"
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
        answers = [a.result() for a in asked]
    assert [a.status_code for a in answers] == [200] * CROWD, {a.text for a in answers if a.status_code != 200}
    assert len({a.content for a in answers}) == CROWD
    with ThreadPoolExecutor(4) as pool:
        local = list(pool.map(lambda seed: ask(server.url, seed), range(CROWD)))
    assert [a.content for a in answers] == [a.content for a in local]
    until(lambda: len(replicas(os.getpid())) == 2 and killed not in replicas(os.getpid()))
    until(lambda: httpx.get(f"{remote.url}/healthz", timeout=60).json()["workers"] == 2)
    assert ask(remote.url, 0).content == local[0].content


@pytest.mark.parametrize(
    ("query", "headers", "body"),
    [
        (TASK, CSV, b"a,outcome\n1\n2,3,4\n"),
        (TASK, CSV, b"\xff\xfe\x00"),
        ({**TASK, "draws": "3"}, CSV, b"a,outcome\n1,x\n2,y\n"),
        ({**TASK, "label": "nothing"}, CSV, b"a,outcome\n" + b"1,x\n2,y\n" * 20),
        ({}, PROFILE, b"no safetensors"),
        (TASK, {"Content-Type": "image/png"}, b"1"),
    ],
)
def test_errors_are_told_as_locally(remote, server, query, headers, body):
    there, here = (
        httpx.post(f"{url}/v1/parameters", params=query, content=body, headers=headers, timeout=60)
        for url in (remote.url, server.url)
    )
    assert there.status_code >= 400
    assert (there.status_code, there.json()) == (here.status_code, here.json())


def test_profiles_and_refits_of_many_are_the_local_engines(remote, server, package, profile, csv):
    def ask(url: str) -> tuple[bytes, dict[str, bytes]]:
        answer = httpx.post(f"{url}/v1/parameters", params={"draws": "1"}, content=profile(3), headers=PROFILE, timeout=60)
        assert answer.status_code == 200, answer.text
        files = {"template": ("template.tar", tarred), "anna": ("a.csv", csv), "ben": ("b.csv", csv[: len(csv) // 2])}
        files["carl"] = ("c.csv", b"other,columns\n1,2\n")
        many = httpx.post(f"{url}/v1/refit", files=files, timeout=60)
        assert many.status_code == 200, many.text
        with tarfile.open(fileobj=io.BytesIO(many.content)) as tar:
            return answer.content, {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.name != "report.json"}

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(package, ".")
    tarred = buffer.getvalue()
    there, here = ask(remote.url), ask(server.url)
    assert sorted(here[1]) == ["anna.safetensors", "ben.safetensors", "errors.json"]
    assert list(json.loads(here[1]["errors.json"])) == ["carl"]
    assert there == here


def test_a_server_that_comes_back_after_a_crash_finds_its_application_and_ends_it(remote, serve, options, profile, until):
    remote.process.kill()
    remote.process.wait()
    assert len(replicas(os.getpid())) == 2
    with serve(*options, "--port", remote.url.rpartition(":")[2]) as serving:
        assert serving.url == remote.url
        answer = httpx.post(f"{serving.url}/v1/parameters", content=profile(), headers=PROFILE, timeout=60)
        assert answer.status_code == 200, answer.text
    # Another application would have found no free core, and this one's replicas would live on.
    until(lambda: not replicas(os.getpid()))


def test_a_server_with_a_cluster_of_its_own_finishes_what_it_accepted_and_leaves_nothing(serve, place, csv, until):
    with serve("--engine", "ray", "--replicas", "1", TMPDIR=str(place)) as serving:
        open_to_all = {pid for pid in [serving.process.pid, *below(serving.process.pid)] if listens_everywhere(pid)}
        assert open_to_all <= set(replicas(serving.process.pid)), {pid: command(pid) for pid in open_to_all}
        answers: list[httpx.Response] = []

        def ask(seed: int) -> None:
            options = {**TASK, "seed": str(seed)}
            answers.append(httpx.post(f"{serving.url}/v1/parameters", params=options, content=csv, headers=CSV, timeout=60))

        asking = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        started = below(serving.process.pid)
        with held(list(replicas(serving.process.pid))):
            for thread in asking:
                thread.start()
            until(lambda: serving.metric("modelgpt_accepted") == len(asking))
            # A service manager tells the whole group: Ray's processes must not mind.
            for pid in [*started, serving.process.pid]:
                os.kill(pid, signal.SIGTERM)
        assert serving.process.wait(timeout=60) == 0
        for thread in asking:
            thread.join()
        assert [a.status_code for a in answers] == [200] * len(asking)
        until(lambda: not set(started) & set(parents()))
        assert list(place.glob("mge-ray-*")) == [], "Ray's files were left"


def test_a_cluster_that_is_not_there_is_told(cli):
    ran = cli("serve", "--port", "0", "--engine", "ray", "--address", "127.0.0.1:9")
    assert ran.code == 1
    assert "error: --address: there is no Ray cluster" in ran.err
