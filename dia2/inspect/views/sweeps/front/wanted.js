// Which runs are wanted: `cfg_scale=2 words>10 hello` is three tests, all of which a run has to pass.

/**
 * @import { Runs } from "./runs.js"
 * @import { Test } from "./types.d.ts"
 */

const TERM = /(?:[^\s"]+|"[^"]*")+/g;
const COMPARED = /^([^=<>!:"]+)(>=|<=|!=|=|>|<|:)(.*)$/s;
const COMPARISONS = /** @type {Record<string, (a: number, b: number) => boolean>} */ ({
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
});

/**
 * The tests that a text asks for, and what of it says nothing.
 *
 * @param {Runs} runs
 * @param {string} query
 */
export function testsOf(runs, query) {
  /** @type {Test[]} */
  const tests = [];
  const wrong = [];
  for (const [term] of query.matchAll(TERM)) {
    const [, name, sign, value] = COMPARED.exec(term) ?? [];
    const place = name === undefined ? -1 : placeOf(runs, name);
    const test = place < 0 ? holding(runs, unquoted(term)) : compared(runs, place, sign, unquoted(value));
    if (test) tests.push(test);
    else wrong.push(term);
  }
  return { tests, wrong };
}

/**
 * Runs that pass, in their own order.
 *
 * @param {Runs} runs
 * @param {string} query
 * @param {Map<number, number>} chosen values, by the place of their column
 */
export function wantedOf(runs, query, chosen) {
  const { tests, wrong } = testsOf(runs, query);
  for (const [place, value] of chosen) tests.push((run) => runs.value(place, run) === value);
  const found = [];
  for (let run = 0; run < runs.count; run += 1) if (tests.every((test) => test(run))) found.push(run);
  return { found, wrong };
}

/** @param {string} text */
function unquoted(text) {
  return text.replaceAll('"', "");
}

/**
 * @param {Runs} runs
 * @param {string} name
 */
function placeOf(runs, name) {
  const asked = name.toLowerCase();
  return runs.columns.findIndex((column) => column.name.toLowerCase() === asked);
}

/**
 * Runs that hold a text in any of their own.
 *
 * @param {Runs} runs
 * @param {string} text
 * @returns {Test}
 */
function holding(runs, text) {
  const asked = text.toLowerCase();
  const places = runs.places(({ kind }) => kind === "text");
  const hits = places.map((place) => hitsOf(runs.columns[place].texts ?? [], asked));
  return (run) =>
    runs.header.ids[run].toLowerCase().includes(asked) ||
    places.some((place, i) => hits[i][runs.value(place, run)] ?? false);
}

/**
 * Which of some texts hold another one.
 *
 * @param {string[]} texts
 * @param {string} asked
 */
function hitsOf(texts, asked) {
  return texts.map((text) => text.toLowerCase().includes(asked));
}

/**
 * @param {Runs} runs
 * @param {number} place
 * @param {string} sign
 * @param {string} value
 * @returns {Test | null}
 */
function compared(runs, place, sign, value) {
  const { kind, texts } = runs.columns[place];
  if (kind === "text") {
    const asked = value.toLowerCase();
    const hits = sign === ":" ? hitsOf(texts ?? [], asked) : (texts ?? []).map((text) => text.toLowerCase() === asked);
    if (sign === "=" || sign === ":") return (run) => hits[runs.value(place, run)] ?? false;
    return sign === "!=" ? (run) => !(hits[runs.value(place, run)] ?? false) : null;
  }
  const flag = { yes: 1, no: 0 }[value.toLowerCase()];
  const number = kind === "flag" && flag !== undefined ? flag : Number(value.replace("−", "-"));
  const comparison = COMPARISONS[sign === ":" ? "=" : sign];
  if (!value.trim() || Number.isNaN(number)) return null;
  return (run) => {
    const own = runs.value(place, run);
    return !Number.isNaN(own) && comparison(own, number);
  };
}
