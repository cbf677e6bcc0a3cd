// The tour: stops that the run's family declares, each a small card beside what it is about. It blocks nothing: all
// else goes on, and who does not want it leaves it where it is.

import { h, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Link, Part, State, Stop } from "./types.d.ts"
 */

const CLEAR = 10; // pixels between the card and what it is about

/**
 * What the tour leads through.
 *
 * @typedef {object} Ground
 * @property {HTMLElement} root
 * @property {Partial<Record<NonNullable<Stop["part"]>, HTMLElement>>} parts
 * @property {(name: string) => HTMLElement | undefined} track
 * @property {(name: string) => HTMLElement | undefined} tab
 * @property {HTMLElement} lenses
 * @property {HTMLElement} free what the card leaves free
 * @property {HTMLElement} panes below what it can stand on, where they are seen
 * @property {(link: Link) => void} look at what a link names
 */

/** @implements {Part} */
export class Tour {
  /**
   * @param {Data} data
   * @param {Store} store
   * @param {() => Ground} ground once it stands
   * @param {AbortSignal} signal of its end
   * @param {() => void} seen called when a stop is shown
   */
  constructor(data, store, ground, signal, seen) {
    this.data = data;
    this.seen = seen;
    this.store = store;
    this.groundOf = ground;
    this.at = -1; // which stop; −1: none
    /** @type {Stop[]} */
    this.stops = []; // those that this run and this screen have
    this.docked = false; // a part of the page, in nobody's way
    /** @type {State | null} */
    this.before = null; // what was looked at before, and
    /** @type {State | null} */
    this.led = null; // what it has led to
    /** @type {Element | null} */
    this.back = null; // what had the focus
    this.laid = ""; // what it was placed for
    this.title = h("b", { class: "tour-title" });
    this.text = h("p", {});
    this.count = h("span", { class: "tour-count" });
    this.last = h("button", { type: "button", onclick: () => this.go(-1) }, "Back");
    this.next = h("button", { type: "button", class: "go", onclick: () => this.go(1) }, "Next");
    const end = h("button", { type: "button", class: "tour-end", onclick: () => this.end() }, "End the tour");
    const said = h("div", { class: "tour-said", "aria-live": "polite" }, this.title, this.text);
    const foot = h("div", { class: "tour-foot" }, this.count, end, this.last, this.next);
    this.card = h("div", { class: "tour", tabindex: -1, hidden: true }, said, foot);
    this.element = this.card;
    this.ring = h("div", { class: "tour-ring", "aria-hidden": "true", hidden: true });
    this.card.addEventListener("keydown", (event) => this.pressed(event));
    const moved = () => this.on && this.place();
    window.addEventListener("scroll", moved, { capture: true, passive: true, signal }); // tracks, or the page
    this.sizes = new ResizeObserver(moved); // of the explorer, from the first card on
    signal.addEventListener("abort", () => this.sizes.disconnect());
  }

  get ground() {
    return this.groundOf();
  }

  get on() {
    return this.at >= 0;
  }

  /** What has the focus, in a shadow tree too. */
  get focus() {
    return /** @type {Document | ShadowRoot} */ (this.ground.root.getRootNode()).activeElement;
  }

  /** From the first stop, by whoever asks for it: the card has the focus. */
  begin() {
    if (this.on) this.end();
    this.stops = this.reachable();
    if (!this.stops.length) return;
    this.back = this.focus;
    this.before = this.store.state;
    this.show(0, false);
    this.card.focus({ preventScroll: true });
  }

  /** The first stop by itself: as a part of the page, so that it covers nothing and takes no focus. */
  greet() {
    const { verdict } = this.ground.parts;
    this.stops = this.reachable();
    if (!verdict || this.stops[0]?.part !== "verdict") return;
    this.show(0, true);
  }

  /** Say by its button that there is one. */
  offer() {
    const button = this.ground.parts.commands?.querySelector(".guide");
    button?.classList.add("offered");
    if (button) say(button, "Take the tour");
  }

