"""Labels that are spelled like a missing value: "none" or "NA" may well be a class of texts.

It is one where an option names it, and else where so many texts have it that somebody must have meant it. Nothing but labels of
texts is read here: in a table such cells are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from modelgpt_edge.data.cells import Cells, is_missing, read_words
from modelgpt_edge.data.column_profile import ColumnProfile
from modelgpt_edge.requirement.kind import mostly_numbers
from modelgpt_edge.requirement.wording import counted, shown


def with_none_labels(label: ColumnProfile, cells: Cells, asked: Iterable[str]) -> tuple[ColumnProfile, tuple[str, ...]]:
    """The label with those of its missing words that are classes among its counts, and notes on all of them.

    Without `asked` a word is a class where the others are words too and as many cells hold it as hold another class.

    Args:
        cells: of a sample of the rows; asked: names of classes that options give.
    """
    spelled: dict[str, Counter[str]] = {}
    for cell in filter(_is_word, cells):
        spelled.setdefault(str(cell).strip().casefold(), Counter())[str(cell).strip()] += 1
    named = {name.casefold(): name for name in asked}
    usual = Counter(word for word in read_words(cells) if word)
    meant = not named and not label.boolean and not mostly_numbers(label) and bool(usual)
    counts, notes = dict(label.counts), []
    for word, spellings in spelled.items():
        rows, name = sum(spellings.values()), spellings.most_common(1)[0][0]
        if word in named:
            counts[named[word]] = rows
        elif meant and rows >= min(usual.values()):
            counts[name] = rows
            told = f"{shown(name)} is taken as a class, since as many texts have it as have another one"
            notes.append(f"{told}: leave its {counted(rows, 'row')} out of the file if they have no label.")
        else:
            notes.append(f"{counted(rows, 'row')} labelled {shown(name)} count as without a label: --classes can name it.")
    found = sum(counts.values()) - sum(label.counts.values())
    return replace(label, counts=counts, distinct=len(counts), missing=label.missing - found), tuple(notes)


def read_labels(cells: Cells, classes: Iterable[str]) -> list[str]:
    """Labels of raw cells (N,), "" where missing; a class that is spelled like a missing value is one."""
    odd = {name.casefold(): name for name in classes if is_missing(name)}
    words: list[str] = read_words(cells).tolist()
    if not odd:
        return words
    absent = (word == "" and isinstance(cell, str) for word, cell in zip(words, cells))
    return [odd.get(str(cell).strip().casefold(), "") if gone else word for gone, word, cell in zip(absent, words, cells)]


def _is_word(cell: object) -> bool:
    """Whether a cell is a missing value that is spelled with letters."""
    return isinstance(cell, str) and is_missing(cell) and cell.strip()[:1].isalpha()
