// A trace as `pack.py` wrote it: a header, and columns as typed arrays over one buffer.

/** @import { ArrayConstructor, Column, Columns, Dtype, Packed } from "./types.d.ts" */

/** @type {Record<Dtype, ArrayConstructor>} */
const ARRAYS = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array,
  float64: Float64Array,
};

/**
 * Header and columns in packed bytes: of a view, or of the next calls of one that grows.
 *
 * @template {object} H
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Packed<H>>}
 */
export async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const view = new DataView(buffer);
  const decoder = new TextDecoder();
  const magic = decoder.decode(new Uint8Array(buffer, 0, 8));
  if (magic !== "dia2view") throw new Error("These bytes are no view of a trace.");
  const length = view.getUint32(8, true);
  /** @type {{ header: H, columns: Record<string, { dtype: Dtype, shape: number[], at: number }> }} */
  const { header, columns } = JSON.parse(decoder.decode(new Uint8Array(buffer, 12, length)));
  const start = 8 * Math.ceil((12 + length) / 8);
  /** @type {Columns} */
  const arrays = Object.create(null); // whatever they are called, and nothing else
  for (const [name, { dtype, shape, at }] of Object.entries(columns)) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = Object.assign(new ARRAYS[dtype](buffer, start + at, count), { shape });
  }
  return { header, columns: arrays };
}

/**
 * An empty array of the same numbers.
 *
 * @param {Column} column
 * @param {number} count
 */
export function like(column, count) {
  const { constructor } = /** @type {{ constructor: ArrayConstructor }} */ (/** @type {object} */ (column));
  return new constructor(count);
}

/**
 * Two parts of a column as one.
 *
 * @param {Column | undefined} old
 * @param {Column} array
 */
export function joined(old, array) {
  if (!old) return array;
  const all = like(array, old.length + array.length);
  all.set(old);
  all.set(array, old.length);
  return Object.assign(all, { shape: [old.shape[0] + array.shape[0], ...array.shape.slice(1)] });
}
