// The bar of controls, each button of it a command; and the two fields, for a call and for a word.

import { commandOf, keyName } from "./commands.js";
import { capital, counted, h, say, sign } from "./dom.js";
import { SPEEDS } from "./player.js";

/**
 * @import { Moves } from "./moves.js"
 * @import { Store } from "./store.js"
 * @import { Command, Part, State } from "./types.d.ts"
 */

const SIGNS = /** @type {Record<string, string>} */ ({
  first: "M3 3v10M13 3 6 8l7 5z",
  back: "M11 3 5 8l6 5z",
  play: "M4 2.5v11L13.5 8z",
  pause: "M4.5 3v10M11.5 3v10",
  on: "M5 3l6 5-6 5z",
  farther: "M3 8h10",
  nearer: "M3 8h10M8 3v10",
});
/** @type {string[][]} */
const GROUPS = [["play", "first", "back", "on", "loop"], ["next"], ["farther", "nearer", "fit"]];
const LABELS = /** @type {Record<string, string>} */ ({
  loop: "Loop", next: "▲ Next", fit: "Fit", link: "Link", keys: "?", pin: "Note", slides: "Present", guide: "Tour",
});
export const LENSES = ["run", "voice", "grid"];

/**
 * A button of a command.
 *
 * @param {Command} command
 */
export function commandButton({ id, name, keys, run }) {
  const title = keys.length ? `${name} (${keys.map(keyName).join(", ")})` : name;
  const text = SIGNS[id] ? "" : LABELS[id] ?? name;
  const read = text.replace(/[^\p{L} ]/gu, "").trim(); // who speaks to it says what he reads
  const told = name.toLowerCase().includes(read.toLowerCase()) ? name : `${read}: ${name}`;
  const shown = SIGNS[id] ? sign(SIGNS[id]) : text;
  return h("button", { type: "button", class: `command ${id}`, "aria-label": told, title, onclick: run }, shown);
}

/**
 * @param {Command[]} commands
 * @param {Store} store
 * @param {Moves} moves
 * @param {HTMLElement[]} hear
 * @param {(lens: string) => void} choose a lens
 * @param {(text: string) => void} tell
 */
export function controls(commands, store, moves, hear, choose, tell) {
  /** @type {Map<Command, HTMLButtonElement>} */
  const buttons = new Map();
  const groups = GROUPS.map((ids) => {
    const found = ids.map((id) => commandOf(commands, id)).filter((command) => command !== null);
    for (const command of found) buttons.set(command, commandButton(command));
    return h("span", { class: "group" }, found.map((command) => buttons.get(command)));
  });
  /** @type {HTMLSelectElement} */
  const speed = h(
    "select",
    { "aria-label": "Speed", class: "speed", onchange: () => store.set({ speed: SPEEDS[speed.selectedIndex] }) },
    SPEEDS.map((value) => h("option", { selected: value === 1 }, `${value}×`)),
  );
  groups[0].append(speed, ...hear);
  const go = goField(moves);
  const find = findField(moves, tell);
  const fields = h("span", { class: "group fields" }, go, ...find.elements);
  const lenses = LENSES.map((lens) =>
    h("button", { type: "button", class: "segment", onclick: () => choose(lens) }, capital(lens)),
  );
  const segments = h("span", { class: "group segments", role: "group", "aria-label": "Tracks" }, lenses);
  const [player, jumps, zoom] = groups;
  const element = h("section", { class: "controls", "aria-label": "Controls" }, player, fields, jumps, zoom, segments);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    lenses.forEach((button, i) => button.setAttribute("aria-pressed", String(LENSES[i] === state.lens)));
    for (const [command, button] of buttons) showButton(command, button, state);
  };
  return { element, draw, player, lenses: segments, go, find: find.field };
}

/**
 * @param {Command} command
 * @param {HTMLButtonElement} button
 * @param {State} state
 */
function showButton({ id, when, on }, button, state) {
  button.disabled = !(when?.() ?? true);
  if (!on) return;
  const pressed = String(on(state));
  if (id !== "play") {
    button.setAttribute("aria-pressed", pressed);
    return;
  }
  if (button.dataset.playing === pressed) return;
  button.dataset.playing = pressed;
  button.replaceChildren(sign(on(state) ? SIGNS.pause : SIGNS.play));
  button.setAttribute("aria-label", on(state) ? "Pause" : "Play");
}

/**
 * Where the keys are heard, when a field is left.
 *
 * @param {Element} field
 */
function leave(field) {
  const root = /** @type {HTMLElement | null} */ (field.closest(".dia2-explorer"));
  root?.focus({ preventScroll: true });
}

/** @param {Moves} moves */
function goField(moves) {
  const label = "Go to a call or a time";
  const go = h("input", { type: "text", class: "go-to", placeholder: "311 or 12.4s", "aria-label": label });
  go.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && go.value.trim()) {
      go.setAttribute("aria-invalid", String(!moves.find(go.value)));
      if (go.getAttribute("aria-invalid") === "true") return;
      go.value = "";
      leave(go);
    }
    if (event.key === "Escape") leave(go);
  });
  return go;
}

/**
 * @param {Moves} moves
 * @param {(text: string) => void} tell
 */
function findField(moves, tell) {
  const { grid, words } = moves.views.all[0].header;
  const code = `${grid.words.short}3:411`;
  const codes = `a code (411, ${code})`;
  const all = words ? `a word, ${codes} or a token (action:pad, main:word)` : codes;
  const label = `Find ${all}; Enter goes to the next`;
  const hint = words ? `Word, ${code}` : `411, ${code}`;
  const field = h("input", { type: "search", placeholder: hint, "aria-label": label, title: label });
  const found = h("span", { class: "found", "aria-live": "polite" });
  let hit = -1;
  field.addEventListener("input", () => {
    hit = -1;
    const { length } = moves.search(field.value);
    const asked = field.value.trim();
    say(found, asked ? String(length) : "");
    tell(asked ? `${length ? counted(length, "place") : "Nothing"} found for “${asked}”` : "");
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave(field);
    const step = { Enter: event.shiftKey ? -1 : 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const hits = moves.search(field.value);
    if (!hits.length) return;
    hit = hit < 0 && step < 0 ? hits.length - 1 : (hit + step + hits.length) % hits.length;
    say(found, `${hit + 1} of ${hits.length}`);
    moves.toHit(hits[hit]);
    const { call, told } = hits[hit];
    tell(`${hit + 1} of ${counted(hits.length, "place")} of “${field.value.trim()}”: call ${call}, ${told}`);
  });
  return { elements: [field, found], field };
}
