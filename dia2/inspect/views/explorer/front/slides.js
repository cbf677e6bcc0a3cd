// The slides of a run, in their order: each exists where the run has what it shows.

import { bdi, capital, counted, h } from "./dom.js";
import { rowAt } from "./rows.js";
import { byDelay, gridPicture } from "./slidegrid.js";
import { tracksOfKind, tracksPicture } from "./slidetracks.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Anomaly, Children, Part, Slide, State, Tab, Track, Verdict } from "./types.d.ts"
 */

const AROUND = 6; // calls that are seen before and after what was found
const WIDEST = 90; // calls that one slide shows
const ABOVE = 14; // above a frame, for its name
const TEXT = 12; // calls of the text streams
/** @type {Track["kind"][]} */
const STREAMS = ["words", "text", "budget"];

/**
 * Slides that are tabs of the inspector: the tab's name, what stands above it, and of a large picture the part that is
 * seen.
 *
 * @typedef {object} OfTab
 * @property {string} tab
 * @property {(data: Data, state: State) => string} title
 * @property {(data: Data, state: State) => Children} [lead]
 * @property {string} [frame]
 */
/** @type {OfTab[]} */
const OF_TABS = [
  { tab: "Draw", title: whyTitle },
  { tab: "Call", title: ({ header }) => `${header.titles.rows}, from a script to its sound`, lead: rowLead },
  { tab: "Pipeline", title: (_, { call }) => `Call ${call}, from tokens to a column`, frame: ".flow-frame" },
];

/**
 * @param {Data} data
 * @param {Store} store
 * @param {Tab[]} tabs of its own, for a part stands in one place
 * @returns {Slide[]}
 */
export function slidesOf(data, store, tabs) {
  const { header, columns } = data;
  const script = tabs.find(({ name }) => name === "Script");
  const streams = tracksOfKind(data, ["text"]).length > 0;
  /** @type {Slide[]} */
  const slides = [];
  if (header.verdict) slides.push(findingSlide(data, store, header.verdict));
  if (streams) slides.push(textSlide(data, store));
  else if (script) {
    const title = () => header.titles.script ?? script.name;
    slides.push({ name: "script", title, lead: () => [header.script?.note ?? ""], parts: script.parts });
  }
  if (columns.grid) slides.push(gridSlide(data));
  for (const { tab, title, lead, frame } of OF_TABS) {
    const found = tabs.find(({ name }) => name === tab);
    if (!found) continue;
    slides.push({
      name: tab.toLowerCase(),
      title: (state) => title(data, state),
      lead: (state) => lead?.(data, state) ?? [],
      parts: frame ? found.parts.map((part) => framed(part, frame)) : found.parts,
    });
  }
  return slides;
}

/**
 * A part of whose picture only a frame in it is seen, so that its letters are larger.
 *
 * @param {Part} part
 * @param {string} frame its selector
 * @returns {Part}
 */
function framed({ element, draw }, frame) {
  const crop = () => {
    const box = element.querySelector(frame);
    if (!(box instanceof SVGGraphicsElement)) return;
    const { x, y, width, height } = box.getBBox();
    const svg = box.ownerSVGElement;
    const [wide, high] = [width + 4, height + ABOVE + 2];
    svg?.setAttribute("viewBox", `${x - 2} ${y - ABOVE} ${wide} ${high}`);
    if (svg) svg.style.aspectRatio = `${wide} / ${high}`;
  };
  new ResizeObserver(crop).observe(element); // its picture can be another one in another size
  /** @type {Part["draw"]} */
  const drawn = (state) => {
    draw(state);
    crop();
  };
  return { element, draw: drawn };
}

/**
 * A call that has something on every slide: this one, unless no frame is complete at it.
 *
 * @param {Data} data
 * @param {number} call
 */
export function worthCall(data, call) {
  const first = data.given + Math.max(...data.header.grid.delays);
  if (call >= first) return call;
  const unlikely = worstOf(data.header.anomalies ?? [], first);
  const words = data.spoken.filter((word) => word.call > first);
  const word = words[Math.floor((words.length * 2) / 3)];
  return data.clamp(unlikely?.call ?? word?.call ?? Math.floor((first + data.calls) / 2));
}

/**
 * The least likely of these from a call on.
 *
 * @param {Anomaly[]} anomalies
 * @param {number} [from]
 */
function worstOf(anomalies, from = 0) {
  return anomalies.filter(({ call }) => call >= from).sort((a, b) => b.bits - a.bits)[0];
}

/**
 * What was found, and where; or that nothing was, and the most surprising call.
 *
 * @param {Data} data
 * @param {Store} store
 * @param {Verdict} verdict
 * @returns {Slide}
 */
