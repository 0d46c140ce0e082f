"""Finalizing on a fake board: what is built how, what the golden rows stop, and that nothing is ever half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import modelgpt_edge
from modelgpt_edge import cache
from modelgpt_edge.errors import GateError, InputError, PackageError, TargetUnavailableError
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import CHECKS, GOLDEN, MANIFEST, sealed
from modelgpt_edge.refit import refit
from modelgpt_edge.runtime import finalize
from modelgpt_edge.runtime.finalize import finalize_package
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.targets.tensorrt import store
from modelgpt_edge.targets.tensorrt.cuda import open_cuda
from modelgpt_edge.targets.tensorrt.engine import PLAN, RECORD, sha256
from modelgpt_edge.targets.tensorrt.refit import refit_engine

NANO = "jetson-orin-nano-tensorrt"
FP16 = f"{NANO}-fp16"
MODEL = f"variants/{FP16}/model.onnx"


@pytest.fixture(scope="module")
def two_boards(tmp_path_factory, patients) -> Path:
    """A package of values, not classes, for two boards of one GPU architecture."""
    out = tmp_path_factory.mktemp("two") / "weight.edge"
    targets = ("jetson-orin-nano", "jetson-agx-orin")
    return modelgpt_edge.build("predict the weight", patients, label="weight", out=out, draws=1, target=targets).path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def reseal(package: Path, name: str, content: bytes) -> None:
    """Another content of a file with the right checksum, as a refit of the package writes it."""
    (package / name).write_bytes(content)
    values = json.loads((package / MANIFEST).read_text(encoding="utf-8"))
    values["files"][name] = sha256(content)
    (package / MANIFEST).write_text(json.dumps(sealed(values)), encoding="utf-8")


def other_weights(model: bytes, scale: float = 1.001) -> bytes:
    """The same graph with weights that differ a little, well inside of fp16's tolerance."""
    loaded = onnx.load_from_string(model)
    weight = next(i for i in loaded.graph.initializer if i.name == "skip_weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float16(scale), weight.name))
    return loaded.SerializeToString()


def test_every_variant_gets_an_engine_that_was_checked_on_the_golden_rows(board, copy):
    facts, engines = finalize_package(copy)
    assert facts.sm == "sm_87"
    assert {e.variant for e in engines} == {f"{NANO}-{p}" for p in ("fp16", "int8", "fp32")}
    for engine in engines:
        assert engine.how == "built"
        assert engine.hop.passed
        assert engine.hop.rows == len(Golden.read(copy / GOLDEN).outputs)
        plan = (copy / "engines" / engine.variant / PLAN).read_bytes()
        record = json.loads((copy / "engines" / engine.variant / RECORD).read_bytes())
        assert record["engine_sha256"] == sha256(plan)
        assert record["engine_bytes"] == len(plan)
        model = copy / "variants" / engine.variant / "model.onnx"
        assert record["key"]["onnx_sha256"] == sha256(model.read_bytes())
    open_package(copy)


def test_the_evidence_grows_in_checks_and_is_replaced_by_a_newer_one(board, copy):
    before = json.loads((copy / CHECKS).read_bytes())
    finalize_package(copy)
    finalize_package(copy, FP16, force=True)
    after = json.loads((copy / CHECKS).read_bytes())
    engines = after.pop("engines")
    assert after == before
    assert sorted(e["variant"] for e in engines) == sorted(f"{NANO}-{p}" for p in ("fp16", "int8", "fp32"))
    (fp16,) = (e for e in engines if e["variant"] == FP16)
    assert fp16["hop"]["passed"]
    assert fp16["hop"]["name"] == "jetson-orin-nano tensorrt fp16 engine"
    assert fp16["board"]["jetpack"] == "L4T 36.4.3"
    assert fp16["record"]["engine_sha256"] == sha256((copy / "engines" / FP16 / PLAN).read_bytes())
    assert fp16["latency"]["p50_us"] > 0


def test_the_network_is_strongly_typed_refittable_and_bounded(board, copy):
    finalize_package(copy, FP16)
    config = board.trt.last_config
    assert board.trt.BuilderFlag.REFIT in config.flags
    assert config.pools == {board.trt.MemoryPoolType.WORKSPACE: 256 << 20}
    (profile,) = config.profiles
    (least, best, most) = profile.shapes["encoded"]
    assert (least[0], best[0], most[0]) == (1, 1, 256)
    finalize_package(copy, FP16, workspace_bytes=64 << 20)
    assert board.trt.last_config.pools == {board.trt.MemoryPoolType.WORKSPACE: 64 << 20}


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("fp16", True), ("int8", True)])
def test_fp32_is_no_tf32(board, copy, precision, tf32):
    finalize_package(copy, f"{NANO}-{precision}")
    assert (board.trt.BuilderFlag.TF32 in board.trt.last_config.flags) is tf32
    assert not {"FP16", "INT8"} & {f.name for f in board.trt.last_config.flags}, "the ONNX says the types"