  /** @returns {Stop[]} */
  reachable() {
    const seen = (/** @type {HTMLElement | undefined} */ element) => Boolean(element?.getClientRects().length);
    const { layout } = this.store.state;
    return (this.data.header.tour ?? []).filter(({ part, track, tab, lens }) => {
      if (part === "commands" && layout === "phone") return false; // it has no keys
      if (track) return this.ground.track(track);
      if (tab) return this.ground.tab(tab);
      return seen(part ? this.ground.parts[part] : lens ? this.ground.lenses : undefined);
    });
  }

  /** @param {1 | -1} direction */
  go(direction) {
    const next = this.at + direction;
    if (next < 0) return;
    if (next >= this.stops.length) {
      this.end();
      return;
    }
    if (this.docked) {
      this.back = null;
      this.before = this.store.state;
    }
    this.show(next, false);
    if (!this.card.contains(this.focus)) this.card.focus({ preventScroll: true });
  }

  /**
   * @param {number} number
   * @param {boolean} docked
   */
  show(number, docked) {
    const { root, parts } = this.ground;
    const stop = this.stops[number];
    this.at = number;
    this.docked = docked;
    const home = docked ? parts.verdict : root;
    if (home && this.card.parentElement !== home) home.append(this.card);
    if (this.ring.parentElement !== root) root.append(this.ring);
    this.sizes.observe(root);
    this.card.classList.toggle("docked", docked);
    this.card.setAttribute("role", docked ? "note" : "dialog"); // a dialog has the focus, and does not come by itself
    this.card.setAttribute("aria-label", "Tour");
    this.card.hidden = false;
    this.seen();
    say(this.title, stop.title);
    say(this.text, stop.text);
    say(this.count, `${number + 1} of ${this.stops.length}`);
    this.last.hidden = number === 0;
    say(this.next, number < this.stops.length - 1 ? "Next" : "Done");
    this.ring.hidden = true;
    if (docked) return;
    this.store.draw(); // it may have been a part of the page
    const { track, tab, lens } = stop;
    this.ground.look({ track, tab, lens, ...this.callOf(stop) });
    if (this.store.state.layout === "phone") this.store.set({ pane: paneOf(stop) });
    this.led = this.store.state;
    requestAnimationFrame(() => {
      const about = this.about;
      if (!this.on || !about) return;
      if (stop.track === undefined) about.scrollIntoView({ block: "nearest" }); // to a track the link scrolls
      this.place();
    });
  }

  /**
   * The call that a stop goes to, where this run has it.
   *
   * @param {Stop} stop
   * @returns {Link}
   */
  callOf({ call: named }) {
    const { data } = this;
    const { findings = [], anomalies = [] } = data.header;
    const { call } = this.store.state;
    const unlikely = anomalies.toSorted((a, b) => b.bits - a.bits)[0];
    const drawn = call >= data.given ? call : unlikely?.call ?? data.given;
    const calls = { finding: findings[0]?.call, word: data.spoken[0]?.call, surprise: unlikely?.call, drawn };
    const found = named ? calls[named] : undefined;
    return found === undefined || found >= data.calls ? {} : { call: found };
  }

  /** What the stop is about. */
  get about() {
    const { part, track, tab, lens } = this.stops[this.at] ?? {};
    if (track) return this.ground.track(track);
    if (tab) return this.ground.tab(tab);
    return part ? this.ground.parts[part] : lens ? this.ground.lenses : undefined;
  }

