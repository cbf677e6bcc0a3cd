// The timeline as it is seen, as one picture: a caption, the axis, and all open tracks with their names.

import { bookNames } from "./gridtrack.js";
import { Sheet } from "./sheet.js";

/**
 * @import { Stage } from "./stage.js"
 * @import { Shell, State } from "./types.d.ts"
 */

const CAPTION = 26; // pixels high
const HEAD_WIDE = 154; // pixels that names take
const EDGE = 8;

/**
 * Draw it on a canvas of its own.
 *
 * @param {Stage} stage
 * @param {State} state
 * @param {string} caption
 */
export function pictureOf(stage, state, caption) {
  const { ruler, over, axis, open } = stage;
  const left = open[0]?.sheet.canvas.offsetLeft || 0; // 0 on a phone, where names stand above their tracks
  const top = CAPTION + ruler.sheet.height;
  const bottom = Math.max(0, ...open.map(({ sheet: { canvas }, height }) => canvas.offsetTop + height));
  const width = left + axis.width;
  const sheet = new Sheet(Object.assign(Object.create(axis), { width }));
  const { palette } = ruler.sheet;
  Object.assign(sheet, { palette, theme: state.theme }); // it is on no page, and has no colours
  sheet.begin(top + bottom, state.theme);
  sheet.fill(palette.back, 0, 0, width, top + bottom);
  sheet.font(13, true);
  sheet.text(sheet.cut(caption, width - 2 * EDGE), EDGE, CAPTION / 2, palette.ink);
  /** @type {(canvas: HTMLCanvasElement, y: number, high: number) => void} */
  const paste = (canvas, y, high) => sheet.context.drawImage(canvas, left, y, axis.width, high);
  paste(ruler.sheet.canvas, CAPTION, ruler.sheet.height);
  sheet.fill(palette.line, 0, top - 1, width, 1);
  for (const shell of open) {
    const { canvas } = shell.sheet;
    paste(canvas, top + canvas.offsetTop, shell.height);
    sheet.fill(palette.line, 0, top + canvas.offsetTop + shell.height, width, 1);
    paintName(sheet, shell, top, left);
  }
  if (left) sheet.fill(palette.line, left - 1, CAPTION, 1, top + bottom - CAPTION);
  if (over.sheet.height) paste(over.sheet.canvas, top, bottom);
  return sheet.canvas;
}

/**
 * The name of a track, and what stands below it: a note, its lanes, the numbers of its codebooks.
 *
 * @param {Sheet} sheet
 * @param {Shell} shell
 * @param {number} top
 * @param {number} left
 */
function paintName(sheet, { label, note, painter, sheet: { canvas }, height, data, kind, element }, top, left) {
  const { palette } = sheet;
  const y = top + (left ? canvas.offsetTop : element.offsetTop);
  sheet.font(13, true);
  const room = (left || sheet.width) - 2 * EDGE;
  const title = sheet.cut(label, room);
  sheet.text(title, EDGE, y + 11, palette.ink);
  const beside = left ? 0 : sheet.widthOf(title) + EDGE;
  sheet.font(12);
  const lanes = left ? painter.lanes ?? [] : [];
  const words = note.textContent;
  if (words) sheet.text(sheet.cut(words, room - beside), EDGE + beside, left ? y + 27 : y + 11, palette.faint);
  sheet.context.textAlign = "right";
  for (const lane of lanes) sheet.text(lane.name, left - EDGE, y + lane.y, palette.faint);
  if (kind === "grid" && left) {
    const high = height / data.codebooks;
    bookNames(data.codebooks).forEach((name, book) => {
      if (name) sheet.text(name, left - EDGE, y + (book + 0.5) * high, palette.faint);
    });
    sheet.context.textAlign = "left";
    paintLegend(sheet, element, y + 44);
    return;
  }
  sheet.context.textAlign = "left";
}

/**
 * What the colours of the cells mean.
 *
 * @param {Sheet} sheet
 * @param {HTMLElement} track
 * @param {number} y
 */
function paintLegend(sheet, track, y) {
  const { palette } = sheet;
  const chosen = track.querySelector("select")?.selectedOptions[0]?.textContent ?? "";
  sheet.text(sheet.cut(chosen, HEAD_WIDE - 40), EDGE, y, palette.ink);
  const ends = Array.from(track.querySelectorAll(".ends:not([hidden]) span"), (end) => end.textContent);
  if (!ends.length) return;
  const wide = 96;
  palette.heat_css.forEach((colour, i) => {
    sheet.fill(colour, EDGE + (i * wide) / palette.heat_css.length, y + 10, wide / palette.heat_css.length + 0.5, 9);
  });
  const [least, unit, most] = ends;
  sheet.text(`${least} … ${most} ${unit}`, EDGE, y + 28, palette.faint);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob>}
 */
export function pngOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error("this browser makes no picture of that size"));
    }, "image/png");
  });
}
