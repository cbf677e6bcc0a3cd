// A picture for a slide: some tracks of the timeline, as large as the slide's letters, around what is looked at.

import { Axis, within } from "./axis.js";
import { h } from "./dom.js";
import { painterOf } from "./painters.js";
import { Sheet } from "./sheet.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Painter, Part, State, Track } from "./types.d.ts"
 */

const LETTERS = 12; // pixels of those that tracks are drawn with
const BETWEEN = 8; // pixels between tracks, at that size
const LARGER = 1.5; // they may be than the slide's letters, where nothing else can fill it

/**
 * What is seen of a run.
 *
 * @typedef {object} Seen
 * @property {(state: State) => [from: number, to: number]} calls from and up to
 * @property {(state: State) => [from: number, to: number] | null} [marked] a stretch that it is about
 * @property {boolean} [future] also what comes after the call
 */

/**
 * The size of the letters around an element.
 *
 * @param {Element} element
 */
export function lettersAt(element) {
  return Number.parseFloat(getComputedStyle(element).fontSize);
}

/**
 * The tracks of these kinds that a run has.
 *
 * @param {Data} data
 * @param {Track["kind"][]} kinds
 */
export function tracksOfKind({ header }, kinds) {
  return kinds.flatMap((kind) => header.tracks.find((track) => track.kind === kind) ?? []);
}

/**
 * @param {Data} data
 * @param {Store} store
 * @param {Track["kind"][]} kinds from top to bottom
 * @param {Seen} seen
 * @returns {Part}
 */
export function tracksPicture(data, store, kinds, seen) {
  const axis = new Axis();
  const rows = tracksOfKind(data, kinds)
    .map((track) => ({ track, painter: painterOf(track, data, store) }))
    .filter(({ painter }) => painter.there)
    .map(({ track, painter }) => trackRow(track, painter, axis));
  const element = h("div", { class: "slide-tracks" }, rows.map((row) => row.element));
  /** @type {Part["draw"]} */
  const draw = (state) => {
    const room = element.clientHeight;
    const plot = rows[0]?.plot.clientWidth ?? 0;
    if (!plot) return;
    const painters = rows.map(({ painter }) => painter);
    const least = painters.reduce((sum, { height }) => sum + height + BETWEEN, -BETWEEN);
    const letters = lettersAt(element) / LETTERS;
    const grows = painters.some(({ most }) => most);
    const zoom = grows ? letters : letters * Math.max(1, Math.min(LARGER, (room - 1) / (least * letters)));
    const [from, to] = seen.calls(state);
    Object.assign(axis, within(from, to - from, data.places), { width: plot / zoom });
    const heights = share(painters, room / zoom - BETWEEN * (rows.length - 1));
    rows.forEach(({ painter, sheet, names }, i) => {
      sheet.zoom = zoom;
      sheet.begin(heights[i], state.theme);
      painter.paint(sheet, { ...state, first: axis.first, span: axis.span });
      shade(sheet, seen.marked?.(state) ?? null);
      if (seen.future === false) {
        blank(sheet, data, state.call + 1, i === rows.length - 1); // words reach into the others
        repeat(sheet, data, painter, state.call);
      }
      sheet.fill(sheet.palette.now, axis.x(state.call + 0.5) - 1, 0, 2, heights[i]);
      sheet.font(LETTERS);
      painter.mark?.(sheet, state);
      for (const { at, element: name } of names) name.style.top = `${(at ?? heights[i] / 2) * zoom}px`;
    });
  };
  return { element, draw };
}

/**
 * @param {Track} track
 * @param {Painter} painter
 * @param {Axis} axis
 */
function trackRow(track, painter, axis) {
  const sheet = new Sheet(axis, `${track.label}: ${track.told}`);
  /** @type {{ name: string, at?: number }[]} */
  const lanes = painter.lanes ? painter.lanes.map(({ name, y }) => ({ name, at: y })) : [{ name: track.label }];
  const names = lanes.map(({ name, at }) => ({ at, element: h("b", {}, name) }));
  const plot = h("div", { class: "slide-plot" }, sheet.canvas);
  const gutter = h("div", { class: "slide-names", "aria-hidden": "true" }, names.map((each) => each.element));
  return { painter, sheet, names, plot, element: h("div", { class: "slide-track" }, gutter, plot) };
}

/**
 * How high each is: those that can grow share what is left.
 *
 * @param {Painter[]} painters
 * @param {number} room
 */
function share(painters, room) {
  const growing = painters.filter(({ most }) => most).length;
  const left = Math.max(0, room - painters.reduce((sum, { height }) => sum + height, 0));
  return painters.map(({ height, most }) => (most ? Math.floor(Math.min(most, height + left / growing)) : height));
}

/**
 * What has not been done yet at a call: nothing is seen of it.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {number} place
 * @param {boolean} told
 */
function blank(sheet, data, place, told) {
  const from = sheet.axis.x(place);
  sheet.fill(sheet.palette.back, from, 0, Math.max(0, sheet.width - from), sheet.height);
  if (!told || place >= data.calls) return;
  sheet.font(LETTERS);
  if (sheet.width - from > sheet.widthOf("not yet") + 12) {
    sheet.text("not yet", from + 8, sheet.height / 2, sheet.palette.faint);
  }
}

/**
 * Words whose tokens are read at a call, whole: they can reach over what is not there yet.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {Painter} painter
 * @param {number} call
 */
function repeat(sheet, data, { lanes = [] }, call) {
  for (const { name, y } of lanes) {
    const part = data.part(name, call);
    if (!part) continue;
    let first = call;
    while (first > 0 && data.part(name, first - 1)?.entry === part.entry) first -= 1;
    const x = sheet.axis.x(first) + 2;
    sheet.font(LETTERS);
    sheet.text(part.text, x, y - 0.5, sheet.palette.ink);
  }
}

/**
 * A stretch that the slide is about: behind what is painted already.
 *
 * @param {Sheet} sheet
 * @param {[from: number, to: number] | null} stretch
 */
function shade(sheet, stretch) {
  if (!stretch) return;
  const { axis, palette, height, context } = sheet;
  const [from, to] = stretch.map((place) => Math.max(0, Math.min(sheet.width, axis.x(place))));
  context.globalCompositeOperation = "destination-over";
  sheet.fill(palette.warn, from, height - 2, to - from, 2);
  sheet.fill(palette.select, from, 0, to - from, height);
  context.globalCompositeOperation = "source-over";
}
