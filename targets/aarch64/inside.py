"""What runs inside the emulated Python: it opens a variant by its own backend, as a board would, and answers over a pipe.

One JSON object a line, `conversation.py` is the other end. Rows and outputs pass as .npy files, so that nothing is rounded.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from modelgpt_edge.errors import ModelgptEdgeError, PackageError
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.target import Target


def main() -> None:
    """Answer until the other end closes the pipe."""
    # Libraries may print: what they say goes to stderr, and the pipe is kept for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Session(sys.stdin, answers).serve()


class Session:
    """One opened variant and the pipe to who asks."""

    def __init__(self, questions: TextIO, answers: TextIO) -> None:
        self._questions, self._answers = questions, answers

    def serve(self) -> None:
        """Open the variant that the first line names, then run rows."""
        try:
            asked = json.loads(self._questions.readline())
            executor = BACKENDS[asked["backend"]].load(self._file, Target.from_json(asked["target"]))
            self._say({"opened": True})
            for line in self._questions:
                folder = Path(json.loads(line)["run"])
                outputs = executor.run(np.load(folder / "numbers.npy"), np.load(folder / "codes.npy"))
                np.save(folder / "outputs.npy", np.asarray(outputs, np.float32))
                self._say({"ran": True})
        except ModelgptEdgeError as error:
            seen = None if error.seen is None else str(error.seen)
            about = {"type": type(error).__name__, "what": error.what, "where": error.where, "seen": seen, "cure": error.cure}
            self._say({"error": about})

    def _file(self, name: str) -> Path:
        """Ask the other end, which knows the package and its checksums, for a file's path."""
        self._say({"file": name})
        answer = json.loads(self._questions.readline())
        if answer["path"] is None:
            raise PackageError("the package doesn't vouch for this file", where=name)
        return Path(answer["path"])

    def _say(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


if __name__ == "__main__":
    main()
