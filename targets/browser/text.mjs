/**
 * A generated model of texts in a web page or in Node, run by ONNX Runtime. It needs the `ort` that you hand it, and the
 * tokenizer in wordpiece.mjs.
 *
 *     import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
 *     import { load } from "./model.mjs";
 *     const model = await load(ort);
 *     await model.predict("where is my card?"); // { label, probabilities: { class: p } }
 *     await model.predictAll(["where is my card?", "give me my money back"]); // one of them for each
 *
 * A row is a string, or an object with a key for the model's column (`{ text: "where is my card?" }`, see `model.columns`). A
 * model that compares two texts takes an array of two, or an object with both. null and undefined are the empty text.
 */
import { WordPiece } from "./wordpiece.mjs";

const NO_TOKEN = -1;
const CHARACTERS_A_TOKEN = 64; // a longer text is cut before it is tokenized: no encoder reads so far
const TOKENS_AT_ONCE = 1024;

/**
 * Load the model that lies beside this module, or in another folder.
 *
 * @param ort ONNX Runtime: the module onnxruntime-web, or onnxruntime-node. In a page that is cross-origin isolated
 *   `ort.env.wasm.numThreads` may be more than 1.
 * @param base URL of the folder with model.json, tokenizer.json and model.onnx.
 * @param read how to get the bytes of a URL; fetch, where not given.
 * @returns {Promise<Model>}
 */
export async function load(ort, base = new URL("./", import.meta.url), read = fetched) {
  const folder = new URL(String(base).replace(/\/?$/, "/"), globalThis.location?.href ?? import.meta.url);
  const files = ["model.json", "tokenizer.json", "model.onnx"].map((name) => read(new URL(name, folder)));
  const [facts, tokenizer, graph] = await Promise.all(files);
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["cpu"] });
  return new Model(ort, session, parsed(facts), parsed(tokenizer));
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} can't be fetched: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

function parsed(bytes) {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** A loaded model. `columns` tells the name of its text, or of both; `classes` its classes in the order of the outputs. */
export class Model {
  #ort;
  #session;
  #words;

  constructor(ort, session, facts, tokenizer) {
    this.#ort = ort;
    this.#session = session;
    this.#words = facts.words;
    this.columns = facts.columns;
    this.classes = facts.classes;
    this.tokenizer = new WordPiece(tokenizer, facts.tokens, CHARACTERS_A_TOKEN * facts.tokens);
  }

  /** One row to { label, probabilities }. */
  async predict(row) {
    return (await this.predictAll([row]))[0];
  }

  /** Many rows at once. */
  async predictAll(rows) {
    const ids = rows.map((row) => this.#ids(row));
    const width = ids.reduce((most, own) => Math.max(most, own.length), 1);
    const codes = new Int32Array(rows.length * width).fill(NO_TOKEN);
    ids.forEach((own, r) => codes.set(own, r * width));
    const outputs = await this.run(codes, rows.length);
    const count = this.classes.length;
    return rows.map((_, r) => this.#named(outputs.subarray(r * count, (r + 1) * count)));
  }

  /**
   * The model on token ids, as many as the longest row has; rows of one length go through it together.
   *
   * @param {Int32Array} codes [rows][tokens], -1 after a row's end; of pairs the second text's, raised, after the first's.
   * @param {number} rows how many.
   * @returns {Promise<Float32Array>} [rows][classes] probabilities.
   */
  async run(codes, rows) {
    const width = codes.length / rows || 0;
    const byLength = new Map();
    for (let r = 0; r < rows; r++) {
      const end = codes.subarray(r * width, (r + 1) * width).indexOf(NO_TOKEN);
      const length = Math.max(1, end < 0 ? width : end);
      if (!byLength.has(length)) byLength.set(length, []);
      byLength.get(length).push(r);
    }
    const count = this.classes.length;
    const outputs = new Float32Array(rows * count);
    for (const [length, all] of byLength) {
      const most = Math.max(1, Math.floor(TOKENS_AT_ONCE / length));
      for (let from = 0; from < all.length; from += most) {
        const part = all.slice(from, from + most);
        const ids = new Int32Array(part.length * length);
        part.forEach((r, i) => ids.set(codes.subarray(r * width, r * width + length), i * length));
        const feeds = { codes: new this.#ort.Tensor("int32", ids, [part.length, length]) };
        const { probabilities } = await this.#session.run(feeds, ["probabilities"]);
        part.forEach((r, i) => outputs.set(probabilities.data.subarray(i * count, (i + 1) * count), r * count));
      }
    }
    return outputs;
  }

  /** Token ids of a row. */
  #ids(row) {
    const [first, second] = this.#texts(row);
    const ids = this.tokenizer.ids(first);
    return second === undefined ? ids : [...ids, ...this.tokenizer.ids(second).map((id) => id + this.#words)];
  }

  /** The texts of a row; an Error where it isn't what the model takes, for a misspelled key must not pass as an empty text. */
  #texts(row) {
    const names = this.columns;
    let texts;
    if (typeof row === "string" || row === null || row === undefined) texts = [row];
    else texts = Array.isArray(row) ? row : names.map((name) => cell(row, name));
    texts = texts.map((text) => text ?? "");
    if (texts.length !== names.length || !texts.every((text) => typeof text === "string")) {
      const takes = names.length === 1 ? "a text; for many call predictAll" : "two texts: an array of both, or an object";
      throw new Error(`the model takes ${takes}, not ${JSON.stringify(row)}`);
    }
    return texts;
  }

  #named(outputs) {
    let best = 0;
    outputs.forEach((p, k) => (best = p > outputs[best] ? k : best));
    return { label: this.classes[best], probabilities: Object.fromEntries(this.classes.map((name, k) => [name, outputs[k]])) };
  }
}

function cell(row, name) {
  if (!Object.hasOwn(row, name)) {
    const has = JSON.stringify(Object.keys(row));
    throw new Error(`the row has no column ${JSON.stringify(name)}; it has ${has}. Give null where it is missing.`);
  }
  return row[name];
}
