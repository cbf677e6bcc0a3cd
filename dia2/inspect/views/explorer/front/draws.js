// A draw of a call, out of the columns that have all of them.

/**
 * @import { Data } from "./data.js"
 * @import { Candidate, Column, Draw } from "./types.d.ts"
 */

const BELOW_ALL = 0xffff; // steps below the best: −∞

/**
 * One draw: its choice, and its candidates, best first; null where none was kept.
 *
 * @param {Data} data
 * @param {number} call
 * @param {number} index
 * @returns {Draw | null}
 */
export function drawAt(data, call, index) {
  const { draw_ids: ids, draw_alive: alive, draw_uniform: uniforms } = data.columns;
  if (!ids) return null;
  const [, draws, width] = ids.shape;
  const cell = call * draws + index;
  const choice = data.at("draw_choice", cell);
  if (choice < 0) return null;
  const kept = data.column("draw_kept");
  /** @type {Candidate[]} */
  const candidates = [];
  for (let i = 0; i < width; i += 1) {
    const token = ids[cell * width + i];
    if (token < 0) continue;
    candidates.push({
      token,
      cond: logitAt(data, "cond", cell, i, width),
      guided: logitAt(data, "guided", cell, i, width),
      kept: bitAt(kept, cell, i),
      chosen: token === choice,
      alive: alive ? bitAt(alive, cell, i) : null,
    });
  }
  const { names, sampling: kind, sampler } = data.header.draws[index];
  const part = data.samplingAt(call);
  const sampling = typeof kind === "object" ? kind : part[kind];
  if (!sampling) throw new Error(`This view of a trace has no settings of ${kind}.`);
  const uniform = uniforms?.[cell] ?? NaN;
  return {
    names,
    choice,
    probability: data.at("draw_probability", cell),
    candidates,
    places: width,
    sampling,
    guidance: part.guidance ?? null,
    sampler: sampler ?? null,
    uniform: Number.isNaN(uniform) ? null : uniform,
    step: { cond: data.at("draw_step_cond", cell), guided: data.at("draw_step_guided", cell) },
  };
}

/**
 * The place of a draw's choice among its candidates by conditional logit, from 1; `later`: it may be any later one too,
 * for the last of the candidates is the choice wherever it ranks. Null where no candidates are known.
 *
 * @param {Draw} draw
 * @returns {{ rank: number, later: boolean } | null}
 */
export function rankOf({ candidates, places, sampler }) {
  if (!candidates.length) return null;
  const at = candidates.findIndex(({ chosen }) => chosen);
  const all = candidates.length < places || candidates.length >= (sampler?.vocabulary ?? Infinity);
  if (at < 0) return { rank: candidates.length + 1, later: true };
  return { rank: at + 1, later: at === candidates.length - 1 && !all };
}

/**
 * A rank in words.
 *
 * @param {{ rank: number, later: boolean }} place
 */
export function rankText({ rank, later }) {
  return later ? `${rank} or later` : String(rank);
}

/**
 * How unlikely a draw's choice was, in bits; null where none was kept, or an edit put it there.
 *
 * @param {Data} data
 * @param {number} call
 * @param {number} index
 */
export function surprise(data, call, index) {
  const { draw_choice: choices, draw_probability: chances } = data.columns;
  if (!choices || !chances) return null;
  const cell = call * choices.shape[1] + index;
  return choices[cell] >= 0 && chances[cell] > 0 ? Math.max(0, -Math.log2(chances[cell])) : null;
}

/**
 * @param {Data} data
 * @param {"cond" | "guided"} name
 * @param {number} cell
 * @param {number} i
 * @param {number} width
 */
function logitAt(data, name, cell, i, width) {
  const steps = data.at(`draw_${name}`, cell * width + i);
  return steps === BELOW_ALL ? -Infinity : data.at(`best_${name}`, cell) - steps * data.at(`draw_step_${name}`, cell);
}

/**
 * @param {Column} bits
 * @param {number} cell
 * @param {number} i
 */
function bitAt(bits, cell, i) {
  return Boolean((bits[cell * bits.shape[2] + (i >> 3)] >> (i & 7)) & 1);
}
