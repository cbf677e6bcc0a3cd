// Present: the run slide by slide, for a projector. Nothing else of the explorer is drawn meanwhile, and who leaves is
// back where he was.

import { h, say, sign } from "./dom.js";
import { slidesOf, worthCall } from "./slides.js";

/**
 * @import { Data } from "./data.js"
 * @import { Children, Link, Slide, State, Tab } from "./types.d.ts"
 * @import { Store } from "./store.js"
 */

const IDLE = 2500; // milliseconds after which the buttons go again
const STROKES = { back: "M11 3 5 8l6 5z", on: "M5 3l6 5-6 5z", leave: "M4 4l8 8M12 4l-8 8" };

/** @typedef {Pick<State, "call" | "draw" | "row" | "cell" | "first" | "span">} Place what is looked at */

export class Presentation {
  /**
   * @param {HTMLElement} root fills the screen where it may
   * @param {Store} store
   * @param {Data} data
   * @param {() => Tab[]} tabsOf makes tabs, some of which are slides
   * @param {AbortSignal} signal of its end
   */
  constructor(root, store, data, tabsOf, signal) {
    this.root = root;
    this.store = store;
    this.data = data;
    this.tabsOf = tabsOf;
    /** @type {Slide[] | null} */
    this.made = null; // its slides, as soon as they are wanted
    /** @type {Slide | null} */
    this.shown = null;
    /** @type {Place | null} */
    this.before = null; // what was looked at before it began
    this.apart = new Map(); // of slides that are about a call of their own: the call where one is on it
    this.common = 0; // the call of the others
    this.title = h("h2", { class: "slide-title" });
    this.lead = h("p", { class: "slide-lead" });
    this.body = h("div", { class: "slide-body" });
    this.counter = h("span", { class: "slide-counter", role: "status" });
    this.where = h("span", { class: "slide-where" });
    const [back, on, leave] = [
      button("back", "Slide before", () => this.step(-1)),
      button("on", "Next slide", () => this.step(1)),
      button("leave", "Leave the slides", () => this.leave()),
    ];
    const buttons = h("span", { class: "slide-buttons" }, back, on, leave);
    const foot = h("footer", { class: "slide-foot" }, this.counter, buttons, this.where);
    const sheet = h("div", { class: "slide" }, this.title, this.lead, this.body, foot);
    this.element = h("section", { class: "present", "aria-label": "Slides", hidden: true }, sheet);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.element.addEventListener("pointermove", () => {
      this.element.classList.add("pointed");
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.element.classList.remove("pointed"), IDLE);
    });
    this.full = false; // it has the screen
    const changed = () => {
      if (!root.matches(":fullscreen") && this.full) this.leave(); // by the browser's own Escape
      this.full = root.matches(":fullscreen");
    };
    root.addEventListener("fullscreenchange", changed, { signal });
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  get slides() {
    this.made ??= slidesOf(this.data, this.store, this.tabsOf());
    return this.made;
  }

  /**
   * @param {number} number of the slide, or the nearest there is
   * @param {Link | null} [link] that led here: its call is meant, and the browser allows no full screen
   */
  enter(number, link = null) {
    const { state } = this.store;
    const meant = link?.call !== undefined;
    const slide = Math.max(0, Math.min(this.slides.length - 1, number));
    if (!this.slides.length) return;
    if (state.slide === null) {
      const { call, draw, row, cell, first, span } = state;
      this.before = { call, draw, row, cell, first, span };
      this.common = meant ? call : worthCall(this.data, call);
      this.apart.clear();
    }
    if (meant) this.store.set({ slide });
    else this.show(slide);
    // What has the focus is hidden now, and would leave the keys to a notebook.
    if (!link || this.root.contains(document.activeElement)) this.root.focus({ preventScroll: true });
    if (!link && !this.full) this.root.requestFullscreen?.().catch(() => {}); // not allowed: they fill the explorer
  }

  /** @param {1 | -1} direction */
  step(direction) {
    const { slide } = this.store.state;
    if (slide === null) return;
    const next = Math.max(0, Math.min(this.slides.length - 1, slide + direction));
    if (next !== slide) this.show(next);
  }

  /**
   * A slide, at its own call or at that of the others; what plays goes on.
   *
   * @param {number} slide
   */
  show(slide) {
    const { slide: last, call, playing } = this.store.state;
    const from = last === null ? null : this.slides[last];
    if (from && from.call !== undefined) this.apart.set(from, call);
    else if (from) this.common = call;
    const to = this.slides[slide];
    const there = to.call === undefined ? this.common : this.apart.get(to) ?? to.call;
    this.store.set({ slide, ...(playing ? {} : { call: there }) });
  }

  /** Back to what was looked at before; a run that plays goes on. */
  leave() {
    const { slide, playing } = this.store.state;
    if (slide === null) return;
    this.store.set({ slide: null, ...(playing ? {} : this.before) });
    if (this.root.matches(":fullscreen")) document.exitFullscreen().catch(() => {}); // it may be gone already
    this.full = false;
    this.root.focus({ preventScroll: true });
  }

  /**
   * Whether a slide is what is seen: a phone and paper show the explorer.
   *
   * @param {State} state
   */
  draw(state) {
    const seen = state.slide !== null && state.layout !== "phone" && state.layout !== "paper";
    this.element.hidden = !seen;
    this.root.classList.toggle("presenting", seen);
    if (!seen || state.slide === null) return false;
    const slide = this.slides[state.slide];
    if (slide !== this.shown) this.place(slide, state.slide);
    tell(this.title, [slide.title(state)]);
    tell(this.lead, slide.lead(state));
    say(this.where, `call ${state.call}`);
    for (const part of slide.parts) part.draw(state);
    return true;
  }

  /**
   * @param {Slide} slide
   * @param {number} number
   */
  place(slide, number) {
    this.shown = slide;
    this.body.className = `slide-body of-${slide.name}`;
    this.body.replaceChildren(...slide.parts.map(({ element }) => element));
    this.title.dataset.severity = slide.severity ?? "";
    const hidden = h("span", { class: "slide-heard" }, `Slide ${number + 1} of ${this.slides.length}`);
    this.counter.replaceChildren(hidden, h("span", { "aria-hidden": "true" }, `${number + 1} / ${this.slides.length}`));
  }
}

/**
 * @param {keyof typeof STROKES} id
 * @param {string} name
 * @param {() => void} run
 */
function button(id, name, run) {
  return h("button", { type: "button", "aria-label": name, title: name, onclick: run }, sign(STROKES[id]));
}

/**
 * Set what stands in an element where it is another text than before.
 *
 * @param {HTMLElement} element
 * @param {Children} children
 */
function tell(element, children) {
  const next = h("span", {}, ...children);
  if (element.textContent === next.textContent) return;
  element.classList.toggle("long", (next.textContent ?? "").length > 90);
  element.replaceChildren(...next.childNodes);
}
