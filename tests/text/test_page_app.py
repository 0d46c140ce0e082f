"""The app that `embed` writes around a model of texts: scripts in Node and the page in Chromium say what `predict` says."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.embed.app import embed
from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import TRUTH
from modelgpt_edge.targets.browser.chrome import visit
from modelgpt_edge.targets.browser.emulator import Chromium
from modelgpt_edge.targets.browser.library import FILES, library_folder
from modelgpt_edge.targets.browser.server import serve

TEXTS = ("i lost my card", "", 'how many "yen" in a dollar,\nplease', "  \U0001f600 请问 caf\u00e9 [SEP] ΑΣ  ")
HARNESS = """<!doctype html><iframe></iframe><script type="module">
try {
  const frame = document.querySelector("iframe");
  frame.src = "app/index.html";
  await new Promise((resolve) => frame.addEventListener("load", resolve));
  const page = frame.contentDocument;
  const until = async (test) => { while (!test()) await new Promise((resolve) => setTimeout(resolve, 20)); };
  const lines = () => [...page.querySelectorAll("li")].map((item) => item.textContent);
  await until(() => lines().length && page.querySelector("ol").ariaBusy === "false");
  const [area] = page.querySelectorAll("textarea");
  const first = { name: area.name, text: area.value, lines: lines() };
  // Typed letter by letter, faster than the model tells; the last word counts.
  for (const letter of " and how many yen in a dollar") {
    area.value += letter;
    area.dispatchEvent(new Event("input"));
  }
  await until(() => page.querySelector("ol").ariaBusy === "false");
  const last = { text: area.value, lines: lines() };
  await fetch("done", { method: "POST", body: JSON.stringify([first, last]) });
} catch (error) { await fetch("failed", { method: "POST", body: error.stack }); }
</script>"""


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "text"), *enumerate(TEXTS)])
    return path


def test_the_app_holds_the_model_its_tokenizer_and_a_row(text_package, tmp_path):
    made = embed(text_package, "javascript", tmp_path / "app")
    assert made.variant in ("x86-onnxruntime-fp32", "x86-onnxruntime-int8-dynamic")
    assert {"model.onnx", "model.json", "model.mjs", "wordpiece.mjs", "tokenizer.json", "index.html"} <= set(made.files)
    with (made.path / "example.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"text": modelgpt_edge.load(text_package, "model").classes[0]}]
    assert "`" not in (made.path / "README.md").read_text(encoding="utf-8").splitlines()[0]


def test_a_variant_that_a_page_does_not_run_is_refused(text_package, tmp_path):
    others = [v for v in modelgpt_edge.load(text_package, "model").package.manifest.variants if v.backend == "tensorrt"]
    for variant in others:
        with pytest.raises(InputError, match="onnxruntime-web doesn't run this variant"):
            embed(text_package, "javascript", tmp_path / "app", variant=variant.name)


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory) -> Path:
    """What `npm install` fetches for an app's package.json."""
    folder = tmp_path_factory.mktemp("npm")
    shutil.copy(Path(embed.__code__.co_filename).parent / "javascript" / "package.json", folder)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "node_modules"


@pytest.mark.device
@pytest.mark.parametrize("graph", ["variant", "truth"])
def test_the_scripts_print_what_predict_prints(graph, text_package, rows_file, node_modules, tmp_path):
    made = embed(text_package, "javascript", tmp_path / "app", variant="x86-onnxruntime-fp32" if graph == "variant" else None)
    if graph == "truth":
        (made.path / "model.onnx").write_bytes((text_package / TRUTH).read_bytes())
    (made.path / "node_modules").symlink_to(node_modules)
    ran = subprocess.run(["node", "predict.mjs", str(rows_file)], cwd=made.path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    header, *lines = csv.reader(io.StringIO(ran.stdout))
    model = modelgpt_edge.load(text_package, "model")
    assert header == ["label", *(f"p({name})" for name in model.classes)]
    assert [line[0] for line in lines] == list(model.predict(list(TEXTS)))
    np.testing.assert_allclose([[float(p) for p in line[1:]] for line in lines], model.predict_proba(list(TEXTS)), atol=1e-5)
    one = subprocess.run(["node", "one_row.mjs"], cwd=made.path, capture_output=True, text=True, timeout=120)
    assert one.returncode == 0, one.stderr
    assert "label" in one.stdout


@pytest.mark.device
def test_the_page_answers_as_one_types(text_package, tmp_path):
    emulator = Chromium()
    emulator.set_up()
    assert emulator.probe().available, emulator.probe()
    folder = embed(text_package, "javascript", tmp_path / "app").path
    library = "app/node_modules/onnxruntime-web/dist"
    contents: dict[str, bytes | Path] = {f"app/{path.name}": path for path in folder.iterdir()}
    contents |= {f"{library}/{name}": library_folder() / name for name in FILES} | {"test.html": HARNESS.encode()}
    with serve(contents, "test.html") as page:
        first, last = json.loads(visit(page))
    model = modelgpt_edge.load(text_package, "x86-onnxruntime-fp32")
    assert first["name"] == "text"
    assert first["text"] == model.classes[0]
    for shown in (first, last):
        (wanted,) = model.predict_proba(shown["text"])
        ranked = sorted(zip(model.classes, wanted.tolist()), key=lambda pair: -pair[1])
        assert shown["lines"] == [f"{name}{100 * p:.1f} %" for name, p in ranked]
    assert last["text"].endswith("yen in a dollar")
