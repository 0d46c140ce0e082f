"""The build machine's end of the pipe to an emulated process: start it, ask, and tell plainly when it crashed or hung."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from modelgpt_edge import errors
from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import ModelgptEdgeError, TargetUnavailableError
from modelgpt_edge.targets.backend import Files
from modelgpt_edge.targets.target import Target

OPEN_SECONDS, RUN_SECONDS, SETTLE_SECONDS = 180, 600, 5
CURE = "Set the userland up anew (remove its folder first), or check the package on the board."


class EmulatedExecutor:
    """A variant that is open in an emulated process; the process ends with this object."""

    def __init__(self, process: Conversation, folder: tempfile.TemporaryDirectory[str]) -> None:
        self._process, self._folder, self._lock = process, folder, threading.Lock()

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `Executor`: all rows in one go, some hundred times slower than the board.

        Raises:
            TargetUnavailableError: the process crashed or hung; its last words are passed on.
        """
        folder = Path(self._folder.name)
        with self._lock:
            np.save(folder / "numbers.npy", np.ascontiguousarray(numbers, np.float32))
            np.save(folder / "codes.npy", np.ascontiguousarray(codes, np.uint8 if codes.dtype == np.uint8 else np.int32))
            self._process.ask({"run": str(folder)}, RUN_SECONDS)
            outputs: Floats = np.load(folder / "outputs.npy")
        return outputs


class Conversation:
    """A process that answers one line of JSON with another.

    Args:
        command, environment: what to start.
        title: what it emulates, for messages.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], title: str) -> None:
        self._title = title
        self._words = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                list(command), stdin=pipe, stdout=pipe, stderr=self._words, env=dict(environment), text=True, encoding="utf-8"
            )
        except OSError as error:
            raise TargetUnavailableError(f"{command[0]} can't be started: {error}", where=title, cure=CURE) from error
        weakref.finalize(self, _end, self._process, self._words)

    def ask(self, question: Mapping[str, Any], seconds: float, files: Files | None = None) -> Mapping[str, Any]:
        """Send a question and wait for its answer; questions for files that come between are answered by `files`.

        Raises:
            TargetUnavailableError: no answer in time, or the process died; its last words are passed on.
            ModelgptEdgeError: what was raised inside.
        """
        refused: ModelgptEdgeError | None = None
        answer = self._exchange(question, seconds)
        while files is not None and "file" in answer:
            path = None
            try:
                path = str(files(answer["file"]).resolve())
            except ModelgptEdgeError as error:
                refused = error
            answer = self._exchange({"path": path}, seconds)
        if refused is not None:
            raise refused
        if "error" in answer:
            about = dict(answer["error"])
            kind = getattr(errors, about.pop("type"), ModelgptEdgeError)
            about["where"] = f"{self._title}: {about['where']}" if about["where"] else self._title
            raise kind(about.pop("what"), **about)
        return answer

    def _exchange(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        hung, process = threading.Event(), self._process

        def give_up() -> None:  # holds the process alone: its thread may outlive this object for a moment
            hung.set()
            process.kill()

        watch = threading.Timer(seconds, give_up)
        watch.daemon = True
        watch.start()
        try:
            send, answers = process.stdin, process.stdout
            assert send is not None
            assert answers is not None
            send.write(json.dumps(question) + "\n")
            send.flush()
            line = answers.readline()
        except OSError:  # it died before it read the question
            line = ""
        finally:
            watch.cancel()
        if not line.endswith("\n"):
            raise self._dead(f"no answer in {seconds:g} seconds" if hung.is_set() else "")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _dead(self, why: str) -> TargetUnavailableError:
        try:
            code = self._process.wait(timeout=SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._words.seek(0)
        said = [line.strip() for line in self._words.read().decode(errors="replace").splitlines() if line.strip()]
        what = ": ".join((why or describe_end(code), *said[-1:]))
        return TargetUnavailableError(what[:500], where=self._title, cure=CURE)


def open_variant(
    command: Sequence[str], environment: Mapping[str, str], title: str, backend: str, files: Files, target: Target
) -> EmulatedExecutor:
    """Start `inside.py` and open a variant there.

    Raises:
        TargetUnavailableError: the process crashed or hung, or the backend's runtime isn't in the userland.
        PackageError: a file is damaged.
    """
    folder = tempfile.TemporaryDirectory(prefix="modelgpt-edge-")
    process = Conversation(command, environment, title)
    process.ask({"backend": backend, "target": target.to_json()}, OPEN_SECONDS, files)
    return EmulatedExecutor(process, folder)


def describe_end(code: int) -> str:
    """How a process ended: by which signal, or with which code."""
    # qemu passes a guest's signal on by dying of it, or by the shell's custom of 128 and its number.
    number = -code if code < 0 else code - 128
    if number > 0:
        try:
            return f"the emulated process was ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"the emulated process ended with code {code}"


def _end(process: subprocess.Popen[str], words: IO[bytes]) -> None:
    """Close the pipe, which ends the process, and wait for it."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # it died with a question unread
                pipe.close()
    try:
        process.wait(timeout=SETTLE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    words.close()
