/**
 * A generated model in a web page or in Node, run by ONNX Runtime. It needs nothing but the `ort` that you hand it.
 *
 *     import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
 *     import { load } from "./model.mjs";
 *     const model = await load(ort);
 *     await model.predict({ age: 63, city: "Rome" }); // { label, probabilities: { class: p } }, or { value }
 *
 * Every column of the model must be a key of the row; other keys are ignored. How a cell is read:
 *  - missing: null, undefined, NaN, "" and the usual spellings ("NA", "n/a", "null", "?", ...);
 *  - a number column: numbers, booleans (1 and 0), and strings such as "63", "1e3", "1,234.5", "$5", "12 %". The decimal mark of a
 *    string is that of the table that the model was built from; what is no number counts as missing;
 *  - a date column: a Date, an ISO 8601 string ("2024-03-01", "2024-03-01T12:30:00Z"), or a string in the table's own format. A
 *    time without a zone is taken as UTC; what is no date, a plain number too, counts as missing;
 *  - a word column: the word as the table spells it, blanks around it let go, and a number in any spelling (3, "3", "3.0"). A word
 *    that the model doesn't know counts as none.
 */

const DAY = 86_400_000; // milliseconds
const MISSING = new Set([
  "", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "none", "nil", "?", "<na>", "<null>", "<none>", "\\n",
  "#na", "#n/a", "#n/a n/a", "#null!", "#value!", "#ref!", "#div/0!", "#num!", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
]);

/**
 * Load the model that lies beside this module, or in another folder.
 *
 * @param ort ONNX Runtime: the module onnxruntime-web, or onnxruntime-node.
 * @param base URL of the folder with model.json and model.onnx.
 * @param read how to get the bytes of a URL; fetch, where not given.
 * @returns {Promise<Model>}
 */
export async function load(ort, base = new URL("./", import.meta.url), read = fetched) {
  const folder = new URL(String(base).replace(/\/?$/, "/"), globalThis.location?.href ?? import.meta.url);
  const [facts, graph] = await Promise.all(["model.json", "model.onnx"].map((name) => read(new URL(name, folder))));
  // "cpu" is WebAssembly in a browser; one thread is quickest for a model of this size.
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["cpu"], intraOpNumThreads: 1 });
  return new Model(ort, session, JSON.parse(new TextDecoder().decode(facts)));
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} can't be fetched: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A loaded model. `columns` tells its inputs, `classes` its classes in the order of the outputs (none: it gives a value). */
export class Model {
  #ort;
  #session;

  constructor(ort, session, facts) {
    this.#ort = ort;
    this.#session = session;
    this.columns = facts.columns;
    this.classes = facts.classes;
    this.numbers = facts.columns.filter((column) => column.type !== "word");
    this.words = facts.columns.filter((column) => column.type === "word").map((column) => new Words(column));
  }

  /** One row, an object with a key for each column, to { label, probabilities } or { value }. */
  async predict(row) {
    return (await this.predictAll([row]))[0];
  }

