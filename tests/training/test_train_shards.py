"""Shards: the same for the same seed, whole or not at all, and told apart from what is none."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from modelgpt_edge.errors import InputError
from modelgpt_edge.training.ahead import Ahead
from modelgpt_edge.training.shards import (
    DamagedShardError,
    Recipe,
    Shard,
    draw_shard,
    read_shard,
    shard_path,
    write_shard,
)

RECIPE = Recipe(seed=3, rows=40, columns=5, tables=2)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1, "blas"):
        yield


def test_a_shard_read_is_the_shard_drawn(tmp_path):
    write_shard(tmp_path, RECIPE, 7)
    read, drawn = read_shard(tmp_path, RECIPE, 7), draw_shard(RECIPE, 7)
    for name in ("numbers", "category", "labels", "scores"):
        assert np.array_equal(getattr(read, name), getattr(drawn, name))
        assert getattr(read, name).dtype == getattr(drawn, name).dtype
    assert read.context == drawn.context
    assert not np.array_equal(draw_shard(RECIPE, 8).labels[0][:20], drawn.labels[0][:20])
    assert [p.name for p in tmp_path.iterdir()] == ["000007.safetensors"]


def test_packing_keeps_cells_labels_and_scores(monkeypatch):
    kept = []
    pack = Shard.of
    monkeypatch.setattr(Shard, "of", staticmethod(lambda examples: kept.extend(examples) or pack(examples)))
    shard = draw_shard(RECIPE, 5)
    for table, e in enumerate(kept):
        assert np.abs(shard.cells()[table] - e.cells).max() <= 5 * 2**-11
        assert np.array_equal(shard.labels[table], e.labels.argmax(1))
        classes = e.labels.shape[1]
        centred = np.clip(e.scores - e.scores.mean(1, keepdims=True), -12, 12)
        assert np.abs(shard.scores[table][:, :classes] - centred).max() <= 12 * 2**-11
        assert not shard.scores[table][:, classes:].any()


def test_shapes_keep_within_the_recipe():
    rng, recipe = np.random.default_rng(0), Recipe(rows=600, columns=40)
    shapes = [recipe.shape(rng) for _ in range(300)]
    assert all(48 <= n <= 600 and 4 <= c <= 40 and (n + m) * (c + 1) <= 9_000 for n, m, c in shapes)
    assert max(n for n, _, _ in shapes) > 400
    assert max(c for _, _, c in shapes) > 30


@pytest.mark.parametrize("damage", ["cut", "empty", "not a shard", "missing"])
def test_a_damaged_shard_is_told_as_one(damage, tmp_path):
    write_shard(tmp_path, RECIPE, 0)
    path = shard_path(tmp_path, 0)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-100], "empty": b"", "not a shard": b"PK\x03\x04" * 50}[damage])
    with pytest.raises(DamagedShardError, match=r"000000.safetensors: this shard can't be read"):
        read_shard(tmp_path, RECIPE, 0)


def test_a_shard_of_another_recipe_is_refused(tmp_path):
    write_shard(tmp_path, RECIPE, 0)
    with pytest.raises(InputError, match="drawn with other settings") as refused:
        read_shard(tmp_path, Recipe(seed=4, rows=40, columns=5, tables=2), 0)
    assert not isinstance(refused.value, DamagedShardError)


def test_a_full_disk_leaves_no_part_of_a_shard(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("modelgpt_edge.training.shards.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path, RECIPE, 0)
    assert list(tmp_path.iterdir()) == []


def test_processes_draw_what_is_missing_and_say_why_they_cannot(tmp_path):
    write_shard(tmp_path, RECIPE, 1)
    before = shard_path(tmp_path, 1).stat().st_mtime_ns
    with Ahead(tmp_path, RECIPE, 1) as ahead:
        ahead.want(0, 3)
        ahead.finish(lambda left: None, lambda: False)
        assert sorted(p.name for p in tmp_path.iterdir()) == [f"{n:06d}.safetensors" for n in range(3)]
        assert shard_path(tmp_path, 1).stat().st_mtime_ns == before
        for path in tmp_path.iterdir():
            path.unlink()
        tmp_path.rmdir()
        ahead.want(3, 4)
        with pytest.raises(InputError, match=r"000003.safetensors: a shard can't be written \(seen: 'No such file"):
            ahead.finish(lambda left: None, lambda: False)
