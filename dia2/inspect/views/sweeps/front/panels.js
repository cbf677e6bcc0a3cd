// One panel of a chart: every run a dot, and the mean of each place with a line from one to the next.

import { Axis } from "../../explorer/front/axis.js";
import { h } from "../../explorer/front/dom.js";
import { Sheet } from "../../explorer/front/sheet.js";
import { figure } from "./runs.js";

/**
 * @import { Palette } from "../../explorer/front/types.d.ts"
 * @import { Dot, Grouped, PanelOf, Scale } from "./types.d.ts"
 */

const [LEFT, RIGHT, TOP, BOTTOM] = [46, 10, 8, 22]; // pixels around the plot
const NEAR = 14; // pixels within which a dot is meant
const SPREAD = 0.62; // of a place, which its dots take
const COLOURS = /** @type {const} */ (["s1", "s2", "frame", "word", "over", "faint"]);
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2], [12, 4]];

/**
 * The colour of a series.
 *
 * @param {Palette} palette
 * @param {number} at
 */
export function seriesColour(palette, at) {
  return palette[COLOURS[at % COLOURS.length]];
}

/**
 * A mark of a series around a point: none is told by its colour alone.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} at the series
 * @param {number} x
 * @param {number} y
 * @param {number} size
 */
export function markOf(context, at, x, y, size) {
  const corners = [0, 4, 3, 4, 3, 6][at % 6];
  const turn = [0, Math.PI / 4, -Math.PI / 2, 0, Math.PI / 2, 0][at % 6];
  context.beginPath();
  if (!corners) context.arc(x, y, size, 0, 2 * Math.PI);
  else {
    for (let i = 0; i < corners; i += 1) {
      const angle = turn + (2 * Math.PI * i) / corners;
      context.lineTo(x + 1.25 * size * Math.cos(angle), y + 1.25 * size * Math.sin(angle));
    }
    context.closePath();
  }
}

/**
 * Where a run stands beside others of the same value: always at the same place, from −0.5 to 0.5.
 *
 * @param {number} run
 */
export function aside(run) {
  return ((run * 0.6180339887498949) % 1) - 0.5;
}

export class Panel {
  /**
   * @param {(run: number | null) => void} point
   * @param {(run: number) => void} choose
   */
  constructor(point, choose) {
    this.axis = new Axis();
    this.sheet = new Sheet(this.axis, " ");
    this.title = h("h3");
    this.element = h("section", { class: "chart-panel" }, this.title, this.sheet.canvas);
    this.size = 3; // of a dot
    /** @type {{ run: number, x: number, y: number }[]} */
    this.dots = []; // in pixels
    const { canvas } = this.sheet;
    canvas.addEventListener("pointermove", (event) => point(this.at(event)));
    canvas.addEventListener("pointerleave", () => point(null));
    canvas.addEventListener("click", (event) => {
      const run = this.at(event);
      if (run !== null) choose(run);
    });
  }

  /**
   * The run whose dot is nearest.
   *
   * @param {MouseEvent} event
   */
  at({ offsetX, offsetY }) {
    let best = null;
    let least = NEAR * NEAR;
    for (const { run, x, y } of this.dots) {
      const distance = (x - offsetX) ** 2 + (y - offsetY) ** 2;
      if (distance < least) [best, least] = [run, distance];
    }
    return best;
  }

