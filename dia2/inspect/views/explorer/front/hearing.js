// The choice of what to hear, and a line that says what could not be heard.

import { h, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Player } from "./player.js"
 * @import { Options, Sound } from "./types.d.ts"
 */

/** @typedef {{ label: string, view: Data, bytes: () => Sound | Promise<Sound> }} Choice */

/**
 * @param {Data[]} views one or two
 * @param {Player} player
 * @param {Options["ask"]} ask
 */
export function hearing(views, player, ask) {
  const options = choicesOf(views, ask);
  const choices = options.map(({ label }) => h("option", {}, label));
  const select = h("select", { "aria-label": "What to hear", class: "hear" }, choices);
  const told = h("span", { class: "unheard", role: "status" });
  select.hidden = options.length < 2 && !ask; // a list of one thing is no choice
  let wanted = 0;
  let heard = 0;
  const choose = async () => {
    const index = select.selectedIndex;
    const { label, view, bytes } = options[index];
    wanted = index;
    say(told, "");
    select.setAttribute("aria-busy", "true");
    const found = await Promise.resolve(bytes()).catch((/** @type {Error} */ error) => error);
    if (wanted !== index) return; // the kernel was slow, and something else was chosen meanwhile
    select.removeAttribute("aria-busy");
    if (found instanceof Error) {
      say(told, `${label} cannot be heard: ${found.message}`);
      wanted = select.selectedIndex = heard;
      return;
    }
    heard = index;
    player.load(found, view);
  };
  select.addEventListener("change", choose);
  if (options.length) choose();
  /** Hear the same of the other run. */
  const other = () => {
    const next = options.findIndex(({ view }) => view !== options[select.selectedIndex].view);
    if (next < 0) return;
    select.selectedIndex = next;
    choose();
  };
  return { elements: [select, told], other };
}

/**
 * @param {Data[]} views
 * @param {Options["ask"]} ask
 */
function choicesOf([data, other], ask) {
  /** @type {(view: Data, name: string) => Choice[]} */
  const soundsOf = (view, name) => {
    const sounds = view.header.sounds ?? [];
    return sounds.map((sound) => ({ label: `${name}${sound.label}`, view, bytes: () => view.sound(sound.column) }));
  };
  const options = other ? [...soundsOf(data, "A: "), ...soundsOf(other, "B: ")] : soundsOf(data, "");
  if (!ask || other) return options;
  const books = Array.from({ length: data.codebooks }, (_, book) => book);
  /** @type {(label: string, chosen: number[]) => void} */
  const some = (label, chosen) => options.push({ label, view: data, bytes: () => ask(chosen) });
  for (const last of books.slice(0, -1)) {
    some(last ? `codebooks 0 … ${last}` : "codebook 0 alone", books.slice(0, last + 1));
  }
  for (const muted of books.slice(0, -1)) some(`without codebook ${muted}`, books.filter((book) => book !== muted));
  return options;
}
