"""Find the interpreter that has TensorRT-RTX, and have it build an engine: a crash or a hang there is only an error here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.tensorrt.feed import ROWS, Feed

PACKAGE = "tensorrt-rtx-cu13==1.7.1.116"
PYTHON = "MODELGPT_EDGE_RTX_PYTHON"
HOW_TO_GET_IT = (
    f"python3 -m venv .venv-rtx && .venv-rtx/bin/pip install {PACKAGE} && export {PYTHON}=$PWD/.venv-rtx/bin/python"
    " (or: pip install 'modelgpt-edge[rtx]')"
)
AOT = Path(__file__).with_name("aot.py")
SECONDS = 600


@dataclass(frozen=True)
class Built:
    """What came of a request.

    Attributes:
        engine: None where it could not be built.
        answer: JSON values of ``aot.py``: version, ``parsed``, ``parser_errors``, ``layers``, ``errors``, ``seconds``.
    """

    engine: bytes | None
    answer: Mapping[str, Any]

    @property
    def trouble(self) -> str:
        """What the parser and the builder complained of; "" where the engine was built."""
        if self.engine is not None:
            return ""
        said = [*self.answer["parser_errors"], *self.answer["errors"]]
        return "; ".join(" ".join(text.split()) for text in dict.fromkeys(said)) or "it gave no reason"


def find_python() -> str:
    """The interpreter that ``MODELGPT_EDGE_RTX_PYTHON`` names, else this one where it has tensorrt_rtx.

    Raises:
        TargetUnavailableError: there is none.
    """
    named = os.environ.get(PYTHON)
    if named:
        return named
    if find_spec("tensorrt_rtx"):
        return sys.executable
    what = f"TensorRT-RTX isn't installed, and {PYTHON} names no Python that has it"
    raise TargetUnavailableError(what, where="tensorrt-rtx", cure=f"Run: {HOW_TO_GET_IT}")


def find_version() -> str:
    """Version of TensorRT-RTX there; TargetUnavailableError where it can't be imported."""
    return _run(["--version"]).strip()


def build_ahead(onnx: bytes, capabilities: Sequence[str], tf32: bool = True, feed: Feed | None = None) -> Built:
    """Parse a model and build one engine for several compute capabilities, such as ``86``; no GPU is needed.

    Args:
        onnx: with explicit types, and one input.
        tf32: whether fp32 products may round to TF32.
        feed: shapes of the input; without it whatever varies is 1 to 256.

    Raises:
        TargetUnavailableError: TensorRT-RTX isn't here, or crashed.
    """
    shapes = None if feed is None else [feed.least, feed.best, feed.most]
    request = {"compute_capabilities": list(capabilities), "tf32": tf32, "rows": ROWS, "shapes": shapes}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.onnx").write_bytes(onnx)
        (Path(folder) / "request.json").write_text(json.dumps(request), encoding="utf-8")
        _run([folder])
        answer = json.loads((Path(folder) / "answer.json").read_text(encoding="utf-8"))
        engine = Path(folder) / "engine"
        return Built(engine.read_bytes() if engine.exists() else None, answer)


def _run(arguments: list[str]) -> str:
    """Run ``aot.py``; what it prints."""
    python = find_python()
    cure = f"Make its environment anew: {HOW_TO_GET_IT}"
    try:
        ran = subprocess.run([python, str(AOT), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except OSError as error:
        seen = f"{python}: {error.strerror}"
        raise TargetUnavailableError("this Python can't be run", where=PYTHON, seen=seen, cure=cure) from error
    except subprocess.TimeoutExpired as error:
        raise TargetUnavailableError(f"TensorRT-RTX took over {SECONDS} s", where="tensorrt-rtx", cure=cure) from error
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]
        raise TargetUnavailableError(f"TensorRT-RTX failed in {python}: {last}", where="tensorrt-rtx", cure=cure)
    return ran.stdout
