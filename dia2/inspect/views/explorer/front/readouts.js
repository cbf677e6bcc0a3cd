// Where we are: the numbers of the call that is looked at, its time and its word.

import { bdi, h, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Part, Word } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

/**
 * @param {Views} views
 * @returns {Part}
 */
export function readouts(views) {
  const values = views.all[0].header.readouts.map((readout) => ({ ...readout, value: h("b") }));
  const element = h(
    "dl",
    { class: "readouts" },
    values.map(({ name, kind, value }) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value))),
  );
  /** @type {Part["draw"]} */
  const draw = ({ call }) => {
    const there = views.at(call);
    for (const { kind, shows, value } of values) {
      if (kind === "time") say(value, timeOf(there, call));
      else if (kind === "word") sayWord(value, there.wordAt(call));
      else say(value, there.told(shows ?? "", call));
    }
  };
  return { element, draw };
}

/**
 * @param {Data} data
 * @param {number} call
 */
export function timeOf(data, call) {
  const seconds = data.secondsOf(call);
  if (seconds === null || !data.header.clock) return "–";
  return seconds < 0 ? data.header.clock.before : `${seconds.toFixed(2)} s`;
}

/**
 * @param {HTMLElement} element
 * @param {Word | null} word
 */
function sayWord(element, word) {
  if (element.dataset.call === String(word?.call)) return;
  element.dataset.call = String(word?.call);
  element.title = word?.text ?? ""; // the readout may be too narrow for it
  element.className = word ? `of-s${word.speaker}` : "";
  element.replaceChildren(word ? bdi(word.text) : "–");
}
