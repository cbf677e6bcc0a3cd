// What the boxes of the picture of a call show of it: texts, tokens, bars, cells.

import { chances } from "./chances.js";
import { percentText, tokenName } from "./contenders.js";
import { counted } from "./dom.js";
import { BOLD, CHOICE, cellRows, cutBold, cutTo, linesOf } from "./flow.js";
import { signalsOf } from "./signals.js";
import { frameOf } from "./soundtrack.js";
import { levelOf } from "./strip.js";

/**
 * @import { Data } from "./data.js"
 * @import { FlowItem, FlowLine, FlowSpot } from "./types.d.ts"
 */

const SVG = "http://www.w3.org/2000/svg";
const CHANCE_WIDE = 4.4; // times the letters: of “< 0.1 %”
const FIRST_LINE = 0.95; // of the letters: where a line of them stands

/**
 * An element of a drawing, as `h` makes those of a page.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @type {Record<string, (data: Data, call: number) => string | null>} */
const KNOWN_VALUES = {
  next: (_, call) => String(call + 1),
  frame: (data, call) => numberText(frameOf(data, call)),
  second(data, call) {
    const frame = frameOf(data, call);
    return frame === null || !data.header.clock ? null : `${(frame / data.header.clock.rate).toFixed(2)} s`;
  },
  word: (data, call) => data.spoken.find((word) => word.call === call)?.text ?? null,
};

/** @param {number | null} value */
function numberText(value) {
  return value === null ? null : String(value);
}

/**
 * A text of the declaration at a call; null where it names what is not there, or was not recorded.
 *
 * @param {Data} data
 * @param {string} told
 * @param {number} call
 */
export function toldAt(data, told, call) {
  let there = true;
  const text = told.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, noun) => {
    const value = valueIn(data, name, call);
    there &&= value !== null;
    return counted(value ?? "", noun);
  });
  return there ? text : null;
}

/**
 * @param {Data} data
 * @param {string} name
 * @param {number} call
 */
function valueIn(data, name, call) {
  if (name in KNOWN_VALUES) return KNOWN_VALUES[name](data, call);
  return name === "call" || name === "writes" || data.columns[name] ? data.value(name, call) : null;
}

/**
 * A line of the declaration, or what is told where it does not hold.
 *
 * @param {Data} data
 * @param {FlowLine} line
 * @param {number} call
 */
export function lineAt(data, { told, otherwise }, call) {
  return toldAt(data, told, call) ?? toldAt(data, otherwise, call) ?? "";
}

/**
 * The token of a stream that a call reads: that which the call before gave.
 *
 * @param {Data} data
 * @param {string} track
 * @param {number} call
 */
export function tokenRead(data, track, call) {
  const part = call > 0 ? data.part(track, call - 1) : null;
  if (part) return part.of > 1 ? `${part.text} ${part.number}/${part.of}` : part.text;
  const { pad, new_word: newWord } = data.header.tokens ?? { pad: -1, new_word: -1 };
  const token = call > 0 && data.columns[track] ? data.at(track, call - 1) : null;
  if (token === null) return call > 0 ? "–" : "start";
  return token === pad ? "pad" : token === newWord ? "new word" : String(token);
}

/**
 * The elements of an item, and what draws it for a call.
 *
 * @param {Data} data
 * @param {FlowItem} item
 * @param {FlowSpot} spot
 * @param {{font: number}} how
 * @returns {{elements: SVGElement[], draw: (call: number) => void}}
 */
export function flowItem(data, item, spot, how) {
  switch (item.kind) {
    case "line":
      return flowText(spot, how.font, item.strong ? "flow-strong" : "", (call) => lineAt(data, item, call));
    case "token":
      return flowText(spot, how.font, "flow-strong", (call) => tokenRead(data, item.column, call), item.label);
    case "meter":
      return flowMeter(spot, how.font, (call) => (data.columns[item.column]?.[call] ?? 0) / item.most);
    case "choice":
      return flowChoice(data, item.book, spot, how.font);
    case "codes":
      return flowCells(data, item, spot, how.font);
  }
}

/**
 * Lines of text that change with the call; after a label where there is one.
 *
 * @param {FlowSpot} spot
 * @param {number} font
 * @param {string} kind
 * @param {(call: number) => string} tell
 * @param {string} [label]
 */
export function flowText({ x, y, width, height }, font, kind, tell, label = "") {
  const lines = Math.max(1, Math.round(height / (1.3 * font)));
  const texts = Array.from({ length: lines }, (_, i) =>
    svg("text", { x, y: y + (FIRST_LINE + 1.3 * i) * font, class: kind }),
  );
  const indent = label ? Math.min(0.44 * width, 4.2 * font) : 0;
  if (label) texts[0].setAttribute("x", String(x + indent));
  const named = label ? [svg("text", { x, y: y + FIRST_LINE * font, class: "flow-faint" }, label)] : [];
  let shown = "";
  /** @type {(call: number) => void} */
  const draw = (call) => {
    const told = tell(call);
    if (told === shown) return;
    shown = told;
    const room = width - indent;
    const fitting = lines > 1 ? linesOf(told, kind === "flow-strong" ? room / BOLD : room, font) : [told];
    texts.forEach((text, i) => {
      const rest = i === lines - 1 ? fitting.slice(i).join(" ") : fitting[i] ?? "";
      text.textContent = kind === "flow-strong" ? cutBold(rest, room, font) : cutTo(rest, room, font);
    });
  };
  return { elements: [...named, ...texts], draw };
}

