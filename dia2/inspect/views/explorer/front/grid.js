// The delayed grid of codes, the column that is being written, and one frame along its delays.

import { packed, ramp } from "./colours.js";
import { brush, counted, h, pane, say } from "./dom.js";
import { Timeline } from "./timeline.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Cell, Palette, Part, State } from "./types.d.ts"
 */

const INVITATION = "Click a cell: which draw made it, from which candidates.";

/**
 * @param {Data} data
 * @param {Store} store
 * @param {Data} [other] to compare with
 * @returns {Part}
 */
export function gridPane(data, store, other) {
  const books = data.codebooks;
  const { words, prefix, prefix_name: given, at, ahead, origins = [] } = data.header.grid;
  const cell = Math.max(5, Math.min(28, Math.floor(230 / books)));
  const label = `Delayed grid of codes: ${counted(books, words.book)} down, ${words.column}s across`;
  const line = new Timeline(label, cell * books);
  const names = h("div", { class: "names books", "aria-hidden": "true" });
  for (let book = 0; book < books; book += 1) {
    names.append(h("span", {}, cell >= 12 || book % 4 === 0 ? `${words.short} ${book}` : ""));
  }
  names.style.gridAutoRows = `${cell}px`;
  /** @type {Map<string, string>} */
  const legend = new Map();
  if (at !== ahead) legend.set("read", `${words.column} being read`);
  legend.set("now", `${words.column} being written`);
  legend.set("frame", "one frame along its delays");
  if (prefix) legend.set("prefix", given);
  for (const { paint: painted, key } of origins) if (key) legend.set(`is-${painted}`, key);
  if (other) legend.set("differ", "differs");
  const keys = Array.from(legend, ([name, text]) => h("span", { class: `key ${name}` }, text));
  const named = h("div", { class: "named" }, names, line.canvas);
  const { element, note } = pane("grid", data.header.titles.grid, keys, named);
  if (!data.columns.grid) say(note, data.header.grid.missing);
  const told = h("p", { class: "told", "aria-live": "off" }, INVITATION);
  element.append(told);

  /** @type {(event: { offsetX: number, offsetY: number }) => Cell} */
  const under = (event) => {
    // The axis is calls, a column stands `at` calls before its number.
    const book = Math.max(0, Math.min(books - 1, Math.floor(event.offsetY / cell)));
    return { book, column: columnAt(data, line.callUnder(event)) };
  };
  /** @type {{ offsetX: number, offsetY: number } | null} */
  let pointer = null; // where it is over the grid: which cell that is changes as calls go by
  /** @type {(chosen: Cell | null) => void} */
  const tell = (chosen) => say(told, describe(data, pointer ? under(pointer) : chosen));
  line.canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    pointer = { offsetX, offsetY };
    tell(null);
  });
  line.canvas.addEventListener("pointerleave", () => {
    pointer = null;
    tell(store.state.cell);
  });
  line.canvas.addEventListener("click", (event) => {
    const { book, column } = under(event);
    const call = data.callOf(column);
    if (call < 0) return;
    const draw = data.drawOf(book);
    store.set({ call, row: null, cell: { book, column }, draw: draw < 0 ? store.state.draw : draw });
  });

  /** @type {{ of: string, image: HTMLCanvasElement } | null} */
  let painting = null;
  /** @type {Part["draw"]} */
  const draw = (state) => {
    if (!data.columns.grid || !line.begin(state)) return;
    const wanted = `${state.theme} ${data.columnsOfGrid}`;
    if (painting?.of !== wanted) painting = { of: wanted, image: paint(data, line.palette) };
    drawCells(line, data, painting.image, cell, state.call);
    if (other) drawDifferences(line, data, other, cell, state.call);
    drawMarks(line, data, cell, state);
    tell(state.cell);
  };
  return { element, draw };
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
 * One pixel a cell; what was never written stays clear.
 *
 * @param {Data} data
 * @param {Palette} palette
 */
