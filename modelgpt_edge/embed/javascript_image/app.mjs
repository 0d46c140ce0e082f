/** The page: pictures that are chosen, dropped or pasted, or the camera, and what the model says of each. Edit it as you like. */
import * as ort from "onnxruntime-web";
import { bars } from "./bars.mjs";
import { closeCamera, isOn, openCamera } from "./camera.mjs";
import { load } from "./model.mjs";

const NAMED = 20, SHOWN = 10; // classes
const state = document.querySelector("#state");
const asking = document.querySelector("#asking");
const input = document.querySelector("input");
const button = document.querySelector("button");
const answers = document.querySelector("#answers");
let model;
let last = Promise.resolve();

/** Do something when all before it is done: the model takes one picture at a time. */
function inTurn(work) {
  last = last.then(work, work);
  return last;
}

/** A place for a picture and its answer, above the others. */
function card(name, picture) {
  const figure = document.importNode(document.querySelector("template").content.firstElementChild, true);
  figure.querySelector(".seen").append(picture);
  figure.querySelector(".name").textContent = name;
  figure.ariaBusy = "true";
  answers.prepend(figure);
  return figure;
}

/** Ask the model, show what it says, and return it. */
async function answer(figure, picture) {
  const start = performance.now();
  const pixels = await model.pixels(picture);
  const read = performance.now();
  const prediction = await model.predictPixels(pixels);
  const done = performance.now();
  figure.querySelector("ol").replaceChildren(...bars(prediction.probabilities, SHOWN));
  figure.querySelector(".note").textContent = `read in ${ms(read - start)}, classified in ${ms(done - read)}`;
  figure.ariaBusy = "false";
  return prediction;
}

function say(name, { label }) {
  state.textContent = `${name}: ${label}`;
}

function ms(time) {
  return `${time.toFixed(time < 10 ? 1 : 0)} ms`;
}

async function showFile(file) {
  const image = new Image();
  image.alt = ""; // its name stands beside it
  image.src = URL.createObjectURL(file);
  for (const ended of ["load", "error"]) image.addEventListener(ended, () => URL.revokeObjectURL(image.src));
  const figure = card(file.name, image);
  try {
    say(file.name, await answer(figure, file));
  } catch (error) {
    image.remove();
    figure.className = "wrong";
    figure.querySelector(".note").textContent = state.textContent = error.message;
    figure.ariaBusy = "false";
  }
}

function showFiles(files) {
  for (const file of files) inTurn(() => showFile(file));
}

/** The camera's picture, asked about again and again for as long as it is on and the page is in sight. */
async function watch(video) {
  const figure = card("Camera", video);
  let told;
  while (isOn(video)) {
    try {
      const prediction = await inTurn(() => answer(figure, video));
      if (prediction.label !== told) say("Camera", prediction); // a reader of the screen hears it when it changes
      told = prediction.label;
    } catch (error) {
      if (isOn(video)) state.textContent = error.message;
      break;
    }
    await new Promise(requestAnimationFrame);
  }
  if (video.srcObject) closeCamera(video);
  figure.remove();
}

let camera;
async function toggleCamera() {
  if (camera) return closeCamera(camera);
  if (button.ariaPressed === "true") return; // the browser still asks
  button.ariaPressed = "true";
  try {
    camera = await openCamera();
    await watch(camera);
  } catch (error) {
    state.textContent = error.message;
  } finally {
    camera = undefined;
    button.ariaPressed = "false";
  }
}

function listen() {
  input.addEventListener("change", () => {
    showFiles([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", ({ clipboardData }) => showFiles([...clipboardData.files]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    asking.className = "over";
  });
  document.addEventListener("dragleave", () => (asking.className = ""));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    asking.className = "";
    showFiles([...event.dataTransfer.files]);
  });
  button.addEventListener("click", toggleCamera);
  input.disabled = button.disabled = false;
}

try {
  model = await load(ort);
  const named = model.classes.slice(0, NAMED).join(", ");
  const more = model.classes.length - NAMED;
  document.querySelector("#classes").textContent = `One of: ${named}${more > 0 ? `, and ${more} more` : ""}`;
  state.textContent = "";
  listen();
} catch (error) {
  state.textContent = `The model can't be loaded: ${error.message}`;
}
