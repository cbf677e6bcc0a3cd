// The track of the text streams: the action of each call, and the tokens of the streams as the words they are of.

import { speakerColour, speakerPale } from "./colours.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Painter, TextTrack } from "./types.d.ts"
 */

const LANE = 21;
const PADS = 6; // that a text may reach over

/**
 * @param {Data} data
 * @param {TextTrack} track
 * @returns {Painter}
 */
export function textTrack(data, { lanes }) {
  return {
    height: LANE * lanes.length,
    there: lanes.every(({ kind, name }) => (kind === "action" ? data.columns.outcome : data.columns[name])),
    lanes: lanes.map(({ name }, i) => ({ name, y: LANE * (i + 0.5) })),
    note: () => "",
    paint(sheet) {
      lanes.forEach(({ kind, name }, i) => {
        if (kind === "action") paintActions(sheet, data, i * LANE);
        else paintTokens(sheet, data, name, i * LANE);
      });
    },
  };
}

/**
 * @param {Sheet} sheet
 * @param {number} call
 * @param {number} y
 */
function paintNothing(sheet, call, y) {
  sheet.fill(sheet.palette.empty, sheet.axis.x(call) + 0.5, y + LANE / 2 - 1.5, Math.max(1, sheet.axis.step - 1), 3);
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {number} y
 */
function paintActions(sheet, data, y) {
  const { axis, palette } = sheet;
  const [from, to] = axis.seen(data.calls);
  const gap = Math.max(0.5, axis.step * 0.18);
  for (let call = from; call < to; call += sheet.group) {
    const ended = data.at("end_step", call);
    const over = ended >= 0 && ended < data.at("step", call); // no word is left, and what is drawn means nothing
    const { outcome, given, overruled } = data.action(call);
    const taken = !over && outcome !== "pad";
    if (!taken) paintNothing(sheet, call, y);
    else {
      const colour = outcome === "break" ? palette.frame : given ? palette.edge : palette.ink;
      sheet.fill(colour, axis.x(call) + gap, y + 3, Math.max(1.5, axis.step - 2 * gap), 15);
    }
    if (!over && overruled) sheet.frame(palette.warn, 2, axis.x(call) + 1.5, y + 4, Math.max(2, axis.step - 3), 13);
  }
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {string} name of the stream
 * @param {number} y
 */
function paintTokens(sheet, data, name, y) {
  const { axis, palette } = sheet;
  const { pad, new_word: newWord } = data.header.tokens ?? { pad: -1, new_word: -1 };
  const [from, to] = axis.seen(data.calls);
  const width = Math.max(1.5, axis.step - 1);
  const tokens = data.column(name);
  for (let call = from; call < to; call += sheet.group) {
    const token = tokens[call];
    if (token === pad) {
      paintNothing(sheet, call, y);
      continue;
    }
    const speaker = data.speakerOf(name, call);
    const x = axis.x(call) + 0.5;
    sheet.fill(speakerPale(palette, speaker), x, y + 1, width, LANE - 3);
    if (speaker) sheet.fill(speakerColour(palette, speaker), x, y + LANE - 4, width, 2);
    else if (token === newWord && axis.step > 9) sheet.text("▸", x + axis.step / 2 - 4.5, y + LANE / 2, palette.ink);
  }
  if (axis.step < 4) return;
  for (let call = Math.max(0, from - PADS); call < to; ) {
    const { next, end, text } = wordFrom(data, name, call, pad);
    const room = axis.x(end) - axis.x(call) - 3;
    if (text && room > 8) sheet.text(sheet.cut(text, room), axis.x(call) + 2, y + LANE / 2 - 0.5, palette.ink);
    call = next;
  }
}

/**
 * The word whose tokens begin at a call: its text, where its tokens end, and where the pads after them do.
 *
 * @param {Data} data
 * @param {string} name
 * @param {number} call
 * @param {number} pad
 */
function wordFrom(data, name, call, pad) {
  const part = data.part(name, call);
  if (!part) return { text: "", next: call + 1, end: call + 1 };
  let next = call + 1;
  while (next < data.calls && data.part(name, next)?.entry === part.entry) next += 1;
  let end = next;
  while (end < data.calls && end < next + PADS && data.at(name, end) === pad) end += 1;
  return { text: part.number === 1 ? part.text : "", next, end };
}
