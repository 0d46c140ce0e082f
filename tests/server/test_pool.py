"""Worker processes alone: what waits for one and isn't wanted any more is never begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelgpt_edge.server.jobs import Done, ProfileJob
from modelgpt_edge.server.launches import Pool


@pytest.fixture(scope="module")
def pool():
    one = Pool(1, seconds=60)
    one.start()
    yield one
    one.close()


def _job(folder: Path, profile) -> ProfileJob:
    (folder / "profile.safetensors").write_bytes(profile())
    return ProfileJob(folder / "profile.safetensors", units=20)


def test_a_job_that_nobody_waits_for_is_not_begun(pool, profile, tmp_path):
    job = _job(tmp_path, profile)
    os.mkfifo(tmp_path / "never")  # whoever reads it waits for ever
    first, unwanted, last = pool.launch([job, ProfileJob(tmp_path / "never"), job])
    assert unwanted.cancel()
    assert isinstance(first.result(60), Done)
    assert last.result(60).content == first.result().content
    assert pool.alive == 1


def test_a_pool_that_never_started_can_be_closed():
    Pool(2, seconds=60).close()


def test_a_job_that_is_abandoned_while_it_runs_frees_its_worker(pool, profile, tmp_path, until):
    os.mkfifo(tmp_path / "never")
    running, last = pool.launch([ProfileJob(tmp_path / "never"), _job(tmp_path, profile)])
    until(running.running)
    pool.abandon(running)
    assert isinstance(last.result(60), Done)