def test_a_tensorrt_that_lost_the_flag_for_strong_typing_is_fine(board, copy):
    board.use("11.4.0")
    board.trt.NetworkDefinitionCreationFlag = type("NetworkDefinitionCreationFlag", (), {})
    assert finalize_package(copy, FP16)[1][0].how == "built"


def test_an_engine_that_matches_is_kept_and_checked_again(board, copy):
    finalize_package(copy, FP16)
    before, built = contents(copy), board.trt.builds
    (again,) = finalize_package(copy, FP16)[1]
    assert (again.how, board.trt.builds) == ("kept", built)
    assert again.hop.passed
    assert contents(copy) == before
    assert finalize_package(copy, FP16, force=True)[1][0].how == "built"
    assert finalize_package(copy, FP16, workspace_bytes=1 << 20)[1][0].how == "built"
    assert finalize_package(copy, FP16)[1][0].how == "kept", "the workspace is a matter of this run alone"


def test_an_engine_of_another_tensorrt_is_built_anew(board, copy):
    finalize_package(copy, FP16)
    board.use("10.16.1")
    (again,) = finalize_package(copy, FP16)[1]
    assert (again.how, again.record.key.tensorrt) == ("built", "10.16.1")


def test_progress_grows_to_the_end_of_a_build(board, copy):
    told = []
    finalize_package(copy, FP16, progress=lambda stage, share: told.append((stage, share)))
    building = [share for stage, share in told if stage == f"building {FP16}"]
    assert building[0] == 0
    assert building == sorted(building)
    assert building[-1] == 1
    assert all(0 <= share <= 1 for share in building)
    assert len(set(building)) > 6
    assert told[-1][0] == f"checking {FP16}"


@pytest.mark.parametrize("in_place", [True, False])
def test_after_a_refit_of_the_package_its_engines_are_refitted_and_until_then_refused(
    in_place, board, copy, patients, tmp_path
):
    finalize_package(copy)
    built = board.trt.builds
    turned = [{**row, "outcome": {"ill": "well", "well": "ill"}[row["outcome"]]} for row in patients]
    place = refit(copy, turned, out=None if in_place else tmp_path / "other.edge", force=True).path
    with pytest.warns(RuntimeWarning, match=r"model\.onnx has changed since it was built"):
        fallback = modelgpt_edge.load(place)
    assert fallback.variant.backend == "onnxruntime"
    _, engines = finalize_package(place)
    assert {e.how for e in engines} == {"refitted"}
    assert all(e.hop.passed for e in engines)
    assert board.trt.builds == built
    model = modelgpt_edge.load(place)
    assert model.variant.backend == "tensorrt"
    assert list(model.predict(patients)) == list(fallback.predict(patients))
    assert np.mean(model.predict(patients) == [row["outcome"] for row in turned]) > 0.8


def test_timings_are_kept_for_the_next_build_of_this_tensorrt_and_gpu(board, copy):
    finalize_package(copy, FP16)
    finalize_package(copy, FP16, force=True)
    assert board.trt.timings_given == [b"", b"FAKE TIMINGS"]
    name = f"tensorrt/timing-{board.trt.__version__}-sm_87"
    assert cache.cached(name) == b"FAKE TIMINGS"
    cache.keep(name, b"timings of something else")
    finalize_package(copy, FP16, force=True)
    assert board.trt.timings_given[-1] == b"", "begun anew"


