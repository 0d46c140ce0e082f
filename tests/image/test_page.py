"""Models of pictures in headless Chromium: built and verified there, given all that shows a picture, and what goes wrong."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modelgpt_edge
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.manifest import MANIFEST
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb
from modelgpt_edge.targets.browser.emulator import InChromium
from modelgpt_edge.targets.browser.library import FILES, library_folder
from modelgpt_edge.targets.target import RUNS_EMULATED
from tests.image.conftest import CLASSES, coloured
from tests.image.page import BROWSER, ask, noise, pack, size_of, small_source, smooth, written

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("chromium")]


@pytest.fixture(scope="module")
def package(write_pictures, small_file, tmp_path_factory) -> Path:
    """A package for the browser."""
    folder = tmp_path_factory.mktemp("package")
    pictures = write_pictures(folder / "pictures", 6)
    out = folder / "m.edge"
    modelgpt_edge.build("tell the colour", pictures, encoder=str(small_file), target="browser", out=out)
    return out


def variant_of(package: Path) -> Path:
    (kept,) = json.loads((package / MANIFEST).read_text(encoding="utf-8"))["variants"]
    return package / kept["path"]


@pytest.fixture(scope="module")
def fp32(package, tmp_path_factory) -> Path:
    """Its variant with the graph that Python runs as ``model``, so that no rounding of weights stands between."""
    folder = tmp_path_factory.mktemp("fp32")
    for path in variant_of(package).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.onnx").write_bytes((package / "model.onnx").read_bytes())
    return folder


def test_a_build_for_the_browser_ran_in_one_and_verifies(package, cli):
    (kept,) = json.loads((package / MANIFEST).read_text(encoding="utf-8"))["variants"]
    assert (kept["backend"], kept["front"], kept["status"]) == ("onnxruntime-web", "pixels", RUNS_EMULATED)
    assert {path.name for path in variant_of(package).iterdir()} == {"model.onnx", "model.json", "model.mjs", "picture.mjs"}
    checks = json.loads((package / "checks.json").read_text(encoding="utf-8"))
    assert {candidate["precision"] for candidate in checks["candidates"]} == {"fp32", "int8"}
    assert all(candidate["latency_us"] > 0 for candidate in checks["candidates"])
    ran = cli("verify", package)
    assert ran.code == 0, ran.err
    assert f"browser onnxruntime-web {kept['precision']} (in chromium): matches" in ran.out


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("size", [96, 128])
def test_chromium_computes_what_onnx_runtime_does(precision, size, small, chromium, tmp_path):
    """On the same graph: how near int8 comes to fp32 is the gate's business."""
    source = small_source(small, size)
    written(source, precision, tmp_path)
    pictures = source.calibration
    nothing = np.zeros((len(pictures), 0), np.float32)
    wanted = OnnxRuntimeWeb().stand_in(tmp_path.joinpath, BROWSER).run(nothing, pictures)
    got = chromium.open("onnxruntime-web", tmp_path.joinpath, BROWSER).run(nothing, pictures)
    assert wanted.std(0).max() > 0.1, "pictures that all look the same would prove nothing"
    hop = compare(precision, wanted, got, "fp32")
    assert hop.passed, hop.line()


def test_a_page_gives_files_and_gets_what_python_predicts(package, fp32):
    plain = [pack(coloured(name, seed), "PNG") for name in CLASSES for seed in range(50, 54)]
    files = [*plain, pack(noise(61, 83, 4), "PNG"), pack(noise(1, 1), "PNG"), pack(smooth(300, 400), "JPEG")]
    predictions = InChromium(fp32.joinpath).predict(files)
    model = modelgpt_edge.load(package, "model")
    got = [[p["probabilities"][name] for name in model.classes] for p in predictions]
    np.testing.assert_allclose(got, model.predict_proba(files), atol=1e-5)
    assert [p["label"] for p in predictions] == list(model.predict(files))
    assert [p["label"] for p in InChromium(variant_of(package).joinpath).predict(plain)] == list(model.predict(plain))


