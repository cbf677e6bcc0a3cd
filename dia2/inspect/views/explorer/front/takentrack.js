// The track of words asked and taken: where the recordings say each word, where it is heard if that is known to be
// elsewhere, and the call at which the machine took it.

import { speakerColour } from "./colours.js";
import { speakerBar } from "./wordtrack.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Painter, SpokenWord } from "./types.d.ts"
 */

/** @typedef {{ heard: number | null, asked: number, taken: number, tall: number }} Rows how far down they stand */

const TEXT_LINE = 18;
/** @type {Rows} */
const IN_PLACE = { heard: null, asked: 40, taken: 70, tall: 84 };
/** @type {Rows} */
const BESIDE = { heard: 40, asked: 64, taken: 94, tall: 108 }; // where words are heard elsewhere than asked

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function takenTrack(data) {
  const drifts = driftsOf(data);
  const rows = drifts ? BESIDE : IN_PLACE;
  const named = /** @type {const} */ (["heard", "asked", "taken"]);
  return {
    height: rows.tall,
    there: data.spoken.some(({ prefix }) => prefix),
    lanes: named.flatMap((name) => (rows[name] === null ? [] : [{ name, y: rows[name] }])),
    note: ({ call }) => lateness(data.spoken.findLast((word) => word.prefix && word.at <= call)),
    paint(sheet) {
      const { axis, palette } = sheet;
      sheet.font(13);
      const ends = [-Infinity, -Infinity];
      data.spoken.forEach((word, i) => {
        const end = data.endOf(i);
        const drift = drifts ? drifts.get(word.call) ?? null : 0;
        const [from, to] = [word.at - (drift ?? 0), end - (drift ?? 0)];
        const [first, last] = [Math.min(from, word.at, word.call), Math.max(to, end)];
        if (!word.prefix || last < axis.first - 8 || first > axis.first + axis.span) return;
        const x = axis.x(word.at);
        const width = Math.max(2, axis.x(end) - x - 1.5);
        speakerBar(sheet, word.speaker, x, rows.asked - 2, width);
        if (drifts) paintHeard(sheet, word, drift, width);
        const heard = axis.x(from);
        const line = ends.findIndex((free) => free <= heard - 3);
        if (line >= 0) {
          sheet.text(word.text, heard + 1, TEXT_LINE * (line + 0.5), palette.ink);
          ends[line] = heard + sheet.widthOf(word.text) + 6;
        }
        paintTaken(sheet, word, x, rows);
      });
    },
  };
}

/**
 * How many calls each word comes late, by the call that took it; null where all that is known stand where they sound.
 *
 * @param {Data} data
 * @returns {Map<number | null, number | null> | null}
 */
function driftsOf({ header: { fit, clock } }) {
  if (!fit || !clock) return null;
  const words = fit.recordings.flatMap((recording) => recording.words);
  if (!words.some(({ drift }) => drift !== null && Math.abs(drift) >= fit.least)) return null;
  return new Map(words.map(({ taken, drift }) => [taken, drift === null ? null : drift * clock.rate]));
}

/**
 * Where a word is heard, and its way there from where it is asked for; dashed where that is not known.
 *
 * @param {Sheet} sheet
 * @param {SpokenWord} word
 * @param {number | null} drift calls
 * @param {number} width of its bar
 */
function paintHeard(sheet, word, drift, width) {
  const { context, palette, axis } = sheet;
  const [high, low] = [/** @type {number} */ (BESIDE.heard), BESIDE.asked];
  const x = axis.x(word.at);
  if (drift === null) {
    context.setLineDash([3, 3]);
    sheet.frame(palette.edge, 1, x + 0.5, high - 2, Math.max(1, width - 1), 4);
    context.setLineDash([]);
    return;
  }
  const heard = axis.x(word.at - drift);
  speakerBar(sheet, word.speaker, heard, high - 2, width);
  context.fillStyle = drift ? palette.warn : palette.edge;
  context.globalAlpha = drift ? 0.5 : 0.25;
  context.beginPath();
  context.moveTo(heard, high + 3);
  context.lineTo(heard + width, high + 3);
  context.lineTo(x + width, low - 3);
  context.lineTo(x, low - 3);
  context.fill();
  context.globalAlpha = 1;
}

/**
 * A diamond at the call, and a line to it from the word.
 *
 * @param {Sheet} sheet
 * @param {SpokenWord} word
 * @param {number} x of the word
 * @param {Rows} rows
 */
function paintTaken(sheet, word, x, { asked, taken: y }) {
  const { context, palette, axis } = sheet;
  const taken = axis.x(word.call + 0.5);
  context.strokeStyle = palette.edge;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 0.5, asked + 3);
  context.lineTo(taken, y - 6);
  context.stroke();
  context.fillStyle = speakerColour(palette, word.speaker);
  context.beginPath();
  context.moveTo(taken, y - 6);
  context.lineTo(taken + 5, y);
  context.lineTo(taken, y + 6);
  context.lineTo(taken - 5, y);
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
