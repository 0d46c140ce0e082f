"""The wheel on a device: only the bare install's dependencies, an empty folder, a package from another machine.

The environment is a fresh venv with the wheel and links to the four bare dependencies, and what they need, out of the
environment that runs the tests: as `pip install modelgpt-edge` would leave it, without asking an index.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"modelgpt_edge": "modelgpt_edge", "kernels": "modelgpt_edge/kernels", "targets": "modelgpt_edge/targets"}
BARE = ("numpy", "click", "onnxruntime", "safetensors")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "copy")
    isolation = ["--no-build-isolation"] if find_spec("setuptools") else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "--wheel-dir", folder, folder / "copy"]
    _succeed(command)
    return next(folder.glob("*.whl"))


def _succeed(command: list[str | Path]) -> None:
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr


def _needed(names: tuple[str, ...]) -> Iterator[str]:
    """Distributions and all that they require without an extra, as they are installed here."""
    seen: list[str] = list(names)
    for name in seen:
        yield name
        for requirement in distribution(name).requires or ():
            needed, _, marker = requirement.partition(";")
            found = re.match(r"[\w.-]+", needed)
            if found and "extra" not in marker and "python_version" not in marker and found[0].lower() not in seen:
                seen.append(found[0].lower())


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command of the bare environment in an empty folder."""
    environment = tmp_path_factory.mktemp("device") / "venv"
    _succeed([sys.executable, "-m", "venv", "--without-pip", environment])
    python = environment / "bin" / "python"
    (site,) = (environment / "lib").glob("python*/site-packages")
    for name in _needed(BARE):
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))).resolve())
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    empty = tmp_path_factory.mktemp("empty")

    def run(command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}
        full = [str(environment / "bin" / command), *map(str, arguments)]
        return subprocess.run(full, cwd=empty, env=clean, capture_output=True, text=True, timeout=120)

    return run


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {
        f"{place}/{path.relative_to(ROOT / name).as_posix()}"
        for name, place in SOURCES.items()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert "modelgpt_edge/py.typed" in expected
    assert sorted(expected - held) == [], "list the folder in pyproject's packages, its data in package-data"


def test_every_package_is_listed_by_name():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = set(re.findall(r'"(modelgpt_edge[\w.]*)"', text.split("packages = [")[1].split("]")[0]))
    folders = {
        f"{place}/{init.parent.relative_to(ROOT / name).as_posix()}".removesuffix("/.").replace("/", ".")
        for name, place in SOURCES.items()
        for init in (ROOT / name).rglob("__init__.py")
    }
    assert listed == folders


def test_the_mapped_packages_come_from_the_wheel(device):
    code = (
        "import sys, modelgpt_edge.kernels.gram as k, modelgpt_edge.targets.registry as t, importlib.util as u\n"
        "assert all(sys.prefix in m.__file__ for m in (k, t)), (k, t)\n"
        "print([n for n in ('onnx', 'pyarrow', 'rich', 'threadpoolctl', 'pandas', 'torch') if u.find_spec(n)])\n"
        "print([n for n in ('kernels', 'targets') if u.find_spec(n)])"
    )
    ran = device("python", "-c", code)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[]\n[]\n", "the environment isn't bare"


def test_a_package_from_a_workstation_predicts_on_the_device(device, package, patients, write_csv, tmp_path, cli):
    rows = write_csv(tmp_path / "rows.csv", patients)
    for variant in ([], ["--variant", "model"]):
        ran = device("modelgpt-edge", "predict", package, rows, "--json", *variant)
        assert ran.returncode == 0, ran.stderr
        here = json.loads(cli("predict", package, rows, "--json", *variant).out)
        there = json.loads(ran.stdout)
        assert [v["label"] for v in there] == [v["label"] for v in here]
        assert there == here
    assert device("modelgpt-edge", "verify", package).returncode == 0
    assert json.loads(device("modelgpt-edge", "inspect", package, "--json").stdout)["classes"] == ["ill", "well"]


def test_building_on_the_device_says_what_to_install(device, patients, write_csv, tmp_path):
    table = write_csv(tmp_path / "table.csv", patients)
    for more in ((), ("--dry-run",)):
        ran = device("modelgpt-edge", "build", "--task", "predict the outcome", "--data", table, *more)
        assert ran.returncode == 4
        assert ran.stderr.startswith("error: build: ")
        assert "is not installed, and building needs it. Run: pip install 'modelgpt-edge[build]'" in ran.stderr
        assert ran.stderr.count("\n") == 1
    code = "import modelgpt_edge\ntry: modelgpt_edge.build\nexcept Exception as e: print(type(e).__name__, e)"
    assert "pip install 'modelgpt-edge[build]'" in device("python", "-c", code).stdout


def test_doctor_and_targets_tell_what_the_device_lacks(device):
    ran = device("modelgpt-edge", "doctor", "--json")
    assert ran.returncode == 0, ran.stderr
    states = {finding["name"]: finding["state"] for finding in json.loads(ran.stdout)}
    assert states["numpy"] == states["backend onnxruntime"] == "ok"
    assert states["onnx"] == states["pyarrow"] == "missing"
    assert json.loads(device("modelgpt-edge", "targets", "--json").stdout)
    assert device("modelgpt-edge", "build", "--help").returncode == 0


def test_parquet_on_the_device_says_what_to_install(device, package, patients, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(patients), tmp_path / "rows.parquet")
    ran = device("modelgpt-edge", "predict", package, tmp_path / "rows.parquet")
    assert ran.returncode == 1
    assert "reading Parquet needs pyarrow, which is not installed. Install it with: pip install" in ran.stderr


def test_a_board_without_onnx_runtime_runs_what_needs_none_and_says_so_of_the_rest(device, package):
    code = (
        "import sys; sys.modules['onnxruntime'] = None\nimport modelgpt_edge\n"
        "from modelgpt_edge.runtime.opening import open_package\n"
        "for variant in open_package(sys.argv[1]).manifest.variants:\n"
        "    if variant.backend == 'native':\n"
        "        model = modelgpt_edge.load(sys.argv[1], variant.name)\n"
        "        assert len(model.predict({'age': 41, 'weight': 70, 'city': 'Rome'})) == 1\n"
        "from modelgpt_edge.cli import main\nmain(['predict', sys.argv[1], 'rows.csv', '--variant', 'model'])"
    )
    ran = device("python", "-c", code, package)
    assert ran.returncode == 4, ran.stderr
    assert "onnxruntime is not installed here. Run: pip install 'onnxruntime" in ran.stderr
    assert "Traceback" not in ran.stderr
