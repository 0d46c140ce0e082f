"""The backend on the host, and at load time on a fake board: what matches runs, what doesn't is named, nothing is built."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.encoder_file import read_encoder
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN
from modelgpt_edge.runtime.finalize import finalize_package
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tensorrt.backend import TensorRt
from modelgpt_edge.targets.tensorrt.engine import PLAN, RECORD, Record, engine_folder, read_engine
from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt.recipe import Recipe

NANO = find_target("jetson-orin-nano")
FP16 = "jetson-orin-nano-tensorrt-fp16"


def opened(package: Path, name: str = FP16):
    return TensorRt().load(lambda file: package / "variants" / name / file, NANO)


def refusal(package: Path) -> str:
    with pytest.raises(TargetUnavailableError) as refused:
        opened(package)
    return str(refused.value)


def golden_of(package: Path):
    golden = Golden.read(package / GOLDEN)
    encoder = read_encoder(package / "variants" / FP16 / "encoder.safetensors")
    return golden, encoder.codes(list(golden.words.T))


def finalized(copy: Path) -> Path:
    finalize_package(copy, FP16)
    return copy


@pytest.mark.parametrize("precision", ["fp16", "int8", "fp32"])
def test_the_stand_in_computes_what_the_reference_does(jetson, precision):
    golden, codes = golden_of(jetson)
    name = f"jetson-orin-nano-tensorrt-{precision}"
    got = TensorRt().stand_in(lambda file: jetson / "variants" / name / file, NANO).run(golden.numbers, codes)
    assert compare("stand-in", golden.outputs, got, precision).passed


def test_a_recipe_survives_its_file(tmp_path):
    recipe = Recipe.of(NANO, "int8", Feed.encoded(30))
    (tmp_path / "recipe.json").write_bytes(recipe.to_bytes())
    assert Recipe.read(tmp_path / "recipe.json") == recipe
    assert recipe.flags == ("STRONGLY_TYPED", "REFIT", "ROWS_1_TO_256")
    assert "NO_TF32" in replace(recipe, precision="fp32").flags


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"input": 1}', '{"input": {"shape": {"max": ["a", 3]}}}'])
def test_a_damaged_recipe_is_one_clear_error(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text, encoding="utf-8")
    with pytest.raises(PackageError, match="recipe can't be read"):
        Recipe.read(tmp_path / "recipe.json")


def test_a_finalized_engine_runs_at_load(board, copy):
    golden, codes = golden_of(finalized(copy))
    got = opened(copy).run(golden.numbers, codes)
    assert compare("engine", golden.outputs, got, "fp16").passed


def test_more_rows_than_the_engine_takes_at_once_run_in_parts(board, copy):
    golden, codes = golden_of(finalized(copy))
    executor = opened(copy)
    many = 600
    pick = np.arange(many) % len(golden.numbers)
    got = executor.run(golden.numbers[pick], codes[pick])
    assert got.shape == (many, golden.outputs.shape[1])
    assert np.array_equal(got, executor.run(golden.numbers, codes)[pick])
    assert executor.run(golden.numbers[:0], codes[:0]).shape == (0, golden.outputs.shape[1])


def test_loading_never_builds(board, copy):
    finalized(copy)
    built = board.trt.builds
    opened(copy)
    (copy / "engines" / FP16 / RECORD).unlink()
    assert "there is no engine for this board yet" in refusal(copy)
    assert board.trt.builds == built


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b, p: b.use("10.16.1"), r"it was built by TensorRT 1\d\.3\.0, and 10\.16\.1 is here"),
        (
            lambda b, p: b.write("etc/nv_tegra_release", "# R38 (release), REVISION: 2.0"),
            "it was built under L4T 36.4.3, and this board runs L4T 38.2.0",
        ),
        (
            lambda b, p: b.write("usr/local/cuda/version.json", '{"cuda": {"version": "13.2.1"}}'),
            "it was built with CUDA 12.6.68, and 13.2.1 is here",
        ),
        (
            lambda b, p: b.write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX  580.1.2  Release"),
            "it was built under driver 540.4.0, and 580.1.2 is here",
        ),
        (
            lambda b, p: b.write("proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0"),
            "it was built on another model of board, 'NVIDIA Jetson Orin Nano Developer Kit', and this is 'NVIDIA Jetson AGX",
        ),
    ],
    ids=["tensorrt", "jetpack", "cuda", "driver", "board"],
)
def test_an_engine_of_other_circumstances_is_refused_by_name(board, copy, change, message):
    finalized(copy)
    change(board, copy)
    said = refusal(copy)
    assert re.search(message, said), said
    assert said.endswith(f"Run on this board: modelgpt-edge finalize {copy}")


def test_a_changed_model_is_refused_by_name(board, copy):
    finalized(copy)
    model = copy / "variants" / FP16 / "model.onnx"
    model.write_bytes((copy / "variants" / "jetson-orin-nano-tensorrt-int8" / "model.onnx").read_bytes())
    assert "model.onnx has changed since it was built (sha256 " in refusal(copy)


def _edited(copy: Path, **parts: object) -> None:
    path = copy / "engines" / FP16 / RECORD
    values = json.loads(path.read_bytes())
    values["key"].update(parts)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_an_engine_for_another_gpu_or_of_other_flags_is_refused_by_name(board, copy):
    finalized(copy)
    _edited(copy, sm="sm_110", flags=["REFIT"])
    said = refusal(copy)
    assert "it was built for sm_110, and this GPU is sm_87" in said
    assert "it was built with flags REFIT, and the recipe wants STRONGLY_TYPED, REFIT, ROWS_1_TO_256" in said


def test_every_part_of_the_key_is_compared(board, copy):
    finalized(copy)
    record = read_engine(engine_folder(copy / "variants" / FP16)).record
    assert record
    for name, value in vars(record.key).items():
        other = replace(record.key, **{name: ("other",) if isinstance(value, tuple) else "other"})
        assert list(record.key.differences(other)) == [name]
    assert record.key.differences(record.key) == {}
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("damage", [lambda plan: plan[:-1], lambda plan: b"", lambda plan: plan[:-1] + b"\0"])
def test_a_cut_or_changed_engine_is_never_deserialised(board, copy, damage, monkeypatch):
    finalized(copy)
    plan = copy / "engines" / FP16 / PLAN
    plan.write_bytes(damage(plan.read_bytes()))
    monkeypatch.setattr(board.trt, "Runtime", None)
    assert f"{PLAN} was cut or changed (" in refusal(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": {"sm": 1, "flags": []}}'])
def test_a_damaged_record_is_no_engine(board, copy, text):
    finalized(copy)
    (copy / "engines" / FP16 / RECORD).write_text(text, encoding="utf-8")
    assert f"{RECORD} can't be read" in refusal(copy)


def test_an_engine_that_tensorrt_itself_refuses_is_told_in_its_words(board, copy):
    folder = finalized(copy) / "engines" / FP16
    plan = b"an engine of no TensorRT"
    (folder / PLAN).write_bytes(plan)
    found = json.loads((folder / RECORD).read_bytes())
    record = Record.of(Record.from_json(found).key, plan, 1)
    (folder / RECORD).write_text(json.dumps(record.to_json()), encoding="utf-8")
    assert "the engine can't be opened: Magic tag does not match" in refusal(copy)


def test_an_engine_that_fails_as_it_runs_is_an_error_with_its_words(board, copy):
    golden, codes = golden_of(finalized(copy))
    executor = opened(copy)
    board.trt.run_says = "out of memory"
    with pytest.raises(TargetUnavailableError, match="the engine failed to run: out of memory"):
        executor.run(golden.numbers, codes)


def test_another_gpu_is_no_such_board(board, copy):
    finalized(copy)
    board.cuda.sm = (11, 0)
    assert "this GPU is sm_110, no sm_87" in refusal(copy)


def test_a_board_without_tensorrt_says_where_it_comes_from(board, copy, monkeypatch):
    finalized(copy)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "no Python module tensorrt. On a Jetson it comes with JetPack" in refusal(copy)


def test_an_old_tensorrt_says_which_jetpack_to_have(board, copy):
    finalized(copy)
    board.use("8.5.2")
    assert "TensorRT 8.5.2 is older than 10. Update the board to JetPack 6.2" in refusal(copy)


def test_an_engine_beside_a_folder_that_is_in_no_package_is_never_looked_for(board, copy, tmp_path):
    stray = tmp_path / "elsewhere" / FP16
    finalized(copy)
    (copy / "variants" / FP16).rename(stray.parent.mkdir() or stray)
    (copy / "engines").rename(tmp_path / "engines")
    assert engine_folder(stray) is None
    with pytest.raises(TargetUnavailableError, match=r"no engine for this board yet.*finalize PACKAGE"):
        TensorRt().load(lambda file: stray / file, NANO)


def test_engines_that_lead_outside_the_package_are_never_read(board, copy, tmp_path):
    finalized(copy)
    (copy / "engines").rename(tmp_path / "outside")
    (copy / "engines").symlink_to(tmp_path / "outside")
    assert "no engine" in refusal(copy)
    with pytest.raises(PackageError, match="leads outside the package"):
        finalize_package(copy, FP16)


def test_a_package_falls_back_to_onnx_runtime_loudly(board, copy, patients):
    with pytest.warns(RuntimeWarning) as warned:
        model = modelgpt_edge.load(copy)
    said = str(warned[0].message)
    assert "there is no engine for this board yet" in said
    assert f"modelgpt-edge finalize {copy}" in said
    assert model.variant
    assert model.variant.backend == "onnxruntime"
    assert len(model.predict(patients)) == len(patients)


def test_a_finalized_package_uses_its_engine_silently(board, copy, patients, recwarn):
    finalize_package(copy)
    model = modelgpt_edge.load(copy)
    assert model.variant
    assert model.variant.backend == "tensorrt"
    assert [str(w.message) for w in recwarn if w.category is RuntimeWarning] == []
    cpu = modelgpt_edge.load(copy, "model")
    assert list(model.predict(patients)) == list(cpu.predict(patients))
