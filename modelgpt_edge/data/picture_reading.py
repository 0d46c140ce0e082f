"""A set of pictures as arrays of one size: read by a few threads, the unreadable told by name, and no more held than that."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.picture_duplicates import duplicate_notes
from modelgpt_edge.data.picture_faults import left_out, refuse_too_many
from modelgpt_edge.data.picture_sampling import sample_by_class
from modelgpt_edge.data.picture_set import PictureEntry, PictureSet
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.pillow import require_pillow
from modelgpt_edge.pictures.read import read_picture

Progress = Callable[[str, float], None]

# At 224 pixels a side these hold 750 MB.
MOST_PICTURES = 5_000
MOST_THREADS = 8


@dataclass(frozen=True)
class ReadPictures:
    """N pictures of one size.

    Attributes:
        pictures: (N, S, S, 3) uint8 RGB.
        labels: (N,) places in `classes`, -1 where the class isn't known.
        classes: names of the classes, in order.
        names: what to call each picture.
        skipped: pictures that could not be read, with the reason.
        notes: what the user should know: those of the set, and what was noticed while reading.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def read_set(
    source: PictureSet,
    size: int,
    progress: Progress,
    classes: Sequence[str] | None = None,
    most: int = MOST_PICTURES,
    seed: int = 0,
) -> ReadPictures:
    """Read a set's pictures, `size` pixels a side.

    Args:
        classes: names of the classes in the order of the probabilities; those of the set where not given. A label that isn't
            among them counts as not known.
        most: of a larger set a sample is read, stratified by class and drawn by `seed`.

    Raises:
        InputError: too many can't be read, or all of a class; or Pillow isn't installed.
    """
    require_pillow()
    order = source.classes if classes is None else tuple(classes)
    chosen = sample_by_class([entry.label for entry in source.entries], most, seed)
    entries = [source.entries[place] for place in chosen]
    notes = list(source.notes)
    if len(entries) < len(source.entries):
        notes.append(f"Of {len(source.entries):,} pictures a sample of {len(entries):,} is used, of every class.")
    pictures, digests, failed = _read(source.name, entries, size, progress)
    if failed:
        kept = [place for place in range(len(entries)) if place not in failed]
        _refuse_lost(source.name, entries, kept)
        pictures = pictures[kept]
        digests = [digests[place] for place in kept]
    skipped = tuple((entries[place].name, failed[place].what) for place in sorted(failed))
    notes += left_out(skipped)
    entries = [entry for place, entry in enumerate(entries) if place not in failed]
    places: dict[str | None, int] = {name: place for place, name in enumerate(order)}
    labels = np.array([places.get(entry.label, -1) for entry in entries], np.int32)
    notes += duplicate_notes(entries, digests)
    return ReadPictures(pictures, labels, order, tuple(entry.name for entry in entries), skipped, tuple(notes))


def _read(
    name: str, entries: Sequence[PictureEntry], size: int, progress: Progress
) -> tuple[NDArray[np.uint8], list[bytes], dict[int, InputError]]:
    """Pictures (N, S, S, 3), a digest of each, and the errors of those that can't be read, by place."""
    pictures = np.zeros((len(entries), size, size, 3), np.uint8)
    digests = [b""] * len(entries)
    failed: dict[int, InputError] = {}

    def read(place: int) -> InputError | None:
        entry = entries[place]
        try:
            pictures[place] = read_picture(entry.content(), size, entry.name)
        except InputError as error:
            return error
        digests[place] = hashlib.sha256(pictures[place].tobytes()).digest()
        return None

    progress("reading pictures", 0)
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    try:
        running: list[Future[InputError | None]] = [pool.submit(read, place) for place in range(len(entries))]
        for place, future in enumerate(running):
            error = future.result()
            if error is not None:
                failed[place] = error
                refuse_too_many(name, len(entries), list(failed.values()))
            progress("reading pictures", (place + 1) / len(entries))
    finally:
        pool.shutdown(cancel_futures=True)
    return pictures, digests, failed


def _refuse_lost(name: str, entries: Sequence[PictureEntry], kept: Sequence[int]) -> None:
    """InputError where no picture is left of a class."""
    left = {entries[place].label for place in kept}
    lost = next((entry for entry in entries if entry.label not in left), None)
    if lost is not None:
        what = "no picture can be read" if lost.label is None else "no picture of a class can be read"
        raise InputError(what, where=name, seen=lost.label or lost.name, cure="Give pictures of it that open in a viewer.")
