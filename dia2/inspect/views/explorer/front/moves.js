// Ways to get from one call to another and to see more of them or fewer, for commands, pointer and search alike.

import { within } from "./axis.js";
import { search } from "./search.js";

/**
 * @import { Store } from "./store.js"
 * @import { Hit } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

export class Moves {
  /**
   * @param {Views} views
   * @param {Store} store
   */
  constructor(views, store) {
    this.views = views;
    this.store = store;
  }

  /** @param {number} call the nearest one that there is */
  to(call) {
    this.store.set({ call: this.views.clamp(call), row: null });
  }

  /** @param {number} calls on, or back */
  by(calls) {
    this.to(this.store.state.call + calls);
  }

  /**
   * To the next or the last word taken.
   *
   * @param {1 | -1} direction
   */
  word(direction) {
    this.beside(direction, this.views.spoken.map(({ call }) => call));
  }

  /**
   * To the next or the last place that is far from the usual, or where something was found.
   *
   * @param {1 | -1} direction
   */
  anomaly(direction) {
    this.beside(direction, this.anomalies);
  }

  /** Calls where something was found, or a draw was far less likely than usual. */
  get anomalies() {
    const { anomalies = [], findings = [] } = this.views.all[0].header;
    const calls = [...anomalies, ...findings].map(({ call }) => call);
    return [...new Set(calls)].sort((a, b) => a - b);
  }

  /**
   * @param {1 | -1} direction
   * @param {number[]} calls in their order
   */
  beside(direction, calls) {
    const { call } = this.store.state;
    const found = direction > 0 ? calls.find((each) => each > call) : calls.findLast((each) => each < call);
    if (found !== undefined) this.to(found);
  }

  /**
   * Where a word, a code or a token is.
   *
   * @param {string} text
   */
  search(text) {
    return search(this.views, text);
  }

  /** @param {Hit} hit */
  toHit({ call, cell }) {
    const draw = cell ? this.views.all[0].drawOf(cell.book) : -1;
    this.store.set({ call: this.views.clamp(call), row: null, cell: cell ?? null, ...(draw < 0 ? {} : { draw }) });
  }

  /**
   * To a call, `311`, or to a second of the sound, `12.4s`; false where it is neither.
   *
   * @param {string} text
   */
  find(text) {
    const [, number, unit] = /^\s*(-?\d+(?:[.,]\d+)?)\s*(s?)\s*$/i.exec(text.replace("−", "-")) ?? [];
    if (number === undefined) return false;
    const value = Number(number.replace(",", "."));
    const [data] = this.views.all;
    if (unit && !data.header.clock) return false;
    this.to(Math.floor(unit ? data.momentOf(value) + 1e-6 : value));
    return true;
  }

  /**
   * Another draw of the same call.
   *
   * @param {1 | -1} direction
   */
  draw(direction) {
    const last = Math.max(0, this.views.all[0].header.draws.length - 1);
    this.store.set({ draw: Math.max(0, Math.min(last, this.store.state.draw + direction)), cell: null });
  }

  /**
   * See more calls, or fewer; what is looked at, or a place, stays where it is.
   *
   * @param {number} factor
   * @param {number} [place]
   */
  zoom(factor, place) {
    const { places } = this.views;
    const { call, first, span: old } = this.store.state;
    const seen = call >= first && call <= first + old;
    const fixed = place ?? (seen ? call : first + old / 2);
    const { span } = within(0, old * factor, places);
    this.store.set(within(fixed - ((fixed - first) / old) * span, span, places));
  }

  /**
   * See other calls.
   *
   * @param {number} first
   */
  look(first) {
    this.store.set(within(first, this.store.state.span, this.views.places));
  }

  /** @param {number} calls on, or back */
  pan(calls) {
    this.look(this.store.state.first + calls);
  }

  /** See the whole run. */
  fit() {
    this.store.set(within(0, this.views.places, this.views.places));
  }

  /** See the selection, with a tenth of it around. */
  fitSelection() {
    const { selection } = this.store.state;
    if (!selection) return;
    const [from, to] = selection;
    const span = 1.2 * (to - from);
    const seen = within(0, span, this.views.places).span;
    this.store.set(within((from + to - seen) / 2, seen, this.views.places));
  }

  /**
   * Select the word that sounds at a call.
   *
   * @param {number} call
   */
  selectWord(call) {
    const data = this.views.at(call);
    const word = data.wordAt(call);
    const i = word ? data.spoken.findIndex((each) => each === word) : -1;
    if (!word || i < 0) return;
    this.store.set({ selection: [Math.floor(word.at), Math.max(Math.floor(word.at) + 1, Math.ceil(data.endOf(i)))] });
  }
}