def test_all_that_shows_a_picture_is_taken(fp32):
    content = pack(noise(61, 83, 3), "PNG")
    script = """
      const picture = await file("picture");
      const bitmap = await createImageBitmap(picture);
      const image = new Image();
      image.src = URL.createObjectURL(picture);
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
      const context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      const offscreen = new OffscreenCanvas(bitmap.width, bitmap.height);
      offscreen.getContext("2d").drawImage(bitmap, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height);
      const bytes = { data: new Uint8Array(data.data), width: data.width, height: data.height };
      const named = new File([picture], "picture.txt", { type: "text/plain" });
      const frame = new VideoFrame(canvas, { timestamp: 0 });
      const all = { picture, named, bitmap, image, canvas, offscreen, data, bytes, frame };
      const video = document.createElement("video");
      video.muted = true;
      video.srcObject = canvas.captureStream();
      await video.play();
      const [seen, asked] = await Promise.all([model.pixels(video), model.predictAll([video, picture])]);
      const found = await Promise.all(Object.entries(all).map(async ([name, each]) => [name, await pixels(each)]));
      return { found: Object.fromEntries(found), video: text(seen), asked, still: bitmap.width };"""
    answer = ask(fp32, script, {"picture": content})
    wanted = read_picture(content, size_of(fp32))
    for name, levels in answer["found"].items():
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(levels), np.uint8), wanted.ravel(), err_msg=name)
    video = np.frombuffer(base64.b64decode(answer["video"]), np.uint8).reshape(wanted.shape)
    assert np.abs(video.astype(int) - wanted).mean() < 8, "a video has its own colours"
    assert answer["asked"][0]["label"] == answer["asked"][1]["label"]
    assert answer["still"] == 83, "the caller's bitmap isn't closed"


def test_what_is_no_picture_is_an_error_that_says_so(fp32):
    whole = {format: pack(smooth(200, 300), format) for format in ("PNG", "JPEG")}
    files = {"notes.jpg": b"hello", "empty.png": b"", "scan.tif": pack(smooth(20, 30), "TIFF")}
    files |= {f"cut.{format}": content[: len(content) // 2] for format, content in whole.items()}
    script = """
      const names = @NAMES@;
      const ofFiles = names.map(async (name) => failure(new File([await file(name)], name)));
      const things = [
        "photo.jpg", null, [new Blob()], document.createElement("p"), document.createElement("video"), new Image(),
        { data: new Uint8Array(3), width: 1, height: 1 }, { data: new Uint8Array(4) },
        { data: new Uint8Array(4), width: 0, height: 1 },
      ];
      return Promise.all([...ofFiles, failure(new Blob()), ...things.map(failure)]);""".replace(
        "@NAMES@", json.dumps(list(files))
    )
    said = ask(fp32, script, files)
    unread = "is no picture that this browser reads, or it is damaged"
    takes = "the model takes a File or another Blob, an element that shows a picture, an ImageBitmap or an ImageData, not"
    assert said == [
        *(f"{name} {unread}" for name in files),
        f"the file {unread}",
        *(f"{takes} {kind}; for many call predictAll" for kind in ("String", "null", "Array", "HTMLParagraphElement")),
        *(f"the {kind} shows no picture: it isn't loaded yet, or broken" for kind in ("HTMLVideoElement", "HTMLImageElement")),
        "3 bytes are no RGBA picture of 1 x 1 pixels",
        "4 bytes are no RGBA picture of undefined x undefined pixels",
        "4 bytes are no RGBA picture of 0 x 1 pixels",
    ]


def test_a_picture_that_is_too_large_is_refused(fp32):
    large = pack(Image.new("1", (12_000, 9_000)), "PNG")
    script = """
      const large = await file("large");
      return [await failure(new File([large], "large.png")), await failure(large)];"""
    why = "is too large: 12000 x 9000 pixels, and at most 100 megapixels are read"
    assert ask(fp32, script, {"large": large}) == [f"large.png {why}", f"the picture {why}"]


def test_an_error_in_the_page_is_passed_on(fp32):
    with pytest.raises(TargetUnavailableError, match=r"the page failed: .*the file is no picture that this browser reads"):
        InChromium(fp32.joinpath).predict([b"no picture"])


def test_one_picture_is_timed_where_it_runs(fp32):
    pictures = noise(2, size_of(fp32), size_of(fp32), 3)
    measured = OnnxRuntimeWeb().profile(fp32.joinpath, BROWSER, np.zeros((2, 0), np.float32), pictures)
    assert 0 < measured["p50_us"] <= measured["p90_us"] <= measured["p99_us"]


def test_node_takes_bytes(package, fp32, tmp_path):
    """It decodes no files, but runs the same module."""
    picture = noise(61, 83, 4)
    (tmp_path / "picture").write_bytes(picture.tobytes())
    module = (fp32 / "model.mjs").as_uri()
    library = (library_folder() / FILES[0]).as_uri()
    script = f"""
      import {{ readFile }} from "node:fs/promises";
      const ort = await import({json.dumps(library)});
      ort.env.wasm.numThreads = 1;
      const {{ load }} = await import({json.dumps(module)});
      const model = await load(ort, undefined, readFile);
      console.log(JSON.stringify(await model.predict({{ data: await readFile("picture"), width: 83, height: 61 }})));"""
    command = ["node", "--input-type=module", "--eval", script]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    (wanted,) = modelgpt_edge.load(package, "model").predict_proba(picture)
    np.testing.assert_allclose(list(said["probabilities"].values()), wanted, atol=1e-5)
