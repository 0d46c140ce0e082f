"""Models of pictures for TensorRT: bytes in, every type said; built by `finalize` on a FAKE board, that is ONNX Runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.gate import TOLERANCES
from modelgpt_edge.runtime.finalize import finalize_package
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt.recipe import Recipe
from tests.targets.tensorrt.fake_board import FakeBoard

FP16 = "jetson-orin-nano-tensorrt-fp16"


@pytest.fixture(scope="module", params=["backbone", "trunk"])
def package(request, small_file, write_pictures, tmp_path_factory) -> Path:
    """A package for the Orin Nano, of either template."""
    folder = tmp_path_factory.mktemp("jetson")
    pictures = write_pictures(folder / "pictures", 6)
    task, encoder = "tell the colour of a picture", str(small_file) if request.param == "backbone" else "tiny"
    return modelgpt_edge.build(task, pictures, encoder=encoder, target="jetson", out=folder / "m.edge").path


@pytest.fixture(params=["10.3.0", "11.3.0"])
def board(request, monkeypatch, tmp_path) -> Any:
    return FakeBoard(monkeypatch, tmp_path, request.param)


def test_a_jetson_gets_an_engines_form_and_one_for_its_processor(package):
    kept = {(v.backend, v.precision) for v in open_package(package).manifest.variants}
    assert {("tensorrt", "fp16"), ("onnxruntime", "fp32")} <= kept
    assert kept <= {("tensorrt", "fp16"), ("tensorrt", "int8"), ("onnxruntime", "fp32")}
    checks = json.loads((package / "checks.json").read_bytes())
    tried = {c["precision"] for c in checks["candidates"] if c["backend"] == "tensorrt"}
    assert tried == {"fp16", "int8", "fp32"}
    assert all(c["agreement"] is not None for c in checks["candidates"]), "each ran by a stand-in"


def test_a_package_is_finalized_and_predicts_by_its_engine(board, package, write_pictures, tmp_path, recwarn):
    copy = Path(shutil.copytree(package, tmp_path / "copy.edge"))
    _, (done, *_) = finalize_package(copy, FP16)
    assert done.hop.passed
    model = modelgpt_edge.load(copy)
    assert model.variant is not None
    assert model.variant.name == FP16
    assert [str(w.message) for w in recwarn if w.category is RuntimeWarning] == []
    asked = write_pictures(tmp_path / "asked", 7, seed=40)  # more than the engine takes at once
    truth = modelgpt_edge.load(copy, "model").predict_proba(asked)
    got = model.predict_proba(asked)
    assert len(got) == 21
    assert 0 < np.abs(got - truth).max() < TOLERANCES["fp16"].max_abs


def test_the_recipe_tells_what_an_engine_takes(package):
    opened = open_package(package)
    size = opened.manifest.architecture["size"]
    recipe = Recipe.read(opened.file(f"variants/{FP16}/recipe.json"))
    assert recipe.feed == Feed("pixels", (1, size, size, 3), (1, size, size, 3), (16, size, size, 3))
    assert recipe.flags == ("STRONGLY_TYPED", "REFIT", "ROWS_1_TO_16")
