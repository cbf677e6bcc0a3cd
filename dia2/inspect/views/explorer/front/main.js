// The explorer on a page: one trace, or two over each other.

import { windowAround } from "./axis.js";
import { commandButton, controls, LENSES } from "./controls.js";
import { copy } from "./copy.js";
import { commandOf, commandsOf, keyName } from "./commands.js";
import { open } from "./data.js";
import { bdi, capital, h } from "./dom.js";
import { hearing } from "./hearing.js";
import { helpSheet } from "./help.js";
import { Host, THEMES } from "./host.js";
import { inspector, tabsOf } from "./inspector.js";
import { listen } from "./keys.js";
import { hashOf } from "./link.js";
import { Moves } from "./moves.js";
import { Notebook, guard } from "./notes.js";
import { notesOf } from "./notespane.js";
import { Player } from "./player.js";
import { point } from "./pointer.js";
import { Presentation } from "./present.js";
import { Share, shareMenu } from "./share.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { Store } from "./store.js";
import { Tour } from "./tour.js";
import { keepToured } from "./toured.js";
import { differingDraw, partedBar, verdictBar } from "./verdict.js";
import { Views } from "./views.js";

/**
 * @import { Data } from "./data.js"
 * @import { Command, Link, Options, Part, State, Tab } from "./types.d.ts"
 */

const HINTED = ["nearer", "farther", "left", "right", "keys"]; // commands that no button shows, or that show the others
const LEAST_STEP = 9; // pixels of a call at first

/**
 * Show one or two traces in `root`.
 *
 * @param {HTMLElement} root an empty element
 * @param {Uint8Array<ArrayBuffer>[]} packed one view, or two to compare
 * @param {Options} options
 */
export async function mount(root, packed, options = {}) {
  return mountViews(root, await Promise.all(packed.map(open)), options);
}

/**
 * The same with views that are open.
 *
 * @param {HTMLElement} root
 * @param {Data[]} shown
 * @param {Options} options
 */
