// The rows of the pipeline: which one the run is in, and what each one did.

import { bdi, h, pane } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Part, Row, State } from "./types.d.ts"
 */

/** @type {[name: keyof Row["cells"], label: string][]} */
const CELLS = [["trigger", "trigger"], ["before", "before"], ["mutations", "writes"], ["outputs", "gives"]];

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
export function rowsPane(data, store) {
  const buttons = data.header.rows.map((row) =>
    h(
      "button",
      { type: "button", class: `row ${row.status.replace(" ", "-")}`, onclick: () => choose(row) },
      h("span", { class: "number" }, String(row.number)),
      h("span", { class: "title", title: row.title }, row.title),
      h("span", { class: "time" }, timeOfRow(row)),
    ),
  );
  const list = h("ol", { class: "list" }, buttons.map((button) => h("li", {}, button)));
  const named = { role: "group", "aria-label": "The row", tabindex: 0, "aria-live": "polite" };
  const detail = h("div", { class: "detail", ...named });
  const { element } = pane("rows", data.header.titles.rows, "wall time", list, detail);

  /** @param {Row} row */
  function choose(row) {
    store.set({ row: row.number, ...(row.call !== null && row.call < data.calls ? { call: row.call } : {}) });
  }

  /** @type {number | null} */
  let shown = null;
  /** @type {number | null} */
  let lit = null;
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const current = rowAt(data, state.call);
    if (current !== lit) {
      buttons.forEach((button, i) => {
        button.setAttribute("aria-current", data.header.rows[i].number === current ? "step" : "false");
      });
      lit = current;
    }
    const wanted = chosenAt(data, state) ?? current;
    if (wanted === shown) return;
    shown = wanted;
    buttons.forEach((button, i) => button.classList.toggle("chosen", data.header.rows[i].number === wanted));
    detail.replaceChildren(...told(data.header.rows.find((row) => row.number === wanted)));
  };
  return { element, draw };
}

/**
 * The row that a call belongs to, the last one that says so.
 *
 * @param {Data} data
 * @param {number} call
 */
export function rowAt(data, call) {
  return data.header.rows.findLast((row) => isLit(row, call))?.number ?? null;
}

/**
 * @param {Row} row
 * @param {number} call
 */
function isLit(row, call) {
  return row.lit.some(([from, to]) => call >= from && (to === null || call < to));
}

/**
 * The row that was chosen, unless the run has left it; one without calls is left by no call.
 *
 * @param {Data} data
 * @param {State} state
 */
function chosenAt(data, { row: number, call }) {
  const row = data.header.rows.find((each) => each.number === number);
  return row && (!row.lit.length || isLit(row, call)) ? number : null;
}

/** @param {Row | undefined} row */
function told(row) {
  if (!row) return [];
  const pairs = CELLS.flatMap(([name, label]) => {
    const said = row.cells[name];
    return said ? [h("dt", {}, label), h("dd", {}, bdi(said))] : [];
  });
  return [
    h("code", {}, row.where),
    row.note ? h("p", { class: "note" }, `${row.status}: `, bdi(row.note)) : null,
    h("dl", {}, pairs),
  ].filter((part) => part !== null);
}

/** @param {Row} row */
function timeOfRow({ status, seconds }) {
  if (status === "done") return duration(seconds);
  return status === "not run" ? "—" : status;
}

/**
 * Seconds as people read them.
 *
 * @param {number | null} seconds
 */
export function duration(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "—";
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const milliseconds = seconds * 1e3;
  return milliseconds >= 10 ? `${milliseconds.toFixed(0)} ms` : `${milliseconds.toFixed(1)} ms`;
}
