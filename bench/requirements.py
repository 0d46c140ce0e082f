"""How well requests are understood: written ones, three modalities, six languages, and the share of facts a driver has right.

The requests and the facts that a reader would state are in `requirements.toml`. Where the product refuses a file, what it makes
of the request's words is scored all the same, part by part.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import environment
import numpy as np
import tomllib

if TYPE_CHECKING:
    from modelgpt_edge.data.profile import Profile
    from modelgpt_edge.request import Request
    from modelgpt_edge.requirement.requirement import Requirement

HERE = Path(__file__).parent
FACTS = ("modality", "kind", "label", "targets", "limits", "named")
LIMITS = ("latency_ms", "flash_bytes", "ram_bytes")
PARTS = {"requests": "Sixty requests", "fresh": "Twenty more"}
ROWS = 200
CONTEXT = 4096  # tokens that a served model reads
CLOSE = 0.01  # of a limit: "30 frames per second" are 33.3 ms


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    content = read_requests()
    with served(options.serve) as also:
        drivers = ("rules", *options.driver, *also)
        scored = {part: {driver: score(content, part, driver) for driver in drivers} for part in PARTS}
    result = environment.result("requirements", ["modelgpt-edge", "xllamacpp", "transformers"], {"scored": scored})
    environment.publish(result, _report(content, scored, result), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--driver", action="append", default=[], metavar="DRIVER", help="a driver besides rules, may be repeated"
    )
    parser.add_argument(
        "--serve", type=Path, metavar="FILE.gguf", help="serve this model by llama.cpp meanwhile, and ask it over HTTP"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all answers and mistakes here")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report here")
    return parser


@contextmanager
def served(path: Path | None) -> Iterator[list[str]]:
    """The name of the driver of a model that llama.cpp's server serves on this machine meanwhile; none without a file."""
    if path is None:
        yield []
        return
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.verbosity = str(path), CONTEXT, 1, 0
    # As the driver gguf: has it: threads that wait by spinning take the cores from each other.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 1) // 2)
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    server = Server(params)
    yield [f"openai:{server.listening_address}/v1#{path.stem}"]
    del server


def read_requests() -> dict[str, Any]:
    """The tables, the requests, and what the rules had right at first."""
    with (HERE / "requirements.toml").open("rb") as file:
        return tomllib.load(file)


