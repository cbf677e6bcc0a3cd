// Ways to get from one call to another, for buttons, keys and the search box alike.

/**
 * @import { Store } from "./store.js"
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
    const { call } = this.store.state;
    const words = this.views.spoken;
    const found = direction > 0 ? words.find((word) => word.call > call) : words.findLast((word) => word.call < call);
    if (found) this.to(found.call);
  }

  /**
   * Words that hold a text, in the order of their calls.
   *
   * @param {string} text
   */
  search(text) {
    const wanted = text.trim().toLowerCase();
    return wanted ? this.views.spoken.filter((word) => word.text.toLowerCase().includes(wanted)) : [];
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
   * See more calls, or fewer.
   *
   * @param {number} factor
   */
  zoom(factor) {
    const { places } = this.views;
    const span = Math.max(Math.min(20, places), Math.min(places, this.store.state.span * factor));
    const { call, first, span: old } = this.store.state;
    const at = (call - first) / old; // what is looked at stays where it is
    this.store.set({ span, first: Math.max(0, Math.min(places - span, call - at * span)) });
  }
}
