// What stands in a cell of the grid, in words and as a colour.

import { HOTTEST, channels, heatOf, packed } from "./colours.js";
import { brush, capital, h } from "./dom.js";
import { shadesOf } from "./shades.js";
import { signalsOf } from "./signals.js";
import { givenSpeaker } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Cell, CellColour, Palette, Rgb, Shade } from "./types.d.ts"
 */

const TILE = 256; // columns that are painted at once
const CELL_COLOURS = /** @type {Record<CellColour, string>} */ ({
  difference: "Difference",
  surprise: "Surprise",
  code: "Code",
  origin: "Origin",
});

/**
 * What a colour of cells is called.
 *
 * @param {Data} data
 * @param {CellColour} shows
 */
export function labelOf(data, shows) {
  return CELL_COLOURS[shows] ?? shadesOf(data).find(({ name }) => name === shows)?.label ?? shows;
}

/**
 * What a colour of cells means, in words; empty where its name says it.
 *
 * @param {Data} data
 * @param {CellColour} shows
 */
export function toldOfColour(data, shows) {
  return shadesOf(data).find(({ name }) => name === shows)?.told ?? "";
}

/**
 * What stands at both ends of the scale of a colour, and its unit between them; null where it has no scale.
 *
 * @param {Data} data
 * @param {CellColour} shows
 * @returns {[least: string, unit: string, most: string] | null}
 */
export function scaleOf(data, shows) {
  if (shows === "surprise") return ["0", "bits", `${HOTTEST}+`];
  if (shows === "code") return ["0", "code", String(data.header.grid.codes - 1)];
  const shade = shadesOf(data).find(({ name }) => name === shows);
  if (!shade) return null;
  const [least, most] = shade.range();
  return [figureOf(least), shade.unit, `${figureOf(most)}${shade.open?.() ? "+" : ""}`];
}

/** @param {number} value to three digits */
function figureOf(value) {
  return String(Number(value.toPrecision(3)));
}

/**
 * The number by which a cell is coloured, in words; empty where there is none.
 *
 * @param {Data} data
 * @param {Cell} cell
 * @param {CellColour} shows
 */
export function shadeIn(data, { book, column }, shows) {
  const shade = shadesOf(data).find(({ name }) => name === shows);
  const call = data.callOf(column);
  const value = shade?.at(book, call) ?? Number.NaN;
  if (!shade || Number.isNaN(value)) return "";
  return `${shade.label.toLowerCase()} ${shade.say?.(book, call) ?? figureOf(value)}`;
}

/**
 * The colours that cells of a run can have.
 *
 * @param {Data} data
 * @param {Data} [other] to compare with
 * @returns {CellColour[]}
 */
export function cellColours(data, other) {
  const surprises = signalsOf(data).mean.length > 0;
  /** @type {CellColour[]} */
  const all = ["difference", "surprise", "code", "origin"];
  const there = all.filter((colour) => (colour !== "difference" || other) && (colour !== "surprise" || surprises));
  return data.columns.grid ? [...there, ...shadesOf(data).map(({ name }) => name)] : there;
}

/**
 * Whether what stands in a cell was given.
 *
 * @param {Data} data
 * @param {number} book
 * @param {number} column
 */
export function givenIn(data, book, column) {
  const origin = data.origin(book, column);
  if (origin) return origin.paint === "given";
  const { delays, prefix } = data.header.grid;
  const frame = column - delays[book];
  // The main loop writes whole columns, over the tail of the prefix that the delays had laid there.
  return frame >= 0 && frame < prefix && data.callOf(column) < data.given;
}

/**
 * The colour of a cell; null where nothing stands.
 *
 * @param {Data} data
 * @param {Palette} palette
 * @param {CellColour} shows
 * @param {number} book
 * @param {number} column
 * @param {Data} [other] to compare with
 * @returns {Rgb | null}
 */
export function cellColour(data, palette, shows, book, column, other) {
  const code = data.code(book, column);
  if (code === -1 || code === -2) return null; // others below 0 stand for what was left out
  const shade = shadesOf(data).find(({ name }) => name === shows);
  if (shade?.per === "call") return shaded(data, palette, shade, book, column);
  const origin = data.origin(book, column);
  if (givenIn(data, book, column)) {
    const speaker = givenSpeaker(data, Math.max(0, column - data.header.grid.delays[book]));
    return channels(speaker === 2 ? palette.given_2 : palette.given_1);
  }
  if (origin && origin.paint !== "codes") return channels(palette[origin.paint === "given" ? "given_1" : origin.paint]);
  if (shows === "difference" && other) return differing(data, palette, book, column, other);
  if (shows === "origin") return channels(palette.ok_pale);
  if (shade) return shaded(data, palette, shade, book, column);
  if (shows === "code") return heatOf(palette, code / Math.max(1, data.header.grid.codes - 1));
  const signals = signalsOf(data);
  const bits = signals.bits(data.callOf(column), signals.drawOf[book]);
  return Number.isNaN(bits) ? channels(palette.empty) : heatOf(palette, bits / HOTTEST);
}

