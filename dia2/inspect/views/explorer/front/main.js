// The explorer on a page: one trace, or two beside each other.

import { topBar, scrubber } from "./bar.js";
import { candidatesPane } from "./candidates.js";
import { open } from "./data.js";
import { bdi, h, say } from "./dom.js";
import { findingsPane } from "./findings.js";
import { gridPane } from "./grid.js";
import { growthPane } from "./growth.js";
import { Host } from "./host.js";
import { listen } from "./keys.js";
import { tracksPane } from "./tracks.js";
import { machinePane } from "./machine.js";
import { Moves } from "./moves.js";
import { Player } from "./player.js";
import { rowsPane } from "./rows.js";
import { scriptPane } from "./script.js";
import { statePane } from "./state.js";
import { Store } from "./store.js";
import { windowAround } from "./timeline.js";
import { Views } from "./views.js";
import { wavePane } from "./wave.js";

/**
 * @import { Data } from "./data.js"
 * @import { Difference, Options, Part, Sound, State } from "./types.d.ts"
 */

/** @typedef {{ element: HTMLElement, parts: Part[] }} Group panes that stand together */

const NARROW = 960; // pixels below which the panes stand beneath each other

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
  /** @type {State} */
  const initial = {
    call: views.clamp(options.call ?? options.difference?.call ?? 0),
    playing: false,
    speed: 1,
    draw: Math.max(0, data.drawOf(0)),
    row: null,
    cell: null,
    first: 0,
    span: data.header.live ? data.header.span : Math.min(data.header.span, views.places),
    theme: "light",
  };
  const store = new Store(initial, (call) => views.clamp(call));
  const player = new Player(views, store);
  const moves = new Moves(views, store);
  const hear = hearing(shown, player, options.ask);
  const top = topBar(views, store, player, moves, hear, () => dialog);
  const bottom = scrubber(views, store);
  const panes = other ? compared(shown, store, options.difference, moves) : single(data, store);
  root.classList.add("dia2-explorer");
  root.classList.toggle("comparing", Boolean(other));
  root.setAttribute("tabindex", "0");
  root.setAttribute("role", "application");
  root.setAttribute("aria-label", `Explorer of ${data.header.name}`);
  const keys = new AbortController(); // another explorer may take the same element
  const dialog = listen(root, data, player, moves, top.search, keys.signal);
  root.replaceChildren(top.element, ...panes.map((part) => part.element), bottom.element, dialog);

  const drawn = [top, bottom, ...panes.flatMap(({ parts }) => parts)];
  store.subscribe((state) => {
    const first = windowAround(state.call, views.places, state.span, state.first);
    if (first !== state.first) state.first = first;
    for (const part of drawn) part.draw(state);
  });
  const host = new Host(root, () => {
    if (root.clientWidth) root.classList.toggle("narrow", host.narrow(NARROW));
    store.state.theme = root.dataset.theme ?? "light";
    store.draw();
  });
  host.again();
  requestAnimationFrame(() => performance.mark("dia2 painted"));
  return {
    store,
    data,
    player,
    destroy() {
      player.destroy();
      keys.abort();
      host.destroy();
    },
  };
}

/**
 * @param {string} name
 * @param {Part[]} parts
 * @returns {Group}
 */
function column(name, parts) {
  return { element: h("div", { class: name }, parts.map((part) => part.element)), parts };
}

/**
 * @param {Data} data
 * @param {Store} store
 */
function single(data, store) {
  const facts = data.header.state_pane;
  const state = facts.kind === "machine" ? machinePane(data) : statePane(data, store, facts);
  const heard = [wavePane(data, store, "What is heard"), scriptPane(data)].filter((part) => part !== null);
  const middle = [...heard, tracksPane(data, store), gridPane(data, store), growthPane(data, store)];
  const right = [state, candidatesPane(data, store), findingsPane(data, store)].filter((part) => part !== null);
  return [column("left", [rowsPane(data, store)]), column("middle", middle), column("right", right)];
}

/**
 * Two traces, one over the other on the same calls; the second one's panes stop where it ends.
 *
 * @param {Data[]} views two
 * @param {Store} store
 * @param {Difference | undefined} difference
 * @param {Moves} moves
 */
function compared(views, store, difference, moves) {
  const columns = views.map((data, i) => {
    const other = views[1 - i];
    const wave = wavePane(data, store, `${"AB"[i]}: ${data.header.name}`);
    const parts = [wave, tracksPane(data, store), gridPane(data, store, other)];
    return column("trace", parts.map((part) => bounded(part, data)));
  });
  const right = views.map((data, i) => bounded(candidatesPane(data, store, `Candidates in ${"AB"[i]}`), data));
  const parted = h(
    "p",
    { class: "parted" },
    difference
      ? [
          "The runs part at ",
          h("button", { type: "button", onclick: () => moves.to(difference.call) }, `call ${difference.call}`),
          ": ",
          bdi(difference.what),
        ]
      : "The two runs are the same.",
  );
  return [{ element: parted, parts: [] }, ...columns, column("right", right)];
}

/**
 * A part that stops at the last call of its run.
 *
 * @param {Part} part
 * @param {Data} data
 * @returns {Part}
 */
function bounded(part, data) {
  return { ...part, draw: (state) => part.draw({ ...state, call: Math.min(state.call, data.calls - 1) }) };
}

/**
 * The choice of what to hear, and a line that says what could not be heard.
 *
 * @param {Data[]} views one or two
 * @param {Player} player
 * @param {Options["ask"]} ask
 */
function hearing([data, other], player, ask) {
  /** @typedef {{ label: string, view: Data, bytes: () => Sound | Promise<Sound> }} Choice */
  /** @type {(view: Data, name: string) => Choice[]} */
  const soundsOf = (view, name) => {
    const sounds = view.header.sounds ?? [];
    return sounds.map((sound) => ({ label: `${name}${sound.label}`, view, bytes: () => view.sound(sound.column) }));
  };
  const options = other ? [...soundsOf(data, "A: "), ...soundsOf(other, "B: ")] : soundsOf(data, "");
  if (ask && !other) {
    const books = Array.from({ length: data.codebooks }, (_, book) => book);
    /** @type {(label: string, chosen: number[]) => void} */
    const some = (label, chosen) => options.push({ label, view: data, bytes: () => ask(chosen) });
    for (const last of books.slice(0, -1)) {
      some(last ? `codebooks 0 … ${last}` : "codebook 0 alone", books.slice(0, last + 1));
    }
    for (const muted of books.slice(0, -1)) some(`without codebook ${muted}`, books.filter((book) => book !== muted));
  }
  const choices = options.map(({ label }) => h("option", {}, label));
  const select = h("select", { "aria-label": "what to hear", class: "hear" }, choices);
  const told = h("span", { class: "unheard", role: "status" });
  select.hidden = !options.length;
  let wanted = 0;
  let heard = 0;
  const choose = async () => {
    const index = select.selectedIndex;
    const { label, view, bytes } = options[index];
    wanted = index;
    say(told, "");
    select.setAttribute("aria-busy", "true");
    const found = await Promise.resolve(bytes()).catch((/** @type {Error} */ error) => error);
    if (wanted !== index) return; // the kernel was slow, and something else was chosen meanwhile
    select.removeAttribute("aria-busy");
    if (found instanceof Error) {
      say(told, `${label} cannot be heard: ${found.message}`);
      wanted = select.selectedIndex = heard;
      return;
    }
    heard = index;
    player.load(found, view);
  };
  select.addEventListener("change", choose);
  if (options.length) choose();
  return [select, told];
}
