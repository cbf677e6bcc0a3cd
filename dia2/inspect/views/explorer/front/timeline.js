// A canvas whose x axis is calls; panes that show the same stretch of time share one window.

import { UNPAINTED, colours } from "./colours.js";
import { brush, h } from "./dom.js";

/**
 * @import { Store } from "./store.js"
 * @import { State } from "./types.d.ts"
 */

/**
 * Where the stretch of calls that is seen begins: at `first` (it can be a fraction), or elsewhere where the call is not
 * well within it.
 *
 * @param {number} call
 * @param {number} calls
 * @param {number} span
 * @param {number} first
 */
export function windowAround(call, calls, span, first) {
  const most = Math.max(0, calls - span);
  const left = first + 0.1 * span;
  const right = first + 0.8 * span;
  if (call >= left && call <= right && first >= 0 && first <= most) return first;
  let before = 0.5; // how much of it is before the call: half after a jump
  if (call > right && call < right + 0.3 * span) before = 0.8;
  else if (call < left) before = 0.25;
  return Math.max(0, Math.min(most, call - before * span));
}

export class Timeline {
  /**
   * @param {string} label what a screen reader says that is there
   * @param {number} height in CSS pixels
   */
  constructor(label, height) {
    this.canvas = h("canvas", { role: "img", "aria-label": label });
    this.canvas.style.height = `${height}px`;
    this.height = height;
    this.width = 0;
    this.first = 0;
    this.span = 1;
    this.context = brush(this.canvas);
    this.palette = UNPAINTED;
    this.theme = "";
  }

  /**
   * Begin to draw; false where the canvas is not on a page. Coordinates are CSS pixels.
   *
   * @param {State} state
   */
  begin(state) {
    const { canvas } = this;
    const width = canvas.clientWidth;
    if (!width) return false;
    const scale = globalThis.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(this.height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(this.height * scale);
    }
    if (this.theme !== state.theme) {
      this.palette = colours(canvas);
      this.theme = state.theme;
    }
    this.width = width;
    this.first = state.first;
    this.span = state.span;
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, this.height);
    return true;
  }

  /**
   * Where a call begins.
   *
   * @param {number} call
   */
  x(call) {
    return ((call - this.first) / this.span) * this.width;
  }

  /** Width of a call. */
  get step() {
    return this.width / this.span;
  }

  /**
   * Calls that are seen, as [from, to).
   *
   * @param {number} calls
   */
  seen(calls) {
    return [Math.max(0, Math.floor(this.first)), Math.min(calls, Math.ceil(this.first + this.span))];
  }

  /**
   * The call under a pointer; it need not exist.
   *
   * @param {{ offsetX: number }} event
   */
  callUnder(event) {
    return Math.floor(this.first + (event.offsetX / this.width) * this.span);
  }

  /**
   * Go to the call that is pointed at, or to where `choose(event, call)` says.
   *
   * @param {Store} store
   * @param {(event: MouseEvent, call: number) => number} choose
   */
  jumps(store, choose = (_, call) => call) {
    // A click, for a touch that scrolls the page begins on a canvas too.
    this.canvas.addEventListener("click", (event) => {
      store.set({ call: choose(event, store.clamp(this.callUnder(event))), row: null });
    });
  }

  /**
   * The moment that is looked at.
   *
   * @param {number} call
   */
  playhead(call) {
    const { context } = this;
    const x = this.x(call + 0.5);
    context.strokeStyle = this.palette.now;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, this.height);
    context.stroke();
  }

  /**
   * A text, cut off with … where there is too little room; nothing where not even a letter has room.
   *
   * @param {string} value
   * @param {number} x
   * @param {number} y
   * @param {number} room
   */
  text(value, x, y, room) {
    const { context } = this;
    /** @type {(length: number) => number} */
    const width = (length) => context.measureText(value.slice(0, length) + (length < value.length ? "…" : "")).width;
    let length = Math.min(60, value.length);
    if (width(length) > room) {
      const letter = context.measureText("n").width;
      length = Math.min(length, Math.floor(room / letter) + 2);
      while (length > 0 && width(length) > room) length -= 1;
    }
    if (length > 0) context.fillText(value.slice(0, length) + (length < value.length ? "…" : ""), x, y);
  }
}
