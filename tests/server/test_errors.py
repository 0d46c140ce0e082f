"""Errors as they are sent: what of this machine's paths is left of them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError
from modelgpt_edge.server.errors import error_json

TEMPORARY = tempfile.gettempdir()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (f"{TEMPORARY}/modelgpt-edge-serve-x1/tmpy_2/rows.csv", "rows.csv"),
        (f"No such file: '{TEMPORARY}/a/b/rows.csv'", "No such file: 'rows.csv'"),
        (f"{TEMPORARY}/a/template/manifest.json: broken", "manifest.json: broken"),
        (f"give {TEMPORARY}/a/, or none", "give a, or none"),
        (f"{sys.prefix}/lib/python3/site-packages/numpy/core.py", "core.py"),
        (f"{Path.home()}/.cache/x", "x"),
        (f"in {os.getcwd()}/model.c:12", "in model.c:12"),
        (str(Path(modelgpt_edge.__file__).parent / "server" / "app.py"), "app.py"),
        ("predict this and/or that", "predict this and/or that"),
        ("/v1/packages/x", "/v1/packages/x"),
        (f"{TEMPORARY}less", f"{TEMPORARY}less"),
        (f"my{TEMPORARY}/x", f"my{TEMPORARY}/x"),
        ("https://example.com/a/b", "https://example.com/a/b"),
    ],
)
def test_a_path_of_the_server_is_told_by_its_last_part_alone(text, sent):
    told = error_json(InputError(f"it says {text}", where=text, seen=text, cure=f"Mind {text}"))
    assert told == {"error": f"it says {sent}", "where": sent, "seen": sent, "cure": f"Mind {sent}", "code": 1}
