// A map of where the runs of one script part: each pair a cell, the warmer the earlier.

import { Axis } from "../../explorer/front/axis.js";
import { heat } from "../../explorer/front/colours.js";
import { h, say } from "../../explorer/front/dom.js";
import { Sheet } from "../../explorer/front/sheet.js";
import { choiceOf } from "./choices.js";
import { many } from "./runs.js";

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Looked, PartingHeader, Piece } from "./types.d.ts"
 */

const ROOM_OF_NAMES = 190; // pixels of the names beside the map, where they have room
const [SMALLEST, LARGEST] = [5, 28]; // pixels of a cell
const READABLE = 12; // from which on its runs are named
const SAME = -1;

/** The pairs of a script's runs. */
export class Pairs {
  /**
   * @param {Runs} runs
   * @param {PartingHeader} header
   */
  constructor(runs, { script, of, parts, column }) {
    this.script = script;
    this.of = of;
    this.parts = parts;
    this.all = Array.from(runs.packed[`${column}_runs`] ?? []);
    this.call = runs.packed[`${column}_call`] ?? [];
    this.what = runs.packed[`${column}_what`] ?? [];
    this.lengths = runs.packed[`${column}_calls`] ?? [];
    let last = 0;
    for (const call of this.call) last = Math.max(last, call);
    this.last = last;
  }

  /**
   * The first call at which two of them differ; −1: none.
   *
   * @param {number} a places among them
   * @param {number} b
   */
  at(a, b) {
    return a === b ? SAME : this.call[a * this.all.length + b] ?? SAME;
  }

  /**
   * What is to be said of two of them.
   *
   * @param {number} a
   * @param {number} b
   * @param {(run: number) => string} name
   */
  told(a, b, name) {
    const [one, other] = [name(this.all[a]), name(this.all[b])];
    if (a === b) return `${one}: ${this.lengths[a]} calls`;
    const at = this.at(a, b);
    if (at === SAME) return `${one} | ${other}: the same, call for call`;
    return `${one} | ${other}: part at call ${at}, in ${this.parts[this.what[a * this.all.length + b]] ?? "something"}`;
  }
}

/**
 * How early two runs part, from 1 at once to 0 as late as any.
 *
 * @param {number} call
 * @param {number} last
 */
export function early(call, last) {
  return 1 - Math.sqrt(call / Math.max(1, last));
}

/**
 * @param {Runs} runs
 * @param {Board} board
 * @param {(text: string) => void} point
 * @param {(text: string) => void} tell
 * @returns {Piece}
 */