def expected(request: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a request; those that it leaves out are the product's usual ones."""
    limits = {name: request.get("limits", {}).get(name) for name in LIMITS}
    facts = {
        **{name: request[name] for name in ("modality", "kind", "label")},
        **{"targets": request.get("targets", ["x86"]), "limits": limits},
    }
    return {**facts, "named": sorted(request.get("named", []))} if request["modality"] == "table" else facts


def make_table(columns: Mapping[str, str], rows: int = ROWS) -> dict[str, list[Any]]:
    """Cells for a table's columns as `requirements.toml` describes them, the same ones every time."""
    return {name: _cells(how, np.random.default_rng(crc32(name.encode())), rows) for name, how in columns.items()}


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where tables of pictures lie while this process runs."""
    return tempfile.TemporaryDirectory(prefix="requirements-")


def given(name: str, columns: Mapping[str, str]) -> dict[str, list[Any]] | Path:
    """What a user would give: a table, or the file of one that names pictures, beside them: empty ones, for none is decoded."""
    table = make_table(columns)
    pictures = next((column for column, how in columns.items() if how.startswith("file ")), None)
    if pictures is None:
        return table
    path = Path(_folder().name) / name / "table.csv"
    if not path.exists():
        (path.parent / "pictures").mkdir(parents=True)
        for picture in table[pictures]:
            (path.parent / picture).touch()
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(table), *zip(*table.values())])
    return path


def _cells(how: str, rng: np.random.Generator, rows: int) -> list[Any]:
    what, _, rest = how.partition(" ")
    if what == "id":
        return list(range(1, rows + 1))
    if what == "file":
        return [f"pictures/{i:04d}.{rest}" for i in range(rows)]
    if what == "date":
        return [str(np.datetime64("2024-01-01") + i) for i in range(rows)]
    if what in ("int", "float"):
        low, high = map(int, rest.split())
        return rng.integers(low, high + 1, rows).tolist() if what == "int" else rng.uniform(low, high, rows).round(2).tolist()
    choices = rest.split("|")
    if what == "words":
        return rng.choice(choices, rows).tolist()
    return [f"{' and '.join(rng.choice(choices, 3))} ({i})" for i in range(rows)]


def score(content: Mapping[str, Any], part: str, driver: str) -> dict[str, Any]:
    """What a driver has right: rights and asked of every fact, mistakes, seconds of a request that it is asked of."""
    right = dict.fromkeys(FACTS, 0)
    asked = dict.fromkeys(FACTS, 0)
    mistakes, seconds, answers = [], [], []
    for number, request in enumerate(content[part], 1):
        columns = content["tables"][request["table"]]
        found, took, notes = understand(request["task"], given(request["table"], columns), columns, driver)
        seconds += [] if took is None else [took]
        answers.append({"number": number, "task": request["task"], "found": found, "notes": notes})
        for fact, value in expected(request).items():
            asked[fact] += 1
            if same(fact, found[fact], value):
                right[fact] += 1
            else:
                mistakes.append(
                    {"number": number, "task": request["task"], "fact": fact, "expected": value, "found": found[fact]}
                )
    return {"right": right, "asked": asked, "mistakes": mistakes, "seconds": environment.spread(seconds), "answers": answers}


def same(fact: str, found: Any, value: Any) -> bool:
    """Whether a fact is the one expected: names to the letter, limits to a hundredth."""
    if fact != "limits" or found is None:
        return bool(found == value)
    return all(
        (a is None) == (b is None) and (a is None or abs(a - b) <= CLOSE * b)
        for a, b in ((found[name], value[name]) for name in LIMITS)
    )


def understand(
    task: str, data: dict[str, list[Any]] | Path, columns: Mapping[str, str], driver: str
) -> tuple[dict[str, Any], float | None, list[str]]:
    """What the product makes of a request, the seconds it takes without reading the data, and what it notes.

    The seconds are None where a model isn't asked: of pictures none is.
    """
    from modelgpt_edge.errors import InputError
    from modelgpt_edge.looking import look
    from modelgpt_edge.request import Request
    from modelgpt_edge.requirement.drivers.write import in_own_words, write_requirement
    from modelgpt_edge.requirement.image_rules import write_picture_requirement
    from modelgpt_edge.requirement.rules import write_requirement as write_plainly
    from modelgpt_edge.requirement.text_rules import write_text_requirement

    request = Request(task, data, driver=driver)
    looked = look(Request(task, data))  # the rules', whoever is asked later: of pictures a build asks no model
    texts, facts, pictures = looked.texts, looked.profile, looked.pictures
    start = time.perf_counter()
    if pictures is not None:
        requirement = write_picture_requirement(request, pictures.classes, len(pictures.entries))
        took = time.perf_counter() - start if driver == "rules" else None
        cells = make_table(columns)
        label = next((name for name in columns if set(map(str, cells[name])) == set(pictures.classes)), None)
        return stated(requirement) | {"label": label}, took, list(requirement.notes)
    try:
        plain = write_plainly(request, facts) if texts is None else write_text_requirement(request, texts, facts)
    except InputError as error:
        return by_parts(request, facts), time.perf_counter() - start, [str(error)]
    requirement = plain
    if driver != "rules":
        try:
            requirement = write_requirement(request, facts) if texts is None else in_own_words(plain, request, facts)
        except InputError as error:  # a build would end here, so nothing is right
            return dict.fromkeys(FACTS), time.perf_counter() - start, [str(error)]
    return stated(requirement), time.perf_counter() - start, list(requirement.notes)


def stated(requirement: Requirement) -> dict[str, Any]:
    """The facts of a requirement."""
    return {
        "modality": requirement.modality,
        "kind": requirement.schema.kind,
        "label": requirement.schema.label.name,
        "targets": list(requirement.targets),
        "limits": {name: getattr(requirement.limits, name) for name in LIMITS},
        "named": sorted(requirement.schema.named),
    }


def by_parts(request: Request, facts: Profile) -> dict[str, Any]:
    """What the rules read from the request's words where they refuse its table, such as for free text alone."""
    from modelgpt_edge.errors import InputError
    from modelgpt_edge.requirement.devices import DEFAULT_TARGET, find_devices
    from modelgpt_edge.requirement.kind import find_kind
    from modelgpt_edge.requirement.label import find_label
    from modelgpt_edge.requirement.limits import read_limits

    label = find_label(None, request.task, facts.columns).profile
    try:
        kind: str | None = find_kind(None, request.task, label)[0]
    except InputError:
        kind = None
    limits = read_limits(request.task)[0]
    return {
        "modality": "table",
        "kind": kind,
        "label": label.name,
        "targets": list(find_devices(request.task)[0] or (DEFAULT_TARGET,)),
        "limits": {name: getattr(limits, name) for name in LIMITS},
        "named": [],
    }


def _report(content: Mapping[str, Any], scored: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    text = [
        "# How well requests are understood",
        f"{environment.described(result['machine'])}; `{result['command']}`",
        "Written requests for tables, texts and pictures, in English, German, French, Spanish, Italian and Chinese, and "
        "the facts that a reader of each would state (`bench/requirements.toml`). Cells: facts that are right, of those "
        "asked; *limits* are latency, flash and RAM together, right where all three are; *named* the columns that a "
        "request says to predict from, asked of tables alone; the *label* of pictures is the column whose words are their "
        "classes. Where the product refuses a file, what its rules read from the request's words counts. A driver's answers "
        "are merged with the rules' as in a build. Seconds are of the requests that a driver is asked of: of pictures no "
        "model is.",
        "*At first* is what the rules had right when they met a set for the first time, measured once: of the sixty "
        "before anything was changed for them and before there was a template for texts, of the twenty after the rules "
        "had been worked on with the sixty. After that the rules were worked on with both, so their later figures flatter "
        "them: the first of the twenty says best what to expect.",
    ]
    for part, title in PARTS.items():
        text.append(f"## {title}\n\n" + _table(content["first"][part], scored[part]))
    for part, title in PARTS.items():
        text += [f"## What {driver} has wrong: {title.lower()}\n\n" + _mistakes(s) for driver, s in scored[part].items()]
    return "\n\n".join(text) + "\n"


def _table(first: Mapping[str, int], scored: Mapping[str, Any]) -> str:
    asked = scored["rules"]["asked"]
    rows = [["rules, at first", *_shares(first, asked), "-", "-"]]
    for driver, s in scored.items():
        seconds = s["seconds"]
        rows.append([_short(driver), *_shares(s["right"], s["asked"]), f"{seconds['median']:.3f}", f"{seconds['max']:.3f}"])
    return environment.markdown_table(["driver", "all", *FACTS, "seconds, median", "most"], rows)


def _shares(right: Mapping[str, int], asked: Mapping[str, int]) -> list[str]:
    all_of_them = sum(right.values()) / sum(asked.values())
    return [f"{all_of_them:.1%}", *(f"{right[fact]}/{asked[fact]}" for fact in FACTS)]


def _short(driver: str) -> str:
    """A driver without paths and addresses."""
    kind, _, place = driver.partition(":")
    return f"{kind} {place.rpartition('#')[2].rpartition('/')[2]}".strip()


def _mistakes(scored: Mapping[str, Any]) -> str:
    rows = [[m["task"], m["fact"], _told(m["expected"]), _told(m["found"])] for m in scored["mistakes"]]
    return environment.markdown_table(["request", "fact", "is", "was read as"], rows, left=4) if rows else "Nothing."


def _told(value: Any) -> str:
    if value is None:
        return "no answer"
    if isinstance(value, dict):
        return ", ".join(f"{name} {v:g}" for name, v in value.items() if v is not None) or "none"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
