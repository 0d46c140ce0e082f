"""The same picture more than once.

Between classes it can only mislead, and within one it may be learnt from and judged by at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelgpt_edge.data.picture_set import PictureEntry

_SHOWN = 3


def duplicate_notes(entries: Sequence[PictureEntry], digests: Sequence[bytes]) -> tuple[str, ...]:
    """Notes on pictures that are alike in every pixel.

    Args:
        entries, digests: N pictures, and a digest of what each looks like to a model; files that are the same have the same.
    """
    groups: dict[bytes, list[PictureEntry]] = {}
    for entry, digest in zip(entries, digests):
        groups.setdefault(digest, []).append(entry)
    between = []
    within = 0
    for group in groups.values():
        firsts = {entry.label: entry for entry in reversed(group)}
        if len(firsts) > 1:
            between.append([entry for entry in group if firsts[entry.label] is entry])
        within += len(group) - len(firsts)
    notes = []
    if between:
        more = f"; {len(between) - _SHOWN:,} more such" if len(between) > _SHOWN else ""
        notes.append(f"The same picture stands in more than one class: {'; '.join(map(_told, between[:_SHOWN]))}{more}.")
    if within:
        pictures = "1 picture" if within == 1 else f"{within:,} pictures"
        alone = " in its class" if within == 1 else " in their class"
        notes.append(f"Not the first of their kind{alone}: {pictures}; the same may be held out and learnt at once.")
    return tuple(notes)


def _told(group: Sequence[PictureEntry]) -> str:
    return " and ".join(f"{entry.name} ({entry.label or 'of no class'})" for entry in group)
