// Where a call looks, and all logits of its draws, by a replay; where the page has none, how to get one.

import { Axis } from "./axis.js";
import { heat, speakerColour } from "./colours.js";
import { percentText } from "./contenders.js";
import { bdi, h, pane, say } from "./dom.js";
import { tokenRead } from "./flowitems.js";
import { logitsPane, notReplayed } from "./logits.js";
import { replaysOf, wordsLookedAt } from "./replays.js";
import { Sheet } from "./sheet.js";
import { onWidth } from "./width.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Look, LookFacts, Part } from "./types.d.ts"
 */

const BARS_HIGH = 84; // pixels of the bars
const HEAD_HIGH = 11; // of a head
const MOST_HEADS = 24;
const FOOT_HIGH = 18;
const TOP_PLACES = 6;
const LEAST_SHARE = 0.03; // of what is told in words

/**
 * The parts of the tab.
 *
 * @param {Data} data
 * @param {Store} store
 * @returns {Part[]}
 */
export function attentionParts(data, store) {
  const replays = replaysOf(data);
  if (!replays.calls.length) return [howToLook(replays.facts.how)];
  const looks = replays.facts.looks.length ? [looksPane(data, store)] : [howToLook(replays.facts.how)];
  return [...looks, logitsPane(data, store)];
}

/**
 * @param {string} how
 * @returns {Part}
 */
function howToLook(how) {
  const told = "A trace does not hold where its calls look: a replay computes it again, with the checkpoint, as in";
  const code = h("code", { class: "look-how" }, how);
  const { element } = pane("look-pane", "Where a call looks", "", h("p", {}, told), code);
  return { element, draw() {} };
}

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
function looksPane(data, store) {
  const replays = replaysOf(data);
  const { looks, left_out: leftOut } = replays.facts;
  /** @type {(change: Partial<Look>) => void} */
  const change = (part) => store.set({ look: { ...store.state.look, ...part } });
  const memory = select("memory", () => change({ look: memory.selectedIndex, layer: 0, head: -1 }));
  memory.append(...looks.map(({ label }) => h("option", {}, label)));
  const layer = select("layer", () => change({ layer: layer.selectedIndex }));
  const head = select("head", () => change({ head: head.selectedIndex - 1 }));
  const pick = h("div", { class: "look-pick" }, looks.length > 1 ? memory : null, layer, head);
  const said = h("p", { class: "look-said" });
  const axis = new Axis();
  const sheet = new Sheet(axis, "Attention over what this call can see; below, each head of the layer");
  const body = h("tbody");
  const titles = ["place", "read there", ...(data.spoken.length ? ["said then"] : []), "weight"];
  const heads = h("tr", {}, titles.map((text) => h("th", { scope: "col" }, text)));
  const table = h("table", { class: "look-table" }, h("thead", {}, heads), body);
  const none = h("div", { class: "look-none", hidden: true });
  const left = leftOut ? h("p", { class: "told" }, `Left out of this page: ${leftOut}.`) : null;
  const place = h("div", { class: "look-place" }, sheet.canvas);
  const { element, note } = pane("look-pane", "Where this call looks", "", pick, none, said, place, table, left);

  sheet.canvas.addEventListener("click", ({ offsetX, offsetY }) => {
    const facts = looks[store.state.look.look];
    const row = Math.floor((offsetY - BARS_HIGH) / HEAD_HIGH);
    if (row >= 0 && row < Math.min(MOST_HEADS, facts.heads)) change({ head: store.state.look.head === row ? -1 : row });
    else if (facts.over === "calls") store.set({ call: Math.floor(axis.at(offsetX)) });
  });
  let wide = 340;
  onWidth(place, (pixels) => {
    wide = pixels;
    store.draw();
  });

  let shown = "";
  let filled = "";
  /** @type {Part["draw"]} */
  const draw = ({ call, look, theme }) => {
    const key = `${call} ${look.look} ${look.layer} ${look.head} ${theme} ${wide}`;
    if (key === shown) return;
    shown = key;
    const facts = looks[look.look];
    if (filled !== `${look.look}`) {
      filled = `${look.look}`;
      layer.replaceChildren(...namesOf("layer", facts.layers));
      head.replaceChildren(h("option", {}, "mean of its heads"), ...(facts.means ? [] : namesOf("head", facts.heads)));
    }
    for (const [list, at] of /** @type {const} */ ([[memory, look.look], [layer, look.layer], [head, look.head + 1]])) {
      if (list.selectedIndex !== at) list.selectedIndex = at;
    }
    const weights = replays.weights(call, look);
    for (const part of [said, place, table]) part.hidden = !weights;
    none.hidden = Boolean(weights);
    say(note, weights ? "computed again, not recorded" : "");
    if (!weights) {
      none.replaceChildren(...notReplayed(data, store, call));
      return;
    }
    said.replaceChildren(...inWords(data, facts, weights, call));
    axis.width = wide;
    axis.first = 0;
    axis.span = weights.length;
    const rows = facts.means ? 0 : Math.min(MOST_HEADS, facts.heads);
    sheet.begin(BARS_HIGH + rows * HEAD_HIGH + FOOT_HIGH, theme);
    paintLooks(sheet, data, facts, weights);
    for (let row = 0; row < rows; row += 1) {
      const own = replays.weights(call, { ...look, head: row });
      if (own) paintHead(sheet, own, BARS_HIGH + row * HEAD_HIGH, row === look.head);
    }
    body.replaceChildren(...placesOf(data, store, facts, weights));
  };
  return { element, draw };
}

