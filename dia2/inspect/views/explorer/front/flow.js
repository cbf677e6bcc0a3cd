// Where the boxes and arrows of the picture of a call stand: downwards in a narrow place, to the right in a wide one.
// All in units of the drawing, which is as wide as its place; sizes are multiples of the letters'.

/**
 * @import { FlowBox, FlowItem, FlowLayout, FlowPath, FlowRect, FlowSize, FlowStage } from "./types.d.ts"
 * @import { PipelineFacts } from "./types.d.ts"
 */

/** By their size, and from which width of their place on, in pixels: letters are 12 pixels high at the least. */
const FLOWS = {
  slim: { from: 0, width: 272, font: 12.5 },
  tall: { from: 340, width: 352, font: 12.5 },
  wide: { from: 760, width: 1200, font: 20 },
};
const A_STRIP = 2; // boxes beside each other in a slim one, of what stands in a strip
const LINE = 1.3; // times the letters
export const PAD = 0.45; // around what stands in a box
const MARGIN = 1.35; // beside all, where arrows run back
const GAP = { tall: 1.35, wide: 1.7 }; // between stages
const APART = 0.5; // between boxes of a stage
const LETTER = 0.55; // of usual width
export const BOLD = 1.1; // times as wide
const BARS = { tall: 1, wide: 3 }; // candidates of a draw
export const CHOICE = 2.05; // of a candidate, with its bar
const CELLS_A_ROW = 16;
const CELL = { tall: 0.75, wide: 1.1 }; // how high, and at most twice that where there is room

/**
 * Which drawing fits a place.
 *
 * @param {number} pixels its width
 * @returns {FlowSize}
 */
export function flowSizeOf(pixels) {
  return pixels >= FLOWS.wide.from ? "wide" : pixels >= FLOWS.tall.from ? "tall" : "slim";
}

/**
 * @param {PipelineFacts} facts
 * @param {number} books codebooks
 * @param {FlowSize} size
 * @returns {FlowLayout}
 */
export function flowLayout(facts, books, size) {
  const { width, font } = FLOWS[size];
  const wide = size === "wide";
  const edge = MARGIN * font;
  const inner = width - 2 * edge;
  /** @type {Map<string, FlowRect>} */
  const rects = new Map();
  /** @type {(box: FlowBox, room: number) => number} */
  const high = (box, room) => contentOf(box, books, room, font, wide).height;
  const place = { font, apart: APART * font, high, rects };
  /** @type {(boxes: FlowBox[]) => FlowBox[][]} */
  const strips = (boxes) => (size === "slim" ? folded(boxes) : [boxes]);
  const strip = below(strips(facts.before), { x: edge, y: 1, width: inner }, place, APART);
  const label = strip + 0.6 * font; // of the frame, which is told on its upper edge
  const top = label + (facts.before.length ? 2 : 1.4) * font;
  const [calls, once] = [facts.stages.filter((stage) => !stage.once), facts.stages.filter((stage) => stage.once)];
  const origin = { x: edge, y: top, width: inner };
  const framed = wide
    ? stagesAcross(calls, origin, place)
    : below(calls.map(({ boxes }) => boxes), origin, place, GAP.tall);
  const frame = { x: 0.5, y: label + 0.9 * font, width: width - 1, height: framed - label };
  const bottom = frame.y + frame.height;
  const under = { x: edge, y: bottom + GAP.tall * font, width: inner };
  const low = below(once.flatMap(({ boxes }) => strips(boxes)), under, place, GAP.tall);
  const paths = facts.arrows.map((arrow) => pathOf(arrow, facts, rects, { font, wide, edge: edge * 0.45 }));
  return { width, height: (once.length ? low : bottom) + 1, font, wide, rects, frame, paths };
}

/**
 * What stands in a box: where each of its items does, below its title.
 *
 * @param {FlowBox} box
 * @param {number} books
 * @param {number} room its width
 * @param {number} font
 * @param {boolean} wide
 * @param {number} [most] its height
 */
export function contentOf(box, books, room, font, wide, most = 0) {
  const inside = room - 2 * PAD * font;
  const numbers = rangesOf(box.rows);
  const beside = widthOf(box.title, BOLD * font) + widthOf(`${numbers}   `, font) <= inside;
  let y = (PAD + LINE) * font;
  const numbersAt = y;
  if (!beside) y += LINE * font;
  const heights = box.items.map((item) => heightOf(item, books, inside, font, wide));
  const height = y + heights.reduce((sum, each) => sum + each, 0) + (PAD + 0.15) * font;
  const items = box.items.map((item, i) => {
    const spare = item.kind === "codes" ? Math.min(heights[i], Math.max(0, most - height)) : 0;
    const found = { item, x: PAD * font, y, width: inside, height: heights[i] + spare };
    y += found.height;
    return found;
  });
  return { items, numbers, beside, numbersAt, inside, height };
}

