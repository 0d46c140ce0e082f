"""What each door brings into the process: a device never pays for what only a build needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "onnx", "pyarrow", "pandas", "rich", "threadpoolctl", "sklearn", "transformers", "scipy")
DOORS = {
    "help": (
        "import contextlib\nfrom modelgpt_edge.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])",
        (*HEAVY, "numpy", "onnxruntime", "safetensors"),
    ),
    "an error of usage": (
        "import contextlib\nfrom modelgpt_edge.cli import main\nwith contextlib.suppress(SystemExit): main(['buidl'])",
        (*HEAVY, "numpy", "onnxruntime", "safetensors"),
    ),
    "the package alone": ("import modelgpt_edge", (*HEAVY, "numpy", "onnxruntime", "safetensors", "click")),
    "the runtime": ("import modelgpt_edge.runtime.model", (*HEAVY, "onnxruntime", "click")),
    "the targets": (
        "import pkgutil, importlib, modelgpt_edge.targets as t\n"
        "for m in pkgutil.iter_modules(t.__path__): importlib.import_module('modelgpt_edge.targets.' + m.name)\n"
        "t = importlib.import_module('modelgpt_edge').list_targets()\nassert t",
        (*HEAVY, "onnxruntime", "tensorrt", "click"),
    ),
    "loading and predicting": (
        "import sys, modelgpt_edge\nfor name in (None, 'model'):\n"
        "    model = modelgpt_edge.load(sys.argv[1], name)\n"
        "    model.predict([{'age': 41, 'weight': 70, 'city': 'Rome'}])\n"
        "    model.predict_proba({'age': 41.0, 'weight': 70.0, 'city': 'Rome'})",
        (*HEAVY, "click"),
    ),
    "verifying": (
        "import sys\nfrom modelgpt_edge.runtime.opening import open_package\n"
        "from modelgpt_edge.runtime.verify import verify_forms\n"
        "assert all(f.hop.passed for f in verify_forms(open_package(sys.argv[1])) if f.hop)",
        (*HEAVY, "click"),
    ),
    "predicting a file": (
        "import sys, contextlib, pathlib\nfrom modelgpt_edge.cli import main\n"
        "pathlib.Path('rows.csv').write_text('age,weight,city\\n41,70,Rome\\n')\n"
        "with contextlib.suppress(SystemExit): main(['predict', sys.argv[1], 'rows.csv'])",
        HEAVY,
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_brings_in_what_it_needs_and_no_more(door, package, tmp_path):
    code, unwanted = DOORS[door]
    code += f"\nimport sys\nfound = [m for m in {unwanted!r} if m in sys.modules]\nassert not found, found"
    ran = subprocess.run([sys.executable, "-c", code, str(package)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_a_build_needs_no_torch_and_no_pandas(package, write_csv, patients, tmp_path):
    table = write_csv(tmp_path / "table.csv", patients)
    code = (
        "import sys, modelgpt_edge\nmodelgpt_edge.build('predict the outcome', sys.argv[1], out='m.edge', draws=1)\n"
        "found = [m for m in ('torch', 'pandas', 'sklearn', 'scipy', 'pyarrow', 'rich', 'click') if m in sys.modules]\n"
        "assert not found, found"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(table)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
