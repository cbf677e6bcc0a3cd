// Above and below the panes: what the run is, play and pause, where we are; and a slider over all of it.

import { speakerColour } from "./colours.js";
import { bdi, h, say, sign } from "./dom.js";
import { SPEEDS } from "./player.js";
import { Timeline } from "./timeline.js";

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

function icon(label, shown, onclick) {
  return h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, SIGNS[shown] ? sign(SIGNS[shown]) : shown);
}

export function topBar(views, store, player, moves, hear, dialogOf) {
  const [data] = views.all;
  const play = icon("Play", "play", () => player.toggle());
  play.classList.add("play");
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
    if (event.key === "Escape") search.closest(".dia2-explorer").focus({ preventScroll: true }); // where keys are heard
    if (event.key !== "Enter") return;
    const words = moves.search(search.value);
    if (!words.length) return;
    hit = (hit + (event.shiftKey ? words.length - 1 : 1)) % words.length;
    say(found, `${hit + 1} of ${words.length}`);
    moves.to(words[hit].call);
  });
  const values = data.header.readouts.map((readout) => ({ ...readout, value: h("b") }));
  const readouts = h("dl", { class: "readouts" }, values.map(({ name, kind, value }) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value))));
  const words = Boolean(data.header.words);
  const element = h(
    "header",
    { class: "top" },
    h("div", { class: "what" }, h("h1", {}, bdi(data.header.name)), h("span", { class: "facts" }, bdi(data.header.facts.join(" · ")), data.header.complete ? "" : h("b", { class: "partial" }, bdi(` ${data.header.state}`)))),
    h(
      "div",
      { class: "controls", role: "group", "aria-label": "Playback" },
      icon("First call", "first", () => moves.to(0)),
      words ? icon("Word back", "wordBack", () => moves.word(-1)) : null,
      icon("Call back", "back", () => moves.by(-1)),
      play,
      icon("Call on", "on", () => moves.by(1)),
      words ? icon("Word on", "wordOn", () => moves.word(1)) : null,
      icon("Last call", "last", () => moves.to(views.calls - 1)),
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
      else say(value, there.told(shows, call));
    }
  };
  return { element, draw, search: words ? search : null };
}

function timeOf(data, call) {
  const seconds = data.secondsOf(call);
  if (seconds === null) return "–";
  return seconds < 0 ? data.header.clock.before : `${seconds.toFixed(2)} s`;
}

function sayWord(element, word) {
  if (element.dataset.call === String(word?.call)) return;
  element.dataset.call = String(word?.call);
  element.title = word?.text ?? ""; // the readout may be too narrow for it
  element.replaceChildren(word ? bdi(word.text) : "–");
}

export function scrubber(views, store) {
  const [data] = views.all;
  const line = new Timeline("", 10);
  line.canvas.removeAttribute("role");
  line.canvas.setAttribute("aria-hidden", "true");
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Call" });
  slider.addEventListener("input", () => store.set({ call: Number(slider.value), row: null }));
  line.jumps(store);
  const element = h("footer", { class: "scrub" }, slider, line.canvas);
  const draw = (state) => {
    if (Number(slider.max) !== views.calls - 1) slider.max = String(views.calls - 1);
    if (Number(slider.value) !== state.call) slider.value = String(state.call);
    const there = views.at(state.call);
    const word = there.wordAt(state.call);
    slider.setAttribute("aria-valuetext", `${there.told(there.header.where, state.call)}${word ? `, ${word.text}` : ""}`);
    if (!line.begin({ ...state, first: 0, span: views.places })) return;
    const { context, palette } = line;
    context.fillStyle = palette.empty;
    context.fillRect(0, 0, line.width, 10);
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
    context.strokeRect(line.x(state.first) + 0.5, 0.5, Math.max(2, line.x(state.first + state.span) - line.x(state.first) - 1), 9);
    for (const finding of data.header.findings) {
      if (finding.call === null) continue;
      context.fillStyle = palette.over;
      context.fillRect(line.x(finding.call) - 1, 0, 3, 10);
    }
    line.playhead(state.call);
  };
  return { element, draw };
}
