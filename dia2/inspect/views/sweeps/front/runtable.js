// The table of runs. Only the rows that are seen stand on the page, however many there are.

import { h, say, sign } from "../../explorer/front/dom.js";

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Sounding } from "./sounding.js"
 * @import { Looked, Piece } from "./types.d.ts"
 */

const ROW = 28; // pixels
const BEYOND = 6; // rows above and below what is seen
const [NARROWEST, WIDEST] = [64, 220]; // pixels of a column
const LETTER = 7; // pixels, nearly
const SAMPLED = 200; // runs by which a column's width is judged
export const PLAY = "M4 2.5v11L13.5 8z";
export const QUIET = "M4.5 3v10M11.5 3v10";

/**
 * @param {Runs} runs
 * @param {Board} board
 * @param {Sounding} sounding
 * @param {(run: number) => void} open
 * @returns {Piece & { reveal(run: number): void }}
 */
export function runTable(runs, board, sounding, open) {
  const places = shownPlaces(runs);
  const heads = places.map((place) => headOf(runs, board, place));
  const widths = places.map((place) => widthOf(runs, place));
  const cols = [46, ...widths].map((width) => {
    const col = h("col");
    col.style.width = `${width}px`;
    return col;
  });
  const body = h("tbody");
  const hear = h("th", { scope: "col", class: "hear-run" }, h("span", { class: "unseen" }, "Hear"));
  const row = h("tr", {}, hear, heads.map(({ cell }) => cell));
  const table = h("table", { class: "runs" }, h("colgroup", {}, cols), h("thead", {}, row), body);
  table.style.width = `${46 + widths.reduce((a, b) => a + b, 0)}px`;
  const none = h("p", { class: "none" }, "No run passes the filters.");
  const scroller = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Runs" }, table, none);
  const above = spacer();
  const below = spacer();
  body.append(above.row, below.row);
  /** @type {TableRow[]} */
  const pool = [];
  let first = -1;
  let seen = /** @type {Looked | null} */ (null);

  /** @param {boolean} anew all rows, not only those that come into sight */
  function fill(anew) {
    if (!seen) return;
    const { rows } = seen;
    const tall = Math.ceil(scroller.clientHeight / ROW) + 2 * BEYOND;
    const count = Math.min(rows.length, tall);
    const from = Math.max(0, Math.min(rows.length - count, Math.floor(scroller.scrollTop / ROW) - BEYOND));
    while (pool.length < count) {
      const made = new TableRow(runs, board, sounding, places, open);
      pool.push(made);
      below.row.before(made.element);
    }
    while (pool.length > count) pool.pop()?.element.remove();
    if (!anew && from === first) return;
    first = from;
    above.tall(from * ROW);
    below.tall((rows.length - from - count) * ROW);
    pool.forEach((made, i) => made.show(rows[from + i], from + i, /** @type {Looked} */ (seen)));
  }

  scroller.addEventListener("scroll", () => fill(false), { passive: true });
  new ResizeObserver(() => fill(true)).observe(scroller);
  return {
    element: scroller,
    draw(looked) {
      const moved = looked.rows !== seen?.rows;
      seen = looked;
      if (moved) scroller.scrollTop = 0;
      none.hidden = looked.rows.length > 0;
      table.setAttribute("aria-rowcount", String(looked.rows.length + 1));
      for (const head of heads) head.draw(looked);
      fill(true);
    },
    reveal(run) {
      const at = seen?.rows.indexOf(run) ?? -1;
      if (at < 0) return;
      const head = row.offsetHeight;
      const top = at * ROW;
      const room = scroller.clientHeight - head - ROW;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
    },
  };
}

/**
 * Columns of the table: what tells runs apart, then the rest.
 *
 * @param {Runs} runs
 */
export function shownPlaces(runs) {
  const always = (/** @type {string} */ role, /** @type {string} */ name) =>
    name === "status" || (role === "measure" && name !== "tries");
  return runs.places(({ role, distinct, name }) => distinct > 1 || always(role, name));
}

/**
 * @param {Runs} runs
 * @param {number} place
 */
function widthOf(runs, place) {
  const count = Math.min(runs.count, SAMPLED);
  const step = runs.count / Math.max(1, count);
  let longest = runs.columns[place].name.length + 2;
  for (let i = 0; i < count; i += 1) longest = Math.max(longest, runs.aligned(place, Math.floor(i * step)).length);
  return Math.round(Math.max(NARROWEST, Math.min(WIDEST, longest * LETTER + 20)));
}

/**
 * @param {Runs} runs
 * @param {Board} board
 * @param {number} place
 */
function headOf(runs, board, place) {
  const { name, kind, role } = runs.columns[place];
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
  const sort = () => board.sortBy(place);
  const button = h("button", { type: "button", title: `Sort by ${name}`, onclick: sort }, name, arrow);
  const cell = h("th", { scope: "col", class: `of-${role}${kind === "text" ? "" : " is-number"}` }, button);
  /** @param {Looked} looked */
  const draw = ({ sort: by, falling }) => {
    const order = by === place ? (falling ? "descending" : "ascending") : "none";
    if (cell.getAttribute("aria-sort") === order) return;
    cell.setAttribute("aria-sort", order);
    say(arrow, { ascending: " ▲", descending: " ▼", none: "" }[order]);
  };
  return { cell, draw };
}

function spacer() {
  const row = h("tr", { class: "spacer", "aria-hidden": "true" });
  /** @param {number} pixels */
  const tall = (pixels) => {
    row.style.height = `${pixels}px`;
    row.hidden = pixels <= 0;
  };
  return { row, tall };
}

/** A row of the page, which shows one run after the other. */
class TableRow {
  /**
   * @param {Runs} runs
   * @param {Board} board
   * @param {Sounding} sounding
   * @param {number[]} places
   * @param {(run: number) => void} open
   */
  constructor(runs, board, sounding, places, open) {
    this.runs = runs;
    this.sounding = sounding;
    this.places = places;
    this.run = -1;
    this.cells = places.map((place) => {
      const { kind, name } = runs.columns[place];
      const text = h("bdi");
      const cell = h("td", { class: name === "status" ? "status" : kind === "text" ? "" : "is-number" }, text);
      return { cell, text, place };
    });
    this.on = false;
    const hear = () => sounding.toggle(this.run);
    this.button = h("button", { type: "button", class: "hear-it", onclick: hear }, sign(PLAY));
    this.button.addEventListener("dblclick", (event) => event.stopPropagation());
    this.element = h("tr", {}, h("td", { class: "hear-run" }, this.button), this.cells.map(({ cell }) => cell));
    this.element.addEventListener("click", () => board.set({ run: this.run }));
    this.element.addEventListener("dblclick", () => open(this.run));
  }

  /**
   * @param {number} run
   * @param {number} at its place in the table
   * @param {Looked} looked
   */
  show(run, at, looked) {
    const { runs, element, button } = this;
    if (this.run !== run) {
      this.run = run;
      for (const { text, place } of this.cells) say(text, runs.aligned(place, run));
      const failed = runs.failing >= 0 && runs.value(runs.status, run) === runs.failing;
      element.classList.toggle("failed", failed);
      button.disabled = !this.sounding.can(run);
      button.setAttribute("aria-label", `Hear ${runs.name(run)}`);
    }
    element.setAttribute("aria-rowindex", String(at + 2));
    element.classList.toggle("odd", at % 2 === 1);
    if (looked.run === run) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    const playing = looked.playing === run;
    if (playing === this.on) return;
    this.on = playing;
    button.replaceChildren(sign(playing ? QUIET : PLAY));
    button.setAttribute("aria-pressed", String(playing));
  }
}
