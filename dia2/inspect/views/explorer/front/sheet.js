// A canvas in CSS pixels, as wide as the axis: a track is drawn on one, and what moves with time on another above all.

import { UNPAINTED, paletteOf } from "./colours.js";
import { brush, h } from "./dom.js";

/** @import { Axis } from "./axis.js" */

const FONTS = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';

export class Sheet {
  /**
   * @param {Axis} axis
   * @param {string} label what a screen reader says that is there; without one it says nothing
   */
  constructor(axis, label = "") {
    this.axis = axis;
    this.canvas = h("canvas", label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" });
    this.context = brush(this.canvas);
    this.palette = UNPAINTED;
    this.theme = "";
    this.height = 0;
    this.zoom = 1; // of all that is drawn, letters too
  }

  get width() {
    return this.axis.width;
  }

  /**
   * Begin to draw anew.
   *
   * @param {number} height
   * @param {string} theme
   */
  begin(height, theme) {
    const { canvas, context, width, zoom } = this;
    const scale = (globalThis.devicePixelRatio || 1) * zoom;
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) {
      [canvas.width, canvas.height] = size;
      canvas.style.width = `${width * zoom}px`;
      canvas.style.height = `${height * zoom}px`;
    }
    if (this.theme !== theme) {
      this.palette = paletteOf(canvas, theme);
      this.theme = theme;
    }
    this.height = height;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.textBaseline = "middle";
    this.font(12);
  }

  /**
   * @param {number} size pixels
   * @param {boolean} bold
   */
  font(size, bold = false) {
    this.context.font = `${bold ? "600 " : ""}${size}px ${FONTS}`;
  }

  /**
   * @param {string} colour
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  fill(colour, x, y, width, height) {
    this.context.fillStyle = colour;
    this.context.fillRect(x, y, width, height);
  }

  /**
   * @param {string} colour
   * @param {number} thick
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  frame(colour, thick, x, y, width, height) {
    this.context.strokeStyle = colour;
    this.context.lineWidth = thick;
    this.context.strokeRect(x, y, width, height);
  }

  /**
   * A text at its left and middle, with what lies behind it.
   *
   * @param {string} value
   * @param {number} x
   * @param {number} y
   * @param {string} colour
   * @param {string} [behind]
   */
  text(value, x, y, colour, behind) {
    const { context } = this;
    if (behind) {
      context.lineWidth = 4;
      context.lineJoin = "round";
      context.strokeStyle = behind;
      context.strokeText(value, x, y);
    }
    context.fillStyle = colour;
    context.fillText(value, x, y);
  }

  /** @param {string} value */
  widthOf(value) {
    return this.context.measureText(value).width;
  }

  /**
   * A text, cut off with … where there is too little room; empty where not even a letter has room.
   *
   * @param {string} value
   * @param {number} room
   */
  cut(value, room) {
    if (this.widthOf(value) <= room) return value;
    let length = Math.min(value.length, Math.floor(room / this.widthOf("n")) + 2);
    while (length > 0 && this.widthOf(`${value.slice(0, length)}…`) > room) length -= 1;
    return length > 0 ? `${value.slice(0, length)}…` : "";
  }

  /** Calls that are drawn as one, for they have no pixel of their own: the highest value speaks for them. */
  get group() {
    return Math.max(1, Math.floor(1 / this.axis.step));
  }

  /**
   * The highest of the values of a group of calls; NaN where there is none.
   *
   * @param {number} call the first of it
   * @param {number} to
   * @param {(call: number) => number} value
   */
  highest(call, to, value) {
    let most = value(call);
    for (let at = call + 1; at < Math.min(to, call + this.group); at += 1) {
      const next = value(at);
      if (!(most >= next) && !Number.isNaN(next)) most = next;
    }
    return most;
  }

  /**
   * A line of steps over the calls that are seen; NaN interrupts it.
   *
   * @param {number} from
   * @param {number} to
   * @param {(call: number) => number} value
   * @param {(value: number) => number} y
   */
  steps(from, to, value, y) {
    const { context, axis, group } = this;
    context.beginPath();
    let drawing = false;
    for (let call = from; call < to; call += group) {
      const high = y(this.highest(call, to, value));
      if (Number.isNaN(high)) {
        drawing = false;
        continue;
      }
      if (drawing) context.lineTo(axis.x(call), high);
      else context.moveTo(axis.x(call), high);
      context.lineTo(axis.x(call + group), high);
      drawing = true;
    }
    context.stroke();
  }

  /**
   * Bars over the calls that are seen, from the bottom; none where the value is NaN or 0.
   *
   * @param {number} from
   * @param {number} to
   * @param {(call: number) => number} value
   * @param {(value: number) => number} y
   * @param {(value: number) => string} colour
   */
  bars(from, to, value, y, colour) {
    const { axis, group, height } = this;
    const width = axis.step * group + 0.5;
    for (let call = from; call < to; call += group) {
      const most = this.highest(call, to, value);
      if (most > 0) this.fill(colour(most), axis.x(call), y(most), width, height - y(most));
    }
  }

  /**
   * A dashed line across.
   *
   * @param {string} colour
   * @param {number} y
   * @param {number} from
   */
  dashed(colour, y, from = 0) {
    const { context } = this;
    context.setLineDash([5, 4]);
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(from, y);
    context.lineTo(this.width, y);
    context.stroke();
    context.setLineDash([]);
  }
}
