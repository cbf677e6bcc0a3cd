// The runs of a sweep: what is known of each, as numbers to sort by and as texts to read.

/** @import { PackedSweep, RunColumn } from "./types.d.ts" */

const FIGURES = 4; // of a number

/**
 * A number as it is read.
 *
 * @param {number} value
 * @param {boolean} whole
 */
export function figure(value, whole = false) {
  if (Number.isNaN(value)) return "–";
  const text = whole && Math.abs(value) < 1e15 ? String(value) : String(Number(value.toPrecision(FIGURES)));
  return text.replace(/^-/, "−");
}

/**
 * A number of things: `1 run`, `1,000 runs`.
 *
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

export class Runs {
  /** @param {PackedSweep} packed */
  constructor({ header, columns }) {
    this.header = header;
    this.packed = columns;
    this.columns = header.columns;
    /** @type {Map<number, number | null>} */
    this.decimals = new Map(); // see `behind`
    this.count = header.ids.length;
    this.pages = new Map(header.pages);
    this.heard = header.sounds && new Set(header.sounds);
    /** Columns of numbers that a chart can show. */
    this.measures = this.places(({ role }) => role === "measure");
    /** Settings of which there is more than one value. */
    this.axes = this.places(({ role, distinct }) => role === "setting" && distinct > 1);
    this.status = this.columns.findIndex(({ name }) => name === "status");
    const failed = this.columns[this.status]?.texts?.indexOf("failed") ?? -1;
    this.failed = failed < 0 ? [] : Array.from({ length: this.count }, (_, run) => run).filter(
      (run) => this.value(this.status, run) === failed,
    );
    this.failing = failed;
  }

  /** @param {(column: RunColumn) => boolean} wanted */
  places(wanted) {
    return this.columns.flatMap((column, place) => (wanted(column) ? [place] : []));
  }

  /**
   * The number by which a column sorts: its own, or the place of its text; NaN where there is none.
   *
   * @param {number} place of the column
   * @param {number} run
   */
  value(place, run) {
    const { column, kind } = this.columns[place];
    const value = this.packed[column]?.[run] ?? NaN;
    return kind === "text" && value < 0 ? NaN : value;
  }

  /**
   * @param {number} place
   * @param {number} run
   */
  text(place, run) {
    return this.told(place, this.value(place, run));
  }

  /**
   * A value of a column as it is read.
   *
   * @param {number} place
   * @param {number} value
   */
  told(place, value) {
    const { kind, texts, whole } = this.columns[place];
    if (Number.isNaN(value)) return "–";
    if (kind === "text") return texts?.[value] ?? "–";
    if (kind === "flag") return value ? "yes" : "no";
    return figure(value, whole);
  }

  /**
   * The same where it stands above and below others of its column: with as many places behind the point as these.
   *
   * @param {number} place
   * @param {number} run
   */
  aligned(place, run) {
    const { kind, role, whole } = this.columns[place];
    const value = this.value(place, run);
    if (role !== "measure" || kind !== "number" || whole || Number.isNaN(value)) return this.told(place, value);
    const behind = this.behind(place);
    return behind === null ? figure(value) : value.toFixed(behind).replace(/^-/, "−");
  }

  /**
   * Places behind the point for the numbers of a column; null where they are too far apart.
   *
   * @param {number} place
   */
  behind(place) {
    const known = this.decimals.get(place);
    if (known !== undefined) return known;
    let most = 0;
    for (let run = 0; run < this.count; run += 1) most = Math.max(most, Math.abs(this.value(place, run)) || 0);
    const found = FIGURES - 1 - Math.floor(Math.log10(most || 1));
    const behind = found > 6 || found < 0 ? null : Math.max(1, found - 1);
    this.decimals.set(place, behind);
    return behind;
  }

  /**
   * The values that some runs have of a column, in order.
   *
   * @param {number} place
   * @param {Iterable<number>} [runs] all, where it is not said
   */
  values(place, runs = Array(this.count).keys()) {
    const found = new Set();
    for (const run of runs) found.add(this.value(place, run));
    found.delete(NaN);
    return /** @type {number[]} */ (Array.from(found)).sort((a, b) => a - b);
  }

  /**
   * What sets a run apart from the others, in a line.
   *
   * @param {number} run
   */
  name(run) {
    const axes = this.axes.filter((place) => this.columns[place].name !== "script");
    const named = axes.map((place) => `${this.columns[place].name} ${this.text(place, run)}`);
    return named.length ? named.join(", ") : `run ${this.header.ids[run]}`;
  }

  /** @param {number} run */
  hasTrace(run) {
    return Boolean(this.packed.trace?.[run]);
  }

  /**
   * The sound of a run that is in the page.
   *
   * @param {number} run
   */
  sound(run) {
    const bytes = this.packed[`sound_${run}`];
    return bytes instanceof Uint8Array ? bytes : null;
  }

  /**
   * What makes a page of a run.
   *
   * @param {number} run
   */
  command(run) {
    return this.header.command.join(this.header.ids[run]);
  }

  /**
   * Runs in the order of a column; those without a value last, whichever way.
   *
   * @param {number[]} runs
   * @param {number} place −1: the order of the settings
   * @param {boolean} falling
   */
  sorted(runs, place, falling) {
    const sign = falling ? -1 : 1;
    if (place < 0) return falling ? runs.toReversed() : runs;
    const keys = new Float64Array(this.count);
    for (const run of runs) keys[run] = this.value(place, run);
    return runs.toSorted((a, b) => {
      const [one, other] = [keys[a], keys[b]];
      if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
      return sign * (one - other) || a - b;
    });
  }
}