/**
 * @param {FlowItem} item
 * @param {number} books
 * @param {number} room
 * @param {number} font
 * @param {boolean} wide
 */
function heightOf(item, books, room, font, wide) {
  if (item.kind === "line") {
    return linesOf(sampleOf(item.told), item.strong ? room / BOLD : room, font).length * LINE * font;
  }
  if (item.kind === "token") return LINE * font;
  if (item.kind === "meter") return 0.9 * font;
  if (item.kind === "choice") return (wide ? BARS.wide : BARS.tall) * CHOICE * font;
  return (cellRows(books - item.first) * (wide ? CELL.wide : CELL.tall) + 0.3) * font;
}

/**
 * In how many rows so many cells stand.
 *
 * @param {number} count
 */
export function cellRows(count) {
  return Math.max(1, Math.ceil(count / CELLS_A_ROW));
}

/**
 * A text about as long as with its values in it.
 *
 * @param {string} told
 */
function sampleOf(told) {
  return told.replace(/\{\w+(:\w+)?\}/g, "00");
}

/**
 * A text in lines that fit, by words; a word that does not is cut.
 *
 * @param {string} text
 * @param {number} room
 * @param {number} font
 */
export function linesOf(text, room, font) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(`${last} ${word}`, font) <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(cutTo(word, room, font));
  }
  return lines;
}

/**
 * As much of a bold text as there is room for.
 *
 * @param {string} text
 * @param {number} room
 * @param {number} font
 */
export function cutBold(text, room, font) {
  return cutTo(text, room / BOLD, font);
}

/**
 * As much of a text as there is room for.
 *
 * @param {string} text
 * @param {number} room
 * @param {number} font
 */
export function cutTo(text, room, font) {
  if (widthOf(text, font) <= room) return text;
  const letters = [...text];
  while (letters.length && widthOf(`${letters.join("")}…`, font) > room) letters.pop();
  return `${letters.join("")}…`;
}

/**
 * About how wide a text is; the letters of the East are as wide as high.
 *
 * @param {string} text
 * @param {number} font
 */
function widthOf(text, font) {
  let width = 0;
  for (const letter of text) width += (letter.codePointAt(0) ?? 0) > 0x2e7f ? 1 : LETTER;
  return width * font;
}

/**
 * `1–6, 11` of 1, 2, … 6, 11.
 *
 * @param {number[]} numbers in order
 */
export function rangesOf(numbers) {
  /** @type {[number, number][]} */
  const found = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}

/**
 * @typedef {{x: number, y: number, width: number}} Origin
 * @typedef {object} Place
 * @property {number} font
 * @property {number} apart
 * @property {(box: FlowBox, room: number) => number} high
 * @property {Map<string, FlowRect>} rects filled here
 */

/**
 * Boxes beside each other; gives where they end.
 *
 * @param {FlowBox[]} boxes
 * @param {Origin} origin
 * @param {Place} place
 */
function besideEachOther(boxes, { x, y, width }, { apart, high, rects }) {
  const spans = boxes.map(({ lane: [from, to] }) => {
    const left = x + from * width + (from > 0 ? apart / 2 : 0);
    return { left, wide: x + to * width - (to < 1 ? apart / 2 : 0) - left };
  });
  const height = Math.max(0, ...boxes.map((box, i) => high(box, spans[i].wide)));
  boxes.forEach(({ name }, i) => rects.set(name, { x: spans[i].left, y, width: spans[i].wide, height }));
  return y + height;
}

/**
 * Boxes in rows below each other; gives where they end.
 *
 * @param {FlowBox[][]} rows
 * @param {Origin} origin
 * @param {Place} place
 * @param {number} apart times the letters
 */
function below(rows, { x, y, width }, place, apart) {
  const gap = apart * place.font;
  let next = y;
  for (const boxes of rows) next = besideEachOther(boxes, { x, y: next, width }, place) + gap;
  return rows.length ? next - gap : y;
}

/**
 * A strip of boxes in rows of a few of them.
 *
 * @param {FlowBox[]} boxes
 */
function folded(boxes) {
  return Array.from({ length: Math.ceil(boxes.length / A_STRIP) }, (_, i) => {
    const some = boxes.slice(i * A_STRIP, (i + 1) * A_STRIP);
    return some.map((box, k) => {
      return { ...box, lane: /** @type {[number, number]} */ ([k / some.length, (k + 1) / some.length]) };
    });
  });
}

/**
 * Stages beside each other, the boxes of each below each other; gives where they end.
 *
 * @param {FlowStage[]} stages
 * @param {Origin} origin
 * @param {Place} place
 */