  /** Many rows at once. */
  async predictAll(rows) {
    const numbers = new Float32Array(rows.length * this.numbers.length);
    const codes = new Int32Array(rows.length * this.words.length);
    rows.forEach((row, r) => {
      this.numbers.forEach((column, c) => (numbers[r * this.numbers.length + c] = readNumeric(cell(row, column.name), column)));
      this.words.forEach((words, s) => (codes[r * this.words.length + s] = words.find(cell(row, words.name))));
    });
    const outputs = await this.run(numbers, codes, rows.length);
    const width = outputs.length / rows.length;
    return rows.map((_, r) => this.#named(outputs.subarray(r * width, (r + 1) * width)));
  }

  /**
   * The model on arrays as it sees them.
   *
   * @param {Float32Array} numbers [rows][number and date columns], NaN where missing, dates as days since 1970-01-01.
   * @param {Int32Array} codes [rows][word columns], places in the vocabularies, -1 where missing or unknown.
   * @param {number} rows how many.
   * @returns {Promise<Float32Array>} [rows][classes] probabilities, or [rows] values.
   */
  async run(numbers, codes, rows) {
    const { Tensor } = this.#ort;
    const all = {
      numbers: () => new Tensor("float32", numbers, [rows, this.numbers.length]),
      codes: () => new Tensor("int32", codes, [rows, this.words.length]),
    };
    const feeds = Object.fromEntries(this.#session.inputNames.map((name) => [name, all[name]()]));
    const results = await this.#session.run(feeds);
    return results[this.#session.outputNames[0]].data;
  }

  #named(outputs) {
    if (!this.classes.length) return { value: outputs[0] };
    let best = 0;
    outputs.forEach((p, k) => (best = p > outputs[best] ? k : best));
    return { label: this.classes[best], probabilities: Object.fromEntries(this.classes.map((name, k) => [name, outputs[k]])) };
  }
}

/** A cell of a row; an Error where the row has no such key, for a misspelled one must not pass as missing. */
function cell(row, name) {
  if (!Object.hasOwn(row, name)) {
    throw new Error(`the row has no column ${JSON.stringify(name)}; it has ${JSON.stringify(Object.keys(row))}. Give null where it is missing.`);
  }
  return row[name];
}

function readNumeric(value, column) {
  if (column.type === "date") return readDays(value, column.format ?? "iso");
  if (typeof value === "string") return readNumber(value, column.decimal ?? ".");
  return ["number", "boolean", "bigint"].includes(typeof value) ? Number(value) : NaN;
}

const PLAIN = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;
const GROUPED = {
  ".": /^[+-]?[1-9][0-9]{0,2}([,'\u2019 \u00a0\u2009\u202f])[0-9]{3}(?:\1[0-9]{3})*(?:\.[0-9]*)?$/,
  ",": /^[+-]?[1-9][0-9]{0,2}([.'\u2019 \u00a0\u2009\u202f])[0-9]{3}(?:\1[0-9]{3})*(?:,[0-9]*)?$/,
};

/** A string as a number, NaN where it is missing or is none; one sign of a currency or per cent is let go. */
export function readNumber(text, decimal = ".") {
  text = text.trim().replaceAll("\u2212", "-").replace(/^(-?)[$€£¥₹%]\s*(?=.)|\s*[$€£¥₹%]$/u, "$1");
  if (/^true$/i.test(text)) return 1;
  if (/^false$/i.test(text)) return 0;
  if (decimal === "." || !text.includes(".")) {
    const plain = text.replaceAll(decimal, ".");
    if (PLAIN.test(plain)) return Number(plain);
    const infinite = INFINITE.exec(plain);
    if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  }
  const grouped = GROUPED[decimal].exec(text);
  return grouped ? Number(text.replaceAll(grouped[1], "").replace(decimal, ".")) : NaN;
}

const MONTHS = [
  "january", "february", "march", "april", "may", "june",
  "july", "august", "september", "october", "november", "december",
];
const PARTS = {
  "%Y": "(?<Y>[0-9]{4})", "%y": "(?<y>[0-9]{2})", "%m": "(?<m>[0-9]{1,2})", "%d": "(?<d>[0-9]{1,2})",
  "%b": "(?<b>[A-Za-z]{3,9})\\.?", " ": "[ ]+",
};
const ZONE = "(?:[ ]?(?<zone>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?";
const CLOCK = "(?:,?[ T]+(?<H>[0-9]{1,2}):(?<M>[0-9]{2})(?::(?<S>[0-9]{2})(?:[.,](?<f>[0-9]+))?)?(?:[ ]?(?<half>[AaPp])\\.?[Mm]\\.?)?";
const ISO = [
  "(?<Y>[0-9]{4})-(?<m>[0-9]{1,2})-(?<d>[0-9]{1,2})" + CLOCK + ZONE + ")?",
  "(?<Y>[0-9]{4})(?<m>[0-9]{2})(?<d>[0-9]{2})T(?<H>[0-9]{2})(?<M>[0-9]{2})(?:(?<S>[0-9]{2})(?:\\.(?<f>[0-9]+))?)?" + ZONE,
  "(?<Y>1[89][0-9]{2}|2[01][0-9]{2})-(?<m>[0-9]{2})",
].map((body) => new RegExp(`^${body}$`));
const patterns = new Map();

function patternsOf(format) {
  if (format === "iso") return ISO;
  if (!patterns.has(format)) {
    const weekday = format.includes("%b") ? "(?:[A-Za-z]{3,9}\\.?,?[ ]+)?" : "";
    const body = format.split(/(%.| )/).map((part) => PARTS[part] ?? part.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"));
    patterns.set(format, [new RegExp(`^${weekday}${body.join("")}${CLOCK}${ZONE})?$`), ...ISO]);
  }
  return patterns.get(format);
}

/** A Date or a string as days since 1970-01-01 in UTC, NaN where it is missing or is no date. */
export function readDays(value, format = "iso") {
  if (value instanceof Date) return value.getTime() / DAY;
  if (typeof value !== "string") return NaN;
  const found = patternsOf(format).map((pattern) => pattern.exec(value.trim())).find(Boolean);
  return found ? assemble(found.groups) : NaN;
}

/** Days of the parts that a pattern matched, NaN where the calendar or the clock has no such moment. */
function assemble(part) {
  const month = part.b ? MONTHS.findIndex((name) => name.startsWith(part.b.toLowerCase())) : Number(part.m) - 1;
  const year = part.y ? Number(part.y) + (Number(part.y) >= 69 ? 1900 : 2000) : Number(part.Y);
  const day = Number(part.d ?? 1);
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (year < 1 || date.getUTCMonth() !== month || date.getUTCDate() !== day) return NaN;
  if (!part.H) return date.getTime() / DAY;
  let hour = Number(part.H);
  const minute = Number(part.M), second = Number(part.S ?? 0);
  if (part.half) {
    if (hour < 1 || hour > 12) return NaN;
    hour = (hour % 12) + (/p/i.test(part.half) ? 12 : 0);
  }
  if (hour > 23 || minute > 59 || second > 60) return NaN;
  const seconds = 3600 * hour + 60 * minute + second + Number(`0.${part.f ?? 0}`) - zoneSeconds(part.zone);
  return date.getTime() / DAY + seconds / 86_400;
}

/** Seconds that a written zone is ahead of UTC. */
function zoneSeconds(zone) {
  if (!zone || !/^[+-]/.test(zone)) return 0;
  const minutes = 60 * Number(zone.slice(1, 3)) + Number(zone.slice(3).replace(":", "") || 0);
  return 60 * minutes * (zone[0] === "-" ? -1 : 1);
}

const NUMBER = /^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/; // no leading zeros: "007" is a name

/** A vocabulary: places by word, and by value for those words that are numbers. */
class Words {
  constructor({ name, vocabulary }) {
    this.name = name;
    this.places = new Map(vocabulary.map((word, place) => [word, place]));
    this.values = new Map(vocabulary.flatMap((word, place) => (isNumber(word) ? [[asNumber(word), place]] : [])));
  }

  /** Place of a cell's word, -1 where it is missing or unknown. */
  find(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return this.places.get("") ?? -1;
    const text = String(value).trim().normalize("NFC");
    const folded = text.toLowerCase();
    const word = MISSING.has(folded) ? "" : folded === "true" || folded === "false" ? folded : text;
    return this.places.get(word) ?? (isNumber(word) ? this.values.get(asNumber(word)) : undefined) ?? -1;
  }
}

function isNumber(word) {
  return NUMBER.test(word) || INFINITE.test(word);
}

function asNumber(word) {
  return readNumber(word) + 0; // -0 is 0
}
