/** The page: a field for each of the model's columns, and what the model says of them. Edit it as you like. */
import * as ort from "onnxruntime-web";
import { load } from "./model.mjs";
import { row } from "./row.mjs";

const form = document.querySelector("form");
const output = document.querySelector("output");

/** A labelled field, filled with a typical value; words known to the model are offered. */
function field(column, place) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.name = column.name;
  input.value = row[column.name] ?? "";
  if (column.type === "date") input.type = "date";
  if (column.type === "number") {
    input.inputMode = "decimal";
    input.value = input.value.replace(".", column.decimal); // what is typed is read with the table's decimal mark
  }
  label.append(column.name, input);
  if (column.type === "word") {
    const words = document.createElement("datalist");
    words.id = `words-${place}`;
    words.append(...column.vocabulary.map((word) => new Option(word, word)));
    input.setAttribute("list", words.id);
    label.append(words);
  }
  return label;
}

function shown({ label, probabilities, value }) {
  if (label === undefined) return String(value);
  const lines = Object.entries(probabilities).map(([name, p]) => `${name}: ${(100 * p).toFixed(1)} %`);
  return [label, ...lines].join("\n");
}

try {
  const model = await load(ort);
  document.querySelector("#columns").append(...model.columns.map(field));
  output.value = "";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.value = shown(await model.predict(Object.fromEntries(new FormData(form))));
  });
} catch (error) {
  output.value = `The model can't be loaded: ${error.message}`;
}