export function partingsMap(runs, board, point, tell) {
  const maps = runs.header.partings.map((header) => new Pairs(runs, header));
  const scripts = choiceOf("Script", maps.map(({ script }) => script || "all runs"), (map) => board.set({ map }));
  const axis = new Axis();
  const sheet = new Sheet(axis, " ");
  const note = h("p", { class: "note" });
  const latest = h("span");
  const ends = h("span", { class: "ends" }, latest, h("span", {}, "0"));
  const same = h("span", { class: "key is-empty" }, "the same run");
  const key = h("div", { class: "map-key" }, h("span", {}, h("div", { class: "ramp" }), ends), same);
  const none = h("p", { class: "none" });
  const place = h("div", { class: "map", tabindex: 0, role: "region", "aria-label": "Where runs part" }, sheet.canvas);
  const bar = h("div", { class: "chart-bar" }, scripts.element, key);
  const element = h("div", { class: "charts partings" }, bar, note, none, place);
  /** @type {number[]} */
  let shown = []; // places among the pairs of what the filters leave
  let cell = SMALLEST;
  let left = 0;
  /** @type {Looked | null} */
  let seen = null;

  /** @param {MouseEvent} event */
  function pairAt({ offsetX, offsetY }) {
    const [a, b] = [Math.floor(offsetY / cell), Math.floor((offsetX - left) / cell)];
    return shown[a] === undefined || shown[b] === undefined || offsetX < left ? null : [shown[a], shown[b]];
  }
  sheet.canvas.addEventListener("pointermove", (event) => {
    const pair = pairAt(event);
    const pairs = maps[seen?.map ?? 0];
    point(pair && pairs ? pairs.told(pair[0], pair[1], (run) => runs.name(run)) : "");
  });
  sheet.canvas.addEventListener("pointerleave", () => point(""));
  sheet.canvas.addEventListener("click", (event) => {
    const pair = pairAt(event);
    const pairs = maps[seen?.map ?? 0];
    if (!pair || !pairs) return;
    tell(pairs.told(pair[0], pair[1], (run) => runs.name(run)));
    board.set({ run: pairs.all[pair[0]] });
  });

  /** @param {Looked} looked */
  function draw(looked) {
    seen = looked;
    scripts.show(looked.map);
    const pairs = maps[looked.map];
    const rows = new Set(looked.rows);
    shown = (pairs?.all ?? []).flatMap((run, at) => (rows.has(run) ? [at] : []));
    none.hidden = shown.length > 1;
    place.hidden = !none.hidden;
    say(none, pairs ? "Fewer than two runs of this script pass the filters." : "The dataset has no calls to compare.");
    if (!pairs || !none.hidden) {
      say(note, "");
      return;
    }
    say(latest, `call ${pairs.last}`);
    const some = pairs.all.length < pairs.of ? `, ${pairs.all.length} of ${pairs.of} compared, evenly spread` : "";
    const unseen = runs.header.scripts - maps.length;
    const without = unseen > 0 ? ` ${many(unseen, "more script")} without a map.` : "";
    say(note, `${shown.length} runs${some}.${without} A cell tells where two runs part; a click shows its row’s.`);
    const wide = place.clientWidth - 4;
    const fits = Math.floor((wide - ROOM_OF_NAMES) / shown.length);
    left = Math.min(LARGEST, fits) >= READABLE ? ROOM_OF_NAMES : 0;
    cell = Math.max(SMALLEST, Math.min(LARGEST, Math.floor((wide - left) / shown.length)));
    drawMap(looked, pairs);
  }

  /**
   * @param {Looked} looked
   * @param {Pairs} pairs
   */
  function drawMap({ theme, run }, pairs) {
    axis.width = left + cell * shown.length;
    sheet.begin(cell * shown.length, theme);
    const gap = cell > 8 ? 1 : 0;
    shown.forEach((a, row) => {
      shown.forEach((b, column) => {
        const call = pairs.at(a, b);
        const share = call === SAME ? 0 : 0.06 + 0.94 * early(call, pairs.last);
        const colour = call === SAME ? sheet.palette.empty : heat(sheet.palette, share);
        sheet.fill(colour, left + column * cell, row * cell, cell - gap, cell - gap);
      });
      if (!left) return;
      const mine = pairs.all[a] === run;
      sheet.font(12, mine);
      sheet.text(sheet.cut(runs.name(pairs.all[a]), left - 8), 0, (row + 0.5) * cell, sheet.palette.ink);
    });
    const at = shown.findIndex((one) => pairs.all[one] === run);
    if (at >= 0) sheet.frame(sheet.palette.now, 2, left, at * cell, cell * shown.length, cell - gap);
    sheet.canvas.setAttribute("aria-label", summaryOf(pairs, shown));
  }

  new ResizeObserver(() => {
    if (seen?.view === "Partings") draw(seen);
  }).observe(element);
  return {
    element,
    draw(looked) {
      element.hidden = looked.view !== "Partings";
      if (!element.hidden) draw(looked);
    },
  };
}

/**
 * @param {Pairs} pairs
 * @param {number[]} shown
 */
function summaryOf(pairs, shown) {
  const calls = shown.flatMap((a, i) => shown.slice(i + 1).map((b) => pairs.at(a, b)));
  const parted = calls.filter((call) => call !== SAME).sort((a, b) => a - b);
  const alike = calls.length - parted.length;
  const middle = parted[Math.floor(parted.length / 2)];
  const half = parted.length ? `half of ${parted.length} pairs part by call ${middle}` : "no pair parts";
  return `Map of ${shown.length} runs: ${half}; ${alike} are the same`;
}
