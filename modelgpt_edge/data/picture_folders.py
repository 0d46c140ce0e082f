"""Pictures in a folder on disk: class folders, or for pictures without classes any folder.

Links are followed, but never in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modelgpt_edge.data.picture_listing import Listing, Parts, arrange, is_ignored, shown_path
from modelgpt_edge.data.picture_set import MOST_FILES, PictureEntry, PictureSet
from modelgpt_edge.errors import InputError


def open_picture_folder(folder: Path, labelled: bool) -> PictureSet:
    """The pictures of a folder, those of its first folders by class where `labelled`.

    Raises:
        InputError: it can't be read, holds too much, or is arranged in another way (see `arrange`).
    """
    files, folders = list[Parts](), list[Parts]()
    for parts, is_folder in walk(folder):
        (folders if is_folder else files).append(parts)
    arranged = arrange(Listing(str(folder), tuple(sorted(files)), tuple(sorted(folders))), labelled)
    entries = tuple(
        PictureEntry(shown_path(parts), label, partial(folder.joinpath, *parts)) for parts, label in arranged.pictures
    )
    return PictureSet(str(folder), entries, arranged.notes)


def walk(folder: Path) -> Iterator[tuple[Parts, bool]]:
    """Files and folders below a folder, each with whether it is a folder, in no order.

    What systems leave lying about is passed over. A link that leads nowhere counts as a file. InputError where a folder can't
    be read, or where there is too much.
    """
    count = 0
    waiting: list[tuple[Parts, frozenset[tuple[int, int]]]] = [((), frozenset())]
    while waiting:
        parts, above = waiting.pop()
        place = folder.joinpath(*parts)
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in above:  # a link to a folder that it lies in
                continue
            with os.scandir(place) as scan:
                found = [(entry.name, _kind(entry)) for entry in scan if not is_ignored(entry.name)]
        except OSError as error:
            cure = "Check its permissions."
            raise InputError(f"the folder cannot be read ({error.strerror})", where=str(place), cure=cure) from error
        count += len(found)
        if count > MOST_FILES:
            cure = "Give the folder that holds the class folders."
            raise InputError(f"there are over {MOST_FILES:,} files below this folder", where=str(folder), cure=cure)
        inside = above | {(status.st_dev, status.st_ino)}
        for name, is_folder in found:
            if is_folder is not None:
                yield (*parts, name), is_folder
            if is_folder:
                waiting.append(((*parts, name), inside))


def _kind(entry: os.DirEntry[str]) -> bool | None:
    """Whether this is a folder; None where it is neither a folder nor a file, such as a pipe."""
    try:
        if entry.is_dir():
            return True
        return False if entry.is_file() or entry.is_symlink() else None
    except OSError:  # a link to itself, say
        return False
