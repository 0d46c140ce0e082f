/** The page that the emulator opens: it loads a model as an app would, runs what job.json asks for and posts the result. */
import * as ort from "./ort/ort.wasm.bundle.min.mjs";

const job = await (await fetch("job.json")).json();
const began = performance.now();
ort.env.wasm.numThreads = 1;
const { load } = await import("./variant/model.mjs");
const model = await load(ort, new URL("./variant/", import.meta.url));
const result = { load_ms: performance.now() - began, isolated: crossOriginIsolated, agent: navigator.userAgent };

if (job.rows) result.predictions = await model.predictAll(job.rows);
if (job.pictures) result.predictions = await model.predictAll(await Promise.all(job.pictures.map(blob)));
if (job.count) {
  const kinds = { numbers: Float32Array, codes: Int32Array, pixels: Uint8Array };
  const arrays = Object.entries(job.arrays).map(([name, content]) => new kinds[name](bytes(content)));
  result.outputs = text(await model.run(...arrays, job.count));
  if (job.calls) result.times_us = await timed(arrays, job);
}
await fetch("done", { method: "POST", body: JSON.stringify(result) });

/** Microseconds of single rows in turn, after a warm-up; where they take long, the least number of calls is enough. */
async function timed(arrays, { count, calls, warm, least, seconds }) {
  const times = [];
  let spent = 0;
  for (let i = 0; i < warm + calls && (i < warm + least || spent < seconds * 1e6); i++) {
    const r = i % count;
    const row = arrays.map((array) => array.slice((r * array.length) / count, ((r + 1) * array.length) / count));
    const start = performance.now();
    await model.run(...row, 1);
    times.push((performance.now() - start) * 1000);
    spent += times.at(-1);
  }
  return times.slice(warm);
}

async function blob(name) {
  return (await fetch(name)).blob();
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
}

function text(floats) {
  const all = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  let out = "";
  for (let i = 0; i < all.length; i += 8192) out += String.fromCharCode(...all.subarray(i, i + 8192));
  return btoa(out);
}