def test_an_engine_that_fails_the_golden_rows_is_not_stored_and_names_the_hop(board, copy):
    before = contents(copy)
    board.trt.breaks_engines = True
    with pytest.raises(GateError, match="failed at hop 'jetson-orin-nano tensorrt fp16 engine'") as failed:
        finalize_package(copy, FP16)
    assert "No engine was stored" in str(failed.value)
    assert contents(copy) == before


def test_an_engine_that_fails_leaves_the_older_one_in_place(board, copy):
    finalize_package(copy, FP16)
    before = contents(copy)
    board.trt.breaks_engines = True
    with pytest.raises(GateError):
        finalize_package(copy, FP16, force=True)
    assert contents(copy) == before


def test_what_the_parser_refuses_is_told_with_the_node(board, copy):
    board.trt.parse_says = "unsupported type"
    with pytest.raises(TargetUnavailableError, match=r"doesn't take the model: node 'head_node' \(Gemm\): unsupported type"):
        finalize_package(copy, FP16)


def test_what_the_builder_refuses_is_told_in_its_words(board, copy):
    board.trt.build_says = "Could not find any implementation for node head_node due to insufficient workspace"
    before = contents(copy)
    with pytest.raises(TargetUnavailableError, match=r"workspace\. Where it wants more memory pass --workspace MB"):
        finalize_package(copy, FP16)
    assert contents(copy) == before


def test_a_builder_that_refuses_refit_alone_builds_without_it_and_says_so(board, copy):
    board.trt.refit_says = "Refit is not supported for this layer"
    (engine,) = finalize_package(copy, FP16)[1]
    assert engine.hop.passed
    assert engine.note == "it can't be refitted, as TensorRT refused that: Refit is not supported for this layer"
    assert finalize_package(copy, FP16)[1][0].how == "kept"
    reseal(copy, MODEL, other_weights((copy / MODEL).read_bytes()))
    (engine,) = finalize_package(copy, FP16)[1]
    assert engine.how == "built"
    assert "can't be refitted: it was built without REFIT" in engine.note


def test_an_interrupt_stops_the_build_and_leaves_nothing(board, copy):
    before = contents(copy)
    board.trt.interrupt_at = 3
    with pytest.raises(KeyboardInterrupt):
        finalize_package(copy, FP16)
    assert board.trt.builds == 0
    assert contents(copy) == before


