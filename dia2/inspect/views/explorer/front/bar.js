// Above and below the panes: what the run is, play and pause, where we are; and a slider over all of it.

import { speakerColour } from "./colours.js";
import { bdi, h, say, sign } from "./dom.js";
import { SPEEDS } from "./player.js";
import { Timeline } from "./timeline.js";

/**
 * @import { Data } from "./data.js"
 * @import { Moves } from "./moves.js"
 * @import { Player } from "./player.js"
 * @import { Store } from "./store.js"
 * @import { Part, Word } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const SIGNS = {
  first: "M3 3v10M13 3 6 8l7 5z",
  wordBack: "M14 3 9 8l5 5zM7 3 2 8l5 5z",
  back: "M11 3 5 8l6 5z",
  play: "M4 2.5v11L13.5 8z",
  pause: "M4.5 3v10M11.5 3v10",
  on: "M5 3l6 5-6 5z",
  wordOn: "M2 3l5 5-5 5zM9 3l5 5-5 5z",
  last: "M13 3v10M3 3l7 5-7 5z",
};

/**
 * @param {string} label
 * @param {string | Node} shown
 * @param {() => void} onclick
 */
function icon(label, shown, onclick) {
  return h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, shown);
}

/**
 * @param {Views} views
 * @param {Store} store
 * @param {Player} player
 * @param {Moves} moves
 * @param {Node[]} hear the choice of what to hear
 * @param {() => HTMLDialogElement} dialogOf the list of keys, which is made later
 */
export function topBar(views, store, player, moves, hear, dialogOf) {
  const [data] = views.all;
  const play = icon("Play", sign(SIGNS.play), () => player.toggle());
  play.classList.add("play");
  /** @type {HTMLSelectElement} */
  const speed = h(
    "select",
    { "aria-label": "speed", onchange: () => store.set({ speed: SPEEDS[speed.selectedIndex] }) },
    SPEEDS.map((value) => h("option", { selected: value === 1 }, `${value}×`)),
  );
  const search = h("input", { type: "search", placeholder: "find a word", "aria-label": "Find a word" });
  const found = h("span", { class: "found", "aria-live": "polite" });
  let hit = -1;
  search.addEventListener("input", () => {
    hit = -1;
    const words = moves.search(search.value);
    say(found, search.value.trim() ? `${words.length}` : "");
  });
  search.addEventListener("keydown", (event) => {
    const root = /** @type {HTMLElement | null} */ (search.closest(".dia2-explorer"));
    if (event.key === "Escape") root?.focus({ preventScroll: true }); // where keys are heard
    if (event.key !== "Enter") return;
    const words = moves.search(search.value);
    if (!words.length) return;
    hit = (hit + (event.shiftKey ? words.length - 1 : 1)) % words.length;
    say(found, `${hit + 1} of ${words.length}`);
    moves.to(words[hit].call);
  });
  const values = data.header.readouts.map((readout) => ({ ...readout, value: h("b") }));
  const readouts = h(
    "dl",
    { class: "readouts" },
    values.map(({ name, kind, value }) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value))),
  );
  const partial = data.header.complete ? "" : h("b", { class: "partial" }, bdi(` ${data.header.state}`));
  const facts = h("span", { class: "facts" }, bdi(data.header.facts.join(" · ")), partial);
  const words = Boolean(data.header.words);
  const element = h(
    "header",
    { class: "top" },
    h("div", { class: "what" }, h("h1", {}, bdi(data.header.name)), facts),
    h(
      "div",
      { class: "controls", role: "group", "aria-label": "Playback" },
      icon("First call", sign(SIGNS.first), () => moves.to(0)),
      words ? icon("Word back", sign(SIGNS.wordBack), () => moves.word(-1)) : null,
      icon("Call back", sign(SIGNS.back), () => moves.by(-1)),
      play,
      icon("Call on", sign(SIGNS.on), () => moves.by(1)),
      words ? icon("Word on", sign(SIGNS.wordOn), () => moves.word(1)) : null,
      icon("Last call", sign(SIGNS.last), () => moves.to(views.calls - 1)),
      speed,
      hear,
      ...(words ? [search, found] : []),
      icon("See more calls", "−", () => moves.zoom(1.5)),
      icon("See fewer calls", "+", () => moves.zoom(1 / 1.5)),
      icon("Keys", "?", () => dialogOf().showModal()),
    ),
    readouts,
  );
  let playing = false;
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const { call } = state;
    const there = views.at(call);
    if (playing !== state.playing) {
      playing = state.playing;
      play.replaceChildren(sign(playing ? SIGNS.pause : SIGNS.play));
      play.setAttribute("aria-label", playing ? "Pause" : "Play");
      play.setAttribute("title", playing ? "Pause" : "Play");
    }
    for (const { kind, shows, value } of values) {
      if (kind === "time") say(value, timeOf(there, call));
      else if (kind === "word") sayWord(value, there.wordAt(call));
      else say(value, there.told(shows ?? "", call));
    }
  };
  return { element, draw, search: words ? search : null };
}

/**
 * @param {Data} data
 * @param {number} call
 */
function timeOf(data, call) {
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
  element.replaceChildren(word ? bdi(word.text) : "–");
}

/**
 * @param {Views} views
 * @param {Store} store
 * @returns {Part}
 */
export function scrubber(views, store) {
  const [data] = views.all;
  const line = new Timeline("", 10);
  line.canvas.removeAttribute("role");
  line.canvas.setAttribute("aria-hidden", "true");
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Call" });
  slider.addEventListener("input", () => store.set({ call: Number(slider.value), row: null }));
  line.jumps(store);
  const element = h("footer", { class: "scrub" }, slider, line.canvas);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    if (Number(slider.max) !== views.calls - 1) slider.max = String(views.calls - 1);
    if (Number(slider.value) !== state.call) slider.value = String(state.call);
    const there = views.at(state.call);
    const word = there.wordAt(state.call);
    const where = there.told(there.header.where, state.call);
    slider.setAttribute("aria-valuetext", word ? `${where}, ${word.text}` : where);
    if (!line.begin({ ...state, first: 0, span: views.places })) return;
    const { context, palette } = line;
    context.fillStyle = palette.empty;
    context.fillRect(0, 0, line.width, 10);
    /** @type {(from: number, to: number, colour: string, strength: number) => void} */
    const stretch = (from, to, colour, strength) => {
      context.fillStyle = colour;
      context.globalAlpha = strength;
      context.fillRect(line.x(from), 2, Math.max(1, line.x(to) - line.x(from) - 1), 6);
    };
    data.spoken.forEach((spoken, i) => {
      stretch(spoken.at, data.endOf(i), speakerColour(palette, spoken.speaker), spoken.prefix ? 0.45 : 0.9);
    });
    for (const { from, to, colour } of data.stretches) stretch(from, to, palette[colour], 0.9);
    context.globalAlpha = 1;
    context.strokeStyle = palette.ink;
    context.lineWidth = 1;
    const [left, right] = [line.x(state.first), line.x(state.first + state.span)];
    context.strokeRect(left + 0.5, 0.5, Math.max(2, right - left - 1), 9);
    for (const finding of data.header.findings ?? []) {
      context.fillStyle = palette.over;
      context.fillRect(line.x(finding.call) - 1, 0, 3, 10);
    }
    line.playhead(state.call);
  };
  return { element, draw };
}