function findingSlide(data, store, verdict) {
  const worst = data.header.findings?.[0];
  const call = worst?.call ?? verdict.call ?? 0;
  const until = worst?.until ?? call;
  const last = Math.min(until + AROUND, call + WIDEST, call < data.given ? data.given : Infinity);
  /** @type {Track["kind"][]} */
  const kinds = call < data.given ? ["sound", "taken", "drift"] : ["sound", "words", "surprise"];
  const picture = tracksPicture(data, store, kinds, {
    calls: () => [call - AROUND, Math.max(last, call + 3 * AROUND)],
    marked: () => (worst ? [call, until + 1] : null),
  });
  const unlikely = worstOf(data.header.anomalies ?? []);
  const bits = unlikely && unlikely.call === verdict.call ? `: ${unlikely.bits.toFixed(1)} bits` : "";
  const where = verdict.call === null ? "" : `The most surprising call is ${verdict.call}${bits}`;
  return {
    name: "finding",
    call,
    severity: verdict.severity,
    title: () => worst?.text ?? verdict.text,
    lead: () => (worst ? ["→ ", bdi(worst.fix)] : [where && `${where}.`]),
    parts: [picture],
  };
}

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Slide}
 */
function textSlide(data, store) {
  const lanes = tracksOfKind(data, ["text"]).flatMap((track) => (track.kind === "text" ? track.lanes : []));
  const streams = lanes.filter(({ kind }) => kind === "tokens").map(({ name }) => name);
  const count = ["No text stream goes in", "A text stream goes in", "Two text streams go in"][streams.length];
  const picture = tracksPicture(data, store, STREAMS, {
    calls: ({ call }) => [call - TEXT, call + 4],
    future: false,
  });
  return {
    name: "text",
    title: () => `${count ?? `${streams.length} text streams go in`}, a token a call`,
    lead: ({ call }) => tokensLead(data, streams, call),
    parts: [picture],
  };
}

/**
 * What each stream holds at a call.
 *
 * @param {Data} data
 * @param {string[]} streams
 * @param {number} call
 * @returns {Children}
 */
function tokensLead(data, streams, call) {
  const { pad, new_word: newWord } = data.header.tokens ?? { pad: -1, new_word: -1 };
  const said = streams.map((name) => {
    const part = data.part(name, call);
    const token = data.at(name, call);
    const what = token === pad ? "pads" : token === newWord ? "begins a word" : null;
    if (!part) return [h("b", {}, name), ` ${what ?? `reads token ${token}`}`];
    const which = part.of > 1 ? ` (${part.number} of ${part.of})` : "";
    return [h("b", {}, name), " says ", h("b", {}, "“", bdi(part.text), "”"), which];
  });
  return [`In call ${call} `, ...said.flatMap((each, i) => (i ? [", ", ...each] : each)), "."];
}

/**
 * @param {Data} data
 * @returns {Slide}
 */
function gridSlide(data) {
  const { delays, words } = data.header.grid;
  const most = Math.max(...delays);
  /** @type {(state: State) => string} */
  const title = ({ call }) => {
    const complete = data.columnOf(call) - most >= 0;
    return `Call ${call} writes one ${words.column}${complete && most ? `, and completes one frame` : ""}`;
  };
  return { name: "grid", title, lead: () => delaysLead(data), parts: [gridPicture(data)] };
}

/**
 * How late the codes of a frame are, in words.
 *
 * @param {Data} data
 * @returns {Children}
 */
function delaysLead(data) {
  const { delays, words } = data.header.grid;
  const groups = byDelay(delays);
  const [first] = groups;
  const last = groups[groups.length - 1];
  const late = (/** @type {number} */ delay) => h("b", {}, counted(delay, words.column));
  if (!last.delay) return [`All codes of a frame stand in one ${words.column}: there is no delay.`];
  if (first === last) return ["All codes of a frame come ", late(last.delay), " after its place in the sound."];
  const one = first.books.length === 1;
  const whose = one ? `${capital(words.book)} ${first.books[0]}` : counted(first.books.length, words.book);
  const others = groups.length === 2 ? "the others" : `${words.book} ${last.books[0]}`;
  const place = first.delay ? [late(first.delay), " after its place in the sound"] : ["at its place in the sound"];
  const stair = h("b", { class: "of-frame" }, "stair");
  return [
    `${whose} ${one ? "comes" : "come"} `, ...place, `, ${others} `, late(last.delay), first.delay ? ". " : " later. ",
    "So a frame lies on a ", stair, ", and is heard when its last code is drawn.",
  ];
}

/** @type {(data: Data, state: State) => string} */
function whyTitle(data, { call, draw }) {
  const found = data.header.draws[Math.min(draw, data.header.draws.length - 1)];
  const word = data.wordAt(call);
  const where = word ? `in “${word.text}”` : `in call ${call}`;
  return found ? `Why this token? ${capital(found.title)}, ${where}` : "Why this token?";
}

/**
 * The row that a call is in, and what it gives.
 *
 * @param {Data} data
 * @param {State} state
 * @returns {Children}
 */
function rowLead(data, { call }) {
  const number = rowAt(data, call);
  const row = data.header.rows.find((each) => each.number === number);
  if (!row) return [`Call ${call} is in none of them.`];
  return [`Call ${call} is in row `, h("b", {}, String(row.number)), ", ", h("b", {}, bdi(row.title)), "."];
}