function stagesAcross(stages, { x, y, width }, place) {
  const { font, apart, high, rects } = place;
  const gap = GAP.wide * font;
  /** @type {(box: FlowBox) => boolean} */
  const tells = ({ paint, items }) => paint === "net" || items.some(({ kind }) => kind === "token");
  const shares = stages.map(({ boxes }) => (boxes.some(tells) ? 1.2 : 1));
  const unit = (width - gap * (stages.length - 1)) / shares.reduce((sum, share) => sum + share, 0);
  const tallest = stages.flatMap(({ boxes }, i) =>
    boxes.map((box) => (high(box, shares[i] * unit) + apart) / (box.lane[1] - box.lane[0])),
  );
  const height = Math.max(...tallest);
  let left = x;
  stages.forEach(({ boxes }, i) => {
    const wide = shares[i] * unit;
    for (const { name, lane: [from, to] } of boxes) {
      const top = y + from * height + (from > 0 ? apart / 2 : 0);
      rects.set(name, { x: left, y: top, width: wide, height: y + to * height - (to < 1 ? apart / 2 : 0) - top });
    }
    left += wide + gap;
  });
  return y + height;
}

/**
 * @param {{start: string, end: string}} arrow
 * @param {PipelineFacts} facts
 * @param {Map<string, FlowRect>} rects
 * @param {{font: number, wide: boolean, edge: number}} how
 * @returns {FlowPath}
 */
function pathOf({ start, end }, facts, rects, how) {
  const [from, to] = [start, end].map((name) => stageOf(facts, name));
  const [a, b] = [start, end].map((name) => {
    const rect = rects.get(name);
    if (!rect) throw new Error(`There is no box ${name}.`);
    return rect;
  });
  if (from > to) return { start, end, from, to, points: backOf(a, b, framedOf(facts, rects), how) };
  /** @type {(stage: number) => boolean} */
  const lies = (stage) => !how.wide || stage < 0 || facts.stages[stage].once; // its boxes stand beside each other
  const beside = b.x >= a.x + a.width && b.y < a.y + a.height && a.y < b.y + b.height;
  const across = beside || (b.x >= a.x + a.width && !lies(from) && !lies(to));
  return { start, end, from, to, points: (across ? acrossOf : downOf)(a, b, how.font) };
}

/**
 * Boxes of what every call does.
 *
 * @param {PipelineFacts} facts
 * @param {Map<string, FlowRect>} rects
 */
function framedOf({ stages }, rects) {
  const boxes = stages.flatMap((stage) => (stage.once ? [] : stage.boxes));
  return boxes.flatMap(({ name }) => rects.get(name) ?? []);
}

/**
 * Number of a box's stage; −1: before all.
 *
 * @param {PipelineFacts} facts
 * @param {string} name
 */
function stageOf({ stages }, name) {
  return stages.findIndex(({ boxes }) => boxes.some((box) => box.name === name));
}

/**
 * From a box down to one below it: straight where one stands over the other.
 *
 * @param {FlowRect} a
 * @param {FlowRect} b
 * @param {number} font
 * @returns {[number, number][]}
 */
function downOf(a, b, font) {
  const [least, most] = [Math.max(a.x, b.x), Math.min(a.x + a.width, b.x + b.width)];
  const [up, down] = [a.y + a.height, b.y];
  if (most - least > font) {
    const x = (least + most) / 2;
    return [[x, up], [x, down]];
  }
  const [from, to, turn] = [a.x + a.width / 2, b.x + b.width / 2, down - 0.65 * font];
  return [[from, up], [from, turn], [to, turn], [to, down]];
}

/**
 * The same to the right.
 *
 * @param {FlowRect} a
 * @param {FlowRect} b
 * @param {number} font
 */
function acrossOf(a, b, font) {
  return downOf(turned(a), turned(b), font).map(swapped);
}

/**
 * @param {[number, number]} point
 * @returns {[number, number]}
 */
function swapped([x, y]) {
  return [y, x];
}

/** @param {FlowRect} rect */
function turned({ x, y, width, height }) {
  return { x: y, y: x, width: height, height: width };
}

/**
 * Back to an earlier stage, around what stands between: along the nearer side.
 *
 * @param {FlowRect} a
 * @param {FlowRect} b
 * @param {FlowRect[]} rects what stands between
 * @param {{wide: boolean, edge: number}} how
 * @returns {[number, number][]}
 */
function backOf(a, b, rects, { wide, edge }) {
  if (wide) {
    return backOf(turned(a), turned(b), rects.map(turned), { wide: false, edge }).map(swapped);
  }
  const beside = rects.filter(({ y, height }) => y + height > b.y && y < a.y + a.height);
  const least = Math.min(...beside.map(({ x }) => x));
  const most = Math.max(...beside.map(({ x, width }) => x + width));
  const left = b.x + b.width / 2 < (least + most) / 2;
  const x = left ? least - edge : most + edge;
  /** @type {(rect: FlowRect) => number} */
  const side = (rect) => (left ? rect.x : rect.x + rect.width);
  const [from, to] = [a.y + a.height / 2, b.y + b.height / 2];
  return [[side(a), from], [x, from], [x, to], [side(b), to]];
}