function paint(data, palette) {
  const colours = ramp(palette);
  const given = ramp(palette, palette.s2);
  const width = data.columnsOfGrid;
  const canvas = h("canvas", {});
  canvas.width = Math.max(1, width);
  canvas.height = data.codebooks;
  const context = brush(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const last = Math.max(1, data.header.grid.codes - 1);
  for (let column = 0; column < width; column += 1) {
    for (let book = 0; book < data.codebooks; book += 1) {
      const code = data.code(book, column);
      const paints = data.origin(book, column)?.paint ?? "codes";
      if (code < 0) continue;
      const shade = Math.min(255, Math.round((code / last) * 255));
      const pixel = book * width + column;
      if (paints === "codes") pixels[pixel] = colours[shade];
      else pixels[pixel] = paints === "given" ? given[shade] : packed(palette[paints]);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * @param {Timeline} line
 * @param {Data} data
 * @param {HTMLCanvasElement} image
 * @param {number} cell its size
 * @param {number} call
 */
function drawCells(line, data, image, cell, call) {
  const { context, palette, width } = line;
  const high = cell * data.codebooks;
  context.fillStyle = palette.empty;
  context.fillRect(Math.max(0, line.x(placeOf(data, 0))), 0, Math.min(width, line.x(data.places)), high);
  const from = Math.max(0, columnAt(data, Math.floor(line.first)));
  const last = columnAt(data, Math.ceil(line.first + line.span));
  const to = Math.min(data.columnsOfGrid, data.columnOf(call) + 1, last + 1);
  if (to > from) {
    const left = line.x(placeOf(data, from));
    context.imageSmoothingEnabled = false;
    context.drawImage(image, from, 0, to - from, data.codebooks, left, 0, (to - from) * line.step, high);
  }
  if (line.step >= 5) {
    context.fillStyle = palette.back;
    for (let column = from; placeOf(data, column) <= line.first + line.span; column += 1) {
      context.fillRect(line.x(placeOf(data, column)) - 0.5, 0, 1, high);
    }
  }
  if (cell >= 5) {
    context.fillStyle = palette.back;
    for (let book = 1; book < data.codebooks; book += 1) context.fillRect(0, book * cell - 0.5, width, 1);
  }
}

/**
 * @param {Timeline} line
 * @param {Data} data
 * @param {number} column
 * @param {number} book
 * @param {number} cell its size
 * @param {number} count of cells
 */
function outline(line, data, column, book, cell, count = 1) {
  const left = line.x(placeOf(data, column)) + 0.75;
  line.context.strokeRect(left, book * cell + 0.75, Math.max(1, line.step - 1.5), cell * count - 1.5);
}

/**
 * @param {Timeline} line
 * @param {Data} data
 * @param {Data} other
 * @param {number} cell its size
 * @param {number} call
 */
function drawDifferences(line, data, other, cell, call) {
  const { context, palette } = line;
  context.fillStyle = palette.differ;
  const from = Math.max(0, columnAt(data, Math.floor(line.first)));
  const to = Math.min(data.columnsOfGrid, other.columnsOfGrid, data.columnOf(call) + 1);
  for (let column = from; column < to && placeOf(data, column) <= line.first + line.span; column += 1) {
    for (let book = 0; book < Math.min(data.codebooks, other.codebooks); book += 1) {
      if (data.code(book, column) === other.code(book, column)) continue;
      context.fillRect(line.x(placeOf(data, column)) + 0.5, (book + 1) * cell - 3, Math.max(1, line.step - 1), 2.5);
    }
  }
}

/**
 * @param {Timeline} line
 * @param {Data} data
 * @param {number} cell its size
 * @param {State} state
 */
function drawMarks(line, data, cell, state) {
  const { context, palette } = line;
  const { delays, prefix, edge } = data.header.grid;
  context.lineWidth = 1.5;
  if (prefix) {
    context.strokeStyle = palette.s2;
    context.beginPath();
    edge.forEach((column, book) => {
      const x = line.x(placeOf(data, column));
      if (book === 0) context.moveTo(x, 0);
      context.lineTo(x, book * cell);
      context.lineTo(x, (book + 1) * cell);
    });
    context.stroke();
  }
  const now = data.columnOf(state.call);
  const frame = now - Math.max(...delays);
  if (frame >= 0) {
    context.strokeStyle = palette.frame;
    delays.forEach((delay, book) => outline(line, data, frame + delay, book, cell));
  }
  if (data.header.grid.at !== data.header.grid.ahead) {
    context.strokeStyle = palette.ink;
    outline(line, data, state.call + data.header.grid.at, 0, cell, data.codebooks);
  }
  context.strokeStyle = palette.now;
  outline(line, data, now, 0, cell, data.codebooks);
  if (state.cell && state.cell.column === now) {
    context.lineWidth = 3;
    outline(line, data, state.cell.column, state.cell.book, cell);
  }
}

/**
 * @param {Data} data
 * @param {Cell | null} cell
 */
function describe(data, cell) {
  if (!cell || !data.columns.grid) return INVITATION;
  const { book, column } = cell;
  if (column < 0 || column >= data.columnsOfGrid) return "";
  const { words } = data.header.grid;
  const name = `${words.book[0].toUpperCase()}${words.book.slice(1)} ${book}, ${words.column} ${column}`;
  const what = `${name}: ${whatIn(data, book, column)} ${whereIn(data, book, column)}`;
  return [what, whoseIs(data, book, column)].filter(Boolean).join(", ");
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
  // The main loop writes whole columns, over the tail of the prefix that the delays had laid there.
  if (call >= data.given) return `drawn by call ${call}${laid ? ", over a code of the prefix" : ""}`;
  return laid ? "given by the prefix" : "";
}