@pytest.mark.parametrize("full_at", [PLAN, RECORD, CHECKS])
def test_a_full_disk_leaves_the_package_as_it_was(board, copy, monkeypatch, full_at):
    finalize_package(copy, FP16)
    before = contents(copy)
    write = store._write

    def full(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        if path.name == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(InputError, match=r"which is as it was \(seen: 'No space left on device'\)"):
        finalize_package(copy, FP16, force=True)
    assert contents(copy) == before


def test_a_move_that_is_interrupted_puts_the_older_engine_back(board, copy, monkeypatch):
    finalize_package(copy, FP16)
    before = contents(copy)
    rename = Path.rename

    def interrupted(self: Path, goal: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, goal)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finalize_package(copy, FP16, force=True)
    assert contents(copy) == before


def test_evidence_that_can_not_be_read_is_refused_before_anything_moves(board, copy):
    (copy / CHECKS).write_text("[1]", encoding="utf-8")
    with pytest.raises(PackageError, match="evidence can't be read"):
        finalize_package(copy, FP16)
    assert not (copy / "engines").exists()


def test_new_weights_of_the_same_graph_refit_the_engine(board, copy):
    finalize_package(copy, FP16)
    built = board.trt.builds
    model = other_weights((copy / MODEL).read_bytes())
    reseal(copy, MODEL, model)
    (engine,) = finalize_package(copy, FP16)[1]
    assert (engine.how, board.trt.builds) == ("refitted", built)
    assert engine.record.key.onnx_sha256 == sha256(model)
    assert finalize_package(copy, FP16)[1][0].how == "kept"


def test_a_refit_that_drops_the_bias_is_caught_by_the_golden_rows_and_built_anew(board, copy):
    finalize_package(copy, FP16)
    board.trt.drops_bias = True
    reseal(copy, MODEL, other_weights((copy / MODEL).read_bytes()))
    (engine,) = finalize_package(copy, FP16)[1]
    assert engine.how == "built"
    assert "refitting the older engine left the tolerance" in engine.note
    assert engine.hop.passed


def test_a_model_of_another_graph_is_built_anew_and_says_why(board, copy):
    finalize_package(copy, FP16)
    shutil.rmtree(copy / "engines" / FP16)
    (donor,) = finalize_package(copy, f"{NANO}-fp32")[1]
    shutil.copytree(copy / "engines" / f"{NANO}-fp32", copy / "engines" / FP16)
    path = copy / "engines" / FP16 / RECORD
    values = json.loads(path.read_bytes())
    values["key"]["flags"] = [f for f in values["key"]["flags"] if f != "NO_TF32"]
    path.write_text(json.dumps(values), encoding="utf-8")
    (engine,) = finalize_package(copy, FP16)[1]
    assert engine.how == "built"
    assert "can't be refitted" in engine.note
    assert "the weights' count differs" in engine.note
    assert engine.record.engine_sha256 != donor.record.engine_sha256


def test_an_engine_without_refit_is_refused_by_refit(board, copy):
    finalize_package(copy, FP16)
    plan = (copy / "engines" / FP16 / PLAN).read_bytes()
    fixed = plan.replace(b'"refittable": true', b'"refittable":false')
    with pytest.raises(TargetUnavailableError, match="can't be refitted: it was built without REFIT"):
        refit_engine(board.trt, fixed, (copy / MODEL).read_bytes(), open_cuda())


def test_another_board_is_told_what_the_package_has(board, copy):
    board.cuda.sm = (11, 0)
    board.write("proc/device-tree/model", "NVIDIA Jetson AGX Thor Developer Kit")
    with pytest.raises(TargetUnavailableError, match=r"no variant is for this board, NVIDIA Jetson AGX.*\(sm_110\)") as said:
        finalize_package(copy)
    assert f"{FP16} (sm_87)" in str(said.value)


def test_a_board_of_the_same_gpu_takes_its_own_variants_or_all(board, two_boards, tmp_path):
    out = Path(shutil.copytree(two_boards, tmp_path / "two.edge"))
    assert {e.variant.rsplit("-", 2)[0] for e in finalize_package(out)[1]} == {"jetson-orin-nano"}
    board.write("proc/device-tree/model", "NVIDIA Jetson Orin NX Engineering Reference Developer Kit")
    assert {e.variant.rsplit("-", 2)[0] for e in finalize_package(out)[1]} == {"jetson-orin-nano", "jetson-agx-orin"}


def test_a_machine_without_tensorrt_says_where_it_comes_from(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(TargetUnavailableError, match="no Python module tensorrt") as refused:
        finalize_package(copy)
    assert refused.value.exit_code == 4
    assert "JetPack" in str(refused.value)


def test_more_scratch_memory_than_the_board_has_is_refused(board, copy):
    with pytest.raises(InputError, match=r"--workspace: .*at most the board's 8,192 MB"):
        finalize_package(copy, FP16, workspace_bytes=9 << 30)


def test_an_unknown_variant_lists_the_nearest(board, copy):
    with pytest.raises(PackageError, match="Did you mean") as refused:
        finalize_package(copy, "jetson-orin-nano-tensorrt-fp61")
    assert FP16 in str(refused.value)


def test_a_damaged_package_is_refused_first(copy):
    (copy / MODEL).write_bytes(b"")
    with pytest.raises(PackageError, match="changed or cut"):
        finalize_package(copy)


def test_regression_finalizes_too(board, two_boards, tmp_path):
    out = Path(shutil.copytree(two_boards, tmp_path / "weight.edge"))
    assert not open_package(out).manifest.classes
    assert all(e.hop.passed for e in finalize_package(out)[1])
    assert finalize_package(out)[1][0].how == finalize.KEPT
