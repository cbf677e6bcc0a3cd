// What is looked at: one state, and everybody who draws it. Changes are drawn together, once a frame of the screen.

/** @import { State } from "./types.d.ts" */

export class Store {
  /**
   * @param {State} initial
   * @param {(call: number) => number} clamp the nearest call that there is
   */
  constructor(initial, clamp) {
    this.state = initial;
    this.clamp = clamp;
    /** @type {((state: State) => void)[]} */
    this.drawn = [];
    this.waiting = false;
    this.frames = 0; // drawn so far
  }

  /**
   * Draw on every change.
   *
   * @param {(state: State) => void} draw
   */
  subscribe(draw) {
    this.drawn.push(draw);
  }

  /**
   * Change what is looked at. A chosen row or cell belongs to the call where it was chosen: another call drops both,
   * unless the change names them.
   *
   * @param {Partial<State>} change
   */
  set(change) {
    const moves = "call" in change && change.call !== this.state.call;
    const next = { ...this.state, ...(moves ? { row: null, cell: null } : {}), ...change };
    const named = /** @type {(keyof State)[]} */ (Object.keys(change));
    if (named.every((name) => Object.is(this.state[name], next[name]))) return;
    this.state = next;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.waiting = false;
    this.frames += 1;
    for (const draw of this.drawn) draw(this.state);
  }
}
