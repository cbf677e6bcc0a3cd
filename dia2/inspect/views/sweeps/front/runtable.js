// The table of runs. Only the rows that are seen stand on the page, however many there are.

import { h, say, sign } from "../../explorer/front/dom.js";

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Sounding } from "./sounding.js"
 * @import { Looked, Piece } from "./types.d.ts"
 */

const ROW = 28; // pixels
const HEAR = 46; // of the first column
const HEAD = 52; // of the heads, and of a bar to scroll by
const BEYOND = 6; // rows above and below what is seen
const [NARROWEST, WIDEST] = [64, 180]; // pixels of a column
const [LETTER, BOLD, ARROW, PADDING] = [7.2, 7.8, 10, 22]; // pixels, nearly
const SAMPLED = 200; // runs by which a column's width is judged
/** @typedef {{ place: number, left: number, width: number }} Cell a column, and where it stands */
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
  /** @type {Cell[]} */
  const cells = [];
  let width = HEAR;
  for (const place of places) {
    cells.push({ place, left: width, width: widthOf(runs, place) });
    width += widthOf(runs, place);
  }
  const heads = cells.map((cell) => headOf(runs, board, cell));
  const hear = h("span", { class: "cell", role: "columnheader" }, h("span", { class: "unseen" }, "Hear"));
  put(hear, 0, HEAR);
  const head = h("div", { class: "heads", role: "row", "aria-rowindex": "1" }, hear, heads.map(({ cell }) => cell));
  const body = h("div", { class: "rows", role: "rowgroup" });
  const top = h("div", { class: "top-rows", role: "rowgroup" }, head);
  const table = h("div", { class: "runs", role: "table", "aria-label": "Runs" }, top, body);
  table.style.width = `${width}px`;
  const none = h("p", { class: "none" }, "No run passes the filters.");
  const scroller = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Runs" }, table, none);
  /** @type {TableRow[]} */
  let pool = [];
  let seen = /** @type {Looked | null} */ (null);

  /** Show the rows that are seen; each keeps its place on the page as long as it is. */
  function fill() {
    if (!seen) return;
    const { rows } = seen;
    const count = Math.min(rows.length, Math.ceil(scroller.clientHeight / ROW) + 2 * BEYOND);
    const from = Math.max(0, Math.min(rows.length - count, Math.floor(scroller.scrollTop / ROW) - BEYOND));
    if (pool.length !== count) {
      const more = Math.max(0, count - pool.length);
      const made = Array.from({ length: more }, () => new TableRow(runs, board, sounding, cells, open));
      pool = [...pool.slice(0, count), ...made];
      body.replaceChildren(...pool.map(({ element }) => element));
    }
    for (let at = from; at < from + count; at += 1) pool[at % count].show(rows[at], at, seen);
  }

  scroller.addEventListener("scroll", fill, { passive: true });
  new ResizeObserver(fill).observe(scroller);
  return {
    element: scroller,
    draw(looked) {
      const moved = looked.rows !== seen?.rows;
      seen = looked;
      if (moved) {
        scroller.scrollTop = 0;
        body.style.height = `${looked.rows.length * ROW}px`;
        scroller.style.setProperty("--tall", `${Math.max(2, looked.rows.length) * ROW + HEAD}px`);
        none.hidden = looked.rows.length > 0;
        table.setAttribute("aria-rowcount", String(looked.rows.length + 1));
      }
      for (const { draw } of heads) draw(looked);
      fill();
    },
    reveal(run) {
      const at = seen?.rows.indexOf(run) ?? -1;
      if (at < 0) return;
      const room = scroller.clientHeight - head.offsetHeight - ROW;
      const place = at * ROW;
      if (place < scroller.scrollTop) scroller.scrollTop = place;
      else if (place > scroller.scrollTop + room) scroller.scrollTop = place - room;
    },
  };
}

/**
 * Give an element its place in its row.
 *
 * @param {HTMLElement} element
 * @param {number} left
 * @param {number} width
 */
function put(element, left, width) {
  element.style.left = `${left}px`;
  element.style.width = `${width}px`;
}

/**
 * Columns of the table: what tells runs apart, then measures that are the same for all.
 *
 * @param {Runs} runs
 */
