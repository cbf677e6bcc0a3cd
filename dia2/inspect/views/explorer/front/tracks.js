// What becomes of each call, a track each: actions and text tokens of a machine, states, counts.

import { speakerColour } from "./colours.js";
import { h, pane } from "./dom.js";
import { Timeline } from "./timeline.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { CountTrack, Track, Part, StateTrack, TextTrack } from "./types.d.ts"
 */

/**
 * Draws what a track has at a call; `later`: the run that is looked at is not there yet.
 *
 * @typedef {(line: Timeline, data: Data, call: number, y: number, later: boolean) => void} PaintCell
 */

const TRACK = 20;

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
export function tracksPane(data, store) {
  const { tracks } = data.header;
  const line = new Timeline(`Tracks: ${tracks.map((track) => track.name).join(", ")}`, TRACK * tracks.length);
  const labels = tracks.map((track) => h("span", {}, track.label ?? track.name));
  const names = h("div", { class: "names", "aria-hidden": "true" }, labels);
  const keys = tracks.flatMap((track) => track.keys ?? []);
  const legend = keys.map(([name, text]) => h("span", { class: `key ${name}` }, text));
  const named = h("div", { class: "named" }, names, line.canvas);
  const { element } = pane("tracks", data.header.titles.tracks, legend, named);
  line.jumps(store);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    if (!line.begin(state)) return;
    const [from, to] = line.seen(data.calls);
    tracks.forEach((track, row) => {
      const paint = cellOf(track);
      for (let call = from; call < to; call += 1) paint(line, data, call, row * TRACK + 2, call > state.call);
    });
    line.playhead(state.call);
  };
  return { element, draw };
}

/**
 * @param {Timeline} line
 * @param {number} call
 * @param {number} y
 * @param {string} colour
 * @param {boolean} filled
 */
function box(line, call, y, colour, filled) {
  const { context } = line;
  const gap = line.step > 4 ? 1 : 0;
  const width = Math.max(1, line.step - gap);
  if (filled) {
    context.fillStyle = colour;
    context.fillRect(line.x(call), y, width, TRACK - 4);
    return;
  }
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.strokeRect(line.x(call) + 0.75, y + 0.75, Math.max(0.5, width - 1.5), TRACK - 5.5);
}

/** @type {PaintCell} */
function actionCell(line, data, call, y, later) {
  const { palette, context } = line;
  box(line, call, y, palette.empty, true);
  const ended = data.at("end_step", call);
  if (ended >= 0 && ended < data.at("step", call)) return; // no word is left, and what is drawn means nothing
  const action = data.action(call);
  context.globalAlpha = later ? 0.3 : action.given ? 0.5 : 1;
  if (action.outcome === "break") box(line, call, y, palette.frame, true);
  else if (action.outcome !== "pad") box(line, call, y, palette.word, true);
  if (action.overruled) box(line, call, y, palette.over, false);
  context.globalAlpha = 1;
}

/**
 * @param {TextTrack} track
 * @returns {PaintCell}
 */
function textCell({ name: track }) {
  return (line, data, call, y, later) => {
    const { palette, context } = line;
    box(line, call, y, palette.empty, true);
    const token = data.at(track, call);
    const { tokens } = data.header;
    if (token === tokens?.pad) return;
    const part = data.part(track, call);
    context.globalAlpha = later ? 0.3 : 1;
    const wordless = token === tokens?.new_word ? palette.word : palette.faint;
    box(line, call, y, part ? speakerColour(palette, part.speaker) : wordless, true);
    context.globalAlpha = 1;
  };
}

/**
 * @param {StateTrack} track
 * @returns {PaintCell}
 */
function stateCell({ name, colours: shades }) {
  return (line, data, call, y, later) => {
    line.context.globalAlpha = later ? 0.3 : 1;
    box(line, call, y, line.palette[shades[data.at(name, call)]], true);
    line.context.globalAlpha = 1;
  };
}

/**
 * As high as the count is beside the most there can be; empty where nothing is counted.
 *
 * @param {CountTrack} track
 * @returns {PaintCell}
 */
function countCell({ name, most, colour }) {
  return (line, data, call, y, later) => {
    const { palette, context } = line;
    box(line, call, y, palette.empty, true);
    const value = data.at(name, call);
    if (value < 0) return;
    const high = Math.max(2, (Math.min(value, most) / most) * (TRACK - 4));
    context.globalAlpha = later ? 0.3 : 1;
    context.fillStyle = palette[colour];
    context.fillRect(line.x(call), y + TRACK - 4 - high, Math.max(1, line.step - (line.step > 4 ? 1 : 0)), high);
    context.globalAlpha = 1;
  };
}

/**
 * @param {Track} track
 * @returns {PaintCell}
 */
function cellOf(track) {
  switch (track.kind) {
    case "action":
      return actionCell;
    case "text":
      return textCell(track);
    case "states":
      return stateCell(track);
    case "count":
      return countCell(track);
  }
}
