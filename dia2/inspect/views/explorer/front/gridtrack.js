// The track of the delayed grid: its cells, the column that is being written, and the frame that this completes.

import { cellColour, cellColours, cellImage, describe, labelOf, scaleOf, shadeIn, toldOfColour } from "./cells.js";
import { inkOn } from "./colours.js";
import { counted, h, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Store } from "./store.js"
 * @import { Cell, CellColour, Painter, State } from "./types.d.ts"
 */

const MOST_NAMED_BOOKS = 12; // whose numbers all have room
const NUMBERS = { wide: 31, high: 12 }; // pixels of a cell from which on its code has room

/**
 * @param {Data} data
 * @param {Store} store
 * @param {Data} [other] to compare with
 * @returns {Painter}
 */
export function gridTrack(data, store, other) {
  const books = data.codebooks;
  const { missing, words } = data.header.grid;
  const legend = legendOf(data, store, other);
  /** @type {{ of: string, image: ReturnType<typeof cellImage> } | null} */
  let painting = null;
  /** @type {(place: { call: number, share: number }) => Cell} */
  const under = ({ call, share }) => ({
    book: Math.max(0, Math.min(books - 1, Math.floor(share * books))),
    column: columnAt(data, call),
  });
  return {
    height: Math.max(190, 6 * books),
    most: Math.max(320, 26 * books),
    grows: true,
    there: true,
    note: () => (data.columns.grid ? counted(books, words.book) : missing),
    gutter: (names) => gutter(data, names, legend, other),
    tell: (place) => {
      const told = [describe(data, under(place)), shadeIn(data, under(place), shown(data, store.state, other))];
      return told.filter(Boolean).join(", ");
    },
    paint(sheet, state) {
      sheet.fill(sheet.palette.back, 0, 0, sheet.width, sheet.height);
      const from = Math.max(0, sheet.axis.x(placeOf(data, 0)));
      sheet.fill(sheet.palette.soft, from, 0, sheet.width - from, sheet.height);
      if (!data.columns.grid) return;
      const shows = shown(data, state, other);
      legend.show(shows);
      const wanted = `${shows} ${state.theme} ${data.columnsOfGrid}`;
      if (painting?.of !== wanted) painting = { of: wanted, image: cellImage(data, sheet.palette, shows, other) };
      paintCells(sheet, data, painting.image);
      if (other && shows !== "difference") paintDifferences(sheet, data, other);
      paintCodes(sheet, data, shows, other);
      const seam = sheet.axis.x(data.given);
      if (data.given && seam > 0 && seam < sheet.width) sheet.fill(sheet.palette.ink, seam - 1, 0, 2, sheet.height);
    },
    mark(sheet, state) {
      if (data.columns.grid) markColumn(sheet, data, state);
    },
    click(place) {
      const cell = under(place);
      const call = data.callOf(cell.column);
      if (call < 0) return null;
      const draw = data.drawOf(cell.book);
      return { call, row: null, cell, tab: store.state.tab && "Draw", ...(draw < 0 ? {} : { draw }) };
    },
  };
}

/**
 * What the cells show: what is asked for, where this run has it.
 *
 * @param {Data} data
 * @param {State} state
 * @param {Data} [other]
 */
function shown(data, { shows }, other) {
  const there = cellColours(data, other);
  return there.includes(shows) ? shows : there[0];
}

/**
 * The column that stands at a call, before the first one and after the last one too.
 *
 * @param {Data} data
 * @param {number} place
 */
function columnAt(data, place) {
  return place + data.header.grid.at;
}

/**
 * @param {Data} data
 * @param {number} column
 */
function placeOf(data, column) {
  return column - data.header.grid.at;
}

/**
 * The choice of what cells show, and the scale of it.
 *
 * @param {Data} data
 * @param {Store} store
 * @param {Data} [other] to compare with
 */
function legendOf(data, store, other) {
  const there = cellColours(data, other);
  const choose = () => store.set({ shows: there[select.selectedIndex] });
  const options = there.map((value) => {
    const title = toldOfColour(data, value) || null;
    return h("option", { selected: value === store.state.shows, title }, labelOf(data, value));
  });
  const select = h("select", { "aria-label": "Cells show", onchange: choose }, options);
  const ramp = h("div", { class: "ramp", "aria-hidden": "true" });
  const ends = ["", "", ""].map((text) => h("span", {}, text));
  const scale = h("div", { class: "ends" }, ends);
  let told = "";
  /** @param {CellColour} shows */
  const show = (shows) => {
    if (shows === told) return;
    told = shows;
    select.selectedIndex = there.indexOf(shows); // the other run's grid may have changed it
    select.title = toldOfColour(data, shows); // browsers that show no title of an option have this one
    const found = scaleOf(data, shows);
    ramp.hidden = scale.hidden = found === null;
    found?.forEach((text, i) => say(ends[i], text));
  };
  return { elements: [select, ramp, scale], show };
}

/**
 * What stands beside the row of each codebook: its number, of many every fourth one's; empty where there is no room.
 *
 * @param {number} books
 */
export function bookNames(books) {
  const every = books > MOST_NAMED_BOOKS ? 4 : 1;
  return Array.from({ length: books }, (_, book) => (book % every ? "" : String(book)));
}

/**
 * The names of the codebooks, which colours the cells have, and what the marks mean.
 *
 * @param {Data} data
 * @param {HTMLElement} names at the cells' height; filled here
 * @param {{ elements: HTMLElement[] }} scale
 * @param {Data} [other]
 */
