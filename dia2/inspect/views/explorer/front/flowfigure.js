// The picture of a call as a drawing: it scales with its place, and stands by itself.

import { PAD, contentOf, flowLayout } from "./flow.js";
import { flowItem, flowText, svg, toldAt } from "./flowitems.js";
import { duration } from "./rows.js";

/**
 * @import { Data } from "./data.js"
 * @import { FlowBox, FlowLayout, FlowPath, FlowRect, FlowSize, PipelineFacts } from "./types.d.ts"
 */

const LEAST_TIME = 0.001; // seconds of a row that are told in its box
const TRAVEL = 700; // milliseconds in which a dot goes along its arrows

/**
 * @typedef {object} Figure
 * @property {SVGElement} element
 * @property {(call: number, step: number, rows: number[], label: string) => void} draw a step is counted from 1, and 0:
 *   the whole call; of the rows the boxes are marked; the label stands on the frame
 * @property {() => void} travel let dots go along the arrows of the step
 */

/**
 * @param {Data} data
 * @param {PipelineFacts} declared
 * @param {FlowSize} size
 * @param {(box: FlowBox) => void} choose
 * @returns {Figure}
 */
export function flowFigure(data, declared, size, choose) {
  const facts = timed(data, declared);
  const layout = flowLayout(facts, data.codebooks, size);
  const { width, height, font, frame, paths } = layout;
  const boxes = [facts.before, ...facts.stages.map((stage) => stage.boxes)].flatMap((some, step) =>
    some.map((box) => boxOf(data, box, step, layout, choose)),
  );
  const arrows = paths.map((path) => arrowOf(path, font));
  const { x, y, width: across, height: down } = frame;
  const around = svg("rect", { x, y, width: across, height: down, rx: font, class: "flow-frame" });
  const label = svg("text", { x: x + font, y: y + 0.3 * font, class: "flow-label" });
  const lines = [...arrows.flatMap(({ elements }) => elements), label];
  const element = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height.toFixed(1)}`, class: `flow flow-${size}`, role: "group" },
    around, ...boxes.map((box) => box.element), ...lines,
  );
  element.setAttribute("font-size", String(font));
  let lit = 0;
  /** @type {Figure["draw"]} */
  const draw = (call, step, rows, told) => {
    lit = step;
    if (label.textContent !== told) label.textContent = told;
    element.setAttribute("aria-label", `Data flow of call ${call}`);
    for (const box of boxes) box.draw(call, step, rows);
    for (const arrow of arrows) arrow.light(isLitAt(arrow.path, step));
  };
  let run = 0;
  const travel = () => {
    run += 1;
    const [own, moving] = [run, arrows.filter(({ path }) => isLitAt(path, lit))];
    const begun = performance.now();
    /** @param {number} now */
    const go = (now) => {
      const share = Math.min(1, Math.max(0, now - begun) / TRAVEL);
      for (const { move } of moving) move(own === run && share < 1 ? share : null);
      if (own === run && share < 1) requestAnimationFrame(go);
    };
    requestAnimationFrame(go);
  };
  return { element, draw, travel };
}

/**
 * The picture, with the row that took the longest in each box of what is done once. Rows may be parts of others, so
 * their times have no sum; those of every call are told on the frame.
 *
 * @param {Data} data
 * @param {PipelineFacts} facts
 * @returns {PipelineFacts}
 */
function timed(data, facts) {
  /** @type {(box: FlowBox) => FlowBox} */
  const withTime = (box) => {
    const [longest] = data.header.rows
      .filter(({ number, seconds }) => box.rows.includes(number) && seconds !== null && seconds >= LEAST_TIME)
      .sort((a, b) => Number(b.seconds) - Number(a.seconds));
    if (!longest) return box;
    const told = `${longest.number}: ${duration(longest.seconds)}`;
    return { ...box, items: [...box.items, { kind: "line", told, otherwise: "", strong: false }] };
  };
  const stages = facts.stages.map((stage) => (stage.once ? { ...stage, boxes: stage.boxes.map(withTime) } : stage));
  return { ...facts, before: facts.before.map(withTime), stages };
}

/**
 * Whether an arrow is gone along in a step: where it ends, or, of those to the next call, where it begins.
 *
 * @param {FlowPath} path
 * @param {number} step from 1
 */
function isLitAt({ from, to }, step) {
  return step > 0 && Math.max(from, to) === step - 1;
}

/**
 * @param {Data} data
 * @param {FlowBox} box
 * @param {number} step in which it works; 0: before the first call
 * @param {FlowLayout} layout
 * @param {(box: FlowBox) => void} choose
 */
function boxOf(data, box, step, { rects, font, wide }, choose) {
  const { x, y, width, height } = /** @type {FlowRect} */ (rects.get(box.name));
  const { items, numbers, beside, numbersAt, inside } = contentOf(box, data.codebooks, width, font, wide, height);
  const spot = { x: PAD * font, y: 1.85 * font, width: inside, height: 2.6 * font };
  const parts = items.map((each) => flowItem(data, each.item, each, { font }));
  const given = flowText(spot, font, "flow-faint", (call) => toldAt(data, box.given, call) ?? "");
  const own = svg("g", {}, ...parts.flatMap(({ elements }) => elements));
  const instead = svg("g", {}, ...given.elements);
  const ground = svg("rect", {
    x: 1, y: 1, width: width - 2, height: height - 2, rx: 0.55 * font, class: `flow-ground flow-${box.paint}`,
  });
  const title = svg("text", { x: PAD * font, y: 1.45 * font, class: "flow-title" }, box.title);
  const which = svg(
    "text",
    beside
      ? { x: PAD * font + inside, y: 1.45 * font, class: "flow-end flow-rows" }
      : { x: PAD * font, y: numbersAt + 0.95 * font, class: "flow-rows" },
    numbers,
  );
  const element = svg(
    "svg",
    { x, y, width, height, role: "button", tabindex: 0, "data-name": box.name },
    ground, title, which, own, instead,
  );
  element.addEventListener("click", () => choose(box));
  element.addEventListener("keydown", (event) => {
    const { key } = /** @type {KeyboardEvent} */ (event);
    if (key !== "Enter" && key !== " ") return;
    event.preventDefault();
    choose(box);
  });
  let shown = -1;
  let known = 0; // calls of a run that goes on
  /** @type {(call: number, lit: number, rows: number[]) => void} */
  const draw = (call, lit, rows) => {
    element.setAttribute("class", `flow-box ${lit === 0 ? "" : lit === step ? "flow-lit" : "flow-dim"}`);
    element.setAttribute("aria-pressed", String(box.rows.some((row) => rows.includes(row))));
    if (call === shown && known === data.calls) return;
    [shown, known] = [call, data.calls];
    const put = Boolean(box.given) && call < data.given;
    own.setAttribute("visibility", put ? "hidden" : "visible");
    instead.setAttribute("visibility", put ? "visible" : "hidden");
    if (put) given.draw(call);
    else for (const part of parts) part.draw(call);
  };
  return { element, draw };
}

/**
 * A line with a point at its end, and the dot that goes along it.
 *
 * @param {FlowPath} path
 * @param {number} font
 */
function arrowOf(path, font) {
  const { points } = path;
  const [before, end] = points.slice(-2);
  const [right, down] = [Math.sign(end[0] - before[0]), Math.sign(end[1] - before[1])];
  const size = 0.55 * font;
  const [backX, backY] = [end[0] - right * size, end[1] - down * size];
  const wing = 0.5 * size;
  const tip = [end, [backX + down * wing, backY + right * wing], [backX - down * wing, backY - right * wing]];
  const line = svg("polyline", { points: points.map((point) => point.join()).join(" ") });
  const head = svg("polygon", { points: tip.map((point) => point.join()).join(" ") });
  const dot = svg("circle", { r: 0.45 * font, class: "flow-dot", visibility: "hidden" });
  const kind = path.from > path.to ? "flow-line flow-back" : "flow-line";
  const group = svg("g", { class: kind }, line, head);
  /** @type {(share: number | null) => void} null: it is hidden */
  const move = (share) => {
    dot.setAttribute("visibility", share === null ? "hidden" : "visible");
    if (share === null) return;
    const [x, y] = pointAt(points, share);
    dot.setAttribute("cx", x.toFixed(1));
    dot.setAttribute("cy", y.toFixed(1));
  };
  /** @type {(on: boolean) => void} */
  const light = (on) => group.setAttribute("class", on ? `${kind} flow-on` : kind);
  return { path, elements: [group, dot], light, move };
}

/**
 * Where on a line one is after a share of its length.
 *
 * @param {[number, number][]} points
 * @param {number} share
 * @returns {[number, number]}
 */
export function pointAt(points, share) {
  const lengths = points.slice(1).map(([x, y], i) => Math.abs(x - points[i][0]) + Math.abs(y - points[i][1]));
  let left = share * lengths.reduce((sum, length) => sum + length, 0);
  for (const [i, length] of lengths.entries()) {
    if (left <= length || i === lengths.length - 1) {
      const part = length ? left / length : 0;
      const [[x, y], [toX, toY]] = [points[i], points[i + 1]];
      return [x + part * (toX - x), y + part * (toY - y)];
    }
    left -= length;
  }
  return points[0];
}
