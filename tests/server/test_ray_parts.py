"""What needs no cluster: jobs as they travel, options, and that a server without Ray knows nothing of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.server.archive import folder_files
from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Done, ProfileJob, RefitJob, Refused, RowsJob, TextsJob
from modelgpt_edge.server.ray_cluster import Cluster, read_cluster
from modelgpt_edge.server.ray_parcels import Templates, open_parcel, parcel_of, tar_template
from modelgpt_edge.server.room import Room


def test_a_job_does_the_same_after_its_journey_and_names_no_path_of_the_host_it_came_from(tmp_path, csv):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "my table.csv").write_bytes(csv)
    job = RowsJob(here / "my table.csv", "predict the outcome", units=20, seed=3)
    parcel = parcel_of(job)
    assert str(here) not in repr(parcel)
    arrived = open_parcel(parcel, there)
    assert arrived.data == there / "my table.csv"
    done = do(job)
    (here / "my table.csv").unlink()
    assert do(arrived).content == done.content


def test_a_job_of_texts_travels_with_its_examples_or_without_any(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "said.csv").write_bytes(b"text,label\n" + b"give me my money,refund\nwhere is my card,lost\n" * 4)
    for data in (tmp_path / "said.csv", None):
        job = TextsJob(data, "sort questions", classes={"refund": "", "lost": "a card is gone"}, text=data and "text")
        done, arrived = do(job), open_parcel(parcel_of(job), tmp_path / "there")
        assert isinstance(done, Done), done
        assert arrived.data in (None, tmp_path / "there" / "said.csv")
        assert do(arrived).content == done.content


def test_errors_of_a_job_that_travelled_name_its_file_alone(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "p.safetensors").write_bytes(b"nothing")
    job = ProfileJob(tmp_path / "p.safetensors")
    here, there = do(job), do(open_parcel(parcel_of(job), tmp_path / "there"))
    assert isinstance(here, Refused)
    assert here == there
    assert here.error["where"] == "p.safetensors"


def test_a_template_travels_once_for_many_jobs_and_is_the_package(tmp_path, package, csv):
    (tmp_path / "a.csv").write_bytes(csv)
    (tmp_path / "there").mkdir()
    digest, content = tar_template(package)
    job = RefitJob(package, tmp_path / "a.csv")
    parcel = parcel_of(job, digest)
    assert str(package) not in repr(parcel)
    templates = Templates(tmp_path / "templates", 2)
    assert templates.find(digest) is None
    place = templates.add(digest, parcel.job.template.name, content)
    assert templates.find(digest) == place
    assert dict(folder_files(place)) == dict(folder_files(package))
    assert do(open_parcel(parcel, tmp_path / "there", place)).content == do(job).content


def test_the_template_that_was_longest_not_asked_for_goes_first(tmp_path):
    (tmp_path / "package").mkdir()
    packed = []
    for number in range(3):
        (tmp_path / "package" / "manifest.json").write_text(str(number))
        packed.append(tar_template(tmp_path / "package"))
    (a, _), (b, _), (c, _) = packed
    templates = Templates(tmp_path / "templates", 2)
    for digest, content in packed[:2]:
        templates.add(digest, "package", content)
    assert templates.find(a)
    templates.add(c, "package", packed[2][1])
    assert templates.find(b) is None
    assert sorted(path.name for path in (tmp_path / "templates").iterdir()) == sorted([a, c])
    assert [Path(templates.find(digest), "manifest.json").read_text() for digest in (a, c)] == ["0", "2"]


def test_a_template_that_could_not_be_unpacked_is_unpacked_when_it_comes_again(tmp_path, package):
    digest, content = tar_template(package)
    templates = Templates(tmp_path / "templates", 2)
    with pytest.raises(PackageError, match="unpacks to too much"):
        templates.add(digest, "package", content[: len(content) // 2])
    assert templates.find(digest) is None
    assert list((tmp_path / "templates").iterdir()) == []
    assert dict(folder_files(templates.add(digest, "package", content))) == dict(folder_files(package))


def test_what_is_in_memory_is_bounded_by_bytes_and_who_waits_goes_in_order(eventually):
    held: list[str] = []

    async def run() -> None:
        room, leave = Room(100), {name: asyncio.Event() for name in "abcde"}

        async def hold(name: str, size: int) -> None:
            async with room.taken(size):
                held.append(name)
                await leave[name].wait()
            held.remove(name)

        tasks = {}
        for name, size in (("a", 60), ("b", 40), ("c", 50), ("d", 1), ("e", 1000)):
            tasks[name] = asyncio.create_task(hold(name, size))
            await asyncio.sleep(0)
        assert held == ["a", "b"]
        leave["b"].set()
        await tasks["b"]
        await asyncio.sleep(0)
        assert held == ["a"], "40 bytes are left, and 50 are wanted"
        tasks["c"].cancel()
        await eventually(lambda: held == ["a", "d"])
        leave["a"].set()
        leave["d"].set()
        await eventually(lambda: held == ["e"])
        leave["e"].set()
        await tasks["e"]

    asyncio.run(asyncio.wait_for(run(), 60))


def test_options_say_where_replicas_run(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert read_cluster("1..8", None) == Cluster(None, 1, 8)
    assert read_cluster("3", "head:6379") == Cluster("head:6379", 3, 3)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert read_cluster("3", None) == Cluster("10.0.0.1:6379", 3, 3)
    assert read_cluster("3", "head:6379") == Cluster("head:6379", 3, 3)


@pytest.mark.parametrize("replicas", ["0", "-1", "3..1", "many", "1..", "..2", "1...2"])
def test_numbers_of_replicas_that_cannot_be(replicas):
    with pytest.raises(InputError, match="--replicas"):
        read_cluster(replicas, None)


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "head:1:2"])
def test_addresses_that_are_no_heads(address):
    with pytest.raises(InputError, match="--address"):
        read_cluster("1", address)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--engine", "rai"), "error: --engine: there is no such engine (seen: 'rai'). Did you mean 'ray'?"),
        (("--engine", "kubernetes"), "Known: 'local', 'ray'."),
        (("--replicas", "2"), "error: --replicas: this is an option of Ray's"),
        (("--address", "head:6379"), "error: --address: this is an option of Ray's"),
    ],
)
def test_bad_engines_of_the_command(options, told, cli):
    ran = cli("serve", "--port", "0", *options)
    assert ran.code == 1
    assert told in ran.err


def test_without_ray_the_command_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = cli("serve", "--port", "0", "--engine", "ray")
    assert ran.code == 4
    assert "error: serve: ray is not installed, and --engine ray needs it" in ran.err
    assert "pip install 'modelgpt-edge[serve-ray]'" in ran.err


def test_a_server_that_uses_no_ray_imports_none():
    modules = "modelgpt_edge.commands.serve, modelgpt_edge.server.serving, modelgpt_edge.server.ray_cluster"
    code = f"import sys, {modules}; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
