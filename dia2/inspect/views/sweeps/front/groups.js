// Runs in panels and series: what a chart draws, before anything is drawn.

import { figure, many } from "./runs.js";

/**
 * @import { Runs } from "./runs.js"
 * @import { Chart, Dot, Grouped, Mean, Scale, Series } from "./types.d.ts"
 */

export const MOST_PANELS = 24;
export const MOST_SERIES = 6;
const MOST_STEPS = 12; // values that stand beside each other; more stand on a line
const TICKS = 4;

/**
 * @param {Runs} runs
 * @param {number[]} rows runs to show
 * @param {Chart} chart
 * @returns {Grouped}
 */
export function grouped(runs, rows, chart) {
  const there = rows.filter((run) => !Number.isNaN(runs.value(chart.measure, run)));
  const x = chart.x < 0 ? alone() : scaleOf(runs, chart.x, there);
  const flag = runs.columns[chart.measure].kind === "flag"; // the mean of which is a share
  const told = (/** @type {number} */ value) => (flag ? `${figure(100 * value)} %` : figure(value));
  const y = levels(there.map((run) => runs.value(chart.measure, run)), told);
  const [panels, hidden] = split(runs, there, chart.panel, MOST_PANELS);
  const [series, unseen] = split(runs, there, chart.by, MOST_SERIES);
  const names = chart.by < 0 ? [] : series.map(({ name }) => name);
  const byRun = new Map(series.flatMap(({ members }, at) => members.map((run) => [run, at])));
  const shown = panels.map(({ name, members }) => ({
    name: chart.panel < 0 ? "" : name,
    series: seriesOf(runs, members, chart, series.map((one) => one.name), byRun),
  }));
  const without = rows.length - there.length;
  const said = [
    without ? `${many(without, "run")} without ${nameOf(runs, chart.measure)}` : "",
    hidden ? `${hidden} more values of ${nameOf(runs, chart.panel)} have no panel` : "",
    unseen ? `${unseen} more values of ${nameOf(runs, chart.by)} are not shown: choose one above` : "",
  ];
  return { panels: shown, names, x, y, told: said.filter(Boolean).join("; ") };
}

/**
 * @param {Runs} runs
 * @param {number} place
 */
function nameOf(runs, place) {
  return runs.columns[place]?.name ?? "it";
}

/**
 * Runs by their value of a column, and how many values have no room.
 *
 * @param {Runs} runs
 * @param {number[]} rows
 * @param {number} place −1: all together
 * @param {number} most
 * @returns {[{ name: string, members: number[] }[], number]}
 */
function split(runs, rows, place, most) {
  if (place < 0) return [[{ name: "", members: rows }], 0];
  const values = runs.values(place, rows);
  const parts = new Map(values.slice(0, most).map((value) => [value, /** @type {number[]} */ ([])]));
  for (const run of rows) parts.get(runs.value(place, run))?.push(run);
  const named = Array.from(parts, ([value, members]) => ({ name: runs.told(place, value), members }));
  return [named, Math.max(0, values.length - most)];
}

/**
 * @param {Runs} runs
 * @param {number[]} members of a panel
 * @param {Chart} chart
 * @param {string[]} names
 * @param {Map<number, number>} byRun the series of each run
 * @returns {Series[]}
 */
function seriesOf(runs, members, chart, names, byRun) {
  const dots = names.map(() => /** @type {Dot[]} */ ([]));
  for (const run of members) {
    const x = chart.x < 0 ? 0 : runs.value(chart.x, run);
    const at = byRun.get(run);
    if (at !== undefined && !Number.isNaN(x)) dots[at].push({ run, x, y: runs.value(chart.measure, run) });
  }
  return names.map((name, at) => ({ name, dots: dots[at], means: meansOf(dots[at]) }));
}

/**
 * The mean at each place, from left to right.
 *
 * @param {Dot[]} dots
 * @returns {Mean[]}
 */
export function meansOf(dots) {
  /** @type {Map<number, { sum: number, count: number }>} */
  const sums = new Map();
  for (const { x, y } of dots) {
    const at = sums.get(x) ?? { sum: 0, count: 0 };
    at.sum += y;
    at.count += 1;
    sums.set(x, at);
  }
  const means = Array.from(sums, ([x, { sum, count }]) => ({ x, mean: sum / count, count }));
  return means.sort((a, b) => a.x - b.x);
}

/** @returns {Scale} */
function alone() {
  return { at: () => 0.5, ticks: [], step: 1 };
}

/**
 * Where the values of a column stand: beside each other, or along a line where they are many numbers.
 *
 * @param {Runs} runs
 * @param {number} place
 * @param {number[]} rows
 * @returns {Scale}
 */
function scaleOf(runs, place, rows) {
  const values = runs.values(place, rows);
  if (runs.columns[place].kind !== "text" && values.length > MOST_STEPS) {
    return levels(values);
  }
  const step = 1 / Math.max(1, values.length);
  const places = new Map(values.map((value, i) => [value, (i + 0.5) * step]));
  const ticks = values.map((value) => ({ at: places.get(value) ?? 0, text: runs.told(place, value) }));
  return { at: (value) => places.get(value) ?? NaN, ticks, step };
}

/**
 * A line of numbers with round ones marked, and some room at both ends.
 *
 * @param {number[]} values
 * @param {(value: number) => string} told
 * @returns {Scale}
 */
export function levels(values, told = figure) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!(high >= low)) [low, high] = [0, 1];
  const spread = high - low || Math.abs(high) || 1;
  const from = low - 0.06 * spread;
  const to = high + 0.06 * spread;
  const ticks = roundNumbers(low, high > low ? high : low + spread, TICKS).map((value) => ({
    at: (value - from) / (to - from),
    text: told(value),
  }));
  return { at: (value) => (value - from) / (to - from), ticks: ticks.filter(({ at }) => at >= 0 && at <= 1), step: 0 };
}

/**
 * Some round numbers from a low to a high one.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} count nearly so many
 */
export function roundNumbers(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.75) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.min(50, Math.max(0, last - first + 1)) }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}
