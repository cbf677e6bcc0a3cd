// The sheet above all tracks, for what moves with the call: a step paints this one alone.

import { Sheet } from "./sheet.js";
import { soundOf } from "./soundtrack.js";

/**
 * @import { Axis } from "./axis.js"
 * @import { Shell, State } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

export class Over {
  /**
   * @param {Axis} axis
   * @param {Views} views
   */
  constructor(axis, views) {
    this.axis = axis;
    this.views = views;
    this.sheet = new Sheet(axis);
    this.sheet.canvas.className = "over";
    /** @type {number | null} */
    this.hover = null; // the place that is pointed at
  }

  /**
   * @param {State} state
   * @param {Shell[]} tracks that are open
   */
  draw(state, tracks) {
    const { sheet, axis } = this;
    const high = Math.max(0, ...tracks.map(({ sheet: { canvas }, height }) => canvas.offsetTop + height));
    sheet.begin(high, state.theme);
    const { palette } = sheet;
    if (state.selection) {
      const [from, to] = state.selection.map((place) => axis.x(place));
      sheet.fill(palette.select, from, 0, to - from, high);
      for (const x of [from, to]) sheet.fill(palette.ink, x, 0, 1.5, high);
    }
    if (this.hover !== null) sheet.fill(palette.edge, axis.x(this.hover + 0.5), 0, 1, high);
    const x = axis.x(state.call + 0.5);
    for (const shell of tracks) {
      if (!shell.painter.grows) sheet.fill(palette.now, x - 1, shell.element.offsetTop, 2, shell.element.offsetHeight);
    }
    for (const shell of tracks) this.mark(shell, state);
    this.drawBecoming(state, tracks);
  }

  /**
   * What a track marks, in its own coordinates.
   *
   * @param {Shell} shell
   * @param {State} state
   */
  mark({ painter, height, data, sheet: { canvas } }, state) {
    if (!painter.mark) return;
    const { sheet, axis } = this;
    const { context } = sheet;
    context.save();
    context.beginPath();
    context.rect(0, canvas.offsetTop, axis.width, height);
    context.clip();
    context.translate(0, canvas.offsetTop);
    sheet.height = height;
    sheet.font(12);
    painter.mark(sheet, bounded(state, data.calls));
    context.restore();
  }

  /**
   * A dotted line from the frame that is completed in the grid up to the sound that it becomes.
   *
   * @param {State} state
   * @param {Shell[]} tracks
   */
  drawBecoming(state, tracks) {
    const { sheet: { context, palette }, axis } = this;
    const [data, other] = this.views.all;
    const sound = tracks.find(({ kind }) => kind === "sound");
    const grid = tracks.find(({ kind }) => kind === "grid");
    const at = soundOf(data, state.call);
    if (!sound || !grid || at === null || other || !data.columns.grid || !data.columns.peaks) return;
    const { delays, ahead, at: read } = data.header.grid;
    const first = state.call - Math.max(...delays) + delays[0] + ahead - read;
    const [from, to] = [axis.x(first + 0.5), axis.x(at + 0.5)];
    const high = sound.sheet.canvas.offsetTop + sound.height;
    const low = grid.sheet.canvas.offsetTop;
    context.strokeStyle = context.fillStyle = palette.frame;
    context.lineWidth = 1.6;
    context.setLineDash([2, 4]);
    context.beginPath();
    context.moveTo(to, high);
    context.bezierCurveTo(to, high + 0.75 * (low - high), from, high + 0.45 * (low - high), from, low);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(to, high - 1);
    context.lineTo(to - 4, high + 7);
    context.lineTo(to + 4, high + 7);
    context.fill();
  }
}

/**
 * The state as a run has it that may have ended before.
 *
 * @param {State} state
 * @param {number} calls of the run
 * @returns {State}
 */
export function bounded(state, calls) {
  return state.call < calls ? state : { ...state, call: calls - 1 };
}
