"""A page of one's own that loads a variant of a model of pictures and asks it, and pictures to ask about."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.compile.image.source import PictureSource
from modelgpt_edge.parameters.image.space import Space
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb
from modelgpt_edge.targets.browser.chrome import visit
from modelgpt_edge.targets.browser.library import FILES, library_folder
from modelgpt_edge.targets.browser.server import serve
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.text_head import TextHead
from tests.image.conftest import CLASSES, coloured

BROWSER = find_target("browser")
# What a page of one's own does: it loads the module, and asks it about what stands in `sources`.
HARNESS = """<!doctype html><script type="module">
try {
  const ort = await import("./ort/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  const { load } = await import("./variant/model.mjs");
  const model = await load(ort, new URL("./variant/", import.meta.url));
  const file = async (name) => (await fetch(name)).blob();
  const text = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const pixels = async (picture) => text(await model.pixels(picture));
  const failure = (picture) => model.predict(picture).then(() => "no error", (error) => error.message);
  const answer = await (async () => { @ASK@ })();
  await fetch("done", { method: "POST", body: JSON.stringify(answer) });
} catch (error) { await fetch("failed", { method: "POST", body: error.stack }); }
</script>"""


def ask(variant: Path, script: str, files: dict[str, bytes] | None = None) -> Any:
    """What a page answers in which `script` stands, and which can fetch files."""
    contents: dict[str, bytes | Path] = {f"ort/{name}": library_folder() / name for name in FILES}
    contents |= {f"variant/{path.name}": path for path in variant.iterdir()}
    contents |= {**(files or {}), "test.html": HARNESS.replace("@ASK@", script).encode()}
    with serve(contents, "test.html") as page:
        return json.loads(visit(page))


def size_of(variant: Path) -> int:
    return int(json.loads((variant / "model.json").read_text(encoding="utf-8"))["size"])


def small_source(small: Backbone, size: int) -> PictureSource:
    """A head of random weights on a backbone of random weights."""
    template = SizedBackbone(small, size, TrunkTemplate.shipped())
    pictures = np.stack([read_picture(coloured(name, seed), size) for name in CLASSES for seed in range(3)])
    space = Space.around(template.channels(pictures))
    draw = np.random.default_rng(2)
    width = space.of(template.channels(pictures)).shape[1]
    head = TextHead(draw.normal(size=(width, 3)).astype(np.float32), draw.normal(size=3).astype(np.float32))
    return PictureSource(template, space, head, CLASSES, pictures, False, "0")


def written(source: PictureSource, precision: str, folder: Path) -> Path:
    """A variant's folder."""
    for name, content in OnnxRuntimeWeb().compile(source, BROWSER, precision).files.items():
        (folder / name).write_bytes(content)
    return folder


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Levels of which many are the least and the greatest: there rounding shows."""
    return np.clip(np.random.default_rng(seed).integers(-64, 320, shape), 0, 255).astype(np.uint8)


def smooth(height: int, width: int) -> Image.Image:
    """A picture as cameras make them, for formats that lose something."""
    return Image.fromarray(noise(6, 6, 3)).resize((width, height), Image.Resampling.BICUBIC)


def pack(image: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    out = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, format, **options)
    return out.getvalue()