  /** The card beside what it is about, where both can be seen. */
  place() {
    const { about, card, ring } = this;
    const { root, free, panes } = this.ground;
    if (!about || this.docked || card.hidden) return;
    const whole = root.getBoundingClientRect();
    const view = boxIn(new DOMRect(0, 0, innerWidth, innerHeight), whole);
    view.left = Math.max(0, view.left);
    view.top = Math.max(0, view.top);
    view.right = Math.min(whole.width, view.right);
    view.bottom = Math.min(whole.height, view.bottom);
    if (panes.offsetHeight) view.bottom = Math.min(view.bottom, boxIn(panes.getBoundingClientRect(), whole).top);
    const seen = boxIn(about.getBoundingClientRect(), whole);
    const target = {
      left: Math.max(view.left, seen.left),
      top: Math.max(view.top, seen.top),
      right: Math.min(view.right, seen.right),
      bottom: Math.min(view.bottom, seen.bottom),
    };
    const [width, height] = [target.right - target.left, target.bottom - target.top];
    ring.hidden = width <= 0 || height <= 0;
    moveTo(ring, target.left, target.top);
    Object.assign(ring.style, { width: `${width}px`, height: `${height}px` });
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const { x, y } = beside(target, view, boxIn(free.getBoundingClientRect(), whole), size);
    moveTo(card, x, y);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const step = /** @type {const} */ ({ ArrowRight: 1, ArrowLeft: -1 });
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") this.go(step[event.key]);
    else if (event.key === "Escape") this.end();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Back to what was looked at before, unless somebody has gone elsewhere since. */
  end() {
    if (!this.on) return;
    const { led, before } = this;
    const { state } = this.store;
    const focused = this.card.contains(this.focus);
    this.at = -1;
    this.card.hidden = this.ring.hidden = true;
    this.store.draw(); // as a part of the page it took room
    if (led && before && !state.playing && placeOn(state) === placeOn(led)) {
      const { call, draw, row, cell, first, span, lens, open, track, tab, pane } = before;
      this.store.set({ call, draw, row, cell, first, span, lens, open, track, tab, pane });
    }
    this.led = this.before = null;
    if (!focused) return;
    const back = this.back instanceof HTMLElement && this.back.isConnected ? this.back : this.ground.root;
    back.focus({ preventScroll: true });
  }

  /** @type {Part["draw"]} */
  draw({ layout, open, tab, pane, lens }) {
    if (!this.on || this.docked) return;
    const laid = `${this.at} ${layout} ${open.join(" ")} ${tab} ${pane} ${lens}`;
    if (laid === this.laid) return;
    this.laid = laid;
    this.place();
  }
}

/** @param {State} state */
function placeOn({ call, tab, lens, pane }) {
  return [call, tab, lens, pane].join(" ");
}

/**
 * On a phone: the pane that a stop is in.
 *
 * @param {Stop} stop
 */
function paneOf({ track, tab }) {
  return tab ?? (track === "grid" ? "Grid" : "Time");
}

/** @typedef {{ left: number, top: number, right: number, bottom: number }} Box */

/**
 * Where a card stands: at the right or left of what it is about, under or above it; else in the lower right corner.
 *
 * @param {Box} target
 * @param {Box} view what can be seen
 * @param {Box} free what stays free of it: who listens goes on to
 * @param {{ width: number, height: number }} card
 */
export function beside(target, view, free, { width, height }) {
  const across = Math.max(view.left + CLEAR, Math.min(target.left + CLEAR, view.right - width - CLEAR));
  const down = Math.max(view.top + CLEAR, Math.min(target.top, view.bottom - height - CLEAR));
  const [under, above] = [target.bottom + CLEAR, target.top - height - CLEAR];
  const places = [
    { x: target.right + CLEAR, y: down },
    { x: target.left - width - CLEAR, y: down },
    { x: across, y: under },
    { x: free.right + CLEAR, y: under },
    { x: across, y: Math.max(under, free.bottom + CLEAR) },
    { x: across, y: above },
  ];
  const fits = ({ x = 0, y = 0 }) => {
    const covers = x < free.right && x + width > free.left && y < free.bottom && y + height > free.top;
    return x >= view.left && y >= view.top && x + width <= view.right && y + height <= view.bottom && !covers;
  };
  return places.find(fits) ?? { x: view.right - width - 2 * CLEAR, y: view.bottom - height - 2 * CLEAR };
}

/**
 * @param {DOMRect} of
 * @param {DOMRect} whole
 * @returns {Box} within another one
 */
function boxIn(of, whole) {
  const { left, top } = whole;
  return { left: of.left - left, top: of.top - top, right: of.right - left, bottom: of.bottom - top };
}

/**
 * @param {HTMLElement} element
 * @param {number} x
 * @param {number} y
 */
function moveTo(element, x, y) {
  element.style.left = `${Math.round(x)}px`;
  element.style.top = `${Math.round(y)}px`;
}
