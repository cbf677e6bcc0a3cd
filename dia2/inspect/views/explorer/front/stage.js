// The timeline: tracks one over the other on one axis, and a sheet above them for all that moves with the call.

import { Axis } from "./axis.js";
import { h, say } from "./dom.js";
import { Over, bounded } from "./over.js";
import { Minimap, Ruler } from "./overview.js";
import { shellsOf } from "./shells.js";

/**
 * @import { Store } from "./store.js"
 * @import { Shell, State } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const LEAST_SPACE = 560; // pixels below which what stands below the grid is folded at first
const BELOW = ["budget", "cache"];
const COMPARED = ["sound", "words", "states", "surprise", "grid"];

export class Stage {
  /**
   * @param {Views} views
   * @param {Store} store
   */
  constructor(views, store) {
    this.views = views;
    this.store = store;
    this.axis = new Axis();
    this.data = views.all[0];
    this.minimap = new Minimap(this.data);
    this.ruler = new Ruler(this.data, this.axis);
    this.over = new Over(this.axis, views);
    this.shells = shellsOf(views, store, this.axis);
    this.more = h("div", { class: "more-tracks" });
    const { ruler, minimap } = this;
    this.plot = h("div", { class: "plot" }, minimap.sheet.canvas, ruler.sheet.canvas, ruler.slider);
    const heads = h("div", { class: "head" }, h("b", {}, "Whole run"), h("b", {}, "Seconds, calls"));
    this.scrub = h("div", { class: "track scrub" }, heads, this.plot);
    const tracks = this.shells.map(({ element }) => element);
    this.body = h("div", { class: "tracks" }, tracks, this.more, this.over.sheet.canvas);
    this.element = h("section", { class: "stage", "aria-label": "Timeline" }, this.scrub, this.body);
    const { slider } = ruler;
    slider.addEventListener("input", () => store.set({ call: Number(slider.value), row: null }));
    this.begun = false; // the first layout is made
    this.laid = ""; // what the layout was made for
    this.painted = ""; // what the tracks were painted for
  }

  get plotWidth() {
    return this.plot.clientWidth;
  }

  /** Tracks that can be seen. */
  get open() {
    return this.shells.filter(({ element }) => !element.hidden);
  }

  /**
   * The tracks that are open in a lens at first. Of two runs those of a kind stand one over the other, and the grid of
   * the first shows where they differ.
   *
   * @param {string} lens
   */
  tracksOf(lens) {
    const { clientHeight } = this.body;
    const low = lens === "run" && this.store.state.layout === "wide" && clientHeight < LEAST_SPACE;
    const [data, other] = this.views.all;
    const seen = this.shells.filter((shell) => {
      if (!shell.lenses.includes(lens)) return false;
      if (other) return COMPARED.includes(shell.kind) && (shell.kind !== "grid" || shell.data === data);
      return !(low && BELOW.includes(shell.kind));
    });
    return seen.map(({ name }) => name);
  }

  /**
   * Do something while some calls are seen, and nothing is selected; afterwards all is drawn as it was, before the
   * screen shows anything of it.
   *
   * @template Made
   * @param {[from: number, to: number] | null} calls from and up to; null: those that are seen
   * @param {(state: State) => Made} act
   * @returns {Made}
   */
  seeing(calls, act) {
    const { store } = this;
    const before = store.state;
    if (!calls) return act(before);
    store.state = { ...before, first: calls[0], span: calls[1] - calls[0], selection: null };
    try {
      this.draw(store.state);
      return act(store.state);
    } finally {
      store.state = before;
      this.draw(before);
    }
  }

  /** @param {State} state */
  draw(state) {
    const width = this.plotWidth;
    if (!width) return;
    this.axis.width = width;
    this.axis.first = state.first;
    this.axis.span = state.span;
    const laid = `${width} ${this.element.clientHeight} ${state.open.join(" ")} ${state.pane} ${state.layout}`;
    if (laid !== this.laid) {
      this.laid = laid;
      this.layout(state);
    }
    const { first, span, theme, shows } = state;
    const painted = [laid, first, span, theme, shows, this.views.calls, globalThis.devicePixelRatio].join(" ");
    if (painted !== this.painted) {
      this.painted = painted;
      for (const { sheet, painter, height } of this.open) {
        sheet.begin(height, theme);
        painter.paint(sheet, state);
      }
    }
    this.minimap.draw(state, this.views.places, width);
    this.ruler.paint(state);
    this.tell(state); // before what is drawn where the tracks stand, for their notes can move them
    this.drawOver();
  }

  /**
   * Which tracks are open, and how high they are: those that can grow share what is left.
   *
   * @param {State} state
   */
  layout(state) {
    const seen = state.layout === "phone" ? phoneTracks(this.shells, state) : state.open;
    for (const shell of this.shells) shell.element.hidden = !seen.includes(shell.name);
    const folded = this.shells.filter(({ element, painter }) => element.hidden && painter.there);
    const open = (/** @type {string} */ name) => () => {
      this.store.set({ open: [...this.store.state.open, name], track: name });
    };
    this.more.hidden = !folded.length || state.layout === "phone";
    this.more.replaceChildren(
      h("span", {}, "More tracks"),
      ...folded.map(({ name, label }) => h("button", { type: "button", onclick: open(name) }, `+ ${label}`)),
    );
    this.share(state.layout === "wide" ? this.body.clientHeight : 0);
    for (const { element, height } of this.open) element.style.setProperty("--height", `${height}px`);
  }

  /** What moves with the call or the pointer. */
  drawOver() {
    if (this.axis.width) this.over.draw(this.store.state, this.open);
  }

  /**
   * How high the tracks are: those that can grow share the room that is left, the grid first.
   *
   * @param {number} room in pixels; 0: as much as there is need for
   */
  share(room) {
    for (const shell of this.open) shell.height = shell.painter.height;
    const borders = this.open.length;
    const used = this.open.reduce((sum, { height }) => sum + height, borders);
    let left = room - used - (this.more.hidden ? 0 : this.more.offsetHeight) - 2;
    const growing = this.open.filter(({ painter }) => painter.most);
    growing.sort((a, b) => Number(b.painter.grows ?? false) - Number(a.painter.grows ?? false));
    for (const shell of growing) {
      const { height, most = height, grows = false } = shell.painter;
      const needed = grows ? Math.min(120, most - height) : 0;
      const more = room ? Math.max(0, Math.min(left, most - height)) : needed;
      shell.height = Math.round(height + more);
      left -= more;
    }
  }

  /** @param {State} state */
  tell(state) {
    const { slider } = this.ruler;
    const there = this.views.at(state.call);
    if (Number(slider.max) !== this.views.calls - 1) slider.max = String(this.views.calls - 1);
    if (Number(slider.value) !== state.call) slider.value = String(state.call);
    const where = there.told(there.header.where, state.call);
    const word = there.wordAt(state.call);
    slider.setAttribute("aria-valuetext", word ? `${where}, ${word.text}` : where);
    for (const { note, painter, data } of this.open) {
      const text = painter.note(bounded(state, data.calls));
      say(note, text);
      if (note.title !== text) note.title = text; // there may be too little room for it
    }
  }
}

/**
 * On a phone one pane is seen at a time: the grid apart from the other tracks.
 *
 * @param {Shell[]} shells
 * @param {State} state
 */
function phoneTracks(shells, { pane, open }) {
  if (pane === "Grid") return shells.filter(({ kind }) => kind === "grid" || kind === "words").map(({ name }) => name);
  return shells.filter(({ kind, name }) => kind !== "grid" && open.includes(name)).map(({ name }) => name);
}
