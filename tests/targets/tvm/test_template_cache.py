"""What a compiled template depends on: shapes and processor, never weights; and what a model of the same shapes costs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.cache import cache_folder
from modelgpt_edge.child_file import child_bytes
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tvm.arguments import read_weights, weights_file
from modelgpt_edge.targets.tvm.backend import Tvm
from modelgpt_edge.targets.tvm.compiler import template_key
from modelgpt_edge.targets.tvm.machine import processor_named, processor_of
from modelgpt_edge.targets.tvm.template import open_template

X86 = find_target("x86")


def written(files, folder):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return lambda name: folder / name


@pytest.fixture
def key_of(source_of):
    return lambda child, target=X86: template_key(open_template(source_of(child).onnx("encoded", "fp32")), processor_of(target))


def test_the_key_follows_shapes_and_processor_and_not_weights(make_child, with_other_weights, key_of):
    child = make_child()
    key = key_of(child)
    assert key_of(with_other_weights(child)) == key
    assert key_of(make_child(seed=1)) == key, "another table of the same shapes"
    others = [make_child(classes=3), make_child(words=4), make_child(widths=Widths(32, 16, 8, 12)), make_child(classes=0)]
    keys = {key_of(other) for other in others}
    keys |= {key_of(child, find_target(name)) for name in ("raspberry-pi-4", "raspberry-pi-5")}
    assert key not in keys
    assert len(keys) == len(others) + 2


def test_the_key_follows_the_versions_of_tvm_and_of_the_schedule(make_child, source_of, monkeypatch):
    template, here = open_template(source_of(make_child()).onnx("encoded", "fp32")), processor_named("x86_64")
    key = template_key(template, here)
    with monkeypatch.context() as patch:
        patch.setattr("modelgpt_edge.targets.tvm.compiler.installed_version", lambda package: "0.28")
        assert template_key(template, here) != key
    monkeypatch.setattr("modelgpt_edge.targets.tvm.compiler.SCHEDULE", -1)
    assert template_key(template, here) != key


def test_a_model_of_the_same_shapes_takes_the_compiled_library(make_child, with_other_weights, source_of):
    child = make_child()
    first = Tvm().compile(source_of(child), X86, "fp32")
    second = Tvm().compile(source_of(with_other_weights(child)), X86, "fp32")
    assert second.facts["from_cache"]
    assert second.files["model.so"] == first.files["model.so"]
    assert second.files["weights.safetensors"] != first.files["weights.safetensors"]


def test_a_cached_template_needs_neither_tvm_nor_a_compiler(make_child, source_of, tmp_path):
    child = make_child()
    expected = Tvm().compile(source_of(child), X86, "fp32")
    (tmp_path / "child").write_bytes(child_bytes(child))
    code = (
        "import os, sys; sys.modules.update(tvm=None, tvm_ffi=None); os.environ['PATH'] = ''\n"
        "from pathlib import Path\n"
        "from modelgpt_edge.child_file import read_child\n"
        "from modelgpt_edge.compile.source import ChildSource\n"
        "from modelgpt_edge.targets.registry import find_target\n"
        "from modelgpt_edge.targets.tvm.backend import Tvm\n"
        "child = read_child(Path(sys.argv[1]) / 'child')\n"
        "artefact = Tvm().compile(ChildSource(child, '0', {}), find_target('x86'), 'fp32')\n"
        "for name, content in artefact.files.items(): (Path(sys.argv[1]) / name).write_bytes(content)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert {name: (tmp_path / name).read_bytes() for name in expected.files} == dict(expected.files)


def test_a_damaged_cache_entry_is_made_anew(make_child, source_of, key_of):
    child = make_child()
    good = Tvm().compile(source_of(child), X86, "fp32")
    entry = cache_folder() / f"tvm/{key_of(child)}.safetensors"
    entry.write_bytes(entry.read_bytes()[:1000])
    again = Tvm().compile(source_of(child), X86, "fp32")
    assert not again.facts["from_cache"]
    assert again.files["weights.safetensors"] == good.files["weights.safetensors"]
    assert Tvm().compile(source_of(child), X86, "fp32").facts["from_cache"]


def test_refit_swaps_weights_alone_and_computes_the_new_model(
    make_child, with_other_weights, source_of, packed_rows, tmp_path, monkeypatch
):
    old, new = make_child(), with_other_weights(make_child())
    new = replace(new, encoder=replace(new.encoder, center=new.encoder.center + np.float32(0.5)))
    files = written(Tvm().compile(source_of(old), X86, "fp32").files, tmp_path / "variant")
    numbers, codes = packed_rows(old)
    before = Tvm().load(files, X86).run(numbers, codes)
    library = files("model.so").read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tvm", None)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
        changed = Tvm().refit(files, source_of(new), X86, "fp32")
    assert changed.files["model.so"] == library
    after = Tvm().load(written(changed.files, tmp_path / "refitted"), X86).run(numbers, codes)
    expected = new.outputs(new.encoder.encode(numbers, codes))
    np.testing.assert_allclose(after, expected, atol=2e-6)
    assert np.abs(after - before).max() > 0.01


def test_refit_compiles_a_model_of_other_shapes(make_child, source_of, packed_rows, tmp_path):
    files = written(Tvm().compile(source_of(make_child()), X86, "fp32").files, tmp_path / "variant")
    other = make_child(classes=5)
    refitted = written(Tvm().refit(files, source_of(other), X86, "fp32").files, tmp_path / "refitted")
    numbers, codes = packed_rows(other)
    expected = other.outputs(other.encoder.encode(numbers, codes))
    np.testing.assert_allclose(Tvm().load(refitted, X86).run(numbers, codes), expected, atol=2e-6)


def test_weights_of_other_shapes_never_reach_a_plan(make_child, source_of, tmp_path):
    files = written(Tvm().compile(source_of(make_child()), X86, "fp32").files, tmp_path / "variant")
    plan = read_weights(files("weights.safetensors")).plan
    other = open_template(source_of(make_child(classes=3)).onnx("encoded", "fp32")).weights
    with pytest.raises(PackageError, match=r"the compiled template takes float32\[\d+\] for 'skip_bias'"):
        weights_file(plan, other)
