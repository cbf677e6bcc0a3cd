// Why this token: what a draw chose among, how likely each was, what guidance made of it, and what would have been.

import { chances } from "./chances.js";
import { headsOf, percentText, rowsOf, shownOf, tokenName } from "./contenders.js";
import { surprise } from "./draws.js";
import { h, pane, say } from "./dom.js";
import { again } from "./sampler.js";
import { stripOf } from "./strip.js";
import { whatIf } from "./why.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Draw, Part } from "./types.d.ts"
 */

const ROWS_FIRST = 16; // that are seen at first

/**
 * @param {Data} data
 * @param {Store} store
 * @param {string} [label]
 * @returns {Part}
 */
export function candidatesPane(data, store, label) {
  const { draws } = data.header;
  const choose = (/** @type {number} */ draw) => {
    store.set({ draw: Math.max(0, Math.min(draws.length - 1, draw)), cell: null });
  };
  const bars = stripOf(data, choose);
  const select = h(
    "select",
    { "aria-label": "draw to look at", onchange: () => choose(select.selectedIndex) },
    draws.map((draw) => h("option", {}, draw.title)),
  );
  const step = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {number} */ by) =>
    h(
      "button",
      { type: "button", "aria-label": name, title: name, onclick: () => choose(select.selectedIndex + by) },
      sign,
    );
  const pick = h("div", { class: "why-pick" }, step("◀", "draw before", -1), select, step("▶", "draw after", 1));
  const said = h("p", { class: "why-said" });
  const body = h("tbody");
  const head = h("tr");
  const table = h("table", { class: "why-table" }, h("thead", {}, head), body);
  const widen = () => {
    wide = !wide;
    fill();
  };
  const all = h("button", { type: "button", class: "why-all", onclick: widen }, "Show all");
  const told = h("p", { class: "told" });
  const sliders = whatIf(() => fill());
  const parts = [...(draws.length ? [bars.element, pick] : []), said, table, all, told, sliders.element];
  const { element, note } = pane("draw why", label ?? "Why this token?", "", ...parts);

  /** @type {Draw | null} */
  let found = null;
  let wide = false;
  let at = 0;
  const fill = () => {
    if (!found) return;
    const draw = found;
    const settings = sliders.recorded ? null : sliders.settings;
    const rows = shownOf(draw, settings);
    const fresh = settings && again(draw, settings);
    const other = fresh && fresh.kind === "token" && fresh.token !== draw.choice ? fresh.token : null;
    const marked = (/** @type {number} */ i) => draw.candidates[i].chosen || draw.candidates[i].token === other;
    const some = rows.filter((_, i) => wide || i < ROWS_FIRST || marked(i));
    const guided = draw.guidance !== null || draw.candidates.some((each) => each.cond !== each.guided);
    head.replaceChildren(...headsOf(draw, rows, guided));
    body.replaceChildren(...rowsOf(draw, some, rows, guided, other));
    all.hidden = rows.length <= ROWS_FIRST;
    say(all, wide ? `Show the best ${ROWS_FIRST}` : `Show all ${rows.length}`);
  };

  let shown = "";
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const key = `${state.call} ${state.draw}`;
    if (key === shown) return;
    shown = key;
    at = Math.min(state.draw, draws.length - 1);
    if (draws.length) {
      if (select.selectedIndex !== at) select.selectedIndex = at;
      bars.draw(state.call, at);
    }
    found = draws.length ? data.draw(state.call, at) : null;
    table.hidden = all.hidden = !found;
    sliders.show(found);
    if (!found) {
      say(note, "");
      said.replaceChildren();
      say(told, whyNone(data, state.call));
      return;
    }
    say(note, `its ${draws.length} draws, by surprise`);
    said.replaceChildren(...drawnSentence(found, draws[at].book === null, surprise(data, state.call, at)));
    say(told, data.samplingAt(state.call).told);
    fill();
  };
  return { element, draw };
}

/**
 * What was drawn, how likely it was, and what was likelier.
 *
 * @param {Draw} draw
 * @param {boolean} action
 * @param {number | null} bits
 */
function drawnSentence(draw, action, bits) {
  const { temperature } = draw.sampling;
  const noun = (/** @type {number} */ id) =>
    h("b", {}, `${action || draw.names[id] ? "" : "code "}${tokenName(draw, id)}`);
  const own = noun(draw.choice);
  if (bits === null) return [own, " stands here, though the draw could not give it: an edit put it there."];
  if (temperature !== null && temperature <= 0) {
    return [own, " was taken as the best: temperature 0 leaves nothing to chance."];
  }
  const chance = chances(draw).map((each) => each ?? 0);
  const most = Math.max(...chance);
  const likelier = draw.candidates[chance.indexOf(most)];
  const [share, surprised] = [h("b", {}, percentText(draw.probability)), `: ${bits.toFixed(1)} bits. `];
  const parts = [own, " was drawn with a chance of ", share, surprised];
  if (likelier.chosen || most <= draw.probability) return [...parts, "It was the likeliest."];
  return [...parts, noun(likelier.token), ` was likelier, ${percentText(most)}.`];
}

/**
 * @param {Data} data
 * @param {number} call
 */
function whyNone(data, call) {
  if (data.header.live) return "Candidates are shown as soon as the run is over.";
  if (!data.header.draws.length) return "The trace kept no draws: record it at the level topk or full.";
  if (call < data.given) return data.header.given.why;
  return "The trace kept no candidates of this call.";
}
