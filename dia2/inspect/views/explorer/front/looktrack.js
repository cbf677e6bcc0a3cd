// The track of attention: where the call that is looked at looks itself, along the run.

import { heat } from "./colours.js";
import { percentText } from "./contenders.js";
import { replaysOf, wordsLookedAt } from "./replays.js";

/**
 * @import { Data } from "./data.js"
 * @import { Look, Painter } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function lookTrack(data) {
  const replays = replaysOf(data);
  const own = replays.facts.looks.findIndex(({ over }) => over === "calls");
  /** @type {(look: Look) => Look} */
  const along = (look) => (look.look === own ? look : { look: own, layer: 0, head: -1 });
  return {
    height: 36,
    there: own >= 0 && replays.calls.length,
    note({ call, look }) {
      const weights = replays.weights(call, along(look));
      if (!weights) return "this call is not replayed";
      const [[word, share]] = wordsLookedAt(data, weights);
      return `${percentText(share)} on ${data.spoken.length ? word : "past calls"}`;
    },
    paint() {}, // all of it moves with the call
    mark(sheet, { call, look }) {
      const { axis, palette, height } = sheet;
      const weights = replays.weights(call, along(look));
      if (!weights) return;
      const most = weights.reduce((a, b) => Math.max(a, b), 1e-6);
      const [from, to] = axis.seen(weights.length);
      for (let at = from; at < to; at += 1) {
        const share = Math.sqrt(weights[at] / most);
        const high = Math.max(1, share * (height - 4));
        sheet.fill(heat(palette, 0.25 + 0.75 * share), axis.x(at), height - 2 - high, Math.max(1, axis.step - 1), high);
      }
    },
  };
}
