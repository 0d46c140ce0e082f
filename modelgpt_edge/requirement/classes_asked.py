"""Classes that the user names in options: ``--classes "refund,card lost"`` and ``--class "spam: unsolicited advertising"``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.classes import MOST_CLASSES, same_name
from modelgpt_edge.requirement.wording import clean, shown, spoken

LONGEST_NAME, LONGEST_MEANING = 200, 2_000


def read_classes(listed: str | None, described: Sequence[str]) -> dict[str, str]:
    """Names of classes in the order given, each with what it means, "" where nothing is said.

    Args:
        listed: the value of ``--classes``, names between commas.
        described: the values of ``--class``, a name or ``name: description`` each.
    """
    found: dict[str, str] = {}
    for option, text in [("--classes", part) for part in (listed or "").split(",") if listed is not None] + [
        ("--class", part) for part in described
    ]:
        name, _, meaning = text.partition(":") if option == "--class" else (text, "", "")
        _add(found, option, name, meaning)
    return found


def check_classes(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """The same for classes given as a list of names, as a dict of names and descriptions, or as one string with commas.

    Raises:
        InputError: a name is empty, too long or stands twice, or what a class means is no text.
    """
    if isinstance(given, str):
        return read_classes(given, ())
    found: dict[str, str] = {}
    for name in given:
        meaning = given[name] if isinstance(given, Mapping) else ""
        if not isinstance(meaning, str | None):
            cure = f'Say it in words, such as {{"{name}": "what it means"}}, or give a list of names.'
            raise InputError("what a class means is no text", where=f"classes, {shown(str(name))}", seen=meaning, cure=cure)
        _add(found, "classes", name, meaning or "")
    return found


def require_two(classes: Mapping[str, str], such_as: str = "refund,card lost,exchange rate") -> None:
    """InputError where there are too few classes to tell apart, or too many.

    Args:
        such_as: names to show what classes are.
    """
    if 2 <= len(classes) <= MOST_CLASSES:
        return
    cure = f"Name 2 to {MOST_CLASSES} classes, such as --classes '{such_as}'."
    what = "there is no class" if not classes else "there is one class only"
    if len(classes) > 1:
        what = f"{len(classes):,} classes are more than the {MOST_CLASSES} that can be told apart"
    raise InputError(what, where="--classes", seen=next(iter(classes), None), cure=cure)


def spelled_as(
    asked: Mapping[str, str], labels: Iterable[str], plain: Callable[[str], str] = same_name
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Classes that options name, by the names that data has for them where these differ in spelling only; and a note on those.

    Args:
        plain: a name without what may differ: case, blanks and how accents are put together where not given.
    """
    known: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        known.setdefault(plain(label), []).append(label)
    found, other = {}, []
    for name, meaning in asked.items():
        alike = known.get(plain(name), [])
        own = alike[0] if len(alike) == 1 and alike[0] not in asked else name
        found[own] = meaning
        if own != name:
            other.append(f"{shown(name)} as {shown(own)}")
    more = f" and {len(other) - 5} more" if len(other) > 5 else ""
    return found, (f"Named in options and spelled as the data has it: {spoken(other[:5])}{more}.",) if other else ()


def _add(found: dict[str, str], option: str, name: str, meaning: str) -> None:
    name, meaning = clean(str(name), LONGEST_NAME + 4), clean(str(meaning), LONGEST_MEANING)
    if not name:
        raise InputError("a class has no name", where=option, seen=str(name), cure="Leave out the empty one.")
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"a class's name is longer than {LONGEST_NAME} characters", where=option, seen=name, cure="Shorten it."
        )
    if name.casefold() in {known.casefold() for known in found}:
        raise InputError("a class is named twice", where=option, seen=name, cure="Name each class once.")
    found[name] = meaning
