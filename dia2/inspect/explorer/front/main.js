// The explorer on a page: one trace, or two beside each other.

import { topBar, scrubber } from "./bar.js";
import { candidatesPane } from "./candidates.js";
import { open } from "./data.js";
import { bdi, h } from "./dom.js";
import { findingsPane } from "./findings.js";
import { gridPane } from "./grid.js";
import { growthPane } from "./growth.js";
import { listen } from "./keys.js";
import { lanesPane } from "./lanes.js";
import { machinePane } from "./machine.js";
import { Moves } from "./moves.js";
import { Player } from "./player.js";
import { rowsPane } from "./rows.js";
import { scriptPane } from "./script.js";
import { statePane } from "./state.js";
import { Store } from "./store.js";
import { windowAround } from "./timeline.js";
import { wavePane } from "./wave.js";

const STATES = { machine: machinePane, row: statePane };
const NARROW = 960; // pixels below which the panes stand beneath each other

/**
 * Show one or two traces in `root`.
 *
 * @param {HTMLElement} root an empty element
 * @param {Uint8Array[]} packed one view, or two to compare
 * @param {object} options `difference`: where two traces part, {call, what}; `ask(books)`: bytes of the sound of some
 *   codebooks, where there is a kernel with the codec; `call`: where to begin
 */
export async function mount(root, packed, options = {}) {
  return mountViews(root, await Promise.all(packed.map(open)), options);
}

/** The same with views that are open. */
export function mountViews(root, views, options = {}) {
  const [data, other] = views;
  const longest = () => Math.max(...views.map((view) => view.places));
  const store = new Store({
    call: data.clamp(options.call ?? options.difference?.call ?? 0),
    playing: false,
    speed: 1,
    draw: Math.max(0, data.drawOf(0)),
    row: null,
    cell: null,
    first: 0,
    span: data.header.live ? data.header.span : Math.min(data.header.span, longest()),
    theme: themeOf(root),
  });
  const player = new Player(data, store);
  const moves = new Moves(data, store);
  const hear = hearing(views, player, options.ask);
  let dialog;
  const top = topBar(data, store, player, moves, hear, () => dialog);
  const bottom = scrubber(data, store);
  const panes = other ? compared(views, store, options.difference, moves) : single(data, store);
  root.classList.add("dia2-explorer");
  root.classList.toggle("comparing", Boolean(other));
  root.setAttribute("tabindex", "0");
  root.setAttribute("role", "application");
  root.setAttribute("aria-label", `Explorer of ${data.header.name}`);
  dialog = listen(root, data, player, moves, top.search);
  root.replaceChildren(top.element, ...panes.map((part) => part.element), bottom.element, dialog);

  const drawn = [top, bottom, ...panes.flatMap((part) => part.parts ?? [part])];
  store.subscribe((state) => {
    const first = windowAround(state.call, longest(), state.span, state.first);
    if (first !== state.first) state.first = first;
    for (const part of drawn) part.draw(state);
  });
  const again = () => {
    root.classList.toggle("narrow", root.clientWidth < NARROW);
    store.state.theme = themeOf(root);
    store.draw();
  };
  const watching = new ResizeObserver(again);
  watching.observe(root);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", again);
  const notebook = new MutationObserver(again);
  notebook.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  again();
  requestAnimationFrame(() => performance.mark("dia2 painted"));
  return {
    store,
    data,
    destroy() {
      player.destroy();
      watching.disconnect();
      dark.removeEventListener("change", again);
      notebook.disconnect();
    },
  };
}

/** Light or dark: what the notebook says, else what the system does. */
function themeOf(root) {
  const named = document.body.dataset.jpThemeLight ?? document.body.dataset.vscodeThemeKind;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const light = named === undefined ? !dark : named === "true" || named.includes("light");
  root.dataset.theme = light ? "light" : "dark";
  return root.dataset.theme;
}

function column(name, parts) {
  return { element: h("div", { class: name }, parts.map((part) => part.element)), parts };
}

function single(data, store) {
  const middle = [wavePane(data, store, "What is heard"), scriptPane(data), lanesPane(data, store), gridPane(data, store), growthPane(data, store)].filter(Boolean);
  const right = [STATES[data.header.state_pane.kind](data, store), candidatesPane(data, store), findingsPane(data, store)].filter(Boolean);
  return [column("left", [rowsPane(data, store)]), column("middle", middle), column("right", right)];
}

/** Two traces, one over the other on the same calls; the second one's panes stop where it ends. */
function compared(views, store, difference, moves) {
  const columns = views.map((data, i) => {
    const other = views[1 - i];
    const parts = [wavePane(data, store, `${"AB"[i]}: ${data.header.name}`), lanesPane(data, store), gridPane(data, store, other)];
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
  return [{ element: parted, draw: () => {} }, ...columns, column("right", right)];
}

function bounded(part, data) {
  return { ...part, draw: (state) => part.draw({ ...state, call: Math.min(state.call, data.calls - 1) }) };
}

/** The choice of what to hear. */
function hearing([data, other], player, ask) {
  const options = data.header.sounds.map(({ label, column }) => ({ label, bytes: () => data.sound(column) }));
  if (other) {
    for (const option of options) option.label = `A: ${option.label}`;
    options.push(...other.header.sounds.map(({ label, column }) => ({ label: `B: ${label}`, bytes: () => other.sound(column) })));
  }
  if (ask && !other) {
    const books = Array.from({ length: data.codebooks }, (_, book) => book);
    for (const last of books.slice(0, -1)) {
      options.push({ label: last ? `codebooks 0 … ${last}` : "codebook 0 alone", bytes: () => ask(books.slice(0, last + 1)) });
    }
    for (const muted of books.slice(0, -1)) {
      options.push({ label: `without codebook ${muted}`, bytes: () => ask(books.filter((book) => book !== muted)) });
    }
  }
  const select = h("select", { "aria-label": "what to hear", class: "hear" }, options.map(({ label }) => h("option", {}, label)));
  select.hidden = !options.length;
  const choose = async () => {
    select.setAttribute("aria-busy", "true");
    try {
      player.load(await options[select.selectedIndex].bytes(), data.header.mime);
    } finally {
      select.removeAttribute("aria-busy");
    }
  };
  select.addEventListener("change", choose);
  if (options.length) choose();
  return select;
}
