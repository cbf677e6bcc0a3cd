// What is heard: the waveform, and the words where they sound.

import { speakerColour } from "./colours.js";
import { pane } from "./dom.js";
import { Timeline } from "./timeline.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Part } from "./types.d.ts"
 */

const WAVE = 56;
const WORDS = 24;
const GAP = 8; // below the words

/**
 * @param {Data} data
 * @param {Store} store
 * @param {string} title
 * @returns {Part}
 */
export function wavePane(data, store, title) {
  const { words } = data.header;
  const line = new Timeline(words ? "Waveform, and the words below it" : "Waveform", WAVE + (words ? WORDS + GAP : 0));
  const note = data.columns.peaks ? data.header.clock?.told ?? "" : "no sound in this trace";
  const { element } = pane("wave", title, note, line.canvas);
  line.jumps(store, (event, call) => (event.offsetY > WAVE ? data.wordAt(call)?.call ?? call : call));
  /** @type {Part["draw"]} */
  const draw = (state) => {
    if (!line.begin(state)) return;
    drawWave(line, data);
    drawWords(line, data, state.call);
    line.playhead(Math.min(state.call, data.calls - 1));
  };
  return { element, draw };
}

/**
 * @param {Timeline} line
 * @param {Data} data
 */
function drawWave(line, data) {
  const { peaks } = data.columns;
  const { context, palette, width } = line;
  const middle = WAVE / 2;
  context.fillStyle = palette.line;
  context.fillRect(0, middle, width, 1);
  if (!peaks || !data.header.clock) return;
  const rate = data.header.peak_rate;
  const count = peaks.shape[0];
  /** @type {(x: number) => number} */
  const place = (x) => Math.floor((data.secondsOf(line.first + (x / width) * line.span) ?? 0) * rate);
  context.fillStyle = palette.faint;
  for (let x = 0; x < width; x += 1) {
    const from = place(x);
    const to = Math.max(from + 1, place(x + 1));
    if (to <= 0 || from >= count) continue;
    let low = 0;
    let high = 0;
    for (let i = Math.max(0, from); i < Math.min(count, to); i += 1) {
      low = Math.min(low, peaks[2 * i]);
      high = Math.max(high, peaks[2 * i + 1]);
    }
    const top = middle - (high / 127) * middle;
    context.fillRect(x, top, 1, Math.max(1, ((high - low) / 127) * middle));
  }
}

/**
 * @param {Timeline} line
 * @param {Data} data
 * @param {number} call
 */
function drawWords(line, data, call) {
  const { context, palette } = line;
  const now = data.wordAt(call);
  context.font = "11.5px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineWidth = 1;
  data.spoken.forEach((word, i) => {
    const left = line.x(word.at) + 1;
    const room = line.x(data.endOf(i)) - left - 1;
    if (left + room < 0 || left > line.width || room <= 1) return;
    const colour = speakerColour(palette, word.speaker);
    context.globalAlpha = word.at >= call + 1 ? 0.45 : 1; // the box alone: a pale text would be hard to read
    context.beginPath();
    context.roundRect(left, WAVE + 6, room, WORDS - 4, Math.min(4, room / 2));
    context.strokeStyle = colour;
    context.fillStyle = colour;
    if (word === now) context.fill();
    else context.stroke();
    context.globalAlpha = 1;
    context.fillStyle = word === now ? palette.back : palette.ink;
    line.text(word.text, left + 4, WAVE + 6 + (WORDS - 4) / 2, room - 6);
  });
}
