// How well words fit their sound, by how late they might be: a curve for each stretch of them.

import { bdi, h } from "./dom.js";
import { driftText } from "./drifttrack.js";

/** @import { FitCurve, FitRecording } from "./types.d.ts" */

const FIT_TICK = 0.5; // seconds from one to the next
const FIT_EDGE = 7; // hundredths of the axis in which a number would be cut off
const SVG_SPACE = "http://www.w3.org/2000/svg";

/**
 * The chart of a recording and its key; nothing where there is no curve.
 *
 * @param {FitRecording} recording
 * @param {number} least seconds; what is less is usual
 */
export function fitChart({ curves, late, unit }, least) {
  if (!curves.length || late.length < 2) return [];
  const [from, to] = [late[0], late[late.length - 1]];
  const all = curves.flatMap(({ gain }) => gain);
  const [low, high] = [Math.min(0, ...all), Math.max(0, ...all)];
  const spread = Math.max(high - low, 1e-6);
  /** @type {(seconds: number) => number} */
  const x = (seconds) => (100 * (seconds - from)) / (to - from);
  /** @type {(gain: number) => number} */
  const y = (gain) => 8 + (84 * (high - gain)) / spread;
  /** @type {(curve: FitCurve) => SVGElement} */
  const lineOf = (curve) => curvePath(curve.gain.map((gain, i) => [x(late[i]), y(gain)]), kindOf(curve, least));
  const ticks = [];
  const first = Math.ceil(from / FIT_TICK);
  for (let i = first; i * FIT_TICK <= to + 1e-9; i += 1) ticks.push(i * FIT_TICK);
  const grid = ticks.map((at) => curvePath([[x(at), 0], [x(at), 100]], at === 0 ? "fit-zero" : "fit-grid"));
  const picture = svgElement("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(...grid, curvePath([[0, y(0)], [100, y(0)]], "fit-asked"), ...curves.map(lineOf));
  const dots = curves.flatMap((curve) => (curve.at === null ? [] : dotsOf(curve, x(late[curve.at]), y, least)));
  const told = curves.map(({ words, told: what }) => `${words}: ${what}`).join("; ");
  const plot = h(
    "div",
    { class: "fit-plot", role: "img", "aria-label": `Fit of the words by how late they might be. ${told}` },
    picture,
    dots,
  );
  const within = ticks.filter((at) => x(at) > FIT_EDGE && x(at) < 100 - FIT_EDGE);
  const numbers = within.map((at) => onPlot("span", "fit-tick", [x(at), 0], tickText(at)));
  const axis = h("div", { class: "fit-axis", "aria-hidden": "true" }, numbers);
  const named = ["← early", `up: fits better, ${unit}`, "late →"];
  const ends = h("p", { class: "fit-ends" }, named.map((text) => h("span", {}, text)));
  return [plot, axis, ends, keyOfCurves(curves, least)];
}

/** @param {number} seconds */
function tickText(seconds) {
  return seconds ? `${seconds < 0 ? "−" : "+"}${Math.abs(seconds)} s` : "0";
}

/**
 * How a curve is drawn, and what stands for it in words.
 *
 * @param {FitCurve} curve
 * @param {number} least
 */
function kindOf({ drift }, least) {
  if (drift === null) return "fit-flat";
  return Math.abs(drift) < least ? "fit-right" : "fit-moved";
}

/**
 * @param {FitCurve} curve
 * @param {number} x
 * @param {(gain: number) => number} y
 * @param {number} least
 */
function dotsOf(curve, x, y, least) {
  const top = y(curve.gain[/** @type {number} */ (curve.at)]);
  const dot = onPlot("i", `fit-dot ${kindOf(curve, least)}`, [x, top], "");
  if (!curve.drift) return [dot];
  return [dot, onPlot("b", x > 50 ? "fit-best left" : "fit-best", [x, top], `${driftText(curve.drift)} s`)];
}

/**
 * @param {FitCurve[]} curves
 * @param {number} least
 */
function keyOfCurves(curves, least) {
  const rows = curves.map((curve) => {
    const line = svgElement("svg", { viewBox: "0 0 26 8", width: "26", height: "8", "aria-hidden": "true" });
    line.append(curvePath([[0, 4], [26, 4]], kindOf(curve, least)));
    return h("li", {}, line, h("span", {}, h("b", {}, "“", bdi(curve.words), "”"), ` ${curve.told}`));
  });
  return h("ul", { class: "fit-key" }, rows);
}

/**
 * An element at a place of the plot, in hundredths of it.
 *
 * @param {"span" | "b" | "i"} tag
 * @param {string} name of its class
 * @param {[number, number]} place
 * @param {string} text
 */
function onPlot(tag, name, [x, y], text) {
  const element = h(tag, { class: name }, text);
  element.style.setProperty("--x", `${x}%`);
  element.style.setProperty("--y", `${y}%`);
  return element;
}

/**
 * @param {[number, number][]} points
 * @param {string} name of its class
 */
function curvePath(points, name) {
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
  return svgElement("path", { d, class: name });
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 */
function svgElement(tag, attributes) {
  const element = document.createElementNS(SVG_SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
