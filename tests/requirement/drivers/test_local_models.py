"""Drivers of models on this machine, as far as they go without one; tests/device runs real ones."""

from __future__ import annotations

import importlib.util

import pytest

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.requirement.drivers import gguf, transformers
from modelgpt_edge.requirement.drivers.opening import open_driver


def test_rules_are_no_model():
    assert open_driver("rules") is None
    assert open_driver(" Rules ") is None


@pytest.mark.parametrize(("name", "content"), [("nothing.gguf", None), ("text.gguf", b"once upon a time"), ("empty.gguf", b"")])
def test_a_file_that_is_none_of_gguf(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"--driver: .*GGUF file"):
        open_driver(f"gguf:{path}")


def test_a_folder_is_no_gguf_file(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        open_driver(f"gguf:{tmp_path}")


@pytest.mark.parametrize("module", ["xllamacpp", "torch", "transformers"])
def test_what_is_not_installed_is_told_with_its_cure(tmp_path, monkeypatch, module):
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF and more")

    def find_spec(name):
        return None if name == module else importlib.util.find_spec("json")

    monkeypatch.setattr(gguf, "find_spec", find_spec)
    monkeypatch.setattr(transformers, "find_spec", find_spec)
    driver = f"gguf:{model}" if module == "xllamacpp" else f"transformers:{tmp_path}"
    with pytest.raises(TargetUnavailableError, match=f"{module} is not installed.*pip install 'modelgpt-edge"):
        open_driver(driver)


def test_a_folder_that_is_not_there(monkeypatch):
    monkeypatch.setattr(transformers, "find_spec", lambda name: importlib.util.find_spec("json"))
    with pytest.raises(InputError, match="no such folder"):
        open_driver("transformers:/no/such/folder")
