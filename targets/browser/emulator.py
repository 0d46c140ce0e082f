"""The browser as an emulator: headless Chromium runs a variant in a page that loads it by ``model.mjs``, as an app would."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Availability, Executor, Files, first_line
from modelgpt_edge.targets.browser.chrome import INSTALL, chromium_version, find_chromium, visit
from modelgpt_edge.targets.browser.library import FILES, SET_UP, VERSION, fetch_library, has_library, library_folder
from modelgpt_edge.targets.browser.server import serve
from modelgpt_edge.targets.browser.text_files import TEXT, WORDPIECE
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.timing import CALLS, LEAST, SECONDS, WARM_UP
from modelgpt_edge.tokens import TOKENIZER

PAGE = ("page.html", "page.mjs")
FACTS = "model.json"
TABLE_FILES = ("model.onnx", FACTS, "model.mjs")
TEXT_FILES = (*TABLE_FILES, WORDPIECE, TOKENIZER)


class Chromium:
    """Runs variants of onnxruntime-web."""

    name = "chromium"

    def probe(self) -> Availability:
        """Look for the browser, start it to ask its version, and look for onnxruntime-web in the cache; fetches nothing."""
        program = find_chromium()
        if program is None:
            cure = INSTALL if has_library() else f"{INSTALL} npm && {SET_UP}"
            return Availability(False, "", "Chromium is not installed", cure)
        try:
            version = chromium_version(program)
        except (OSError, subprocess.SubprocessError) as error:
            return Availability(False, "", f"{program} doesn't start: {first_line(error)}", f"{INSTALL} --reinstall")
        if not has_library():
            return Availability(False, version, f"onnxruntime-web {VERSION} is not in the cache", SET_UP)
        return Availability(True, version, f"onnxruntime-web {VERSION} is in the cache", "")

    def set_up(self, progress: Callable[[str, float], None] = lambda stage, share: None) -> None:
        """Fetch what pip can't: onnxruntime-web, by npm, into the cache.

        Raises:
            TargetUnavailableError: npm isn't here or failed; its message is passed on.
        """
        if not has_library():
            fetch_library(progress)

    def open(self, backend: str, files: Files, target: Target) -> Executor:
        """An executor that starts the browser for each call.

        Raises:
            TargetUnavailableError: the browser or onnxruntime-web isn't here, or the backend is another.
        """
        if backend != "onnxruntime-web":
            raise TargetUnavailableError("the browser runs no such variant", where=self.name, seen=backend)
        found = self.probe()
        if not found.available:
            raise TargetUnavailableError(found.reason, where=self.name, cure=f"Run: {found.how_to_get_it}")
        return InChromium(files)

    def profile(self, files: Files, numbers: Floats, codes: Ints, calls: int = CALLS) -> Mapping[str, Any]:
        """Quantiles of one row's time in microseconds, and milliseconds to load library and model.

        Raises:
            TargetUnavailableError: as `open`.
        """
        job = {**_arrays(files, numbers, codes), "calls": calls, "warm": WARM_UP, "least": LEAST, "seconds": SECONDS}
        result = run_page(files, job)
        times = result["times_us"]
        return {
            **{f"p{q}_us": float(np.quantile(times, q / 100)) for q in (50, 90, 99)},
            "load_ms": result["load_ms"],
            "browser": result["agent"],
        }


class InChromium:
    """A variant in a page."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`; the outputs come back bit by bit."""
        count = max(len(numbers), len(codes))
        result = run_page(self._files, _arrays(self._files, numbers, codes))
        return np.frombuffer(base64.b64decode(result["outputs"]), np.float32).reshape(count, -1)

    def predict(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """What ``model.predictAll`` makes of rows: objects of JSON values, or texts."""
        predictions: list[dict[str, Any]] = run_page(self._files, {"rows": list(rows)})["predictions"]
        return predictions


def run_page(files: Files, job: Mapping[str, Any]) -> dict[str, Any]:
    """Have the page do a job on a variant.

    Raises:
        TargetUnavailableError: the browser or onnxruntime-web isn't here, or the page failed; tells its error.
        PackageError: a file of the variant is damaged.
    """
    if not has_library():
        raise TargetUnavailableError(f"onnxruntime-web {VERSION} is not in the cache", where="browser", cure=f"Run: {SET_UP}")
    contents: dict[str, bytes | Path] = {name: resources.files(__package__).joinpath(name).read_bytes() for name in PAGE}
    contents |= {f"ort/{name}": library_folder() / name for name in FILES}
    contents |= {f"variant/{name}": files(name) for name in (TEXT_FILES if takes_texts(files) else TABLE_FILES)}
    contents["job.json"] = json.dumps(job, allow_nan=False).encode()
    with serve(contents, PAGE[0]) as page:
        result: dict[str, Any] = json.loads(visit(page))
    return result


def takes_texts(files: Files) -> bool:
    """Whether a variant is of texts; PackageError where its facts are damaged."""
    try:
        return bool(json.loads(files(FACTS).read_bytes()).get("kind") == TEXT)
    except ValueError as error:
        raise PackageError("what a page must know can't be read", where=FACTS, seen=str(error), cure="Build anew.") from error


def _arrays(files: Files, numbers: Floats, codes: Ints) -> dict[str, Any]:
    """What ``model.run`` takes: of texts there are no numbers."""
    arrays = {"codes": np.asarray(codes, "<i4")}
    if not takes_texts(files):
        arrays = {"numbers": np.asarray(numbers, "<f4"), **arrays}
    encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return {"arrays": encoded, "count": max(len(numbers), len(codes))}
