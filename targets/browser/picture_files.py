"""What a page needs beside the graph of a model of pictures: facts, the module that takes pictures, and what squashes them."""

from __future__ import annotations

from dataclasses import asdict

from modelgpt_edge.targets.backend import PictureFacts
from modelgpt_edge.targets.browser.variant_files import FACTS, IMAGE, MODULE, PICTURE, facts_file, module

IMAGE_MODULE = "image.mjs"


def picture_files(facts: PictureFacts) -> dict[str, bytes]:
    """``model.json``, ``model.mjs`` and ``picture.mjs``."""
    return {
        FACTS: facts_file({"kind": IMAGE, **asdict(facts)}),
        MODULE: module(IMAGE_MODULE),
        PICTURE: module(PICTURE),
    }
