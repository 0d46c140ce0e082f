/**
 * A generated model of pictures in a web page or in Node, run by ONNX Runtime. It needs the `ort` that you hand it, and
 * picture.mjs, which squashes a picture as the model was built to see it.
 *
 *     import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
 *     import { load } from "./model.mjs";
 *     const model = await load(ort);
 *     await model.predict(input.files[0]); // { label, probabilities: { class: p } }
 *     await model.predictAll([...input.files]); // one of them for each
 *
 * A picture is a File or another Blob in a format that the browser reads, an <img>, <canvas>, OffscreenCanvas, ImageBitmap or
 * VideoFrame, a <video> (what it shows at the moment), or an ImageData. In Node, which decodes no files, give what ImageData
 * has: { data: RGBA bytes, width, height }. Files are turned as EXIF says, the first frame counts, transparency goes over white.
 */
import { squaredInBands } from "./picture.mjs";

const MOST_MEGAPIXELS = 100; // as in Python
const BAND = 1 << 20; // pixels that are drawn at a time
const DECODING = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };

/**
 * Load the model that lies beside this module, or in another folder.
 *
 * @param ort ONNX Runtime: the module onnxruntime-web, or onnxruntime-node. In a page that is cross-origin isolated
 *   `ort.env.wasm.numThreads` may be more than 1.
 * @param base URL of the folder with model.json and model.onnx.
 * @param read how to get the bytes of a URL; fetch, where not given.
 * @returns {Promise<Model>}
 */
export async function load(ort, base = new URL("./", import.meta.url), read = fetched) {
  const folder = new URL(String(base).replace(/\/?$/, "/"), globalThis.location?.href ?? import.meta.url);
  const [facts, graph] = await Promise.all(["model.json", "model.onnx"].map((name) => read(new URL(name, folder))));
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["cpu"] });
  return new Model(ort, session, JSON.parse(new TextDecoder().decode(facts)));
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} can't be fetched: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A loaded model. `classes` tells its classes in the order of the outputs, `size` the pixels of a side that it sees. */
export class Model {
  #ort;
  #session;

  constructor(ort, session, facts) {
    this.#ort = ort;
    this.#session = session;
    this.size = facts.size;
    this.classes = facts.classes;
  }

  /** One picture to { label, probabilities }. */
  async predict(picture) {
    return this.predictPixels(await this.pixels(picture));
  }

  /** The same of what `pixels` gave. */
  async predictPixels(pixels) {
    return this.#named(await this.run(pixels, 1));
  }

  /** Many pictures, one after the other. */
  async predictAll(pictures) {
    const predictions = [];
    for (const picture of pictures) predictions.push(await this.predict(picture));
    return predictions;
  }

  /**
   * A picture as the model sees it.
   * @returns {Promise<Uint8Array>} [size][size][3] levels of red, green and blue; an Error where it is no picture.
   */
  async pixels(picture) {
    if (hasBytes(picture)) return squashed(picture, rowsOf(picture), this.size);
    const bitmap = await decoded(picture);
    try {
      return squashed(bitmap, drawing(bitmap), this.size, picture.name);
    } finally {
      bitmap.close();
    }
  }

  /**
   * The model on pixels, a picture at a time, so that memory stays the same however many there are.
   *
   * @param {Uint8Array} pixels [pictures][size][size][3].
   * @param {number} pictures how many.
   * @returns {Promise<Float32Array>} [pictures][classes] probabilities.
   */
  async run(pixels, pictures) {
    const [each, count] = [3 * this.size ** 2, this.classes.length];
    const outputs = new Float32Array(pictures * count);
    for (let i = 0; i < pictures; i++) {
      const one = pixels.subarray(i * each, (i + 1) * each);
      const feeds = { pixels: new this.#ort.Tensor("uint8", one, [1, this.size, this.size, 3]) };
      const { probabilities } = await this.#session.run(feeds, ["probabilities"]);
      outputs.set(probabilities.data, i * count);
    }
    return outputs;
  }

  #named(outputs) {
    let best = 0;
    outputs.forEach((p, k) => (best = p > outputs[best] ? k : best));
    return { label: this.classes[best], probabilities: Object.fromEntries(this.classes.map((name, k) => [name, outputs[k]])) };
  }
}

function hasBytes(picture) {
  return ArrayBuffer.isView(picture?.data) && picture.data.BYTES_PER_ELEMENT === 1; // of this page or of a frame in it
}

function rowsOf({ data, width, height }) {
  if (!(width > 0 && height > 0) || data.length !== 4 * width * height) {
    throw new Error(`${data.length} bytes are no RGBA picture of ${width} x ${height} pixels`);
  }
  return (top, rows) => data.subarray(4 * width * top, 4 * width * (top + rows));
}

function squashed({ width, height }, band, size, name) {
  if (width * height > MOST_MEGAPIXELS * 1e6) {
    const seen = `${width} x ${height} pixels, and at most ${MOST_MEGAPIXELS} megapixels are read`;
    throw new Error(`${name || "the picture"} is too large: ${seen}`);
  }
  return squaredInBands(band, width, height, size, Math.ceil(BAND / width));
}

/** The browser's picture of a file, or what an element shows just now, not changed by a colour profile. */
async function decoded(picture) {
  try {
    return await createImageBitmap(picture, DECODING);
  } catch (error) {
    const kind = picture?.constructor?.name ?? String(picture);
    if (error instanceof TypeError || error instanceof ReferenceError) {
      const takes = "a File or another Blob, an element that shows a picture, an ImageBitmap or an ImageData";
      throw new Error(`the model takes ${takes}, not ${kind}; for many call predictAll`, { cause: error });
    }
    const what = typeof picture.arrayBuffer === "function"
      ? `${picture.name ?? "the file"} is no picture that this browser reads, or it is damaged`
      : `the ${kind} shows no picture: it isn't loaded yet, or broken`;
    throw new Error(what, { cause: error });
  }
}

/**
 * What gives a bitmap's rows, drawn before white: read back from a canvas without, colours under little alpha would be lost. What
 * comes out is what overWhite makes of the file's own bytes, where the browser multiplies by alpha and rounds.
 */
function drawing(bitmap) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, Math.min(height, Math.ceil(BAND / width)));
  const context = canvas.getContext("2d", { willReadFrequently: true }); // kept where it can be read, not on a GPU
  context.fillStyle = "white";
  return (top, rows) => {
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, rows);
    if (data[3] !== 255) throw new Error(`this browser draws no pictures of ${width} x ${height} pixels`); // a blank canvas
    return data;
  };
}