export function shownPlaces(runs) {
  const always = (/** @type {string} */ role, /** @type {string} */ name) =>
    name === "status" || (role === "measure" && name !== "tries");
  const found = runs.places(({ role, distinct, name }) => distinct > 1 || always(role, name));
  const last = (/** @type {number} */ place) => Number(place !== runs.status && runs.columns[place].distinct < 2);
  return found.sort((a, b) => last(a) - last(b) || a - b);
}

/**
 * @param {Runs} runs
 * @param {number} place
 */
function widthOf(runs, place) {
  const count = Math.min(runs.count, SAMPLED);
  const step = runs.count / Math.max(1, count);
  const { name } = runs.columns[place];
  let longest = name === "status" ? "✕ failed".length + 1 : 0;
  for (let i = 0; i < count; i += 1) longest = Math.max(longest, runs.aligned(place, Math.floor(i * step)).length);
  const wide = Math.max(longest * LETTER, name.length * BOLD + ARROW) + PADDING;
  return Math.round(Math.max(NARROWEST, Math.min(WIDEST, wide)));
}

/**
 * @param {Runs} runs
 * @param {Board} board
 * @param {Cell} where
 */
function headOf(runs, board, { place, left, width }) {
  const { name, kind, role } = runs.columns[place];
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
  const sort = () => board.sortBy(place);
  const button = h("button", { type: "button", title: `Sort by ${name}`, onclick: sort }, name, arrow);
  const looks = `cell of-${role}${kind === "text" ? "" : " is-number"}`;
  const cell = h("span", { class: looks, role: "columnheader" }, button);
  put(cell, left, width);
  /** @param {Looked} looked */
  const draw = ({ sort: by, falling }) => {
    const order = by === place ? (falling ? "descending" : "ascending") : "none";
    if (cell.getAttribute("aria-sort") === order) return;
    cell.setAttribute("aria-sort", order);
    say(arrow, { ascending: " ▲", descending: " ▼", none: "" }[order]);
  };
  return { cell, draw };
}

/** A row of the page, which shows one run after the other. */
class TableRow {
  /**
   * @param {Runs} runs
   * @param {Board} board
   * @param {Sounding} sounding
   * @param {Cell[]} cells
   * @param {(run: number) => void} open
   */
  constructor(runs, board, sounding, cells, open) {
    this.runs = runs;
    this.sounding = sounding;
    this.run = -1;
    this.at = -1;
    this.on = false;
    this.cells = cells.map(({ place, left, width }) => {
      const { kind, name } = runs.columns[place];
      const looks = `cell${name === "status" ? " status" : ""}${kind === "text" ? "" : " is-number"}`;
      const element = h("span", { class: looks, role: "cell", dir: kind === "text" ? "auto" : undefined });
      put(element, left, width);
      return { element, place };
    });
    const hear = () => sounding.toggle(this.run);
    // The keys reach it by its row: a stop of Tab in each would be many.
    this.button = h("button", { type: "button", class: "hear-it", tabindex: -1, onclick: hear }, sign(PLAY));
    this.button.addEventListener("dblclick", (event) => event.stopPropagation());
    const first = h("span", { class: "cell hear-run", role: "cell" }, this.button);
    put(first, 0, HEAR);
    this.element = h("div", { class: "table-row", role: "row" }, first, this.cells.map(({ element }) => element));
    this.element.addEventListener("click", () => board.set({ run: this.run, pane: "Run" }));
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
      for (const { element: cell, place } of this.cells) say(cell, runs.aligned(place, run));
      const failed = runs.failing >= 0 && runs.value(runs.status, run) === runs.failing;
      element.classList.toggle("failed", failed);
      button.disabled = !this.sounding.can(run);
      button.setAttribute("aria-label", `Hear ${runs.name(run)}`);
    }
    if (this.at !== at) {
      this.at = at;
      element.style.transform = `translateY(${at * ROW}px)`;
      element.setAttribute("aria-rowindex", String(at + 2));
      element.classList.toggle("odd", at % 2 === 1);
    }
    const chosen = looked.run === run;
    if (chosen !== (element.getAttribute("aria-current") === "true")) {
      if (chosen) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
    const playing = looked.playing === run;
    if (playing === this.on) return;
    this.on = playing;
    button.replaceChildren(sign(playing ? QUIET : PLAY));
    button.setAttribute("aria-pressed", String(playing));
  }
}