  /**
   * @param {PanelOf} panel
   * @param {Grouped} all
   * @param {string} theme
   * @param {{ width: number, height: number }} size
   * @param {(number | null)[]} marked runs
   */
  draw(panel, all, theme, { width, height }, marked) {
    const { sheet } = this;
    this.axis.width = width;
    this.title.hidden = !panel.name;
    this.title.replaceChildren(h("bdi", {}, panel.name));
    sheet.canvas.setAttribute("aria-label", told(panel, all.x));
    sheet.begin(height, theme);
    const { context, palette } = sheet;
    const room = Math.max(1, width - LEFT - RIGHT);
    /** @type {(value: number) => number} */
    const xOf = (value) => LEFT + all.x.at(value) * room;
    /** @type {(value: number) => number} */
    const yOf = (value) => TOP + (1 - all.y.at(value)) * (height - TOP - BOTTOM);
    this.drawAxes(all, room);
    const lanes = all.x.step ? Math.max(1, all.names.length) : 1;
    const lane = (all.x.step * room * SPREAD) / lanes;
    this.dots = [];
    panel.series.forEach(({ dots }, at) => {
      this.size = dots.length > 60 ? 2.2 : 3;
      context.globalAlpha = dots.length > 200 ? 0.35 : 0.6;
      context.fillStyle = seriesColour(palette, at);
      const shift = (at - (lanes - 1) / 2) * lane * (lanes > 1 ? 1 : 0);
      for (const dot of dots) this.drawDot(dot, xOf(dot.x) + shift + aside(dot.run) * lane * 0.8, yOf(dot.y), at);
    });
    context.globalAlpha = 1;
    panel.series.forEach(({ means }, at) => {
      const shift = (at - (lanes - 1) / 2) * lane * (lanes > 1 ? 1 : 0);
      const grouped = means.some(({ count }) => count > 1);
      const points = means.map(({ x, mean }) => /** @type {[number, number]} */ ([xOf(x) + shift, yOf(mean)]));
      if (grouped) this.drawMeans(points, at);
    });
    for (const { run, x, y } of this.dots) {
      if (!marked.includes(run)) continue;
      context.beginPath();
      context.arc(x, y, 6, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = palette.ink;
      context.stroke();
    }
  }

  /**
   * @param {Dot} dot
   * @param {number} x
   * @param {number} y
   * @param {number} at its series
   */
  drawDot({ run }, x, y, at) {
    markOf(this.sheet.context, at, x, y, this.size);
    this.sheet.context.fill();
    this.dots.push({ run, x, y });
  }

  /**
   * @param {[number, number][]} points
   * @param {number} at the series
   */
  drawMeans(points, at) {
    const { context, palette } = this.sheet;
    const colour = seriesColour(palette, at);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.setLineDash(DASHES[at % DASHES.length]);
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    context.stroke();
    context.setLineDash([]);
    for (const [x, y] of points) {
      markOf(context, at, x, y, 5);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = palette.back;
      context.stroke();
    }
  }

  /**
   * @param {Grouped} all
   * @param {number} room
   */
  drawAxes({ x, y }, room) {
    const { sheet } = this;
    const { context, palette, height: tall } = sheet;
    context.textAlign = "right";
    for (const { at, text } of y.ticks) {
      const level = Math.round(TOP + (1 - at) * (tall - TOP - BOTTOM));
      sheet.fill(palette.line, LEFT, level, room, 1);
      sheet.text(sheet.cut(text, LEFT - 8), LEFT - 6, level, palette.faint);
    }
    context.textAlign = "center";
    const wide = x.step ? x.step * room - 6 : 60;
    let free = 0; // from where on a text has room
    for (const { at, text } of x.ticks) {
      const middle = LEFT + at * room;
      const short = sheet.cut(text, Math.max(wide, 26));
      const half = sheet.widthOf(short) / 2;
      sheet.fill(palette.edge, Math.round(middle), tall - BOTTOM, 1, 4);
      if (middle - half < free) continue;
      free = middle + half + 6;
      sheet.text(short, middle, tall - 9, palette.faint);
    }
    context.textAlign = "left";
    sheet.fill(palette.edge, LEFT, tall - BOTTOM, room, 1);
  }
}

/**
 * What stands on a panel, in words.
 *
 * @param {PanelOf} panel
 * @param {Scale} scale
 */
function told({ name, series }, scale) {
  const parts = series.flatMap(({ name: of, means }) =>
    means.slice(0, 12).map(({ x, mean, count }) => {
      const tick = scale.step ? scale.ticks.find(({ at }) => at === scale.at(x))?.text : figure(x);
      return `${of ? `${of}, ` : ""}${tick ? `${tick}: ` : ""}mean ${figure(mean)} of ${count}`;
    }),
  );
  return `${name ? `${name}. ` : ""}${parts.slice(0, 24).join("; ") || "no runs"}`;
}
