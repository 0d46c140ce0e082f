"""The fake board for tests here: see `fake_board`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest


def _fake_board() -> Any:
    if "fake_board" not in sys.modules:
        spec = importlib.util.spec_from_file_location("fake_board", Path(__file__).with_name("fake_board.py"))
        assert spec
        assert spec.loader
        sys.modules["fake_board"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["fake_board"])
    return sys.modules["fake_board"]


@pytest.fixture(params=["10.3.0", "11.3.0"])
def board(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A fake Jetson Orin Nano with either flavour of TensorRT."""
    return _fake_board().FakeBoard(monkeypatch, tmp_path, request.param)


@pytest.fixture(scope="session")
def jetson(tmp_path_factory: pytest.TempPathFactory, patients: list[Any]) -> Path:
    """A package of the patients for the Orin Nano alone, with some hidden units, in every precision of TensorRT's, fp32 too."""
    import modelgpt_edge
    from modelgpt_edge.compile import variants

    out = tmp_path_factory.mktemp("jetson") / "patients.edge"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants, "keep_best", lambda forms, fetched: forms)
        patch.setattr("modelgpt_edge.architecture.architecture.SIZES", (80, 0))
        return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target="jetson", generator="floor").path


@pytest.fixture
def copy(jetson: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(jetson, tmp_path / "copy.edge"))