/**
 * @param {FlowSpot} spot
 * @param {number} font
 * @param {(call: number) => number} share
 */
function flowMeter({ x, y, width }, font, share) {
  const place = { x, y: y + 0.2 * font, height: 0.5 * font, rx: 0.25 * font };
  const bar = svg("rect", { ...place, width: 0, class: "flow-bar" });
  const elements = [svg("rect", { ...place, width, class: "flow-track" }), bar];
  return { elements, draw: barOf(bar, width, share) };
}

/**
 * @param {SVGElement} bar
 * @param {number} width of a whole one
 * @param {(call: number) => number} share
 * @returns {(call: number) => void}
 */
function barOf(bar, width, share) {
  return (call) => bar.setAttribute("width", (width * Math.max(0, Math.min(1, share(call)))).toFixed(1));
}

/**
 * What a draw chose; where there is room also what else it could have.
 *
 * @param {Data} data
 * @param {number | null} book
 * @param {FlowSpot} spot
 * @param {number} font
 */
function flowChoice(data, book, { x, y, width, height }, font) {
  const index = data.header.draws.findIndex((draw) => draw.book === book);
  const count = Math.max(1, Math.round(height / (CHOICE * font)));
  const rows = Array.from({ length: count }, (_, i) => {
    const top = y + i * CHOICE * font;
    return {
      name: svg("text", { x, y: top + FIRST_LINE * font }),
      chance: svg("text", { x: x + width, y: top + FIRST_LINE * font, class: "flow-end" }),
      bar: svg("rect", { x, y: top + 1.3 * font, width: 0, height: 0.5 * font, class: "flow-bar" }),
    };
  });
  /** @type {(call: number) => void} */
  const draw = (call) => {
    const found = shownChoices(data, call, index, count);
    rows.forEach(({ name, chance, bar }, i) => {
      const row = found[i];
      name.textContent = row ? cutBold(row.name, row.chance === null ? width : width - CHANCE_WIDE * font, font) : "";
      name.setAttribute("class", row?.chosen ? "flow-strong" : "");
      chance.textContent = row && row.chance !== null ? percentText(row.chance) : "";
      bar.setAttribute("width", ((row?.chance ?? 0) * width).toFixed(1));
      bar.setAttribute("class", row?.chosen ? "flow-bar flow-chosen" : "flow-bar");
    });
  };
  return { elements: rows.flatMap(({ name, chance, bar }) => [bar, name, chance]), draw };
}

/**
 * The best candidates of a draw, its choice among them; of one that was not recorded only that.
 *
 * @param {Data} data
 * @param {number} call
 * @param {number} index
 * @param {number} most
 * @returns {{name: string, chance: number | null, chosen: boolean}[]}
 */
function shownChoices(data, call, index, most) {
  const draw = index < 0 ? null : data.draw(call, index);
  if (!draw) return [{ name: data.header.live ? "later" : "not recorded", chance: null, chosen: false }];
  const each = chances(draw);
  const rows = draw.candidates.map(({ token, chosen }, i) => ({
    name: tokenName(draw, token),
    chance: chosen ? draw.probability : each[i] ?? 0,
    chosen,
  }));
  const chosen = rows.filter((row) => row.chosen);
  const others = rows.filter((row) => !row.chosen && row.chance > 0).slice(0, most - chosen.length);
  return [...chosen, ...others].sort((a, b) => b.chance - a.chance);
}

/**
 * A cell for each codebook.
 *
 * @param {Data} data
 * @param {{at: string, first: number}} item
 * @param {FlowSpot} spot
 * @param {number} font
 */
function flowCells(data, { at, first }, { x, y, width, height }, font) {
  const count = data.codebooks - first;
  const rows = cellRows(count);
  const across = Math.ceil(count / rows);
  const gap = 0.14 * font;
  const size = { width: width / across - gap, height: (height - 0.3 * font) / rows - gap };
  const cells = Array.from({ length: count }, (_, i) => {
    const [right, down] = [i % across, Math.floor(i / across)];
    const place = { x: x + (right * width) / across, y: y + 0.2 * font + down * (size.height + gap) };
    return svg("rect", { ...place, ...size, rx: 0.16 * font, class: "flow-cell" });
  });
  const signals = signalsOf(data);
  /** @type {(call: number) => void} */
  const draw = (call) => {
    const column = Number(valueIn(data, at, call));
    const writer = data.callOf(column);
    cells.forEach((cell, i) => {
      const book = first + i;
      const there = column < data.columnsOfGrid && data.code(book, column) >= 0;
      const bits = writer < 0 ? Number.NaN : signals.bits(writer, signals.drawOf[book]);
      const given = column < data.header.grid.edge[book] ? "flow-given" : "flow-known";
      const kind = !there ? "flow-none" : Number.isNaN(bits) ? given : `flow-l${levelOf(bits)}`;
      cell.setAttribute("class", `flow-cell ${kind}`);
    });
  };
  return { elements: cells, draw };
}
