"""Packages on other machines than the one that built them, and what the runtime keeps to itself."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.errors import PackageError
from modelgpt_edge.gate import TOLERANCES
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.runtime.verify import verify_forms
from modelgpt_edge.targets.native.toolchain import find_compiler


def _no_library(*_):
    raise OSError("wrong ELF class")


@pytest.mark.skipif(find_compiler() is None, reason="without a C compiler there is no native variant")
def test_a_native_variant_of_another_machine_is_passed_over(patients, tmp_path, monkeypatch):
    built = modelgpt_edge.build("predict outcome", patients, label="outcome", out=tmp_path / "m.edge", draws=1)
    expected = built.load("model").predict_proba(patients)
    monkeypatch.setattr(ctypes, "CDLL", _no_library)
    with pytest.warns(RuntimeWarning, match="x86-native-fp32 can't be used"):
        model = modelgpt_edge.load(tmp_path / "m.edge")
    assert model.variant is not None  # fp32 or int8, whichever measured quicker
    tolerance = TOLERANCES[model.variant.precision].max_abs
    np.testing.assert_allclose(model.predict_proba(patients), expected, atol=tolerance)
    forms = verify_forms(open_package(tmp_path / "m.edge"))
    assert [f.hop.passed for f in forms if f.hop] == [True, True]
    left_out = {f.form: str(f.error) for f in forms if f.error}
    assert list(left_out) == ["x86-native-fp32"]
    assert "wrong ELF class" in left_out["x86-native-fp32"]


def test_a_file_that_the_manifest_does_not_list_is_not_used(patients, tmp_path):
    modelgpt_edge.build("predict outcome", patients, label="outcome", out=tmp_path / "m.edge", draws=1, target="jetson")
    with pytest.raises(PackageError, match="no checksum"):
        open_package(tmp_path / "m.edge").file("variants/other/model.onnx")


def test_a_date_reads_alike_in_every_form_of_rows(patients, tmp_path):
    rows = [row | {"seen": f"2024-{1 + i % 12:02}-15"} for i, row in enumerate(patients)]
    built = modelgpt_edge.build("predict outcome", rows, label="outcome", out=tmp_path / "m.edge", draws=1)
    model = built.load()
    assert "seen" in model.inputs
    together = model.predict_proba(rows)
    alone = np.concatenate([model.predict_proba(row) for row in rows])
    np.testing.assert_allclose(alone, together, atol=1e-6)
    number = rows[0] | {"seen": 19800.5}
    np.testing.assert_allclose(model.predict_proba(number), model.predict_proba([number]), atol=1e-6)


def test_telemetry_of_onnxruntime_is_off():
    code = (
        "import os; from modelgpt_edge.targets.onnxruntime import import_library; import_library();"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"
