"""Packages that were built here, kept on disk for some minutes to be fetched or refitted: few, and none for long."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from modelgpt_edge.server.errors import RequestError

NAME = "model.edge"


class Packages:
    """Package folders by an identity that can't be guessed.

    Args:
        folder: where they lie.
        keep: seconds that one is kept since it was last asked for.
        most: how many are kept; the one that was longest not asked for goes first.
    """

    def __init__(self, folder: Path, keep: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._keep, self._most, self._clock = folder, keep, most, clock
        self._asked: dict[str, float] = {}

    def place(self) -> tuple[str, Path]:
        """A new identity, and where its package is to be written."""
        identity = secrets.token_urlsafe(16)
        (self._folder / identity).mkdir(parents=True)
        return identity, self._folder / identity / NAME

    def add(self, identity: str) -> None:
        """Keep a package that was written."""
        self._asked[identity] = self._clock()
        self.sweep()

    def drop(self, identity: str) -> None:
        """Remove one."""
        self._asked.pop(identity, None)
        shutil.rmtree(self._folder / identity, ignore_errors=True)

    def find(self, identity: str) -> Path:
        """The folder of a package; RequestError where it isn't kept."""
        self.sweep()
        if identity not in self._asked:
            cure = f"Build it again, and fetch it within {self._keep / 60:.0f} minutes."
            raise RequestError(404, "no such package is kept here", where="package", seen=identity, cure=cure)
        self._asked[identity] = self._clock()
        return self._folder / identity / NAME

    def sweep(self) -> None:
        """Remove what is too old, or too many."""
        now = self._clock()
        by_age = sorted(self._asked, key=self._asked.__getitem__, reverse=True)
        for place, identity in enumerate(by_age):
            if place >= self._most or now - self._asked[identity] > self._keep:
                self.drop(identity)
