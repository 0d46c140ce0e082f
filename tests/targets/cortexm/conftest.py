"""Children and networks of any shape: see `drawn`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def drawn():
    """The module that draws them."""
    spec = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_child(drawn):
    return drawn.random_child


@pytest.fixture(scope="session")
def make_rows(drawn):
    return drawn.random_rows
