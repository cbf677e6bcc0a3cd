// Calls as a block of text for a message or a bug report, and as JSON for a program.

import { rankText } from "./draws.js";
import { codesOf, drawsOf, runFacts, saidOf } from "./facts.js";
import { timeOf } from "./readouts.js";

/**
 * @import { Data } from "./data.js"
 * @import { DrawTold, Finding, State } from "./types.d.ts"
 */

const CALLS_FORMAT = "dia2calls";
const CALLS_VERSION = 2; // 1 counted ranks from 0

/**
 * Some calls of the runs on a page as JSON; its keys stand in docs/explorer.md.
 *
 * @param {Data[]} runs
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes of the first run
 */
export function jsonOf(runs, calls, notes) {
  const found = runs.map((data, i) => runFacts(data, calls, i ? [] : notes));
  return `${JSON.stringify({ format: CALLS_FORMAT, version: CALLS_VERSION, runs: found }, null, 1)}\n`;
}

/**
 * The same to be read: a line for each call, of a single one its draws too, then what was found and noted.
 *
 * @param {Data[]} runs
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes of the first run
 */
export function textOf(runs, calls, notes) {
  return runs.map((data, i) => textOfRun(data, calls, i ? [] : notes)).join("\n");
}

/**
 * @param {Data} data
 * @param {[from: number, to: number]} calls
 * @param {State["notes"]} notes
 */
function textOfRun(data, [from, to], notes) {
  const { header } = data;
  const count = Math.max(0, Math.min(to, data.calls) - from);
  const rows = Array.from({ length: count }, (_, i) => lineOf(data, from + i));
  const headings = [...header.readouts.map(({ name }) => name), "action", "codes"];
  const lines = [[header.name, ...header.facts, header.state].join(" · "), "", ...aligned([headings, ...rows])];
  const draws = count === 1 ? drawsOf(data, from, false) : [];
  if (draws.length) lines.push("", ...aligned([["draw", "token", "p", "bits", "rank"], ...draws.map(drawLine)]));
  const said = saidOf(data, [from, to], notes);
  const told = [
    ...said.findings.map(findingLine),
    ...said.edits.map(({ call, text }) => `edit, call ${call}: ${text}`),
    ...said.notes.map(({ call, text }) => `note, call ${call}: ${text.replaceAll("\n", "\n  ")}`),
  ];
  return `${[...lines, ...(told.length ? ["", ...told] : [])].join("\n")}\n`;
}

/**
 * A call in the words of the page: its readouts, its action, its codes.
 *
 * @param {Data} data
 * @param {number} call
 */
function lineOf(data, call) {
  const where = data.header.readouts.map(({ kind, shows }) => {
    if (kind === "time") return timeOf(data, call);
    if (kind !== "word") return data.told(shows ?? "", call);
    const word = data.wordAt(call);
    return word ? `${word.text} [S${word.speaker}]` : "–";
  });
  const codes = codesOf(data, call)?.map((code) => (code === -1 ? "·" : code === -2 ? "pad" : data.token(code)));
  return [...where, actionOf(data, call), codes?.join(" ") ?? "–"];
}

/**
 * What the call decided besides codes, how likely that was, and what became of it.
 *
 * @param {Data} data
 * @param {number} call
 */
function actionOf(data, call) {
  if (call < data.given) return "given";
  const drawn = drawsOf(data, call, false).filter(({ codebook }) => codebook === null);
  const told = drawn.map(({ token, choice, probability }) => `${token ?? choice} p ${figure(probability)}`).join(", ");
  if (!data.columns.outcome) return told || "–";
  const { drawn: wanted, overruled, outcome } = data.action(call);
  return `${told || wanted}${overruled ? ` → ${outcome} (${overruled})` : ""}`;
}

/** @type {(draw: DrawTold) => string[]} */
function drawLine({ name, choice, token, probability, bits, rank, or_later: later }) {
  const place = rank === null ? "–" : rankText({ rank, later });
  return [name, token ?? String(choice), figure(probability), bits === null ? "–" : bits.toFixed(1), place];
}

/** @type {(one: Finding) => string} */
function findingLine({ severity, kind, call, until, text, fix }) {
  const where = until > call ? `calls ${call} … ${until}` : `call ${call}`;
  return `finding (${severity}), ${where}, ${kind}: ${text}${fix ? ` → ${fix}` : ""}`;
}

/** @param {number} chance to three digits */
function figure(chance) {
  return String(Number(chance.toPrecision(3)));
}

/**
 * Lines of cells under each other: numbers at the right of their column, texts at the left.
 *
 * @param {string[][]} rows the first one are headings
 */
export function aligned(rows) {
  const [, ...values] = rows;
  const numbers = rows[0].map((_, i) => values.every((row) => /^(?:[–−-]?[\d.]*(?: s)?)$/.test(row[i])));
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => Array.from(row[i]).length)));
  return rows.map((row) => {
    const cells = row.map((cell, i) => {
      const room = " ".repeat(widths[i] - Array.from(cell).length);
      return numbers[i] ? room + cell : cell + room;
    });
    return cells.join("  ").trimEnd();
  });
}