function gutter(data, names, scale, other) {
  const { prefix, prefix_name: given, at, ahead, origins = [] } = data.header.grid;
  names.append(...bookNames(data.codebooks).map((name) => h("span", {}, name)));
  /** @type {Map<string, string>} */
  const keys = new Map();
  if (at !== ahead) keys.set("read", "reads");
  keys.set("now", "writes").set("frame", "completes");
  if (prefix) keys.set("is-given", given);
  for (const { paint, key } of origins) if (key && paint !== "codes") keys.set(`is-${paint}`, key);
  if (other) keys.set("differ", "differs");
  const legend = Array.from(keys, ([name, text]) => h("span", { class: `key ${name}` }, text));
  return [...scale.elements, ...legend];
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {ReturnType<typeof cellImage>} image
 */
function paintCells(sheet, data, image) {
  const { context, palette, axis, width, height } = sheet;
  const from = Math.max(0, columnAt(data, Math.floor(axis.first)));
  const to = Math.min(data.columnsOfGrid, columnAt(data, Math.ceil(axis.first + axis.span)) + 1);
  const high = height / data.codebooks;
  if (to > from) {
    image.show(from, to);
    context.imageSmoothingEnabled = false;
    const left = axis.x(placeOf(data, from));
    context.drawImage(image.canvas, from, 0, to - from, data.codebooks, left, 0, (to - from) * axis.step, height);
  }
  if (axis.step >= 5) {
    for (let column = from; column <= to; column += 1) {
      sheet.fill(palette.back, axis.x(placeOf(data, column)) - 0.5, 0, 1, height);
    }
  }
  if (high < 5) return;
  for (let book = 1; book < data.codebooks; book += 1) sheet.fill(palette.back, 0, book * high - 0.5, width, 1);
}

/**
 * The codes as numbers, where there is room for them.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {CellColour} shows
 * @param {Data} [other]
 */
function paintCodes(sheet, data, shows, other) {
  const { axis, palette, context, height } = sheet;
  const high = height / data.codebooks;
  if (axis.step < NUMBERS.wide || high < NUMBERS.high) return;
  const [from, to] = axis.seen(data.places);
  context.textAlign = "center";
  for (let place = Math.max(0, from - 1); place < to; place += 1) {
    const column = columnAt(data, place);
    for (let book = 0; book < data.codebooks && column < data.columnsOfGrid; book += 1) {
      const colour = cellColour(data, palette, shows, book, column, other);
      if (!colour || data.code(book, column) < 0) continue;
      sheet.text(data.token(data.code(book, column)), axis.x(place + 0.5), (book + 0.5) * high, inkOn(colour));
    }
  }
  context.textAlign = "left";
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Data} other
 */
function paintDifferences(sheet, data, other) {
  const { axis, palette, height } = sheet;
  const high = height / data.codebooks;
  const from = Math.max(0, columnAt(data, Math.floor(axis.first)));
  const to = Math.min(data.columnsOfGrid, other.columnsOfGrid, columnAt(data, Math.ceil(axis.first + axis.span)) + 1);
  for (let column = from; column < to; column += 1) {
    for (let book = 0; book < Math.min(data.codebooks, other.codebooks); book += 1) {
      if (data.code(book, column) === other.code(book, column)) continue;
      const x = axis.x(placeOf(data, column)) + 0.5;
      sheet.fill(palette.differ, x, (book + 1) * high - 3.5, Math.max(1, axis.step - 1), 3);
    }
  }
}

/**
 * The column that the call writes, in ink; the frame that it completes, along its delays, in green; the chosen cell.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {State} state
 */
function markColumn(sheet, data, state) {
  const { axis, palette, height } = sheet;
  const { delays, at, ahead } = data.header.grid;
  const high = height / data.codebooks;
  const now = data.columnOf(state.call);
  /** @type {(column: number) => number} */
  const x = (column) => axis.x(placeOf(data, column));
  if (at !== ahead) sheet.frame(palette.faint, 1.5, x(state.call + at), 1, axis.step, height - 2);
  sheet.frame(palette.now, 2, x(now) - 1, 1, axis.step + 2, height - 2);
  const frame = now - Math.max(...delays);
  if (frame >= 0) markFrame(sheet, delays, (book) => x(frame + delays[book]), high);
  const { cell } = state;
  const draw = data.header.draws[state.draw];
  const book = cell && cell.column === now ? cell.book : state.call >= data.given ? draw?.book ?? null : null;
  if (book === null) return;
  sheet.frame(palette.back, 5, x(now) - 1, book * high, axis.step + 2, high);
  sheet.frame(palette.ink, 2.5, x(now) - 1, book * high, axis.step + 2, high);
}

/**
 * The cells of a frame: those of one delay in a common frame, which lines join to a stair.
 *
 * @param {Sheet} sheet
 * @param {number[]} delays
 * @param {(book: number) => number} left
 * @param {number} high
 */
function markFrame(sheet, delays, left, high) {
  const { axis, palette, context } = sheet;
  for (let book = 0; book < delays.length; ) {
    let end = book + 1;
    while (end < delays.length && delays[end] === delays[book]) end += 1;
    const x = left(book) - 4;
    sheet.frame(palette.frame, 2.6, x, book * high + 1.5, axis.step + 8, (end - book) * high - 3);
    if (end < delays.length) {
      context.beginPath();
      context.moveTo(x + axis.step + 8, end * high - 1.5);
      context.lineTo(left(end) - 4, end * high + 1.5);
      context.stroke();
    }
    book = end;
  }
}
