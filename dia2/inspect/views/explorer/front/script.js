// The script of a run that reads all of it before its first call; no part of it belongs to a moment.

import { bdi, counted, h, pane } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Part } from "./types.d.ts"
 */

/**
 * None where the words stand below the waveform.
 *
 * @param {Data} data
 * @returns {Part | null}
 */
export function scriptPane(data) {
  const { script } = data.header;
  if (!script) return null;
  const parts = script.parts.map(({ speaker, tag, text }) =>
    h("span", { class: `said s${speaker}` }, tag ? h("b", {}, tag) : null, bdi(text)),
  );
  const text = h("p", {}, parts, script.cut ? cutOff(script.cut) : null);
  const { element } = pane("script", data.header.titles.script ?? "", script.note, text);
  return { element, draw: () => {} };
}

/** @param {{ bytes: number, text: string }} cut */
function cutOff({ bytes, text }) {
  return h("span", { class: "cut" }, h("b", {}, `${counted(bytes, "byte")} cut off `), bdi(text));
}
