/** Predicts the rows of a CSV file, or of standard input, and prints a CSV line for each. Edit it as you like. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import * as ort from "onnxruntime-web";
import { format, parseRows } from "./csv.mjs";
import { load } from "./model.mjs";

const BLOCK = 1000; // rows at a time
const [name = "-", ...others] = process.argv.slice(2);
if (others.length || name === "-h" || name === "--help") {
  console.error("usage: node predict.mjs [FILE.csv]   (standard input without a file)");
  process.exit(others.length ? 2 : 0);
}

try {
  const model = await load(ort, undefined, readFile);
  const rows = parseRows(name === "-" ? await text(process.stdin) : await readFile(name, "utf8"));
  const lines = [model.classes.length ? ["label", ...model.classes.map((c) => `p(${c})`)] : ["value"]];
  for (let at = 0; at < rows.length; at += BLOCK) {
    for (const { label, probabilities, value } of await model.predictAll(rows.slice(at, at + BLOCK))) {
      lines.push(label === undefined ? [value] : [label, ...model.classes.map((c) => probabilities[c])]);
    }
  }
  process.stdout.write(lines.map(format).join("\n") + "\n");
} catch (error) {
  console.error(`error: ${name === "-" ? "standard input" : name}: ${error.message}`);
  process.exitCode = 1;
}
