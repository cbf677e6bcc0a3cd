// The bar of controls: which view, and which runs.

import { h, say } from "../../explorer/front/dom.js";
import { choiceOf } from "./choices.js";
import { many } from "./runs.js";

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Piece, View } from "./types.d.ts"
 */

export const VIEWS = /** @type {View[]} */ (["Table", "Charts", "Partings"]);
const MOST_VALUES = 40; // of a setting that has a list of its own
const MOST_LISTS = 8;
const HINT = "cfg_scale=2 words>10 hello";

/**
 * @param {Runs} runs
 * @param {Board} board
 * @returns {Piece & { find: HTMLInputElement }}
 */
export function filterBar(runs, board) {
  const views = VIEWS.map((view) =>
    h("button", { type: "button", class: "segment", onclick: () => board.set({ view, pane: "Runs" }) }, view),
  );
  const label = "Filter: a text, or a column with =, !=, <, > or :";
  const find = h("input", { type: "search", class: "wanted", placeholder: HINT, "aria-label": label, title: label });
  find.addEventListener("input", () => board.set({ query: find.value }));
  const few = runs.axes.filter((place) => runs.columns[place].distinct <= MOST_VALUES).slice(0, MOST_LISTS);
  const places = runs.status >= 0 && runs.columns[runs.status].distinct > 1 ? [runs.status, ...few] : few;
  const lists = places.map((place) => {
    const values = runs.values(place);
    const choose = (/** @type {number} */ i) => board.only(place, i ? values[i - 1] : null);
    const texts = ["all", ...values.map((value) => runs.told(place, value))];
    const choice = choiceOf(runs.columns[place].name, texts, choose);
    return { element: choice.element, show: (/** @type {number | undefined} */ value) =>
      choice.show(value === undefined ? 0 : values.indexOf(value) + 1) };
  });
  const all = () => {
    board.clear();
    const root = /** @type {HTMLElement | null} */ (clear.closest(".dia2-explorer"));
    root?.focus({ preventScroll: true }); // the button can do nothing now, and would hear no key
  };
  const clear = h("button", { type: "button", onclick: all }, "All runs");
  const found = h("span", { class: "found", role: "status" });
  const segments = h("span", { class: "group segments", role: "group", "aria-label": "View" }, views);
  const filters = h("span", { class: "group filters" }, find, lists.map(({ element }) => element), clear, found);
  const element = h("section", { class: "controls", "aria-label": "Controls" }, segments, filters);
  return {
    element,
    find,
    draw({ view, query, chosen, rows }) {
      views.forEach((button, i) => button.setAttribute("aria-pressed", String(VIEWS[i] === view)));
      if (find.value !== query) find.value = query;
      find.setAttribute("aria-invalid", String(board.wrong.length > 0));
      lists.forEach(({ show }, i) => show(chosen.get(places[i])));
      clear.disabled = !query && !chosen.size;
      const wrong = board.wrong.length ? `, but ${board.wrong.join(" ").slice(0, 60)} says nothing` : "";
      say(found, clear.disabled ? "" : `${many(rows.length, "run")}${wrong}`);
    },
  };
}