/**
 * @param {Data} data
 * @param {Palette} palette
 * @param {Shade} shade
 * @param {number} book
 * @param {number} column
 */
function shaded(data, palette, shade, book, column) {
  const value = shade.at(book, data.callOf(column));
  const [least, most] = shade.range();
  if (Number.isNaN(value)) return channels(palette.empty);
  return heatOf(palette, (value - least) / Math.max(1e-9, most - least));
}

/**
 * Where a code is another one in the other run: the warmer, the more the two differ in surprise.
 *
 * @param {Data} data
 * @param {Palette} palette
 * @param {number} book
 * @param {number} column
 * @param {Data} other
 */
function differing(data, palette, book, column, other) {
  const there = column < other.columnsOfGrid && book < other.codebooks;
  if (there && other.code(book, column) === data.code(book, column)) return channels(palette.empty);
  const [a, b] = [data, other].map((run) => signalsOf(run).bits(run.callOf(column), run.drawOf(book)));
  return heatOf(palette, 0.35 + (Math.abs((a || 0) - (b || 0)) / HOTTEST) * 0.65);
}

/**
 * One pixel a cell; what was never written stays clear. Of a long run most cells are never looked at, so they are
 * painted when they are.
 *
 * @param {Data} data
 * @param {Palette} palette
 * @param {CellColour} shows
 * @param {Data} [other] to compare with
 */
export function cellImage(data, palette, shows, other) {
  const width = Math.max(1, data.columnsOfGrid);
  const canvas = h("canvas", {});
  canvas.width = width;
  canvas.height = data.codebooks;
  const context = brush(canvas);
  /** @type {Set<number>} */
  const painted = new Set();
  /** @param {number} tile */
  function paint(tile) {
    painted.add(tile);
    const first = tile * TILE;
    const columns = Math.min(TILE, width - first);
    const image = context.createImageData(columns, data.codebooks);
    const pixels = new Uint32Array(image.data.buffer);
    for (let column = 0; column < columns && first + column < data.columnsOfGrid; column += 1) {
      for (let book = 0; book < data.codebooks; book += 1) {
        const colour = cellColour(data, palette, shows, book, first + column, other);
        if (colour) pixels[book * columns + column] = packed(colour);
      }
    }
    context.putImageData(image, first, 0);
  }
  return {
    canvas,
    /** @type {(from: number, to: number) => void} */
    show(from, to) {
      for (let tile = Math.floor(from / TILE); tile * TILE < to; tile += 1) if (!painted.has(tile)) paint(tile);
    },
  };
}

/**
 * A cell in words.
 *
 * @param {Data} data
 * @param {Cell | null} cell
 */
export function describe(data, cell) {
  if (!cell || !data.columns.grid) return "";
  const { book, column } = cell;
  if (column < 0 || column >= data.columnsOfGrid) return "";
  const { words } = data.header.grid;
  const name = `${capital(words.book)} ${book}, ${words.column} ${column}`;
  const what = `${name}: ${whatIn(data, book, column)} ${whereIn(data, book, column)}`;
  return [what, whoseIs(data, book, column), surpriseIn(data, book, column)].filter(Boolean).join(", ");
}

/** @type {(data: Data, book: number, column: number) => string} */
function whatIn(data, book, column) {
  const code = data.code(book, column);
  if (code === -1) return "nothing was written";
  if (code === -2) return "a pad";
  return data.header.grid.specials?.[code] ?? `code ${code}`;
}

/**
 * The frame that a cell is of, counted in the result.
 *
 * @type {(data: Data, book: number, column: number) => string}
 */
function whereIn(data, book, column) {
  const { delays, first, frames } = data.header.grid;
  const frame = column - delays[book] - first;
  if (frame < 0) return frame + first > 0 ? `of the prompt's frame ${frame + first - 1}` : "before frame 0";
  return frame >= (frames ?? Infinity) ? "past the last frame" : `of frame ${frame}`;
}

/**
 * Who put there what stands in a cell.
 *
 * @type {(data: Data, book: number, column: number) => string}
 */
function whoseIs(data, book, column) {
  const call = data.callOf(column);
  const origin = data.origin(book, column);
  if (origin) {
    const drawn = call < 0 || !data.columns.drawn ? -1 : data.columns.drawn[call * data.codebooks + book];
    const instead = drawn >= 0 && drawn !== data.code(book, column) ? `${data.token(drawn)} was drawn` : "";
    return [origin.by.replace("{call}", String(call)), instead].filter(Boolean).join(", ");
  }
  const { delays, prefix } = data.header.grid;
  const frame = column - delays[book];
  const laid = frame >= 0 && frame < prefix;
  if (call >= data.given) return `drawn by call ${call}${laid ? ", over a code of the prefix" : ""}`;
  return laid ? "given by the prefix" : "";
}

/** @type {(data: Data, book: number, column: number) => string} */
function surpriseIn(data, book, column) {
  if (givenIn(data, book, column)) return "";
  const bits = signalsOf(data).bits(data.callOf(column), data.drawOf(book));
  return Number.isNaN(bits) ? "" : `${bits.toFixed(1)} bits`;
}