export function mountViews(root, shown, options = {}) {
  const [data, other] = shown;
  const views = new Views(shown);
  const store = new Store(stateOf(views, options), (call) => views.clamp(call));
  const player = new Player(views, store);
  const moves = new Moves(views, store);
  const stage = new Stage(views, store);
  const hear = hearing(shown, player, options.ask);
  const ends = new AbortController(); // another explorer may take the same element
  const tell = (/** @type {string} */ text) => status.tell(text);
  const share = new Share(root, views, store, player, stage, tell);
  const notebook = new Notebook(store, data.header.name, options.note);
  const notes = notesOf(root, data, notebook, moves, tell);
  const tabs = tabsOf(views, store, notes);
  const slides = new Presentation(root, store, data, () => tabsOf(views, store, notes), ends.signal);
  const tour = new Tour(data, store, () => ground, ends.signal, keepToured);
  /** @type {Command[]} */
  const commands = commandsOf(views, store, player, moves, {
    tabs: tabs.map(({ name }) => name),
    step: tabs.find((tab) => tab.step)?.step,
    go: () => bar.go.focus(),
    find: () => bar.find.focus(),
    help() {
      dialog.showModal();
      dialog.querySelector("button")?.focus(); // not the list, which can be scrolled
    },
    other: () => hear.other(),
    link() {
      const link = (options.linked ?? ((hash) => hash))(hashOf(store.state));
      copy(root, link, link).then(tell);
    },
    pin() {
      store.set({ tab: "Notes", pane: "Notes" });
      store.draw(); // at once: the tab is to be there before the next key is pressed
      notes.open(store.state.call);
    },
    share: share.commands,
    slides,
    tour,
  });
  const dialog = helpSheet(commands);
  /** @type {(lens: string) => void} */
  const lens = (name) => store.set({ lens: name, pane: "Time", open: stage.tracksOf(name) });
  const bar = controls(commands, store, moves, hear.elements, lens, tell);
  const first = other ? partedBar(views, options.difference, moves) : verdictBar(data, moves);
  const side = inspector(views, store, tabs);
  const panes = paneButtons(store, tabs);
  /** @type {(theme: string | null) => void} */
  const choose = (theme) => host.choose(theme);
  const head = headOf(data, commands, choose, shareMenu(commands, share, ends.signal));
  const status = new Status(views, hints(commands));
  root.classList.add("dia2-explorer");
  root.classList.toggle("comparing", Boolean(other));
  root.setAttribute("tabindex", "-1"); // a click gives it the focus; the first stop of Tab is to play
  if (root.tagName !== "MAIN") root.setAttribute("role", "region");
  root.setAttribute("aria-label", `Explorer of ${data.header.name}`);
  const ground = {
    root,
    parts: { verdict: first?.element, overview: stage.scrub, controls: bar.element, commands: head.commands },
    track: (/** @type {string} */ name) => stage.shells.find((shell) => shell.name === name)?.element,
    tab: (/** @type {string} */ name) => (tabs.some((tab) => tab.name === name) ? side.element : undefined),
    lenses: bar.lenses,
    free: bar.player,
    panes: panes.element,
    look: (/** @type {Link} */ link) => goTo(link, store, stage, tabs, slides),
  };
  const parts = [bar, first, stage, side, panes, status].filter((part) => part !== null);
  listen(root, commands, ends.signal);
  guard(notebook, ends.signal);
  point(stage, store, moves, (text) => status.point(text));
  const elements = parts.map(({ element }) => element);
  root.replaceChildren(bar.element, head.element, ...elements.slice(1), slides.element, dialog);

  let last = store.state.call;
  store.subscribe((state) => {
    const moved = state.call !== last;
    last = state.call;
    if (moved) state.first = windowAround(state.call, views.places, state.span, state.first);
    root.dataset.pane = state.pane === "Time" || state.pane === "Grid" ? "stage" : "side";
    if (slides.draw(state)) return; // nothing else is seen
    for (const part of parts) part.draw(state);
    tour.draw(state);
  });
  const host = new Host(root, () => {
    if (root.clientWidth) layOut(root, host.layout, store, stage);
    store.state.theme = root.dataset.theme ?? "light";
    store.draw();
  });
  host.choose(options.theme ?? null);
  goTo(options, store, stage, tabs, slides);
  if (options.tour === "begin" && !other) tour.greet(); // it leads through one run
  if (options.tour === "offer" && !other) tour.offer();
  if (options.draft?.focused) store.set({ tab: "Notes", pane: "Notes" });
  store.draw();
  if (options.draft) notes.resume(options.draft);
  requestAnimationFrame(() => performance.mark("dia2 painted"));
  return {
    store,
    data,
    player,
    notebook,
    get draft() {
      return notes.draft;
    },
    /** @type {(link: Link) => void} */
    go: (link) => goTo(link, store, stage, tabs, slides),
    destroy() {
      player.destroy();
      ends.abort();
      host.destroy();
    },
  };
}

/**
 * @param {Views} views
 * @param {Options} options
 * @returns {State}
 */
function stateOf(views, options) {
  const [data] = views.all;
  const { live, span } = data.header;
  const call = views.clamp(options.call ?? options.difference?.call ?? 0);
  const wide = live ? span : Math.min(span, views.places);
  const parted = options.difference ? differingDraw(views.all, call) : -1;
  return {
    call,
    playing: false,
    speed: 1,
    draw: parted >= 0 ? parted : Math.max(0, data.drawOf(0)),
    row: null,
    cell: null,
    first: windowAround(call, views.places, wide, 0),
    span: wide,
    theme: "light",
    layout: "wide",
    lens: "run",
    open: [],
    track: null,
    tab: "",
    pane: "Time",
    look: { look: 0, layer: 0, head: -1 },
    selection: null,
    loop: false,
    shows: views.all.length > 1 ? "difference" : "surprise",
    notes: (options.notes ?? data.header.notes ?? []).map((note) => ({ ...note, kept: true })),
    slide: null,
  };
}

/**
 * @param {HTMLElement} root
 * @param {State["layout"]} layout
 * @param {Store} store
 * @param {Stage} stage
 */
