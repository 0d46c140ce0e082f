"""Jobs as they travel to another host: a job names files of its own host, so a parcel holds what is in them.

A template that many jobs share is packed once and goes by its hash. Nothing of Ray comes in here.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from modelgpt_edge.server import archive
from modelgpt_edge.server.jobs import RefitJob
from modelgpt_edge.server.launches import DeviceMemoryError, TooLongError, WorkerDiedError
from modelgpt_edge.server.steps import Emitted

# Why a job wasn't done, by the word that comes back for it: the first that fits.
FAULTS: dict[str, type[Exception]] = {
    "died": WorkerDiedError,
    "late": TooLongError,
    "device": DeviceMemoryError,
    "memory": MemoryError,
}


@dataclass(frozen=True)
class Parcel:
    """A job whose paths are bare names.

    Attributes:
        content: of the job's table, b"" where it has none.
        template: hash of the packed template of a refit; "" for other jobs.
    """

    job: Emitted
    content: bytes
    template: str = ""


def parcel_of(job: Emitted, template: str = "") -> Parcel:
    """A job and its table; OSError where the table is gone.

    Args:
        template: hash of the job's packed template.
    """
    if job.data is None:
        return Parcel(job, b"", template)
    bare: Emitted = replace(job, data=Path(job.data.name))
    if isinstance(bare, RefitJob):
        bare = replace(bare, template=Path(bare.template.name))
    return Parcel(bare, job.data.read_bytes(), template)


def open_parcel(parcel: Parcel, folder: Path, template: Path | None = None) -> Emitted:
    """The job with its table written to an empty folder, under the table's own name: errors tell it.

    Args:
        template: folder of the unpacked template of a refit.
    """
    if parcel.job.data is None:
        return parcel.job
    data = folder / parcel.job.data.name
    data.write_bytes(parcel.content)
    job: Emitted = replace(parcel.job, data=data)
    if isinstance(job, RefitJob) and template is not None:
        return replace(job, template=template)
    return job


def tar_template(folder: Path) -> tuple[str, bytes]:
    """A package's hash and its files as a tar."""
    content = archive.tar_of(archive.folder_files(folder))
    return sha256(content).hexdigest(), content


class Templates:
    """Packages that came from elsewhere, unpacked into a folder; the one that was longest not asked for goes first.

    Args:
        most: how many are kept: more than are in use at a time.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._kept: OrderedDict[str, Path] = OrderedDict()

    def find(self, digest: str) -> Path | None:
        """The folder of a package; None where it isn't here."""
        if digest in self._kept:
            self._kept.move_to_end(digest)
        return self._kept.get(digest)

    def add(self, digest: str, name: str, content: bytes) -> Path:
        """Unpack a package into a folder of a name, and keep it."""
        place = self._folder / digest / name
        place.mkdir(parents=True)
        try:
            archive.write_files(place, archive.read_tar(io.BytesIO(content), len(content)))
        except BaseException:  # what is half unpacked must not stand in the next one's way
            rmtree(self._folder / digest)
            raise
        self._kept[digest] = place
        while len(self._kept) > self._most:
            oldest, _ = self._kept.popitem(last=False)
            rmtree(self._folder / oldest)
        return place
