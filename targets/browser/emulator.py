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
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Availability, Executor, Files, first_line
from modelgpt_edge.targets.browser.chrome import INSTALL, chromium_version, find_chromium, visit
from modelgpt_edge.targets.browser.library import FILES, SET_UP, VERSION, fetch_library, has_library, library_folder
from modelgpt_edge.targets.browser.server import serve
from modelgpt_edge.targets.browser.variant_files import FILES as VARIANT_FILES
from modelgpt_edge.targets.browser.variant_files import IMAGE, TABLE, kind_of
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.timing import CALLS, LEAST, SECONDS, WARM_UP

PAGE = ("page.html", "page.mjs")


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
        """What ``model.predictAll`` makes of rows: objects of JSON values, texts, or bytes of files of pictures."""
        if kind_of(self._files) == IMAGE:
            pictures = {f"pictures/{place}": row for place, row in enumerate(rows)}
            result = run_page(self._files, {"pictures": list(pictures)}, pictures)
        else:
            result = run_page(self._files, {"rows": list(rows)})
        predictions: list[dict[str, Any]] = result["predictions"]
        return predictions


def run_page(files: Files, job: Mapping[str, Any], beside: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Have the page do a job on a variant.

    Args:
        beside: what else the page may fetch, by name.

    Raises:
        TargetUnavailableError: the browser or onnxruntime-web isn't here, or the page failed; tells its error.
        PackageError: a file of the variant is damaged.
    """
    if not has_library():
        raise TargetUnavailableError(f"onnxruntime-web {VERSION} is not in the cache", where="browser", cure=f"Run: {SET_UP}")
    contents: dict[str, bytes | Path] = {name: resources.files(__package__).joinpath(name).read_bytes() for name in PAGE}
    contents |= {f"ort/{name}": library_folder() / name for name in FILES}
    contents |= {f"variant/{name}": files(name) for name in VARIANT_FILES[kind_of(files)]}
    contents |= beside or {}
    contents["job.json"] = json.dumps(job, allow_nan=False).encode()
    with serve(contents, PAGE[0]) as page:
        result: dict[str, Any] = json.loads(visit(page))
    return result


def _arrays(files: Files, numbers: Floats, codes: Ints) -> dict[str, Any]:
    """What ``model.run`` takes: of texts and pictures there are no numbers."""
    kind = kind_of(files)
    arrays: dict[str, Any] = {"numbers": np.asarray(numbers, "<f4")} if kind == TABLE else {}
    arrays |= {"pixels": np.asarray(codes, np.uint8)} if kind == IMAGE else {"codes": np.asarray(codes, "<i4")}
    encoded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return {"arrays": encoded, "count": max(len(numbers), len(codes))}
