// How the caches fill: slots over the calls, of those that do not begin anew with every call.

import { h, pane, say } from "./dom.js";
import { Timeline } from "./timeline.js";

const HIGH = 56;

export function growthPane(data, store) {
  const line = new Timeline("Filled slots of the key/value caches over the calls", HIGH);
  const { caches } = data.header;
  const curves = caches.filter((cache) => cache.column !== null);
  const sizes = caches.map((cache) => ({ ...cache, shown: h("span", { class: curves.length > 1 ? `key is-s${1 + curves.indexOf(cache)}` : "cache" }) }));
  const { element } = pane("growth", "KV growth", sizes.map(({ shown }) => shown), line.canvas);
  line.jumps(store);
  const draw = (state) => {
    const { call } = state;
    for (const { told, shown } of sizes) say(shown, data.told(told, call));
    if (!line.begin(state)) return;
    const { context, palette } = line;
    const top = Math.max(1, ...curves.map((cache) => data.at(cache.column, data.calls - 1)));
    const [from, to] = line.seen(data.calls);
    const y = (value) => HIGH - 3 - (value / top) * (HIGH - 8);
    context.fillStyle = palette.empty;
    for (let at = from; at < Math.min(to, data.given); at += 1) context.fillRect(line.x(at), 0, line.step + 0.5, HIGH);
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
    curves.forEach((cache, i) => {
      const value = (at) => data.at(cache.column, at);
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
