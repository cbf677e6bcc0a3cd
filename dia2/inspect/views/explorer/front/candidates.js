// What a draw chose among: how likely each candidate was, and what guidance made of it.

import { chances } from "./chances.js";
import { h, pane, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Candidate, Draw, Part } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @param {Store} store
 * @param {string} [label]
 * @returns {Part}
 */
export function candidatesPane(data, store, label) {
  const { draws } = data.header;
  const select = h(
    "select",
    { "aria-label": "draw to look at", onchange: () => store.set({ draw: select.selectedIndex, cell: null }) },
    draws.map((draw) => h("option", {}, draw.title)),
  );
  const body = h("tbody");
  const heads = ["", "chance", "cond", "guided", ""].map((text) => h("th", { scope: "col" }, text));
  const table = h("table", { class: "candidates" }, h("thead", {}, h("tr", {}, heads)), body);
  const told = h("p", { class: "told" });
  const title = label ?? "Candidates of a draw";
  const { element, note } = pane("draw", title, "", draws.length ? select : null, table, told);

  let shown = "";
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const key = `${state.call} ${state.draw}`;
    if (key === shown) return;
    shown = key;
    if (select.selectedIndex !== state.draw) select.selectedIndex = state.draw;
    const found = draws.length ? data.draw(state.call, Math.min(state.draw, draws.length - 1)) : null;
    table.hidden = !found;
    if (!found) {
      say(note, "");
      say(told, why(data, state.call));
      return;
    }
    say(note, `drew ${token(found, found.choice)}, p ${found.probability > 0 ? found.probability.toFixed(2) : "–"}`);
    body.replaceChildren(...rows(found));
    say(told, data.samplingAt(state.call).told);
  };
  return { element, draw };
}

/**
 * @param {Draw} draw
 * @param {number} id
 */
function token(draw, id) {
  return draw.names[id] ?? String(id);
}

/** @param {Draw} draw */
function rows(draw) {
  const chance = chances(draw);
  const cond = Math.max(...draw.candidates.map((candidate) => candidate.cond));
  const guided = Math.max(...draw.candidates.map((candidate) => candidate.guided));
  return draw.candidates.map((candidate, i) =>
    h(
      "tr",
      { class: `${candidate.chosen ? "chosen" : ""} ${candidate.alive ?? candidate.kept ? "" : "removed"}` },
      h("th", { scope: "row" }, token(draw, candidate.token)),
      h("td", { class: "number" }, chanceOf(candidate, chance[i])),
      h("td", { class: "number" }, candidate.cond.toFixed(1)),
      h("td", { class: "number" }, candidate.guided.toFixed(1)),
      h("td", { class: "bars" }, bar("cond", candidate.cond - cond), bar("guided", candidate.guided - guided)),
    ),
  );
}

/**
 * How likely a candidate is; `out` where guidance struck it out, `cut` where a later rule did.
 *
 * @param {Candidate} candidate
 * @param {number | null} chance
 */
function chanceOf(candidate, chance) {
  if (candidate.alive ?? candidate.kept) return chance === null ? "–" : chance.toFixed(2);
  return candidate.kept ? "cut" : "out";
}

/**
 * A bar as long as the candidate is likely beside the best one.
 *
 * @param {"cond" | "guided"} kind
 * @param {number} behind the best one's logit
 */
function bar(kind, behind) {
  const element = h("span", { class: `bar ${kind}` });
  element.style.width = `${Math.max(1, 100 * Math.exp(behind))}%`;
  return element;
}

/**
 * @param {Data} data
 * @param {number} call
 */
function why(data, call) {
  if (data.header.live) return "Candidates are shown as soon as the run is over.";
  if (!data.header.draws.length) return "The trace kept no draws: record it at the level topk or full.";
  if (call < data.given) return data.header.given.why;
  return "The trace kept no candidates of this call.";
}
