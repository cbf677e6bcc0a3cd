// What a run's draws say of it call by call, as curves: how surprising, how far guidance pulled; see view_signals.py.

/**
 * @import { Data } from "./data.js"
 * @import { Column } from "./types.d.ts"
 */

const BITS_STEP = 1 / 16;

/** @type {WeakMap<Data, Signals>} */
const KNOWN = new WeakMap();

/**
 * The curves of a run, made once.
 *
 * @param {Data} data
 */
export function signalsOf(data) {
  const known = KNOWN.get(data);
  if (known) return known;
  const made = new Signals(data);
  KNOWN.set(data, made);
  return made;
}

export class Signals {
  /** @param {Data} data */
  constructor(data) {
    const { draws } = data.header;
    const books = draws.flatMap(({ book }, i) => (book === null ? [] : [i]));
    const others = draws.flatMap(({ book }, i) => (book === null ? [i] : []));
    const { surprise, pull } = data.columns;
    this.count = draws.length;
    this.drawOf = Array.from({ length: data.codebooks }, (_, book) => data.drawOf(book)); // by codebook
    this.surprise = surprise;
    /** @type {(value: number) => number} */
    const bits = (value) => (value ? (value - 1) * BITS_STEP : Number.NaN);
    /** @type {(value: number) => number} */
    const share = (value) => value / 255;
    this.mean = averaged(surprise, this.count, books, bits); // of the codebooks, in bits; NaN where nothing is known
    this.action = averaged(surprise, this.count, others, bits);
    this.pullFirst = averaged(pull, 2, [0], share); // of the first codebook
    this.pull = averaged(pull, 2, [1], share); // mean of all of them
    this.pulls = this.pull.some((value) => value > 0);
  }

  /**
   * Bits of one draw; NaN where they are not known.
   *
   * @param {number} call
   * @param {number} draw
   */
  bits(call, draw) {
    const value = this.surprise && call >= 0 && draw >= 0 ? this.surprise[call * this.count + draw] : 0;
    return value ? (value - 1) * BITS_STEP : Number.NaN;
  }
}

/**
 * [calls] mean of some of the draws of each call.
 *
 * @param {Column | undefined} column [calls, draws]
 * @param {number} count of draws
 * @param {number[]} places
 * @param {(value: number) => number} read
 */
function averaged(column, count, places, read) {
  if (!column || !places.length) return new Float32Array(0);
  return Float32Array.from({ length: column.length / count }, (_, call) => {
    let sum = 0;
    let known = 0;
    for (const place of places) {
      const value = read(column[call * count + place]);
      if (Number.isNaN(value)) continue;
      sum += value;
      known += 1;
    }
    return known ? sum / known : Number.NaN;
  });
}
