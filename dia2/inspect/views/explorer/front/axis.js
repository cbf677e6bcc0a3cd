// The one axis of all tracks: calls, and where they stand. A place on it is a call and a fraction of it.

const LEAST = 12; // calls that are seen

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

/**
 * A stretch of so many calls, or the nearest that can be seen.
 *
 * @param {number} first
 * @param {number} span
 * @param {number} places that there are
 */
export function within(first, span, places) {
  const seen = Math.max(Math.min(LEAST, places), Math.min(places, span));
  return { first: Math.max(0, Math.min(places - seen, first)), span: seen };
}

export class Axis {
  constructor() {
    this.first = 0;
    this.span = 1;
    this.width = 0;
  }

  /**
   * Where a place stands, in CSS pixels.
   *
   * @param {number} place
   */
  x(place) {
    return ((place - this.first) / this.span) * this.width;
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
   * The place at x; there need not be such a call.
   *
   * @param {number} x
   */
  at(x) {
    return this.first + (x / this.width) * this.span;
  }
}
