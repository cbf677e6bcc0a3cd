// Where a word, a code or a token is: `friend`, `411`, `cb3:411`, `action:new_word`, `main:friend`.

import { capital } from "./dom.js";
import { byCall, valueAt } from "./facts.js";

/**
 * @import { Data } from "./data.js"
 * @import { Hit } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

/**
 * All places, in the order of their calls. Words are searched in all runs on the page, the rest in the first.
 *
 * @param {Views} views
 * @param {string} text
 * @returns {Hit[]}
 */
export function search(views, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const [data] = views.all;
  const [, name, value] = /^([\w ]+?)\s*:\s*(.+)$/.exec(wanted) ?? [];
  const inColumn = name === undefined ? null : valuesIn(data, name, value);
  if (inColumn) return inColumn;
  /** @type {Hit[]} */
  const words = views.spoken
    .filter((word) => word.text.toLowerCase().includes(wanted))
    .map(({ call, text: said }) => ({ call, told: `“${said}”` }));
  return [...words, ...codesLike(data, wanted, null)].sort((a, b) => a.call - b.call);
}

/**
 * Where a codebook, a draw or a column has a value; null where there is nothing of that name.
 *
 * @param {Data} data
 * @param {string} name
 * @param {string} value
 * @returns {Hit[] | null}
 */
function valuesIn(data, name, value) {
  const { grid, draws } = data.header;
  const [, kind, number] = /^([a-z]+) ?(\d+)$/.exec(name) ?? [];
  if ((kind === grid.words.short || kind === grid.words.book) && Number(number) < data.codebooks) {
    return codesLike(data, value, Number(number));
  }
  const draw = draws.findIndex(({ title, book }) => book === null && title.toLowerCase() === name);
  if (draw >= 0 && data.columns.draw_choice) return callsWhere(data, name, (call) => drawnAt(data, call, draw), value);
  if (Object.hasOwn(data.columns, `${name}_part`)) {
    /** @type {(call: number) => number | string} */
    const at = (call) => (data.part(name, call)?.text.toLowerCase().includes(value) ? value : data.at(name, call));
    return callsWhere(data, name, at, value);
  }
  if (!byCall(data).includes(name)) return null; // `constructor` is a name of every object
  return callsWhere(data, name, (call) => valueAt(data, name, call), value);
}

/**
 * @param {Data} data
 * @param {number} call
 * @param {number} draw
 */
function drawnAt(data, call, draw) {
  const { draws } = data.header;
  const choice = data.at("draw_choice", call * draws.length + draw);
  return draws[draw].names[choice] ?? choice;
}

/**
 * @param {Data} data
 * @param {string} name
 * @param {(call: number) => number | string | null} at
 * @param {string} value
 */
function callsWhere(data, name, at, value) {
  /** @type {Hit[]} */
  const found = [];
  for (let call = 0; call < data.calls; call += 1) {
    if (String(at(call)).toLowerCase() === value) found.push({ call, told: `${name} ${value}` });
  }
  return found;
}

/**
 * Cells of the grid whose code is written so; those that no call wrote are left out.
 *
 * @param {Data} data
 * @param {string} wanted
 * @param {number | null} only of this codebook
 */
function codesLike(data, wanted, only) {
  /** @type {Hit[]} */
  const found = [];
  const { words, specials = {} } = data.header.grid;
  const special = Object.entries(specials).find(([, name]) => name.toLowerCase() === wanted);
  const code = special ? Number(special[0]) : /^\d+$/.test(wanted) ? Number(wanted) : null;
  if (code === null || !data.columns.grid) return found;
  const books = only === null ? Array.from({ length: data.codebooks }, (_, book) => book) : [only];
  for (let column = 0; column < data.columnsOfGrid; column += 1) {
    const call = data.callOf(column);
    if (call < 0) continue;
    for (const book of books) {
      if (data.code(book, column) !== code) continue;
      found.push({ call, told: `${capital(words.book)} ${book}: ${data.token(code)}`, cell: { book, column } });
    }
  }
  return found;
}
