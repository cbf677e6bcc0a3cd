// Calls as a table for a spreadsheet, a line for each.

import { byCall, codesOf, saidOf, valueAt } from "./facts.js";
import { surprise } from "./draws.js";

/**
 * @import { Data } from "./data.js"
 * @import { State } from "./types.d.ts"
 */

/** @typedef {string | number | null | undefined} Cell */

/**
 * Some calls of the runs on a page; what a run does not have is empty.
 *
 * @param {Data[]} runs
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes of the first run
 */
export function csvOf(runs, [from, to], notes) {
  const [data] = runs;
  const names = byCall(data);
  const books = Array.from({ length: data.columns.grid ? data.codebooks : 0 }, (_, book) => book);
  const draws = data.columns.draw_choice ? data.header.draws.map((draw) => shortOf(data, draw)) : [];
  const headings = [
    ...(runs.length > 1 ? ["run"] : []), "call", "seconds", "word", "speaker", ...names,
    ...books.map((book) => `code.${shortOf(data, { title: "", book })}`),
    ...draws.flatMap((name) => [`choice.${name}`, `p.${name}`, `bits.${name}`]), "findings", "note",
  ];
  const lines = [headings.map(cellOf).join(",")];
  for (const [i, run] of runs.entries()) {
    for (let call = from; call < Math.min(to, run.calls); call += 1) {
      const word = run.wordAt(call);
      const codes = codesOf(run, call);
      const said = saidOf(run, [call, call + 1], i ? [] : notes);
      /** @type {Cell[]} */
      const cells = [
        ...(runs.length > 1 ? ["AB"[i]] : []), call, run.secondsOf(call), word?.text, word?.speaker,
        ...names.map((name) => (run.columns[name] ? valueAt(run, name, call) : null)),
        ...books.map((book) => codes?.[book]),
        ...draws.flatMap((_, draw) => drawCells(run, call, draw)),
        said.findings.map(({ kind }) => kind).join(" "),
        said.notes[0]?.text,
      ];
      lines.push(cells.map(cellOf).join(","));
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * Choice, chance and bits of a draw, as far as they are known.
 *
 * @param {Data} data
 * @param {number} call
 * @param {number} draw
 * @returns {Cell[]}
 */
function drawCells({ columns, header }, call, draw) {
  const { draw_choice: choices, draw_probability: chances } = columns;
  const cell = call * header.draws.length + draw;
  if (!choices || !chances || !(choices[cell] >= 0)) return [null, null, null];
  return [choices[cell], chances[cell], surprise(/** @type {Data} */ ({ columns }), call, draw)];
}

/**
 * A draw by the name that its codebook has: `cb3`, `action`.
 *
 * @param {Data} data
 * @param {{ title: string, book: number | null }} draw
 */
function shortOf({ header }, { title, book }) {
  return book === null ? title : `${header.grid.words.short}${book}`;
}

/**
 * A cell: numbers as they are; texts in quotes, and behind an apostrophe where a spreadsheet would take one for a
 * formula and run it.
 *
 * @param {Cell} value
 */
export function cellOf(value) {
  if (value === null || value === undefined || value === "" || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const safe = /^\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return `"${safe.replaceAll('"', '""')}"`;
}
