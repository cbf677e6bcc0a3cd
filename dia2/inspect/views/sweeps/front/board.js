// What is looked at, and everybody who draws it. Changes are drawn together, once a frame of the screen.

import { wantedOf } from "./wanted.js";

/**
 * @import { Runs } from "./runs.js"
 * @import { Looked } from "./types.d.ts"
 */

export class Board {
  /** @param {Runs} runs */
  constructor(runs) {
    this.runs = runs;
    const { axes, measures } = runs;
    const scripts = axes.filter((place) => runs.columns[place].name === "script");
    const told = axes.filter((place) => !["script", "seed"].includes(runs.columns[place].name));
    const [x = -1, by = -1] = told.length ? told : axes;
    const [main = measures[0] ?? -1] = measures.filter((place) => runs.header.main.includes(runs.columns[place].name));
    const [panel = -1] = [x, by].includes(scripts[0]) ? [] : scripts;
    /** @type {Looked} */
    this.looked = {
      view: "Table",
      run: null,
      sort: -1,
      falling: false,
      query: "",
      chosen: new Map(),
      rows: Array.from({ length: runs.count }, (_, run) => run),
      chart: { measure: main, x, by, panel },
      map: 0,
      playing: null,
      pane: "Runs",
      theme: "light",
    };
    /** @type {string[]} */
    this.wrong = []; // terms of the query that say nothing
    /** @type {((looked: Looked) => void)[]} */
    this.drawn = [];
    this.waiting = false;
  }

  /** @param {(looked: Looked) => void} draw on every change */
  subscribe(draw) {
    this.drawn.push(draw);
  }

  /** @param {Partial<Looked>} change */
  set(change) {
    const filtered = "query" in change || "chosen" in change;
    const sorted = filtered || "sort" in change || "falling" in change;
    this.looked = { ...this.looked, ...change };
    if (sorted) {
      const { query, chosen, sort, falling } = this.looked;
      const { found, wrong } = wantedOf(this.runs, query, chosen);
      this.looked.rows = this.runs.sorted(found, sort, falling);
      this.wrong = wrong;
    }
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.draw());
  }

  /**
   * Choose one value of a setting, or all.
   *
   * @param {number} place of its column
   * @param {number | null} value
   */
  only(place, value) {
    const chosen = new Map(this.looked.chosen);
    if (value === null) chosen.delete(place);
    else chosen.set(place, value);
    this.set({ chosen });
  }

  /** All runs again. */
  clear() {
    this.set({ query: "", chosen: new Map() });
  }

  /** @param {number} place of the column to sort by: first up, then down, then not at all */
  sortBy(place) {
    const { sort, falling } = this.looked;
    if (sort !== place) this.set({ sort: place, falling: false });
    else if (!falling) this.set({ falling: true });
    else this.set({ sort: -1, falling: false });
  }

  /**
   * Go some rows down the table.
   *
   * @param {number} by
   */
  move(by) {
    const { rows, run } = this.looked;
    if (!rows.length) return;
    const at = run === null ? -1 : rows.indexOf(run);
    const next = (at < 0 && by < 0 ? rows.length : at) + by;
    this.set({ run: rows[Math.max(0, Math.min(rows.length - 1, next))] });
  }

  draw() {
    this.waiting = false;
    for (const draw of this.drawn) draw(this.looked);
  }
}