/**
 * @param {string} name
 * @param {() => void} onchange
 * @returns {HTMLSelectElement}
 */
function select(name, onchange) {
  return h("select", { "aria-label": name, onchange });
}

/**
 * @param {string} what
 * @param {number} count
 */
function namesOf(what, count) {
  return Array.from({ length: count }, (_, i) => h("option", {}, `${what} ${i}`));
}

/**
 * @param {Data} data
 * @param {LookFacts} facts
 * @param {Float32Array} weights
 * @param {number} call
 */
function inWords(data, { over, label }, weights, call) {
  const self = over === "calls" ? `${percentText(weights[call])} on itself` : "";
  if (over === "text") return [`How it spreads over the ${label}.`];
  if (!data.spoken.length) return [`${self}, the rest on ${label}.`];
  const most = wordsLookedAt(data, weights).filter(([, share]) => share >= LEAST_SHARE).slice(0, 3);
  const parts = most.flatMap(([word, share], i) => [
    i ? ", " : "", h("b", {}, percentText(share)), " while ", bdi(word), " is said",
  ]);
  return [...parts, `; ${self}.`];
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {LookFacts} facts
 * @param {Float32Array} weights
 */
function paintLooks(sheet, data, { over, labels }, weights) {
  const { axis, palette } = sheet;
  sheet.fill(palette.soft, 0, 0, sheet.width, BARS_HIGH - 2);
  const most = weights.reduce((a, b) => Math.max(a, b), 1e-6);
  const step = sheet.width / weights.length;
  weights.forEach((weight, i) => {
    const high = Math.sqrt(weight / most) * (BARS_HIGH - 8);
    const speaker = over === "calls" ? data.wordAt(i)?.speaker ?? 0 : 1;
    sheet.fill(speakerColour(palette, speaker), axis.x(i), BARS_HIGH - 2 - high, Math.max(1, step - 0.5), high);
  });
  const foot = sheet.height - FOOT_HIGH / 2;
  let free = 0;
  for (let i = 0; i < weights.length; i += 1) {
    const [x, name] = [axis.x(i), over === "calls" ? (i % 10 ? "" : String(i)) : labels[i]];
    if (!name.trim() || x < free || x + sheet.widthOf(name) > sheet.width) continue;
    sheet.text(name, x + (over === "calls" ? 0 : Math.max(0, step / 2 - 4)), foot, palette.faint);
    free = x + sheet.widthOf(name) + (over === "calls" ? 14 : 1);
  }
}

/**
 * @param {Sheet} sheet
 * @param {Float32Array} weights
 * @param {number} y
 * @param {boolean} chosen
 */
function paintHead(sheet, weights, y, chosen) {
  const { axis, palette } = sheet;
  const step = sheet.width / weights.length;
  weights.forEach((weight, i) => {
    sheet.fill(heat(palette, Math.sqrt(weight)), axis.x(i), y + 1, Math.max(1, step), HEAD_HIGH - 2);
  });
  if (chosen) sheet.frame(palette.ink, 2, 1, y, sheet.width - 2, HEAD_HIGH);
}

/**
 * @param {Data} data
 * @param {Store} store
 * @param {LookFacts} facts
 * @param {Float32Array} weights
 */
function placesOf(data, store, { over, labels }, weights) {
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, TOP_PLACES);
  return order.map((at) => {
    const calls = over === "calls";
    const go = calls
      ? h("button", { type: "button", class: "look-link", onclick: () => store.set({ call: at }) }, `call ${at}`)
      : String(at);
    const word = calls ? data.wordAt(at) : null;
    const read = calls ? (data.columns.main ? tokenRead(data, "main", at) : `row ${at}`) : labels[at];
    return h(
      "tr",
      {},
      h("td", {}, go),
      h("td", {}, bdi(read)),
      data.spoken.length ? h("td", { class: word ? `of-s${word.speaker}` : "" }, word ? bdi(word.text) : "–") : null,
      h("td", { class: "look-number" }, percentText(weights[at])),
    );
  });
}
