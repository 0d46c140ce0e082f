/** The page that the emulator opens: it loads a model as an app would, runs what job.json asks for and posts the result. */
import * as ort from "./ort/ort.wasm.bundle.min.mjs";

const job = await (await fetch("job.json")).json();
const began = performance.now();
ort.env.wasm.numThreads = 1;
const { load } = await import("./variant/model.mjs");
const model = await load(ort, new URL("./variant/", import.meta.url));
const result = { load_ms: performance.now() - began, isolated: crossOriginIsolated, agent: navigator.userAgent };

if (job.rows) result.predictions = await model.predictAll(job.rows);
if (job.count) {
  const numbers = new Float32Array(bytes(job.numbers)), codes = new Int32Array(bytes(job.codes));
  result.outputs = text(await model.run(numbers, codes, job.count));
  result.times_us = await timed(numbers, codes, job.count, job.calls);
}
await fetch("done", { method: "POST", body: JSON.stringify(result) });

/** Microseconds of single rows in turn, after a warm-up. */
async function timed(numbers, codes, count, calls) {
  const width = numbers.length / count, words = codes.length / count, warm = calls ? 20 : 0, times = [];
  for (let i = 0; i < warm + calls; i++) {
    const r = i % count;
    const start = performance.now();
    await model.run(numbers.slice(r * width, (r + 1) * width), codes.slice(r * words, (r + 1) * words), 1);
    times.push((performance.now() - start) * 1000);
  }
  return times.slice(warm);
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
