"""What a page needs beside the graph of a model of texts: facts, the module that takes strings, and its tokenizer's code.

The tokenizer in JavaScript is BERT's and no other; one of another kind is refused here, for near enough would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import TextFacts
from modelgpt_edge.targets.browser.variant_files import FACTS, MODULE, TEXT, WORDPIECE, facts_file, module
from modelgpt_edge.tokens import TOKENIZER

TEXT_MODULE = "text.mjs"
PARTS = {
    "model": "WordPiece",
    "normalizer": "BertNormalizer",
    "pre_tokenizer": "BertPreTokenizer",
    "post_processor": "TemplateProcessing",
}
PLAIN = ("normalized", "lstrip", "rstrip", "single_word")


def text_files(facts: TextFacts, tokenizer: bytes) -> dict[str, bytes]:
    """``model.json``, ``model.mjs``, ``wordpiece.mjs`` and ``tokenizer.json``.

    Raises:
        TargetUnavailableError: the tokenizer isn't BERT's.
    """
    description = json.loads(tokenizer)
    other = next(_other_parts(description), None)
    if other is not None:
        what = "in a page texts are tokenized as BERT does, and this encoder's tokenizer is of another kind"
        cure = "Give an encoder with BERT's WordPiece, such as all-MiniLM-L6-v2, or build for x86 or raspberry-pi-5."
        raise TargetUnavailableError(what, where="onnxruntime-web", seen=other, cure=cure)
    return {
        FACTS: facts_file({"kind": TEXT, **asdict(facts)}),
        MODULE: module(TEXT_MODULE),
        WORDPIECE: module(WORDPIECE),
        TOKENIZER: tokenizer,
    }


def _other_parts(description: Mapping[str, Any]) -> Iterator[str]:
    """What of a tokenizer the code in JavaScript doesn't do."""
    for part, kind in PARTS.items():
        found = (description.get(part) or {}).get("type")
        if found != kind:
            yield f"{part} {found}"
    for token in description.get("added_tokens") or ():
        for trait in PLAIN:
            if token.get(trait):
                yield f"added token {token['content']!r} is {trait}"
    sequences = [part for part in description["post_processor"]["single"] if "Sequence" in part]
    if len(sequences) != 1:
        yield f"post_processor with {len(sequences)} texts"
