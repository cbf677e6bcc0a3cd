// How the caches fill: slots of the transformer's over the calls, beside the rotary position; the depformer's is small.

import { pane, say } from "./dom.js";
import { Timeline } from "./timeline.js";

const HIGH = 56;

export function growthPane(data, store) {
  const line = new Timeline("Filled slots of the key/value caches over the calls", HIGH);
  const { element, note } = pane("growth", "KV growth", "", line.canvas);
  line.jumps(data, store);
  const [first, ...others] = data.header.caches;
  const draw = (state) => {
    const { call } = state;
    const told = others.map((cache) => `${cache.name} ${data.at(cache.column, call)} of ${cache.size}, emptied every call`);
    say(note, [`${first.name} ${data.at(first.column, call)} slots, position ${data.at("position", call)}`, ...told].join(" · "));
    if (!line.begin(state)) return;
    const { context, palette } = line;
    const top = data.at(first.column, data.calls - 1) || 1;
    const [from, to] = line.seen(data.calls);
    const y = (value) => HIGH - 3 - (value / top) * (HIGH - 8);
    context.fillStyle = palette.empty;
    for (let at = from; at < Math.min(to, data.header.warmup); at += 1) context.fillRect(line.x(at), 0, line.step + 0.5, HIGH);
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
    context.globalAlpha = 0.3;
    curve((at) => data.at(first.column, at), palette.s1, to);
    context.globalAlpha = 1;
    curve((at) => data.at(first.column, at), palette.s1, Math.min(to, call + 1));
    line.playhead(call);
  };
  return { element, draw };
}
