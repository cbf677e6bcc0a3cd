// The track of words: each stands where it sounds, and its text is never cut: it moves to another line instead.

import { speakerColour, speakerPale } from "./colours.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Painter, SpokenWord } from "./types.d.ts"
 */

/** @typedef {{ lines: number, size: number, high: number, top: number }} Lines how the lines of words stand */
/** @typedef {{ word: SpokenWord, x: number, line: number }} Place of a word's text; line −1: there is none for it */

const HEIGHT = 50;
/** @type {Lines[]} */
const LINES = [{ lines: 2, size: 13, high: 19, top: 3 }, { lines: 3, size: 12, high: 14, top: 0 }];

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function wordTrack(data) {
  let how = LINES[0];
  let hidden = 0;
  /** @type {Place[]} */
  let places = [];
  return {
    height: HEIGHT,
    there: data.header.words !== null,
    note: () => (hidden ? `+${hidden}: zoom in` : "where they sound"),
    paint(sheet) {
      places = placed(sheet, data, (how = LINES[0]));
      if (places.some(({ line }) => line < 0)) places = placed(sheet, data, (how = LINES[1]));
      hidden = places.filter(({ line }) => line < 0).length;
      paintBars(sheet, data);
      sheet.font(how.size);
      for (const { word, x, line } of places) {
        if (line < 0) continue;
        const y = how.top + line * how.high;
        if (line < how.lines - 1) sheet.fill(sheet.palette.line, x, y + how.high - 2, 1, HEIGHT - 8 - y - how.high + 2);
        sheet.text(word.text, x + 2, y + how.high / 2, sheet.palette.ink);
      }
    },
    mark(sheet, { call }) {
      const word = data.wordAt(call);
      if (!word) return;
      const { palette } = sheet;
      sheet.font(how.size, true);
      const line = Math.max(0, places.find((place) => place.word === word)?.line ?? 0);
      const width = sheet.widthOf(word.text) + 9;
      const x = Math.max(1, Math.min(sheet.width - width - 1, sheet.axis.x(word.at) - 2));
      const y = how.top + line * how.high;
      sheet.fill(speakerPale(palette, word.speaker), x, y, width, how.high);
      sheet.frame(palette.ink, 2, x, y + 0.5, width, how.high - 1);
      sheet.text(word.text, x + 4, y + how.high / 2, palette.ink);
    },
  };
}

/**
 * Where the texts of the words that are seen stand.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Lines} how
 * @returns {Place[]}
 */
function placed(sheet, data, { lines, size }) {
  const { axis } = sheet;
  sheet.font(size);
  const first = data.spoken.findIndex((_, i) => data.endOf(i) >= axis.first - 8);
  const ends = Array.from({ length: lines }, () => -Infinity);
  /** @type {Place[]} */
  const places = [];
  for (let i = Math.max(0, first); i < data.spoken.length; i += 1) {
    const word = data.spoken[i];
    if (word.at > axis.first + axis.span) break;
    const x = axis.x(word.at);
    const line = ends.findIndex((end) => end <= x - 3);
    if (line >= 0) ends[line] = x + sheet.widthOf(word.text) + 6;
    places.push({ word, x, line });
  }
  return places;
}

/**
 * How long each word lasts, in its speaker's colour.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 */
function paintBars(sheet, data) {
  const { axis } = sheet;
  data.spoken.forEach((word, i) => {
    const end = data.endOf(i);
    if (end < axis.first || word.at > axis.first + axis.span) return;
    const x = axis.x(word.at);
    speakerBar(sheet, word.speaker, x, HEIGHT - 6, Math.max(2, axis.x(end) - x - 1.5));
  });
}

/**
 * A bar of four pixels, of a second speaker a double one: not told by its colour alone.
 *
 * @param {Sheet} sheet
 * @param {number} speaker
 * @param {number} x
 * @param {number} y
 * @param {number} width
 */
export function speakerBar(sheet, speaker, x, y, width) {
  const colour = speakerColour(sheet.palette, speaker);
  if (speaker !== 2) {
    sheet.fill(colour, x, y, width, 4);
    return;
  }
  sheet.fill(colour, x, y - 0.5, width, 1.6);
  sheet.fill(colour, x, y + 2.9, width, 1.6);
}
