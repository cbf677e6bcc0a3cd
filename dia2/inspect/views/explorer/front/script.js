// The script of a run that reads all of it before its first call; no part of it belongs to a moment.

import { bdi, counted, h, pane } from "./dom.js";

/** None where the words stand below the waveform. */
export function scriptPane(data) {
  const { script } = data.header;
  if (!script) return null;
  const parts = script.parts.map(({ speaker, tag, text }) =>
    h("span", { class: `said s${speaker}` }, tag ? h("b", {}, tag) : null, bdi(text)),
  );
  const cut = script.cut ? h("span", { class: "cut" }, h("b", {}, `${counted(script.cut.bytes, "byte")} cut off `), bdi(script.cut.text)) : null;
  const { element, note } = pane("script", data.header.titles.script, script.note, h("p", {}, parts, cut));
  return { element, draw: () => {}, note };
}
