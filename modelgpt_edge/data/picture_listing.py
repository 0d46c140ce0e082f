"""Which class each file of a tree is in: the tree is a folder's or a zip's, and its first folders are the classes.

Names alone are looked at, never what the files hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelgpt_edge.data.picture_set import clean_name, is_picture_name
from modelgpt_edge.errors import InputError

# A path below the place that was given, part by part.
Parts: TypeAlias = tuple[str, ...]

# What systems leave lying about, in lower case; so do names that begin with a dot.
IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})
SPLITS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "unlabeled", "unlabelled"}
)
_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """Files and folders below a place, without those that systems leave lying about.

    Attributes:
        where: the place, as messages call it.
    """

    where: str
    files: tuple[Parts, ...]
    folders: tuple[Parts, ...]


@dataclass(frozen=True)
class Arranged:
    """Pictures of a listing, each with its class (None where classes weren't asked for), and notes."""

    pictures: tuple[tuple[Parts, str | None], ...]
    notes: tuple[str, ...]


def is_ignored(part: str) -> bool:
    """Whether a file or folder of this name is none of the user's."""
    return part.startswith(".") or part.casefold() in IGNORED


def shown_path(parts: Iterable[str]) -> str:
    """A path as it is written in messages, on every system alike."""
    return "/".join(map(clean_name, parts))


def arrange(listing: Listing, labelled: bool) -> Arranged:
    """Tell the pictures among a listing's files, and their classes by the folders that they lie in.

    A folder around all class folders doesn't count. Without `labelled` every picture is taken, of no class.

    Raises:
        InputError: there are no pictures; a class folder is empty; no picture lies in a class folder; or the folders are parts
            of a data set instead of classes.
    """
    pictures = [parts for parts in listing.files if is_picture_name(parts[-1])]
    if not pictures:
        classes = "Give a folder with one folder of pictures (PNG, JPEG, ...) for each class."
        cure = classes if labelled else "Put pictures (PNG, JPEG, ...) there, or give the place where they lie."
        raise InputError("there are no pictures here", where=listing.where, seen=_some(listing.files) or None, cure=cure)
    notes = []
    others = [parts for parts in listing.files if not is_picture_name(parts[-1])]
    if others:
        notes.append(f"Left out, no pictures by their names: {_counted(others)} ({_some(others)}).")
    if not labelled:
        return Arranged(tuple((parts, None) for parts in pictures), tuple(notes))
    depth = _around(pictures, listing.folders)
    beside = [parts for parts in pictures if len(parts) == depth + 1]
    inside = [parts for parts in pictures if len(parts) > depth + 1]
    if not inside:
        cure = "Put the pictures of each class into a folder with the class's name, or give a table of paths and labels."
        raise InputError("these pictures have no classes", where=listing.where, seen=_some(beside), cure=cure)
    _refuse_parts(listing, inside, depth)
    _refuse_empty(listing, inside, depth)
    if beside:
        notes.append(f"Left out, beside the class folders: {_counted(beside)} ({_some(beside)}).")
    return Arranged(tuple((parts, clean_name(parts[depth]) or "?") for parts in inside), tuple(notes))


def _around(pictures: Sequence[Parts], folders: Sequence[Parts]) -> int:
    """How many folders stand around all class folders: a zip often holds one folder that holds them."""
    depth = 0
    while True:
        first = {p[depth] for p in pictures} | {f[depth] for f in folders if len(f) > depth}
        lengths = {len(p) - depth for p in pictures}
        if len(first) > 1 or min(lengths) < 3:  # pictures right here, or in the one folder: that is a class then
            return depth
        depth += 1


def _refuse_parts(listing: Listing, pictures: Sequence[Parts], depth: int) -> None:
    """InputError where the folders are called train and test, say, and hold class folders themselves."""
    first = {parts[depth] for parts in pictures}
    if all(name.casefold() in SPLITS for name in first) and all(len(parts) > depth + 2 for parts in pictures):
        around = "/".join((listing.where.rstrip("/"), *map(clean_name, pictures[0][:depth])))
        cure = f"Give one of them, such as {around}/{clean_name(min(first, key=_learnt_from))}."
        raise InputError("these folders are parts of a data set, not classes", where=around, seen=sorted(first), cure=cure)


def _learnt_from(split: str) -> tuple[bool, str]:
    return not split.casefold().startswith("train"), split


def _refuse_empty(listing: Listing, pictures: Sequence[Parts], depth: int) -> None:
    """InputError where a class folder holds no picture."""
    filled = {parts[depth] for parts in pictures}
    empty = sorted({f[depth] for f in listing.folders if len(f) == depth + 1} - filled)
    if not empty:
        return
    other = next((f for f in listing.files if len(f) > depth + 1 and f[depth] == empty[0]), None)
    what = "a class folder holds no pictures" if len(empty) == 1 else f"{len(empty)} class folders hold no pictures"
    cure = "Put pictures (PNG, JPEG, ...) into it, or take it away; a class without pictures can be named by --classes."
    where = "/".join((listing.where.rstrip("/"), shown_path((*pictures[0][:depth], empty[0]))))
    raise InputError(what, where=where, seen=other and shown_path(other), cure=cure)


def _counted(files: Sequence[Parts]) -> str:
    return f"{len(files):,} file{'' if len(files) == 1 else 's'}"


def _some(files: Sequence[Parts]) -> str:
    names = ", ".join(shown_path(parts) for parts in files[:_SHOWN])
    return names + (", ..." if len(files) > _SHOWN else "")
