// All logits of a draw, by a replay: not those alone that guidance kept, or that the trace has.

import { Axis } from "./axis.js";
import { percentText, tokenName } from "./contenders.js";
import { counted, h, pane, say } from "./dom.js";
import { replaysOf } from "./replays.js";
import { Sheet } from "./sheet.js";
import { onWidth } from "./width.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Colour, Draw, Logit, Part } from "./types.d.ts"
 */

const CURVE_HIGH = 74; // pixels
const TOP_LOGITS = 12;
/** @type {Record<string, Colour>} */
const FATES = { kept: "ok", out: "word", unrecorded: "edge" };

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
export function logitsPane(data, store) {
  const replays = replaysOf(data);
  const { draws } = data.header;
  const choose = () => store.set({ draw: list.selectedIndex, cell: null });
  /** @type {HTMLSelectElement} */
  const list = h(
    "select",
    { "aria-label": "draw whose logits are shown", onchange: choose },
    draws.map(({ title }) => h("option", {}, title)),
  );
  const pick = h("div", { class: "look-pick" }, list);
  const said = h("p", { class: "look-said" });
  const axis = new Axis();
  const sheet = new Sheet(axis, "Logits of the draw, the best first");
  const kinds = [["is-frame", "may be drawn"], ["is-word", "struck out"], ["is-edge", "beyond the candidates of Draw"]];
  const keys = kinds.map(([kind, told]) => h("span", { class: `key ${kind}` }, told));
  const legend = h("div", { class: "legend look-keys" }, keys);
  const body = h("tbody");
  const heads = h("tr", {}, ["rank", "code", "logit", "chance"].map((text) => h("th", { scope: "col" }, text)));
  const table = h("table", { class: "look-table" }, h("thead", {}, heads), body);
  const none = h("div", { class: "look-none", hidden: true });
  const place = h("div", { class: "look-place" }, sheet.canvas);
  const { element, note } = pane("logits-pane", "All logits", "", pick, none, said, place, legend, table);
  let wide = 340;
  onWidth(place, (pixels) => {
    wide = pixels;
    store.draw();
  });

  let shown = "";
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const at = Math.min(state.draw, draws.length - 1);
    const key = `${state.call} ${at} ${state.theme} ${wide}`;
    if (key === shown) return;
    shown = key;
    if (list.selectedIndex !== at) list.selectedIndex = at;
    const logits = draws.length ? replays.logits(state.call, at) : null;
    for (const part of [said, place, legend, table]) part.hidden = !logits;
    none.hidden = Boolean(logits);
    say(note, logits ? "before guidance, at temperature 1" : "");
    if (!logits) {
      none.replaceChildren(...whyNoLogits(data, store, state.call));
      return;
    }
    const own = data.draw(state.call, at);
    say(said, rankTold(own, logits, draws[at].sampler?.vocabulary ?? null));
    axis.width = wide;
    axis.span = logits.length;
    sheet.begin(CURVE_HIGH, state.theme);
    paintLogits(sheet, own, logits);
    body.replaceChildren(...logitRows(own, logits, draws[at].names));
  };
  return { element, draw };
}

/**
 * @param {Data} data
 * @param {Store} store
 * @param {number} call
 */
function whyNoLogits(data, store, call) {
  if (!data.header.draws.length) return [h("p", {}, "The trace kept no draws, so it is not known what was chosen.")];
  if (replaysOf(data).places.has(call)) return [h("p", {}, data.header.given.why)];
  return notReplayed(data, store, call);
}

/**
 * Said of a call that the replay does not have: nothing of another one is shown in its place.
 *
 * @param {Data} data
 * @param {Store} store
 * @param {number} call
 */
export function notReplayed(data, store, call) {
  const replays = replaysOf(data);
  const near = replays.nearest(call);
  const { length } = replays.calls;
  const range = `from ${replays.calls[0]} to ${replays.calls[length - 1]}`;
  const told = `The replay on this page does not have call ${call}. It has ${counted(length, "call")}, ${range}.`;
  const go = () => store.set({ call: near });
  return [h("p", {}, told), h("button", { type: "button", class: "look-go", onclick: go }, `Go to call ${near}`)];
}

/**
 * How good the choice was among all.
 *
 * @param {Draw | null} draw
 * @param {Logit[]} logits
 * @param {number | null} all how many there are
 */
export function rankTold(draw, logits, all) {
  if (!draw) return `The best ${logits.length} logits of the draw.`;
  const rank = logits.findIndex(({ token }) => token === draw.choice);
  const name = tokenName(draw, draw.choice);
  if (rank < 0) return `${name} was drawn. It is none of the best ${logits.length}, which are all that this page has.`;
  const of = all === null ? "" : ` of ${all}`;
  const chance = percentText(logits[rank].chance);
  return `${name} was drawn: rank ${rank + 1}${of}, with a chance of ${chance} before guidance.`;
}

/**
 * What became of a token.
 *
 * @param {Draw | null} draw
 * @param {number} token
 */
function fateOf(draw, token) {
  const found = draw?.candidates.find((candidate) => candidate.token === token);
  return !found ? "unrecorded" : found.kept ? "kept" : "out";
}

/**
 * @param {Sheet} sheet
 * @param {Draw | null} draw
 * @param {Logit[]} logits
 */
function paintLogits(sheet, draw, logits) {
  const { axis, palette, width, height } = sheet;
  sheet.fill(palette.soft, 0, 0, width, height);
  const finite = logits.map(({ logit }) => logit).filter((logit) => logit > -Infinity);
  const [most, least] = [finite[0] ?? 0, finite.at(-1) ?? 0];
  logits.forEach(({ token, logit }, i) => {
    const share = (Math.max(least, logit) - least) / (most - least || 1);
    const high = 4 + share * (height - 14);
    const wide = Math.max(1, axis.step - (axis.step > 3 ? 1 : 0));
    sheet.fill(palette[FATES[fateOf(draw, token)]], axis.x(i), height - high, wide, high);
    if (token !== draw?.choice) return;
    sheet.fill(palette.ink, axis.x(i), 0, Math.max(2, wide), height);
  });
}

/**
 * @param {Draw | null} draw
 * @param {Logit[]} logits
 * @param {Record<string, string>} names
 */
function logitRows(draw, logits, names) {
  const rank = logits.findIndex(({ token }) => token === draw?.choice);
  const some = logits.map((each, i) => ({ ...each, i })).filter(({ i }) => i < TOP_LOGITS || i === rank);
  return some.map(({ token, logit, chance, i }) => {
    const fate = fateOf(draw, token);
    const name = `${names[token] ?? token}${i === rank ? " ◂" : ""}`;
    return h(
      "tr",
      { class: i === rank ? "look-took" : "", title: i === rank ? "drawn" : "" },
      h("td", { class: "look-number" }, String(i + 1)),
      h("td", { class: `look-${fate}` }, name),
      h("td", { class: "look-number" }, logit > -Infinity ? logit.toFixed(2) : "−∞"),
      h("td", { class: "look-number" }, percentText(chance)),
    );
  });
}
