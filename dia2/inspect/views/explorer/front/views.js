// The runs on a page as one stretch of calls: as long as the longest of them.

/** @import { Data } from "./data.js" */

export class Views {
  /** @param {Data[]} all one or more */
  constructor(all) {
    this.all = all;
  }

  /** Calls of the longest run; of one that goes on they become more. */
  get calls() {
    return Math.max(...this.all.map((data) => data.calls));
  }

  get places() {
    return Math.max(...this.all.map((data) => data.places));
  }

  /**
   * The nearest call that there is in any of them.
   *
   * @param {number} call
   */
  clamp(call) {
    return Math.max(0, Math.min(this.calls - 1, call));
  }

  /**
   * The run that speaks for a call: the first, unless it has ended before.
   *
   * @param {number} call
   */
  at(call) {
    return this.all.find((data) => call < data.calls) ?? this.all[0];
  }

  /** Words taken: of the first run, then what the other one took after its end. */
  get spoken() {
    const [data, ...others] = this.all;
    return [...data.spoken, ...others.flatMap((other) => other.spoken.filter((word) => word.call >= data.calls))];
  }
}
