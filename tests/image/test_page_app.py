"""The page that `embed` writes around a model of pictures, in Chromium: chosen, dropped and pasted files, and the camera."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import modelgpt_edge
from modelgpt_edge.embed.app import embed
from modelgpt_edge.targets.browser.chrome import find_chromium, visit
from modelgpt_edge.targets.browser.library import FILES, library_folder
from modelgpt_edge.targets.browser.server import serve
from tests.image.conftest import CLASSES, COLOURS, coloured

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("chromium")]
HARNESS = """<!doctype html><iframe allow="camera" width="900" height="900"></iframe><script type="module">
try {
  const frame = document.querySelector("iframe");
  frame.src = "app/index.html";
  await new Promise((resolve) => frame.addEventListener("load", resolve));
  const page = frame.contentDocument;
  const until = async (test) => { while (!test()) await new Promise((resolve) => setTimeout(resolve, 20)); };
  const [input, button, state] = ["input", "button", "#state"].map((name) => page.querySelector(name));
  const file = async (name, type) => new File([await (await fetch(name)).blob()], name, { type });
  const holding = (...files) => {
    const transfer = new DataTransfer();
    for (const each of files) transfer.items.add(each);
    return transfer;
  };
  const figures = () => [...page.querySelectorAll("figure")];
  const shown = (figure) => ({
    name: figure.querySelector(".name").textContent,
    lines: [...figure.querySelectorAll("li")].map((item) => item.textContent),
    widths: [...figure.querySelectorAll("li div")].map((bar) => bar.style.getPropertyValue("--share")),
    note: figure.querySelector(".note").textContent,
    seen: figure.querySelector(".seen").firstElementChild?.localName ?? "",
  });
  await until(() => @READY@);
  const answer = await (async () => { @DO@ })();
  await fetch("done", { method: "POST", body: JSON.stringify(answer) });
} catch (error) { await fetch("failed", { method: "POST", body: error.stack }); }
</script>"""


@pytest.fixture(scope="module")
def package(write_pictures, small_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    pictures = write_pictures(folder / "pictures", 6)
    return modelgpt_edge.build("tell it", pictures, encoder=str(small_file), target="x86", out=folder / "m.edge").path


@pytest.fixture(scope="module")
def app(package, tmp_path_factory) -> Path:
    """The app, with the graph that Python runs as ``model``."""
    made = embed(package, "javascript", tmp_path_factory.mktemp("app") / "app")
    (made.path / "model.onnx").write_bytes((package / "model.onnx").read_bytes())
    return made.path


def act(app: Path, script: str, files: dict[str, bytes] | None = None, ready: str = "!input.disabled") -> Any:
    """What `script` tells of the page, acting as a user would when it is ready."""
    library = "app/node_modules/onnxruntime-web/dist"
    contents: dict[str, bytes | Path] = {f"app/{path.name}": path for path in app.iterdir()}
    contents |= {f"{library}/{name}": library_folder() / name for name in FILES}
    contents |= {**(files or {}), "test.html": HARNESS.replace("@DO@", script).replace("@READY@", ready).encode()}
    with serve(contents, "test.html") as page:
        return json.loads(visit(page))


def png(picture: np.ndarray) -> bytes:
    out = BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def test_files_are_shown_with_what_python_says_of_them(package, app):
    files = {f"{name}.png": png(coloured(name, 70)) for name in CLASSES} | {"notes.png": b"hello"}
    answer = act(
        app,
        """
      const [blue, green, red, notes] = await Promise.all(["blue", "green", "red", "notes"].map((name) => file(`${name}.png`)));
      const before = { classes: page.querySelector("#classes").textContent, state: state.textContent };
      input.files = holding(blue, notes).files;
      input.dispatchEvent(new Event("change"));
      page.dispatchEvent(new frame.contentWindow.DragEvent("drop", { dataTransfer: holding(green), cancelable: true }));
      page.dispatchEvent(new frame.contentWindow.ClipboardEvent("paste", { clipboardData: holding(red) }));
      await until(() => figures().length === 4 && figures().every((figure) => figure.ariaBusy === "false"));
      return { before, shown: figures().map(shown), state: state.textContent, left: input.files.length };""",
        files,
    )
    assert answer["before"] == {"classes": "One of: blue, green, red", "state": ""}
    model = modelgpt_edge.load(package, "model")
    order = ["red.png", "green.png", "notes.png", "blue.png"]  # the last on top
    assert [each["name"] for each in answer["shown"]] == order
    for each in answer["shown"]:
        if each["name"] == "notes.png":
            assert each["note"] == "notes.png is no picture that this browser reads, or it is damaged"
            assert (each["lines"], each["seen"]) == ([], "")
            continue
        (wanted,) = model.predict_proba(files[each["name"]])
        ranked = sorted(zip(model.classes, wanted.tolist()), key=lambda pair: -pair[1])
        assert each["lines"] == [f"{name}{100 * p:.1f} %" for name, p in ranked]
        np.testing.assert_allclose([float(w.rstrip("%")) for w in each["widths"]], [100 * p for _, p in ranked], atol=1e-3)
        assert each["note"].startswith("read in ")
        assert each["note"].count(" ms") == 2
        assert each["seen"] == "img"
    (label,) = model.predict(files["red.png"])
    assert answer["state"] == f"red.png: {label}", "numbers stand by the bars alone, where the camera's are the latest"
    assert answer["left"] == 0, "the same file can be chosen again"


def test_no_icon_is_asked_for(app):
    """A page that names none makes the browser ask its server for favicon.ico."""
    assert act(app, "return page.querySelector('link[rel=icon]').href;") == "data:,"


def with_camera(folder: Path, colour: tuple[int, int, int]) -> Path:
    """A program that starts Chromium with a camera that sees a colour."""
    frames = folder / "camera.mjpeg"
    out = BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG", quality=95)
    frames.write_bytes(out.getvalue() * 4)
    program = folder / "chromium-with-camera"
    flags = f"--use-fake-device-for-media-stream --use-fake-ui-for-media-stream --use-file-for-fake-video-capture={frames}"
    program.write_text(f'#!/bin/sh\nexec {find_chromium()} {flags} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("name", CLASSES)
def test_the_camera_is_watched_until_it_is_turned_off(name, package, app, tmp_path, monkeypatch):
    monkeypatch.setenv("CHROMIUM", str(with_camera(tmp_path, COLOURS[name])))
    answer = act(
        app,
        """
      const pressed = [button.ariaPressed];
      button.click();
      pressed.push(button.ariaPressed);
      await until(() => figures()[0]?.ariaBusy === "false");
      const first = { ...shown(figures()[0]), state: state.textContent };
      const [video] = page.querySelectorAll("video");
      const note = () => page.querySelector(".note").textContent;
      const [old] = [note()];
      await until(() => note() !== old);
      const tracks = video.srcObject.getTracks();
      button.click();
      await until(() => !figures().length);
      pressed.push(button.ariaPressed);
      return { pressed, first, ended: tracks.map((track) => track.readyState), said: video.ariaLabel };""",
    )
    assert answer["pressed"] == ["false", "true", "false"]
    assert answer["ended"] == ["ended"]
    assert answer["said"] == "What the camera sees"
    (wanted,) = modelgpt_edge.load(package, "model").predict(np.full((48, 64, 3), COLOURS[name], np.uint8))
    assert answer["first"]["state"] == f"Camera: {wanted}"
    assert answer["first"]["lines"][0].startswith(wanted)
    assert answer["first"]["seen"] == "video"


def test_that_there_is_no_camera_is_said(app):
    answer = act(
        app,
        """
      button.click();
      await until(() => state.textContent);
      return { state: state.textContent, pressed: button.ariaPressed, figures: figures().length };""",
    )
    assert answer["state"] in (
        "No camera was found.",
        "The camera was refused. Allow it for this page in the browser's settings, and press the button again.",
    )
    assert (answer["pressed"], answer["figures"]) == ("false", 0)


def test_a_page_to_which_browsers_give_no_camera_says_what_it_needs(app):
    """As one that isn't from https."""
    answer = act(
        app,
        """
      Object.defineProperty(frame.contentWindow.navigator, "mediaDevices", { value: undefined });
      button.click();
      await until(() => state.textContent);
      return state.textContent;""",
    )
    assert answer == "Browsers give the camera to pages from https alone, or from this machine (http://localhost)."


def test_a_model_that_cannot_be_loaded_is_told(app, tmp_path):
    for path in app.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: -100 if path.suffix == ".onnx" else None])
    script = "return [state.textContent, input.disabled, button.disabled];"
    answer = act(tmp_path, script, ready="state.textContent !== 'Loading ...'")
    assert answer[0].startswith("The model can't be loaded: ")
    assert answer[1:] == [True, True]
