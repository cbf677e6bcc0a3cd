// The draws of a call by how surprising each was: a bar for each, to choose one of them.

import { surprise } from "./draws.js";
import { h } from "./dom.js";

/** @import { Data } from "./data.js" */

const MOST_BITS = 8; // bits of the highest bar
const BIT_LEVELS = [0.5, 1.5, 3, 4.5, 6]; // bits from which a bar is darker

/**
 * How dark some surprise is, 0 to 5.
 *
 * @param {number} bits
 */
export function levelOf(bits) {
  return BIT_LEVELS.filter((least) => bits >= least).length;
}

/**
 * @param {Data} data
 * @param {(draw: number) => void} choose
 */
export function stripOf(data, choose) {
  const bars = data.header.draws.map(({ title }) => h("span", { title }, h("i")));
  const element = h("div", {
    class: "why-strip", role: "img",
    onclick: (event) => {
      const at = bars.findIndex((bar) => bar.contains(/** @type {Node} */ (event.target)));
      if (at >= 0) choose(at);
    },
  }, bars);
  let shown = -1;
  /**
   * @param {number} call
   * @param {number} chosen
   */
  const draw = (call, chosen) => {
    for (const [i, bar] of bars.entries()) bar.classList.toggle("why-on", i === chosen);
    if (call === shown) return;
    shown = call;
    const bits = bars.map((_, i) => surprise(data, call, i));
    for (const [i, bar] of bars.entries()) {
      const own = bits[i];
      const mark = /** @type {HTMLElement} */ (bar.firstChild);
      mark.className = own === null ? "why-none" : `why-l${levelOf(own)}`;
      mark.style.height = `${own === null ? 100 : Math.max(6, Math.min(100, (100 * own) / MOST_BITS))}%`;
      bar.title = `${data.header.draws[i].title}: ${own === null ? "not drawn" : `${own.toFixed(1)} bits`}`;
    }
    const most = Math.max(...bits.map((own) => own ?? -1));
    const told = most < 0 ? "none was drawn" : `most in ${bars[bits.indexOf(most)].title}`;
    element.setAttribute("aria-label", `Surprise of each of the ${bars.length} draws: ${told}`);
  };
  return { element, draw };
}
