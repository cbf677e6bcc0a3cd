// How the caches fill: slots over the calls, of those that do not begin anew with every call.

import { h, pane, say } from "./dom.js";
import { Timeline } from "./timeline.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Part } from "./types.d.ts"
 */

const HIGH = 56;

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
export function growthPane(data, store) {
  const line = new Timeline("Filled slots of the key/value caches over the calls", HIGH);
  const { caches } = data.header;
  const curves = caches.map(({ column }) => column).filter((column) => column !== null);
  const sizes = caches.map(({ told, column }) => {
    const key = curves.length > 1 && column !== null ? `key is-s${1 + curves.indexOf(column)}` : "cache";
    return { told, shown: h("span", { class: key }) };
  });
  const { element } = pane("growth", "KV growth", sizes.map(({ shown }) => shown), line.canvas);
  line.jumps(store);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const { call } = state;
    for (const { told, shown } of sizes) say(shown, data.told(told, call));
    if (!line.begin(state)) return;
    const { context, palette } = line;
    const top = Math.max(1, ...curves.map((column) => data.at(column, data.calls - 1)));
    const [from, to] = line.seen(data.calls);
    /** @type {(value: number) => number} */
    const y = (value) => HIGH - 3 - (value / top) * (HIGH - 8);
    context.fillStyle = palette.empty;
    for (let at = from; at < Math.min(to, data.given); at += 1) context.fillRect(line.x(at), 0, line.step + 0.5, HIGH);
    /** @type {(value: (at: number) => number, colour: string, until: number) => void} */
    const curve = (value, colour, until) => {
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.beginPath();
      for (let at = from; at < until; at += 1) {
        context.lineTo(line.x(at), y(value(at)));
        context.lineTo(line.x(at + 1), y(value(at)));
      }
      context.stroke();
    };
    curves.forEach((column, i) => {
      /** @type {(at: number) => number} */
      const value = (at) => data.at(column, at);
      const colour = i ? palette.s2 : palette.s1;
      context.globalAlpha = 0.3;
      curve(value, colour, to);
      context.globalAlpha = 1;
      curve(value, colour, Math.min(to, call + 1));
    });
    line.playhead(call);
  };
  return { element, draw };
}
