/** One row: where your own app begins. A page does the same with `await load(ort)`, see app.mjs. */
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";
import { load } from "./model.mjs";
import { row } from "./row.mjs";

const model = await load(ort, undefined, readFile);
console.log(await model.predict(row));
