// The tracks of a timeline as elements: each with its name at the left, by which it folds.

import { h } from "./dom.js";
import { painterOf } from "./painters.js";
import { Sheet } from "./sheet.js";

/**
 * @import { Axis } from "./axis.js"
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Painter, Shell, Track } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

/**
 * The tracks of the runs; of two runs those of a kind stand one over the other.
 *
 * @param {Views} views
 * @param {Store} store
 * @param {Axis} axis
 * @returns {Shell[]}
 */
export function shellsOf(views, store, axis) {
  const [data, other] = views.all;
  /** @type {Shell[]} */
  const shells = [];
  for (const track of data.header.tracks) {
    for (const [i, of] of views.all.entries()) {
      const letter = other ? "AB"[i] : "";
      const declared = of.header.tracks.find(({ name }) => name === track.name);
      if (!declared) continue;
      const painter = painterOf(declared, of, store, views.all[1 - i]);
      shells.push(shellOf(of, declared, painter, store, axis, letter));
    }
  }
  return shells.filter(({ painter }) => painter.there);
}

/**
 * @param {Data} data
 * @param {Track} track
 * @param {Painter} painter
 * @param {Store} store
 * @param {Axis} axis
 * @param {string} letter of the run, of two
 * @returns {Shell}
 */
function shellOf(data, track, painter, store, axis, letter) {
  const name = `${track.name}${letter}`;
  const label = letter ? `${letter}: ${track.label}` : track.label;
  const sheet = new Sheet(axis, `${label}: ${track.told}`);
  const note = h("small", {});
  const names = h("div", { class: "names", "aria-hidden": "true" });
  const fold = () => store.set({ open: store.state.open.filter((each) => each !== name) });
  const attributes = { type: "button", class: "name", "aria-expanded": "true", title: track.told };
  const button = h("button", { ...attributes, onclick: fold }, label);
  const keys = (track.keys ?? []).map(([kind, text]) => h("span", { class: `key ${kind}` }, text));
  const more = painter.gutter?.(names) ?? (keys.length ? [h("div", { class: "legend" }, keys)] : []);
  for (const lane of painter.lanes ?? []) {
    const at = h("small", { class: "lane" }, lane.name);
    at.style.setProperty("--at", `${lane.y}px`);
    names.append(at);
  }
  const head = h("div", { class: "head" }, button, note, more, names);
  const element = h("div", { class: `track ${track.kind}`, hidden: true }, head, sheet.canvas);
  const { kind, lenses } = track;
  return { name, label, kind, lenses, data, painter, sheet, note, element, height: painter.height };
}
