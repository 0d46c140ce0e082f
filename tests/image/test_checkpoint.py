"""Checkpoints are read as torch reads them; files that are damaged, lie or mean harm are refused, and run nothing."""

from __future__ import annotations

import io
import os
import pickle  # noqa: TID251 - hostile files are made with it
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - it writes the files
from safetensors.numpy import save_file

from modelgpt_edge.architecture.image.checkpoint import read_checkpoint
from modelgpt_edge.architecture.image.files import find_backbone
from modelgpt_edge.errors import InputError


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """Types, steps, a shared storage, an empty tensor and a lone number."""
    torch.manual_seed(0)
    whole = torch.randn(6, 5)
    return OrderedDict(
        whole=whole,
        turned=whole.T,
        part=whole[1:4, ::2],
        repeated=torch.randn(1, 3).expand(1, 3),
        parameter=torch.nn.Parameter(torch.randn(2, 3)),
        half=torch.randn(7).half(),
        double=torch.randn(7).double(),
        brain=torch.randn(7).bfloat16(),
        count=torch.tensor(42),
        flags=torch.tensor([True, False]),
        bytes=torch.arange(5, dtype=torch.uint8),
        nothing=torch.empty(0, 4),
    )


def saved(path: Path, value: object, old: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("old", [True, False], ids=["legacy", "zip"])
def test_every_tensor_is_what_torch_saved(old, state, tmp_path):
    found = read_checkpoint(saved(tmp_path / "a.pth", state, old))
    assert list(found) == list(state)
    for name, tensor in state.items():
        expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert found[name].shape == expected.shape
        assert found[name].dtype == (np.uint8 if expected.dtype == bool else expected.dtype)


@pytest.mark.parametrize("old", [True, False], ids=["legacy", "zip"])
def test_a_modules_own_state_dict_is_read(old, tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    found = read_checkpoint(saved(tmp_path / "a.pth", module.state_dict(), old))  # carries versions of its parts as attributes
    assert set(found) == set(module.state_dict())
    np.testing.assert_array_equal(found["0.weight"], module[0].weight.detach().numpy())


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict"])
def test_a_state_dict_within_a_training_checkpoint_is_found(name, state, tmp_path):
    value = {name: state, "epoch": 3, "loss": 0.25, "note": "x", "history": [1, 2, (3, None)]}
    assert list(read_checkpoint(saved(tmp_path / "a.pth", value))) == list(state)


def test_the_shipped_checkpoint_is_what_torch_reads():
    backbone = find_backbone()
    expected = torch.load(backbone.path, weights_only=True)
    found = read_checkpoint(backbone.path)
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in expected.items())


def test_safetensors_are_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_file(arrays, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.safetensors")["a"], arrays["a"])


class Harm:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


class ByAttribute:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"open({str(self.mark)!r}, 'w')",)


@pytest.mark.parametrize("harm", [Harm, ByAttribute])
@pytest.mark.parametrize("old", [True, False], ids=["legacy", "zip"])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(harm, old, state, tmp_path):
    mark = tmp_path / "ran"
    path = saved(tmp_path / "a.pth", {**state, "extra": harm(mark)}, old)
    with pytest.raises(InputError, match="which no state dict needs"):
        read_checkpoint(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the file does mean harm
    assert mark.exists()


def zipped(path: Path, pickled: bytes, **beside: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, content in beside.items():
            archive.writestr(f"a/data/{name}", content)
    return path


def described(start: int, sizes: tuple[int, ...], steps: tuple[int, ...], count: int = 4, kind: str = "FloatStorage") -> bytes:
    """A pickle of {"w": tensor} over the storage "0", as torch would write it of such numbers."""

    def number(value: int) -> bytes:
        return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text("0") + text("cpu") + number(count) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(start) + numbers(sizes) + numbers(steps)
    return b"\x80\x02}" + text("w") + tensor + b"\x89ccollections\nOrderedDict\n)RtRs."


def test_a_tensor_described_by_hand_is_read(tmp_path):
    path = zipped(tmp_path / "a.pth", described(1, (3,), (1,)), **{"0": np.arange(4, dtype="<f4").tobytes()})
    assert read_checkpoint(path)["w"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (described(2, (3,), (1,)), "reaches beyond its storage"),
        (described(0, (2, 2), (3, 1)), "reaches beyond its storage"),
        (described(0, (1 << 60,), (0,)), "reaches beyond its storage"),
        (described(0, (3, 3), (0, 0)), "reaches beyond its storage"),
        (described(0, (1 << 40, 0, 1 << 40), (0, 0, 0)), "the checkpoint can't be read"),
        (described(-1, (2,), (1,)), "a tensor is described badly"),
        (described(0, (2,), (-1,)), "a tensor is described badly"),
        (described(0, (2, 2), (1,)), "a tensor is described badly"),
        (described(0, (2,), (1,), count=-4), "a storage is described badly"),
        (described(0, (2,), (1,), count=1 << 50), "has another length than its tensors say"),
        (described(0, (2,), (1,), kind="DoubleStorage"), "has another length than its tensors say"),
        (described(0, (2,), (1,), kind="ComplexFloatStorage"), "asks for torch.ComplexFloatStorage"),
        (described(0, (2,), (1,)).replace(b"OrderedDict", b"OrderedSet_"), "asks for collections.OrderedSet_"),
        (b"\x80\x02].", "it holds no state dict"),
        (b"\x80\x02}.", "it holds no tensors"),
        (b"\x80\x02.", "it ends in the middle of a value"),
        (b"\x80\x02}q\x00", "pickle exhausted"),
        (b"\x80\x02h\x07.", "makes no sense"),
        (b"\x80\x02R.", "makes no sense"),
        (b"\x80\x02u.", "makes no sense"),
        (b"\x80\x02}}K\x01s.", "it fills what is no mapping of names"),
        (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system"),
        (b"\x80\x02}(K\x01K\x02i__main__\nX\n.", "the instruction INST"),
        (b"", "pickle exhausted"),
    ],
)
def test_descriptions_that_lie_are_refused(pickled, says, tmp_path):
    path = zipped(tmp_path / "a.pth", pickled, **{"0": np.arange(4, dtype="<f4").tobytes()})
    with pytest.raises(InputError) as told:
        read_checkpoint(path)
    assert says in str(told.value)
    assert str(path) in str(told.value)


def test_tuples_within_tuples_take_no_time(tmp_path):
    """Written out, or hashed, these few bytes would have 2**200 parts."""
    nested = b"\x80\x02}" + b")" + b"q\x01h\x01\x86" * 200
    for ending in (b"K\x01s.", b"c%s\n%s\n."):
        with pytest.raises(InputError):
            read_checkpoint(zipped(tmp_path / "a.pth", nested + ending))


def test_a_storage_that_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match="its storage '0' is missing"):
        read_checkpoint(zipped(tmp_path / "a.pth", described(0, (2,), (1,))))


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("modelgpt_edge.architecture.image.checkpoint.MOST_BYTES", 1 << 16)
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", described(0, (2,), (1,), count=1 << 18))
        archive.writestr("a/data/0", bytes(1 << 20))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(InputError, match="unpack to too much"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\x80\x02]q\x00.", b"PK\x03\x04", b"{}"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_refused(content, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="the checkpoint can't be read"):
        read_checkpoint(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("old", [True, False], ids=["legacy", "zip"])
def test_every_cut_is_told(old, state, tmp_path):
    whole = saved(tmp_path / "a.pth", state, old).read_bytes()
    for kept in range(0, len(whole) - 1, 37):
        (tmp_path / "b.pth").write_bytes(whole[:kept])
        with pytest.raises(InputError):
            read_checkpoint(tmp_path / "b.pth")


@pytest.mark.parametrize("old", [True, False], ids=["legacy", "zip"])
def test_changed_bytes_are_read_or_refused_and_nothing_else(old, state, tmp_path):
    whole = saved(tmp_path / "a.pth", state, old).read_bytes()
    draw, read = random.Random(3), 0
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            changed[draw.randrange(len(whole))] = draw.randrange(256)
        (tmp_path / "b.pth").write_bytes(changed)
        try:
            read += bool(read_checkpoint(tmp_path / "b.pth"))
        except InputError:
            continue
    assert 0 < read < 400


def test_pickle_itself_writes_what_is_read(tmp_path):
    """Later protocols frame, memoise and look names up otherwise."""
    stored = io.BytesIO()
    pickle.Pickler(stored, 5).dump({"a": [1, 2.5, None, True, ("x", b"y")]})
    with pytest.raises(InputError, match="it holds no tensors"):
        read_checkpoint(zipped(tmp_path / "a.pth", stored.getvalue()))
