"""Errors as they are sent: what of this machine's paths is left of them, and how they name options."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError
from modelgpt_edge.server.errors import error_json, error_of

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


@pytest.mark.parametrize(
    ("where", "sent", "back"),
    [
        ("--task", "task", "--task"),
        ("--max-flash", "max_flash", "--max-flash"),
        ("--test rows.csv", "test rows.csv", "--test rows.csv"),
        ("--class", "class", "--class"),
        ("--encoder", "encoder", "encoder"),
        ("max_ram", "max_ram", "--max-ram"),
        ("server", "server", "server"),
        ("labels.csv", "labels.csv", "labels.csv"),
        ("", "", ""),
    ],
)
def test_where_an_error_was_met_is_named_as_a_request_does_and_back(where, sent, back):
    told = error_json(InputError("no", where=where, seen="--label"))
    assert told["where"] == sent
    assert told["seen"] == "--label", "what came is told as it came"
    assert error_of(told).where == back


@pytest.mark.parametrize(
    ("cure", "sent"),
    [
        (
            "Give --data FILE, or --classes 'refund,card lost' for a model of texts without any.",
            "Give the rows as the body, or classes='refund,card lost' for a model of texts without any.",
        ),
        ("Name another by --label.", "Name another by label."),
        ("Lower --max-flash, or --max-ram.", "Lower max_flash, or max_ram."),
        ("Start the server with a larger --max-body.", "Start the server with a larger --max-body."),
        ("Run: pip install --no-deps x.", "Run: pip install --no-deps x."),
        ("See --test-rows.", "See --test-rows."),
    ],
)
def test_a_cure_names_what_a_request_has_as_requests_do(cure, sent):
    assert error_json(InputError("no", cure=cure))["cure"] == sent
