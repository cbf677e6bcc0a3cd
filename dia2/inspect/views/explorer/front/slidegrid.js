// The picture of the delayed grid for a slide: one frame, from its place in the sound along its delays into the column
// that is being written. What comes after that column is empty: it is not there yet.

import { Axis } from "./axis.js";
import { cellColour, cellColours } from "./cells.js";
import { inkOn, speakerColour } from "./colours.js";
import { counted, h } from "./dom.js";
import { Sheet } from "./sheet.js";
import { lettersAt } from "./slidetracks.js";
import { loudest } from "./soundtrack.js";
import { recordingOf, speakerAt } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Cell, CellColour, Part, State } from "./types.d.ts"
 */

const SMALLEST = 20; // pixels of letters
const MOST_ROWS = 12;
const GONE = -1; // in place of the rows that have no room

/**
 * How the picture stands: all in pixels, columns by their number.
 *
 * @typedef {object} Layout
 * @property {number} now the column that is being written
 * @property {number} frame the frame that it completes
 * @property {number} from the first column that is seen, and
 * @property {number} to up to
 * @property {number} left where its cells begin
 * @property {number} wide a cell
 * @property {number[]} rows codebooks from top to bottom; `GONE` for those between
 * @property {number} wave height of the sound; 0: none
 * @property {number} top where the cells begin
 * @property {number} high a row
 * @property {number} letters
 * @property {number} digits size of the codes; 0: there is no room for them
 */

/**
 * @param {Data} data
 * @returns {Part}
 */
export function gridPicture(data) {
  const axis = new Axis();
  const sheet = new Sheet(axis, "The delayed grid up to the column that the call writes");
  const element = h("div", { class: "slide-grid" }, sheet.canvas);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    axis.width = element.clientWidth;
    const height = element.clientHeight;
    if (!axis.width || !height) return;
    sheet.begin(height, state.theme);
    const layout = laidOut(sheet, data, state.call, lettersAt(element));
    paintWave(sheet, data, layout);
    paintRows(sheet, data, state, layout);
    paintFrame(sheet, data, layout);
    paintNumbers(sheet, data, layout);
  };
  return { element, draw };
}

/**
 * The codebooks of each delay, least delay first.
 *
 * @param {number[]} delays
 */
