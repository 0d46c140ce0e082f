/** The page: a box for the text, or for both of a pair, and what the model says of it as you type. Edit it as you like. */
import * as ort from "onnxruntime-web";
import { bars } from "./bars.mjs";
import { load } from "./model.mjs";
import { row } from "./row.mjs";

const SHOWN = 20; // classes
const state = document.querySelector("#state");
const list = document.querySelector("ol");

function box(column) {
  const label = document.createElement("label");
  const area = document.createElement("textarea");
  area.name = column;
  area.rows = 3;
  area.value = row[column];
  label.append(column, area);
  return label;
}

try {
  const model = await load(ort);
  document.querySelector("#texts").append(...model.columns.map(box));
  const areas = [...document.querySelectorAll("textarea")];
  let busy = false, again = false;
  // The model does one thing at a time: what is typed meanwhile is asked when it is done.
  const ask = async () => {
    again = true;
    if (busy) return;
    busy = true;
    list.ariaBusy = "true";
    try {
      while (again) {
        again = false;
        const { probabilities } = await model.predict(Object.fromEntries(areas.map(({ name, value }) => [name, value])));
        list.replaceChildren(...bars(probabilities, SHOWN));
      }
    } catch (error) {
      state.textContent = `The model can't tell: ${error.message}`;
    } finally {
      busy = false;
      list.ariaBusy = "false";
    }
  };
  areas.forEach((area) => area.addEventListener("input", ask));
  state.textContent = "";
  await ask();
} catch (error) {
  state.textContent = `The model can't be loaded: ${error.message}`;
}
