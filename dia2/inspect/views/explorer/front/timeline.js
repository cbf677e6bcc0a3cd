// A canvas whose x axis is calls; panes that show the same stretch of time share one window.

import { colours } from "./colours.js";
import { h } from "./dom.js";

/** The stretch of calls that is seen: `first` (can be a fraction) and `span`. */
export function windowAround(call, calls, span, first) {
  const most = Math.max(0, calls - span);
  const left = first + 0.1 * span;
  const right = first + 0.8 * span;
  if (call >= left && call <= right && first >= 0 && first <= most) return first;
  const wanted = call > right && call < right + 0.3 * span ? call - 0.8 * span : call < left ? call - 0.25 * span : call - 0.5 * span;
  return Math.max(0, Math.min(most, wanted));
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
    this.palette = null;
  }

  /** Begin to draw; false where the canvas is not on a page. Coordinates are CSS pixels. */
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
    this.context = canvas.getContext("2d");
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, this.height);
    return true;
  }

  /** Where a call begins. */
  x(call) {
    return ((call - this.first) / this.span) * this.width;
  }

  /** Width of a call. */
  get step() {
    return this.width / this.span;
  }

  /** Calls that are seen, as [from, to). */
  seen(calls) {
    return [Math.max(0, Math.floor(this.first)), Math.min(calls, Math.ceil(this.first + this.span))];
  }

  /** The call under a pointer; it need not exist. */
  callUnder(event) {
    return Math.floor(this.first + (event.offsetX / this.width) * this.span);
  }

  /** Go to the call that is pointed at, or to where `choose(event, call)` says. */
  jumps(store, choose = (_, call) => call) {
    // A click, for a touch that scrolls the page begins on a canvas too.
    this.canvas.addEventListener("click", (event) => store.set({ call: choose(event, store.clamp(this.callUnder(event))), row: null }));
  }

  /** The moment that is looked at. */
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

  /** A text, cut off with … where there is too little room; nothing where not even a letter has room. */
  text(value, x, y, room) {
    const { context } = this;
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
