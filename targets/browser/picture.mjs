/**
 * A picture's bytes as a model takes them, equal to the bit to what Python reads (pictures/read.py): over white, then squashed to
 * a square as Pillow's BILINEAR resize does it, rows first. It decodes nothing, knows no model and needs no library.
 *
 * The resize is Pillow's (Resample.c): a triangle as wide as a pixel of the result, or of the picture where that is wider; weights
 * in double precision that sum to one, rounded to fixed point; rows first, then columns, bytes in between.
 */

const BITS = 22; // of a weight after the point: a sum of levels times weights stays below 2 ** 31
const HALF = 1 << (BITS - 1);

/**
 * Pixels for a model: RGB bytes, row by row, of a square of `size`.
 * @param {ArrayLike<number>} rgba four bytes a pixel, colours not multiplied by alpha, as a canvas gives them.
 */
export function squared(rgba, width, height, size) {
  return resize(overWhite(rgba), width, height, size);
}

/**
 * The same of a picture whose rows come one band after the other, so that a large one never lies whole in memory.
 * @param {(top: number, rows: number) => ArrayLike<number>} band gives RGBA bytes of `rows` rows from `top` on.
 * @param {number} most rows of a band.
 */
export function squaredInBands(band, width, height, size, most) {
  const across = new Uint8Array(3 * size * height);
  for (let top = 0; top < height; top += most) {
    const rows = Math.min(most, height - top);
    const rgb = overWhite(band(top, rows));
    check(rgb, width, rows, size);
    across.set(width === size ? rgb : along(rgb, rows, width, 3, size), 3 * size * top);
  }
  return resize(across, size, height, size);
}

/** RGB bytes of RGBA ones before white, each level rounded. */
export function overWhite(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3];
    const white = 255 * (255 - alpha) + 127; // and a half of the 255 to divide by, which rounds
    for (let channel = 0; channel < 3; channel++) rgb[to++] = (rgba[from + channel] * alpha + white) / 255;
  }
  return rgb;
}

/**
 * RGB bytes of a square of `size`, squashed or stretched.
 * @param {ArrayLike<number>} rgb three bytes a pixel, `height` rows of `width` pixels.
 */
export function resize(rgb, width, height, size) {
  check(rgb, width, height, size);
  const rows = width === size ? rgb : along(rgb, height, width, 3, size);
  return height === size ? Uint8Array.from(rows) : along(rows, 1, height, 3 * size, size);
}

function check(rgb, width, height, size) {
  if (!(width > 0 && height > 0 && size > 0) || rgb.length !== 3 * width * height) {
    throw new RangeError(`${rgb.length} bytes are no RGB picture of ${width} x ${height} pixels`);
  }
}

/** Bytes (outer, length, inner) resized along the middle axis, to (outer, size, inner). */
function along(bytes, outer, length, inner, size) {
  const out = new Uint8Array(outer * size * inner);
  const spans = weights(length, size);
  let to = 0;
  for (let row = 0; row < outer; row++) {
    for (const { first, taps } of spans) {
      const start = (row * length + first) * inner;
      for (let column = 0; column < inner; column++) {
        let sum = HALF;
        for (let tap = 0, from = start + column; tap < taps.length; tap++, from += inner) sum += bytes[from] * taps[tap];
        out[to++] = Math.min(sum >> BITS, 255);
      }
    }
  }
  return out;
}

/** For each of `size` places, the first of `length` pixels that it sees, and the weights of that and the next ones. */
function weights(length, size) {
  const scale = length / size;
  const reach = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), length);
    const seen = Array.from({ length: last - first }, (_, tap) => {
      const away = Math.abs((tap + first - centre + 0.5) * (1 / reach));
      return away < 1 ? 1 - away : 0;
    });
    const total = seen.reduce((sum, weight) => sum + weight, 0);
    return { first, taps: Int32Array.from(seen, (weight) => Math.trunc(0.5 + (weight / total) * (1 << BITS))) };
  });
}
