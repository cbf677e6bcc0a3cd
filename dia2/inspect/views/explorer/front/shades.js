// Numbers by which cells of the grid can be coloured, besides surprise, code and origin: those of their draws, and
// those of their calls that the family declares.

import { chances } from "./chances.js";
import { rankOf, rankText } from "./draws.js";
import { signalsOf } from "./signals.js";

/**
 * @import { Data } from "./data.js"
 * @import { Draw, Shade } from "./types.d.ts"
 */

const MEANS = {
  probability: "The chance of the code in its draw.",
  rank: "The place of the code among the recorded candidates by conditional logit, from 1.",
  entropy: "How open the draw was, over the recorded candidates.",
  pull: "How far guidance moved the odds of the draw.",
};

/** @type {WeakMap<Data, Shade[]>} */
const SHADES = new WeakMap();

/**
 * The shades that a run has, made once; their numbers are computed when they are first wanted.
 *
 * @param {Data} data
 */
export function shadesOf(data) {
  const known = SHADES.get(data);
  if (known) return known;
  const made = [...ofDraws(data), ...ofCalls(data)];
  SHADES.set(data, made);
  return made;
}

/**
 * @param {Data} data
 * @returns {Shade[]}
 */
function ofDraws(data) {
  const { draw_ids: ids, draw_choice: choices, draw_probability: probability } = data.columns;
  if (!ids || !choices || !probability) return [];
  const count = data.header.draws.length;
  const drawOf = Array.from({ length: data.codebooks }, (_, book) => data.drawOf(book));
  /** @type {(number: (of: Draw) => number) => (cell: number) => number} */
  const ofDraw = (number) => (cell) => {
    const draw = data.draw(Math.floor(cell / count), cell % count);
    return draw ? number(draw) : Number.NaN;
  };
  /** @type {(name: string, label: string, unit: string, told: string, at: (cell: number) => number) => Shade} */
  const shade = (name, label, unit, meaning, numberAt) => {
    /** @type {Float32Array | null} */
    let numbers = null;
    const all = () => {
      const length = data.calls * count;
      numbers ??= Float32Array.from({ length }, (_, cell) => (choices[cell] >= 0 ? numberAt(cell) : Number.NaN));
      return numbers;
    };
    return {
      name: `cell.${name}`,
      label,
      unit,
      told: meaning,
      per: "cell",
      at: (book, call) => (call >= 0 && drawOf[book] >= 0 ? all()[call * count + drawOf[book]] : Number.NaN),
      range: () => [0, highestOf(all())],
    };
  };
  /** @type {() => [number, number]} */
  const range = () => [0, 1];
  const likely = shade("probability", "Probability", "p", MEANS.probability, (cell) => probability[cell] || Number.NaN);
  const found = [
    { ...likely, range },
    rankShade(data, drawOf, (number) => shade("rank", "Rank", "place", MEANS.rank, ofDraw(number))),
    shade("entropy", "Entropy", "bits", MEANS.entropy, ofDraw(entropy)),
  ];
  const { pulls } = signalsOf(data);
  if (pulls) found.push({ ...shade("pull", "Guidance pull", "share", MEANS.pull, ofDraw(pull)), range });
  return found;
}

/**
 * Ranks, of which the last one can stand for any later one.
 *
 * @param {Data} data
 * @param {number[]} drawOf by codebook
 * @param {(number: (of: Draw) => number) => Shade} make
 * @returns {Shade}
 */
function rankShade(data, drawOf, make) {
  let later = false; // one of them can be
  const shade = make((draw) => {
    const place = rankOf(draw);
    later ||= place?.later ?? false;
    return place?.rank ?? Number.NaN;
  });
  return {
    ...shade,
    range: () => [1, shade.range()[1]],
    open: () => later,
    say(book, call) {
      const draw = data.draw(call, drawOf[book]);
      const place = draw && rankOf(draw);
      return place ? rankText(place) : "";
    },
  };
}

/**
 * Those of a call, which all cells that it wrote have.
 *
 * @param {Data} data
 * @returns {Shade[]}
 */
function ofCalls(data) {
  /** @type {Shade[]} */
  const found = [];
  for (const { column, label, unit, told } of data.header.shades ?? []) {
    const numbers = data.columns[column];
    if (!numbers) continue;
    const known = Array.from(numbers).filter((value) => value >= 0); // below 0: none
    const [least, most] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), 0)];
    if (!(most > least)) continue; // the same everywhere
    found.push({
      name: `call.${column}`,
      label,
      unit,
      told,
      per: "call",
      at: (_, call) => (call >= 0 && numbers[call] >= 0 ? numbers[call] : Number.NaN),
      range: () => [least, most],
    });
  }
  return found;
}

/**
 * How open a draw was, in bits, over the candidates that were recorded; NaN where their chances are not known.
 *
 * @param {Draw} draw
 */
export function entropy(draw) {
  const known = chances(draw);
  if (known.some((chance) => chance === null)) return Number.NaN;
  const sum = known.reduce((/** @type {number} */ a, chance) => a + (chance ?? 0), 0);
  return known.reduce((/** @type {number} */ bits, chance) => {
    const share = (chance ?? 0) / sum;
    return share > 0 ? bits - share * Math.log2(share) : bits;
  }, 0);
}

/**
 * How far guidance moved the odds of a draw: total variation over the candidates, 0 to 1; as view_signals.py has it.
 *
 * @param {Draw} draw
 */
export function pull({ candidates }) {
  const before = softmax(candidates.map(({ cond }) => cond));
  const after = softmax(candidates.map(({ guided }) => guided));
  return before.reduce((sum, share, i) => sum + Math.abs(share - after[i]), 0) / 2;
}

/** @param {number[]} logits */
function softmax(logits) {
  const best = Math.max(...logits);
  const weights = logits.map((logit) => (logit === -Infinity ? 0 : Math.exp(logit - best)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** @param {Float32Array} numbers */
function highestOf(numbers) {
  return numbers.reduce((most, value) => (value > most ? value : most), 0);
}
