"""What a variant for a page consists of, by the kind of its model; the modules among it are the same for every model.

What stands in the facts is the business of those who write them.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from modelgpt_edge.errors import PackageError
from modelgpt_edge.targets.backend import Files
from modelgpt_edge.tokens import TOKENIZER

MODEL, FACTS, MODULE = "model.onnx", "model.json", "model.mjs"
WORDPIECE, PICTURE = "wordpiece.mjs", "picture.mjs"
TABLE, TEXT, IMAGE = "table", "text", "image"
FILES = {
    TABLE: (MODEL, FACTS, MODULE),
    TEXT: (MODEL, FACTS, MODULE, WORDPIECE, TOKENIZER),
    IMAGE: (MODEL, FACTS, MODULE, PICTURE),
}


def kind_of(files: Files) -> str:
    """What a variant's model takes, of `FILES`; PackageError where its facts are damaged."""
    try:
        kind = json.loads(files(FACTS).read_bytes()).get("kind", TABLE)
        if kind not in FILES:
            raise ValueError(f"it is of the kind {kind!r}")
    except (ValueError, AttributeError, TypeError) as error:
        raise PackageError("what a page must know can't be read", where=FACTS, seen=str(error), cure="Build anew.") from error
    return str(kind)


def facts_file(facts: dict[str, Any]) -> bytes:
    """``model.json``."""
    return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()


def module(name: str) -> bytes:
    """A module that stands in this folder."""
    return resources.files(__package__).joinpath(name).read_bytes()
