"""A server's folder of uploads: the next server clears it where its own was killed, and leaves those of living ones alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
import pytest

from modelgpt_edge.server.own_folder import LOCK, PREFIX, OwnFolder

CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_gone_when_it_is_closed_and_stays_while_it_is_not(place):
    mine = OwnFolder()
    (mine.path / "upload").mkdir()
    other = OwnFolder()
    assert (mine.path / "upload").is_dir()
    assert sorted(place.iterdir()) == sorted([mine.path, other.path])
    mine.close()
    mine.close()
    assert list(place.iterdir()) == [other.path]
    other.close()
    assert not list(place.iterdir())


def test_what_is_not_a_servers_own_is_left_alone(place):
    kept = [place / f"{PREFIX}new", place / "elsewhere", place / f"{PREFIX}link", place / f"{PREFIX}file"]
    kept[0].mkdir()  # just being made: it has no lock yet
    kept[1].mkdir()
    (kept[1] / LOCK).touch()
    kept[2].symlink_to(kept[1])
    kept[3].touch()
    strange = place / f"{PREFIX}strange"
    strange.mkdir()
    (strange / LOCK).symlink_to(kept[1] / LOCK)
    OwnFolder().close()
    assert sorted(place.iterdir()) == sorted([*kept, strange])
    assert (kept[1] / LOCK).exists()


def test_a_killed_servers_uploads_and_packages_go_when_the_next_one_starts(serve, csv, tmp_path):
    with serve("--workers", "1", TMPDIR=str(tmp_path)) as living, serve("--workers", "1", TMPDIR=str(tmp_path)) as killed:
        options = {"task": "predict the outcome", "draws": "1"}
        answer = httpx.post(f"{killed.url}/v1/build", params=options, content=csv, headers=CSV, timeout=60)
        assert answer.status_code == 200, answer.text
        left = [p for p in tmp_path.glob(f"{PREFIX}*") if (p / "packages").is_dir()]
        assert len(left) == 1
        killed.process.kill()
        killed.process.wait()
        assert left[0].is_dir()
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
        with serve("--workers", "1", TMPDIR=str(tmp_path)):
            assert not left[0].exists()
            assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
        assert httpx.post(f"{living.url}/v1/build", params=options, content=csv, headers=CSV, timeout=60).status_code == 200
    assert not list(tmp_path.glob(f"{PREFIX}*"))