function layOut(root, layout, store, stage) {
  root.classList.toggle("narrow", layout !== "wide");
  root.classList.toggle("phone", layout === "phone");
  root.classList.toggle("paper", layout === "paper");
  store.state.layout = layout;
  if (stage.begun) return;
  stage.begun = true;
  store.state.open = stage.tracksOf(store.state.lens);
  const { call, first, span } = store.state;
  store.state.span = Math.min(span, Math.max(20, stage.plotWidth / LEAST_STEP));
  store.state.first = windowAround(call, stage.views.places, store.state.span, first);
}

/**
 * Look at what a link names.
 *
 * @param {Link} link
 * @param {Store} store
 * @param {Stage} stage
 * @param {Tab[]} tabs
 * @param {Presentation} slides
 */
function goTo({ call, lens, track, tab, draw, present }, store, stage, tabs, slides) {
  /** @type {Partial<State>} */
  const change = {};
  if (call !== undefined) change.call = store.clamp(call);
  if (draw !== undefined && draw < stage.data.header.draws.length) change.draw = draw;
  if (tab !== undefined && tabs.some(({ name }) => name === tab)) change.tab = tab;
  if (lens !== undefined && LENSES.includes(lens)) {
    Object.assign(change, { lens, open: stage.tracksOf(lens) });
  }
  const found = stage.shells.find(({ name }) => name === track);
  const seen = change.open ?? store.state.open;
  if (found) change.track = found.name;
  if (found && !seen.includes(found.name)) change.open = [...seen, found.name];
  if (present === undefined) change.slide = null;
  store.set(change);
  if (present !== undefined) slides.enter(present, { call });
  if (found) requestAnimationFrame(() => found.element.scrollIntoView({ block: "nearest" }));
}

/**
 * @param {Data} data
 * @param {Command[]} commands
 * @param {(theme: string | null) => void} choose
 * @param {HTMLElement} sharing
 */
function headOf(data, commands, choose, sharing) {
  const { header } = data;
  const partial = header.complete ? "" : h("b", { class: "partial" }, bdi(` ${header.state}`));
  const facts = h("span", { class: "facts" }, bdi(header.facts.join(" · ")), partial);
  const names = ["Page’s colours", ...THEMES.map(capital)];
  /** @type {HTMLSelectElement} */
  const theme = h(
    "select",
    { "aria-label": "Colours", class: "colours", onchange: () => choose(THEMES[theme.selectedIndex - 1] ?? null) },
    names.map((name) => h("option", {}, name)),
  );
  const buttons = ["slides", "guide", "link", "keys"].flatMap((id) => commandOf(commands, id) ?? []).map(commandButton);
  const group = h("span", { class: "group" }, buttons.slice(0, -1), sharing, buttons.slice(-1));
  const element = h("header", { class: "top" }, h("h1", {}, bdi(header.name)), facts, theme, group);
  return { element, commands: group };
}

/** @param {Command[]} commands */
function hints(commands) {
  const found = HINTED.flatMap((id) => commandOf(commands, id) ?? []);
  const told = found.map(({ name, keys }) => h("span", {}, h("kbd", {}, keyName(keys[0])), name.toLowerCase()));
  return h("span", { class: "hint" }, h("span", {}, "shift-drag selects"), told);
}

/**
 * On a phone: which one thing is seen.
 *
 * @param {Store} store
 * @param {Tab[]} tabs
 * @returns {Part}
 */
function paneButtons(store, tabs) {
  const known = ["Draw", "Machine", "Pipeline"]; // the other tabs stand above these
  const some = tabs.some(({ name }) => name === "Pipeline")
    ? tabs.filter(({ name, opens }) => known.includes(name) || opens)
    : tabs.filter(({ opens }, i) => i < 3 || opens);
  const names = ["Time", "Grid", ...some.map(({ name }) => name)];
  const buttons = names.map((name) => h("button", { type: "button", onclick: () => choose(name) }, name));
  /** @param {string} name */
  function choose(name) {
    store.set({ pane: name, ...(tabs.some((tab) => tab.name === name) ? { tab: name } : {}) });
  }
  const element = h("nav", { class: "panes", "aria-label": "Panes" }, buttons);
  /** @type {Part["draw"]} */
  const draw = ({ pane }) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(names[i] === pane)));
  };
  return { element, draw };
}
