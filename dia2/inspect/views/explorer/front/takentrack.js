// The track of words asked and taken: where the recordings say each word, and the call at which the machine took it.

import { speakerColour } from "./colours.js";
import { speakerBar } from "./wordtrack.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Painter, SpokenWord } from "./types.d.ts"
 */

const TALL = 84;
const ASKED = 40; // where the bars of the words stand
const TAKEN = 70; // and the diamonds of their calls
const TEXT_LINE = 18;

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function takenTrack(data) {
  return {
    height: TALL,
    there: data.spoken.some(({ prefix }) => prefix),
    lanes: [{ name: "asked", y: ASKED }, { name: "taken", y: TAKEN }],
    note: ({ call }) => lateness(data.spoken.findLast((word) => word.prefix && word.at <= call)),
    paint(sheet) {
      const { axis, palette } = sheet;
      sheet.font(13);
      const ends = [-Infinity, -Infinity];
      data.spoken.forEach((word, i) => {
        const end = data.endOf(i);
        if (!word.prefix || end < axis.first - 8 || Math.min(word.at, word.call) > axis.first + axis.span) return;
        const x = axis.x(word.at);
        speakerBar(sheet, word.speaker, x, ASKED - 2, Math.max(2, axis.x(end) - x - 1.5));
        const line = ends.findIndex((free) => free <= x - 3);
        if (line >= 0) {
          sheet.text(word.text, x + 1, TEXT_LINE * (line + 0.5), palette.ink);
          ends[line] = x + sheet.widthOf(word.text) + 6;
        }
        paintTaken(sheet, word, x);
      });
    },
  };
}

/**
 * A diamond at the call, and a line to it from the word.
 *
 * @param {Sheet} sheet
 * @param {SpokenWord} word
 * @param {number} x of the word
 */
function paintTaken(sheet, word, x) {
  const { context, palette, axis } = sheet;
  const taken = axis.x(word.call + 0.5);
  context.strokeStyle = palette.edge;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 0.5, ASKED + 3);
  context.lineTo(taken, TAKEN - 6);
  context.stroke();
  context.fillStyle = speakerColour(palette, word.speaker);
  context.beginPath();
  context.moveTo(taken, TAKEN - 6);
  context.lineTo(taken + 5, TAKEN);
  context.lineTo(taken, TAKEN + 6);
  context.lineTo(taken - 5, TAKEN);
  context.fill();
}

/**
 * How far a word is taken after its place.
 *
 * @param {SpokenWord | undefined} word
 */
function lateness(word) {
  if (!word) return "";
  const late = word.call - word.at;
  return `${late < 0 ? "−" : "+"}${Math.abs(late).toFixed(1)} calls here`;
}
