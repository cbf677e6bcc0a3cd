// Small multiples: a measure over two settings, a panel for each value of a third.

import { paletteOf } from "../../explorer/front/colours.js";
import { brush, h, say } from "../../explorer/front/dom.js";
import { choiceOf } from "./choices.js";
import { grouped } from "./groups.js";
import { Panel, markOf, seriesColour } from "./panels.js";

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Chart, Looked, Piece } from "./types.d.ts"
 */

const SLIMMEST = 250; // pixels of a panel
const BROADEST = 900;
const [LOW, HIGH] = [168, 440]; // pixels: the height of a panel
const TITLE = 30;
const GAP = 12;

/**
 * @param {Runs} runs
 * @param {Board} board
 * @param {(text: string) => void} point
 * @returns {Piece}
 */
export function charts(runs, board, point) {
  const axes = runs.places(({ role, distinct }) => role === "setting" && distinct > 1);
  const named = axes.map((place) => runs.columns[place].name);
  /** @type {(change: Partial<Chart>) => void} */
  const set = (change) => board.set({ chart: { ...board.looked.chart, ...change } });
  const measures = choiceOf(
    "Show", runs.measures.map((place) => runs.columns[place].name), (i) => set({ measure: runs.measures[i] }),
  );
  /** @type {(name: string, key: "x" | "by" | "panel") => { element: HTMLElement, draw: (chart: Chart) => void }} */
  const axis = (name, key) => {
    const choice = choiceOf(name, ["nothing", ...named], (i) => set({ [key]: i ? axes[i - 1] : -1 }));
    return { element: choice.element, draw: (chart) => choice.show(axes.indexOf(chart[key]) + 1) };
  };
  const chosen = [axis("over", "x"), axis("and", "by"), axis("a panel for each", "panel")];
  const bar = h("div", { class: "chart-bar" }, measures.element, chosen.map(({ element }) => element));
  const legend = h("ul", { class: "series" });
  const none = h("p", { class: "none" }, "No run that passes the filters has a number to show.");
  const note = h("p", { class: "note" });
  const grid = h("div", { class: "chart-grid", tabindex: 0, role: "region", "aria-label": "Charts" });
  const element = h("div", { class: "charts" }, bar, legend, note, none, grid);
  /** @type {Panel[]} */
  const panels = [];
  /** @type {number | null} */
  let pointed = null;
  /** @type {Looked | null} */
  let seen = null;

  /** @param {number | null} run */
  function hover(run) {
    if (pointed === run || !seen) return;
    pointed = run;
    const { measure } = seen.chart;
    point(run === null ? "" : `${runs.columns[measure].name} ${runs.text(measure, run)}: ${runs.name(run)}`);
    draw(seen);
  }

  /** @param {Looked} looked */
  function draw(looked) {
    seen = looked;
    const { chart, rows, theme, run } = looked;
    measures.show(runs.measures.indexOf(chart.measure));
    for (const one of chosen) one.draw(chart);
    const found = chart.measure < 0 ? null : grouped(runs, rows, chart);
    const empty = !found?.panels.some(({ series }) => series.some(({ dots }) => dots.length));
    none.hidden = !empty;
    grid.hidden = empty;
    const wide = grid.clientWidth - 2 * GAP;
    if (!found || empty || wide <= 0) return;
    say(note, found.told);
    const columns = Math.max(1, Math.min(found.panels.length, Math.floor((wide + GAP) / (SLIMMEST + GAP))));
    const width = Math.min(BROADEST, Math.floor((wide + GAP) / columns) - GAP - 2);
    const share = grid.clientHeight / Math.ceil(found.panels.length / columns) - GAP - TITLE;
    const height = Math.round(Math.max(LOW, Math.min(HIGH, share)));
    while (panels.length < found.panels.length) {
      const panel = new Panel(hover, (one) => board.set({ run: one, pane: "Run" }));
      panels.push(panel);
      grid.append(panel.element);
    }
    while (panels.length > found.panels.length) panels.pop()?.element.remove();
    drawLegend(legend, found.names, runs.columns[chart.by]?.name ?? "", theme);
    found.panels.forEach((one, i) => panels[i].draw(one, found, theme, { width, height }, [run, pointed]));
  }

  new ResizeObserver(() => {
    if (seen?.view === "Charts") draw(seen);
  }).observe(grid);
  return {
    element,
    draw(looked) {
      element.hidden = looked.view !== "Charts";
      if (!element.hidden) draw(looked);
    },
  };
}

/**
 * @param {HTMLElement} list
 * @param {string[]} names
 * @param {string} what
 * @param {string} theme
 */
function drawLegend(list, names, what, theme) {
  const wanted = JSON.stringify([what, names, theme]);
  if (list.dataset.shows === wanted) return;
  list.dataset.shows = wanted;
  list.hidden = !names.length;
  const palette = paletteOf(list, theme);
  const items = names.map((name, at) => {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const scale = globalThis.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(16 * scale);
    Object.assign(canvas.style, { width: "16px", height: "16px" });
    const context = brush(canvas);
    context.scale(scale, scale);
    context.fillStyle = seriesColour(palette, at);
    markOf(context, at, 8, 8, 5);
    context.fill();
    return h("li", {}, canvas, h("bdi", {}, name));
  });
  list.replaceChildren(h("li", { class: "of" }, what), ...items);
}
