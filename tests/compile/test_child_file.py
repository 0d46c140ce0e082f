"""The child's file gives the same child back, and a damaged one is refused, never guessed at."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.child_file import child_bytes, read_child
from modelgpt_edge.errors import PackageError

CLASSES = ("rot", "grün ü", "")


@pytest.fixture(params=[(), CLASSES], ids=["regression", "classes"])
def child(request):
    """A child of random arrays: two number columns, one of days with waves, two word columns, units of every kind."""
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def places(most, *shape):
        return rng.integers(0, most, shape).astype(np.int32)

    encoder = Encoder(
        numbers=("age", "größe\n", "day"),
        words=("city", "colour"),
        vocabularies=(("Rome", "Oslo", "日本"), ()),
        wave_column=np.array([2, 2], np.int32),
        wave_frequency=floats(2),
        wave_phase=floats(2),
        median=floats(5),
        center=floats(5),
        scale=floats(5),
        rank_column=np.array([0, 2], np.int32),
        rank_knots=np.sort(floats(2, 6), axis=1),
        rank_values=np.sort(floats(2, 6), axis=1),
        flag_column=np.array([1], np.int32),
    )
    width, outputs = encoder.width, max(1, len(request.param))
    units = Units(
        floats(width, 6), floats(6), places(width, 2, 8), floats(2, 8, 4), floats(2, 4), places(width, 3, 8), floats(3, 8, 12),
        floats(3, 12), np.ones((3, 4), np.float32),
    )  # fmt: skip
    return Child(encoder, units, floats(width + units.count, outputs), floats(outputs), request.param)


def reread(tmp_path, content):
    (tmp_path / "child.safetensors").write_bytes(content)
    return read_child(tmp_path / "child.safetensors")


def test_every_array_and_text_comes_back(child, tmp_path):
    back = reread(tmp_path, child_bytes(child))
    assert back.classes == child.classes
    for part, kind in (("encoder", Encoder), ("units", Units)):
        for field in fields(kind):
            was, now = (getattr(getattr(c, part), field.name) for c in (child, back))
            if isinstance(was, np.ndarray):
                assert now.dtype == was.dtype, field.name
                assert np.array_equal(now, was), field.name
            else:
                assert now == was, field.name
    for name in ("head_weight", "head_bias"):
        assert np.array_equal(getattr(back, name), getattr(child, name))


def test_it_predicts_the_same_to_the_bit(child, tmp_path):
    back = reread(tmp_path, child_bytes(child))
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(20, len(child.encoder.numbers))).astype(np.float32)
    numbers[::3, 0] = np.nan
    codes = rng.integers(-1, 2, (20, len(child.encoder.words))).astype(np.int32)
    was, now = (c.outputs(c.encoder.encode(numbers, codes)) for c in (child, back))
    assert np.array_equal(was, now)


def test_the_same_child_gives_the_same_bytes(child, tmp_path):
    content = child_bytes(child)
    assert child_bytes(child) == content
    assert child_bytes(reread(tmp_path, content)) == content


def test_a_child_without_units_and_names_of_any_kind_survive(child, tmp_path):
    names = ("Größe\n", "\0", "\ud83d half", "日本", "")
    width = child.encoder.width
    linear = replace(
        child,
        units=Units.none(width),
        head_weight=np.zeros((width, 5), np.float32),
        head_bias=np.zeros(5, np.float32),
        classes=names,
    )
    back = reread(tmp_path, child_bytes(linear))
    assert back.classes == names
    assert back.units.count == 0


def test_arrays_that_are_views_are_written_as_they_read(child, tmp_path):
    """Safetensors writes a view's buffer in its own order unless it is made contiguous."""
    turned = replace(child, units=child.units.part(0, 1), head_weight=np.asfortranarray(child.head_weight))
    assert np.array_equal(reread(tmp_path, child_bytes(turned)).head_weight, child.head_weight)


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\xff" * 64])
def test_what_is_no_child_is_refused(content, tmp_path):
    with pytest.raises(PackageError, match=r"child\.safetensors.*the child can't be read"):
        reread(tmp_path, content)


def test_a_cut_file_is_refused_wherever_it_was_cut(child, tmp_path):
    content = child_bytes(child)
    for share in (0.01, 0.5, 0.999):
        with pytest.raises(PackageError):
            reread(tmp_path, content[: int(share * len(content))])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PackageError):
        read_child(tmp_path / "child.safetensors")


@pytest.mark.parametrize(
    "name", ["classes", "head_weight", "head_bias", "units.dense_weight", "encoder.median", "encoder.texts"]
)
def test_a_part_that_is_absent_is_refused(name, child, tmp_path):
    tensors = load(child_bytes(child))
    with pytest.raises(PackageError):
        reread(tmp_path, save({n: t for n, t in tensors.items() if n != name}))


@pytest.mark.parametrize("text", [b"not json", b"3", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["classes", "encoder.texts"])
def test_texts_that_do_not_read_are_refused(name, text, child, tmp_path):
    tensors = load(child_bytes(child)) | {name: np.frombuffer(text, np.uint8)}
    with pytest.raises(PackageError):
        reread(tmp_path, save(tensors))


def test_a_part_of_another_kind_is_refused(child, tmp_path):
    tensors = load(child_bytes(child)) | {"units.surprise": np.zeros(3, np.float32)}
    with pytest.raises(PackageError):
        reread(tmp_path, save(tensors))