export function byDelay(delays) {
  const distinct = [...new Set(delays)].sort((a, b) => a - b);
  return distinct.map((delay) => ({ delay, books: delays.flatMap((each, book) => (each === delay ? [book] : [])) }));
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {number} call
 * @param {number} letters
 * @returns {Layout}
 */
function laidOut(sheet, data, call, letters) {
  const { delays, words, codes } = data.header.grid;
  const { width, height } = sheet;
  const most = Math.max(...delays);
  const now = data.columnOf(call);
  const longest = "8".repeat(String(codes - 1).length);
  const widest = (/** @type {number} */ size, /** @type {string} */ text) => {
    sheet.font(size);
    return sheet.widthOf(text);
  };
  const named = widest(letters, `${words.book} ${data.codebooks - 1}`) + letters;
  const short = widest(letters, `${data.codebooks - 1}`) + letters;
  const needed = most + 3; // the frame's own place, what lies between, the column, and two that are empty
  const readable = widest(SMALLEST, longest) + 2;
  const left = (width - named) / needed >= readable ? named : short;
  const seen = Math.max(needed, Math.floor((width - left) / Math.max(readable, 2.6 * letters)));
  const wide = (width - left) / seen;
  const free = Math.max(2, Math.ceil((widest(letters, "not yet") + 8) / wide)); // columns that are empty
  const wave = data.header.clock?.frame !== undefined && data.columns.peaks ? 4.4 * letters : 0;
  const top = wave + (most ? Math.min(2, byDelay(delays).length) * 1.45 * letters + 0.9 * letters : letters);
  const room = height - top - 1.6 * letters;
  const fits = Math.max(3, Math.min(MOST_ROWS, Math.floor(room / (1.25 * Math.max(SMALLEST, 0.8 * letters)))));
  const all = Array.from({ length: data.codebooks }, (_, book) => book);
  const rows = data.codebooks <= fits ? all : [...all.slice(0, fits - 2), GONE, data.codebooks - 1];
  const high = Math.min(2.4 * letters, room / rows.length);
  const sizes = [letters, (letters + SMALLEST) / 2, SMALLEST];
  const digits = sizes.find((size) => widest(size, longest) + 2 <= wide && 1.2 * size <= high) ?? 0;
  const to = now + 1 + Math.min(free, Math.max(2, seen - most - 1));
  return { now, frame: now - most, from: to - seen, to, left, wide, rows, wave, top, high, letters, digits };
}

/** @type {(layout: Layout, column: number) => number} */
const xOf = ({ left, from, wide }, column) => left + (column - from) * wide;

/**
 * The sound up to the frame that is complete, each frame over the column of its number.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Layout} layout
 */
function paintWave(sheet, data, layout) {
  const { clock, peak_rate: rate } = data.header;
  const { frame, from, wave, letters, left, wide } = layout;
  if (!wave || !clock || clock.frame === undefined) return;
  const { palette } = sheet;
  const [top, high] = [1.3 * letters, wave - 1.5 * letters];
  sheet.font(letters, true);
  if (left > 4 * letters) sheet.text("sound", 0, top + high / 2, palette.ink, palette.back);
  const bars = Math.max(2, Math.round(wide / 6));
  for (let bar = 0; bar < (frame + 1 - from) * bars; bar += 1) {
    const at = from + bar / bars;
    const recording = recordingOf(data, Math.floor(at));
    const column = recording ? data.columns[`peaks_recording_${recording.speaker}`] : data.columns.peaks;
    const second = recording
      ? ((at - recording.first) / recording.calls) * recording.seconds
      : (at - clock.frame) / clock.rate;
    const step = recording ? recording.seconds / recording.calls / bars : 1 / clock.rate / bars;
    const most = column ? loudest(column, Math.floor(second * rate), Math.floor((second + step) * rate) + 1) : -1;
    if (most < 0) continue;
    const moment = at - clock.frame + clock.zero + (clock.twice !== null && at >= clock.frame ? 1 : 0);
    const tall = Math.max(2, (most / 127) * high);
    const colour = speakerColour(palette, recording?.speaker ?? speakerAt(data, moment));
    sheet.fill(colour, left + (bar * wide) / bars + 0.5, top + (high - tall) / 2, Math.max(1, wide / bars - 1), tall);
  }
  const rest = xOf(layout, frame + 1);
  sheet.context.setLineDash([2, 6]);
  sheet.context.strokeStyle = palette.edge;
  sheet.context.lineWidth = 2;
  sheet.context.beginPath();
  sheet.context.moveTo(Math.max(left, rest), top + high / 2);
  sheet.context.lineTo(sheet.width, top + high / 2);
  sheet.context.stroke();
  sheet.context.setLineDash([]);
}

/**
 * The codebooks' names and their cells, those of the future empty.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {State} state
 * @param {Layout} layout
 */
function paintRows(sheet, data, state, layout) {
  const { rows, top, from, to, now, letters, left, wide } = layout;
  const { palette } = sheet;
  const there = cellColours(data);
  const shows = there.includes(state.shows) ? state.shows : there[0];
  rows.forEach((book, i) => {
    const { high } = layout;
    const y = top + i * high;
    const name = left > 4 * letters ? `${data.header.grid.words.book} ${book}` : `${book}`;
    sheet.font(Math.min(letters, 0.8 * high), book === 0);
    sheet.text(book === GONE ? "⋮" : name, 0, y + high / 2, book ? palette.faint : palette.ink);
    for (let column = Math.max(0, from); column < to; column += 1) {
      const x = xOf(layout, column);
      if (column > now) sheet.frame(palette.line, 1.5, x + 3, y + 3, wide - 6, high - 6);
      else if (book !== GONE) paintCell(sheet, data, layout, shows, { book, column }, y);
      else if (column % 2) sheet.text("⋮", x + wide / 2 - letters / 6, y + high / 2, palette.faint);
    }
  });
  if (state.call >= data.calls - 1) return;
  sheet.font(letters, true);
  const empty = xOf(layout, now + 1);
  const lines = sheet.widthOf("not yet") + 16 <= sheet.width - empty ? ["not yet"] : ["not", "yet"];
  const width = Math.max(...lines.map((line) => sheet.widthOf(line)));
  const high = 1.2 * letters;
  const at = (empty + sheet.width - width) / 2;
  const first = top + (rows.length * layout.high - (lines.length - 1) * high) / 2;
  sheet.fill(palette.back, at - 6, first - 0.7 * high, width + 12, (lines.length + 0.4) * high);
  lines.forEach((line, i) => sheet.text(line, at, first + i * high, palette.faint));
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Layout} layout
 * @param {CellColour} shows
 * @param {Cell} cell
 * @param {number} y
 */
function paintCell(sheet, data, layout, shows, { book, column }, y) {
  const { high, wide, digits } = layout;
  const { context, palette } = sheet;
  const colour = column < data.columnsOfGrid ? cellColour(data, palette, shows, book, column) : null;
  const x = xOf(layout, column);
  sheet.fill(colour ? `rgb(${colour.join(" ")})` : palette.soft, x + 1, y + 1, wide - 2, high - 2);
  if (!colour || !digits || data.code(book, column) < 0) return;
  sheet.font(digits);
  context.textAlign = "center";
  sheet.text(data.token(data.code(book, column)), x + wide / 2, y + high / 2 + 1, inkOn(colour));
  context.textAlign = "left";
}

/**
 * The column that is being written, in ink; in green the frame that it completes, and how late each part of it is.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Layout} layout
 */
function paintFrame(sheet, data, layout) {
  const { rows, top, high, now, frame, wide } = layout;
  const { palette, context } = sheet;
  const { delays } = data.header.grid;
  const gone = rows.indexOf(GONE);
  const hidden = gone < 0 ? [] : delays.slice(rows[gone - 1], rows[gone + 1] + 1);
  const even = hidden.every((delay) => delay === hidden[0]); // those without a row stand where their neighbours do
  sheet.frame(palette.now, 3, xOf(layout, now), top - 1, wide, rows.length * high + 2);
  if (frame < 0) return;
  /** @type {{ x: number, y: number } | null} */
  let last = null;
  for (let i = 0; i < rows.length; ) {
    if (rows[i] === GONE) i += 1;
    const delay = delays[rows[i]];
    let end = i + 1;
    while (end < rows.length && (rows[end] === GONE ? even : delays[rows[end]] === delay)) end += 1;
    const [x, y] = [xOf(layout, frame + delay), top + i * high];
    sheet.frame(palette.frame, 4.5, x - 1, y + 1, wide + 2, (end - i) * high - 2);
    if (last && last.x < x) {
      context.beginPath();
      context.moveTo(last.x, last.y);
      context.lineTo(x - 1, y + 1);
      context.stroke();
    }
    last = { x: x + wide + 1, y: top + end * high - 1 };
    i = end;
  }
  paintDelays(sheet, data, layout);
}

/**
 * From the frame's place in the sound an arrow to its least and to its most delayed codes.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Layout} layout
 */
function paintDelays(sheet, data, layout) {
  const { top, wave, frame, letters, wide } = layout;
  const { context, palette } = sheet;
  const groups = byDelay(data.header.grid.delays);
  const ends = groups.length > 1 ? [groups[0], groups[groups.length - 1]] : groups;
  const start = xOf(layout, frame + 0.5);
  const low = wave || 0.4 * letters;
  if (wave) {
    sheet.frame(palette.frame, 4, start - wide / 2, 1.2 * letters, wide, wave - 1.3 * letters);
    sheet.font(letters, true);
    const { clock, grid } = data.header;
    const second = clock && clock.frame !== undefined ? (frame - clock.frame) / clock.rate : 0;
    const told = `${layout.left > 4 * letters ? "" : "sound of "}frame ${frame - grid.first} · ${second.toFixed(2)} s`;
    sheet.text(told, Math.max(layout.left, start - wide / 2), 0.55 * letters, palette.frame, palette.back);
  }
  ends.forEach(({ delay, books }, i) => {
    if (!delay) return;
    const y = top - (0.95 + 1.45 * (ends.length === 1 ? 0 : i)) * letters;
    const x = xOf(layout, frame + delay + 0.5);
    context.strokeStyle = context.fillStyle = palette.frame;
    context.lineWidth = 3;
    context.beginPath();
    context.moveTo(start, low);
    context.lineTo(start, y);
    context.lineTo(x, y);
    context.lineTo(x, top - 10);
    context.stroke();
    context.beginPath();
    context.moveTo(x, top - 2);
    context.lineTo(x - 8, top - 14);
    context.lineTo(x + 8, top - 14);
    context.fill();
    const { words } = data.header.grid;
    const whose = books.length === 1 ? `${words.book} ${books[0]}` : ends.length > 1 ? "the others" : "all";
    const told = `${whose}: ${counted(delay, words.column)} late`;
    sheet.font(letters, true);
    const width = sheet.widthOf(told);
    const at = width + 24 <= x - start ? (start + x - width) / 2 : start - width - 10; // on its line, or before it
    sheet.fill(palette.back, at - 8, y - 0.65 * letters, width + 16, 1.3 * letters);
    sheet.text(told, Math.max(0, at), y, palette.frame);
  });
}

/**
 * The numbers of some columns, below, and of the one that is being written.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Layout} layout
 */
function paintNumbers(sheet, data, layout) {
  const { rows, top, high, from, now, letters, wide } = layout;
  const { context, palette } = sheet;
  const y = top + rows.length * high + 0.85 * letters;
  context.textAlign = "center";
  sheet.font(letters, true);
  const told = `${data.header.grid.words.column} ${now}`;
  const half = sheet.widthOf(told) / 2;
  const middle = Math.min(xOf(layout, now + 0.5), sheet.width - half - 2);
  sheet.text(told, middle, y, palette.ink);
  sheet.font(Math.max(SMALLEST, 0.85 * letters));
  const every = Math.ceil((4 * letters) / wide);
  for (let column = Math.max(0, from); column < now; column += 1) {
    const x = xOf(layout, column + 0.5);
    if (column % every === 0 && x < middle - half - 1.4 * letters) sheet.text(String(column), x, y, palette.faint);
  }
  context.textAlign = "left";
}
