// What calls were, as facts: made here once, for what is copied and for what is saved.

import { rankOf, surprise } from "./draws.js";

/**
 * @import { Data } from "./data.js"
 * @import { CallFacts, DrawTold, RunFacts, State } from "./types.d.ts"
 */

/**
 * The calls of the selection, from and up to; null where nothing is selected.
 *
 * @param {State} state
 * @param {number} calls
 * @returns {[from: number, to: number] | null}
 */
export function selected({ selection }, calls) {
  if (!selection) return null;
  const from = Math.max(0, Math.min(calls - 1, Math.floor(selection[0])));
  return [from, Math.max(from + 1, Math.min(calls, Math.ceil(selection[1])))];
}

/**
 * Names of the columns that have one number for each call: those that the view says so of, for what is counted in
 * frames, or of calls that were replayed, can be as long by chance.
 *
 * @param {Data} data
 */
export function byCall({ header, columns }) {
  return header.by_call.filter((name) => Object.hasOwn(columns, name));
}

/**
 * A number of a call, or the name that it has.
 *
 * @param {Data} data
 * @param {string} name of a column
 * @param {number} call
 * @returns {number | string | null}
 */
export function valueAt(data, name, call) {
  if (name === "outcome") return data.action(call).outcome;
  if (name === "overruled") return data.action(call).overruled;
  const value = data.at(name, call);
  return data.header.names?.[name]?.[value] ?? (Number.isNaN(value) ? null : value);
}

/**
 * The codes that a call wrote into the grid; null where there is no grid. −1: nothing, −2: a pad.
 *
 * @param {Data} data
 * @param {number} call
 */
export function codesOf(data, call) {
  const column = data.columnOf(call);
  if (!data.columns.grid || column >= data.columnsOfGrid) return null;
  return Array.from({ length: data.codebooks }, (_, book) => data.code(book, column));
}

/**
 * The draws of a call that were kept.
 *
 * @param {Data} data
 * @param {number} call
 * @param {boolean} candidates with all that could have been drawn
 */
export function drawsOf(data, call, candidates) {
  /** @type {DrawTold[]} */
  const found = [];
  for (const [i, { title, book, names }] of data.header.draws.entries()) {
    const draw = data.draw(call, i);
    if (!draw) continue;
    const { choice, probability, uniform } = draw;
    const place = rankOf(draw);
    found.push({
      name: title,
      codebook: book,
      choice,
      token: names[choice] ?? null,
      probability,
      bits: surprise(data, call, i),
      rank: place?.rank ?? null,
      or_later: place?.later ?? false,
      uniform,
      ...(candidates
        ? { candidates: draw.candidates.map(({ token, cond, guided, kept }) => ({ token, cond, guided, kept })) }
        : {}),
    });
  }
  return found;
}

/**
 * @param {Data} data
 * @param {number} call
 * @param {boolean} candidates
 * @returns {CallFacts}
 */
export function callFacts(data, call, candidates) {
  const word = data.wordAt(call);
  return {
    call,
    seconds: data.secondsOf(call),
    word: word && { text: word.text, speaker: word.speaker, call: word.call, prefix: word.prefix },
    values: Object.fromEntries(byCall(data).map((name) => [name, valueAt(data, name, call)])),
    codes: codesOf(data, call),
    draws: drawsOf(data, call, candidates),
  };
}

/**
 * What was found, edited and noted at some calls.
 *
 * @param {Data} data
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes of the run
 */
export function saidOf({ header }, [from, to], notes) {
  const { findings = [], edits } = header;
  return {
    findings: findings.filter(({ call, until }) => call < to && until >= from),
    edits: edits.filter(({ call }) => call >= from && call < to),
    notes: notes.filter(({ call }) => call >= from && call < to).map(({ call, text }) => ({ call, text })),
  };
}

/**
 * Some calls of a run, and what is said of them.
 *
 * @param {Data} data
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes of the run
 * @returns {RunFacts}
 */
export function runFacts(data, [from, to], notes) {
  const { name, state, facts } = data.header;
  const count = Math.max(0, Math.min(to, data.calls) - from);
  const calls = Array.from({ length: count }, (_, i) => callFacts(data, from + i, to - from === 1));
  return { trace: name, state, facts, ...saidOf(data, [from, to], notes), calls };
}
