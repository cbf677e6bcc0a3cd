// The explorer of a sweep on a page.

import { keyName } from "../../explorer/front/commands.js";
import { bdi, capital, h, say } from "../../explorer/front/dom.js";
import { helpSheet } from "../../explorer/front/help.js";
import { Host, THEMES } from "../../explorer/front/host.js";
import { listen } from "../../explorer/front/keys.js";
import { unpack } from "../../explorer/front/unpack.js";
import { VIEWS, filterBar } from "./bar.js";
import { Board } from "./board.js";
import { charts } from "./charts.js";
import { partingsMap } from "./partings.js";
import { Runs, many } from "./runs.js";
import { runPane } from "./runpane.js";
import { runTable } from "./runtable.js";
import { Sounding } from "./sounding.js";

/**
 * @import { Command } from "../../explorer/front/types.d.ts"
 * @import { Hands, Looked, MountedSweep, Piece, SweepHeader } from "./types.d.ts"
 */

const SWEEP_POINTER =
  "A click on a head sorts, on a row, a dot or a cell of the map it shows the run; a double click on a row opens it. " +
  "Filters: a text, or a column with =, !=, <, > or a part of a text behind a colon, as in cfg_scale=2 words>10.";
const STAYS = 4000; // milliseconds of what became of a command
const PAGE = 15; // rows

/**
 * Show a sweep in `root`.
 *
 * @param {HTMLElement} root an empty element
 * @param {Uint8Array<ArrayBuffer>} bytes packed runs
 * @param {Hands} hands
 * @returns {Promise<MountedSweep>}
 */
export async function mountSweep(root, bytes, hands) {
  /** @type {{ header: SweepHeader, columns: import("../../explorer/front/types.d.ts").Columns }} */
  const packed = await unpack(bytes);
  const runs = new Runs(packed);
  const board = new Board(runs);
  const ends = new AbortController();
  const line = toldLine();
  const sounding = new Sounding(runs, board, hands.sound, line.tell);
  const side = runPane(root, runs, sounding, hands.open, line.tell);
  const table = runTable(runs, board, sounding, side.enter);
  const bar = filterBar(runs, board);
  const commands = commandsOfSweep(board, sounding, side, {
    find: () => bar.find.focus(),
    help() {
      dialog.showModal();
      dialog.querySelector("button")?.focus();
    },
  });
  const dialog = helpSheet(commands, SWEEP_POINTER);
  const head = headOfSweep(runs, (theme) => host.choose(theme), () => dialog.showModal());
  const map = partingsMap(runs, board, line.point, line.tell);
  const views = [viewOf("Table", table), charts(runs, board, line.point), map];
  const stage = h("section", { class: "stage", "aria-label": "Runs" }, views.map(({ element }) => element));
  const panes = panesOf(board);
  root.classList.add("dia2-explorer", "dia2-sweep");
  root.setAttribute("tabindex", "-1");
  if (root.tagName !== "MAIN") root.setAttribute("role", "region");
  root.setAttribute("aria-label", `Explorer of the sweep ${runs.header.name}`);
  listen(root, commands, ends.signal);
  bar.find.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" || key === "Enter") root.focus({ preventScroll: true });
  });
  const foot = h("footer", { class: "foot" }, line.element, hintsOf(commands));
  const first = judged(runs, board);
  root.replaceChildren(head.element, first, bar.element, stage, side.element, panes.element, foot, dialog);

  /** @type {number | null} */
  let last = null;
  let view = board.looked.view;
  board.subscribe((looked) => {
    const { activeElement: focused } = /** @type {Document | ShadowRoot} */ (root.getRootNode());
    if (view !== looked.view && stage.contains(focused)) root.focus({ preventScroll: true }); // it goes out of sight
    view = looked.view;
    root.dataset.pane = looked.pane === "Run" ? "side" : "stage";
    for (const piece of [bar, head, ...views, side, panes]) piece.draw(looked);
    if (looked.run !== last && looked.run !== null) table.reveal(looked.run);
    last = looked.run;
  });
  const host = new Host(root, () => {
    const { layout } = host;
    root.classList.toggle("narrow", layout !== "wide");
    root.classList.toggle("phone", layout === "phone");
    root.classList.toggle("paper", layout === "paper");
    board.looked.theme = root.dataset.theme ?? "light";
    board.draw();
  });
  host.choose(null);
  requestAnimationFrame(() => performance.mark("dia2 painted"));
  return {
    board,
    runs,
    destroy() {
      sounding.destroy();
      ends.abort();
      host.destroy();
    },
  };
}

/** The last line: what the pointer is on, and for a while what became of a command. */
function toldLine() {
  const element = h("p", { class: "told", role: "status" });
  let pointed = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const show = () => say(element, pointed);
  return {
    element,
    /** @param {string} text */
    point(text) {
      pointed = text;
      if (timer === undefined) show();
    },
    /** @param {string} text */
    tell(text) {
      clearTimeout(timer);
      say(element, text);
      element.parentElement?.classList.add("says"); // a phone shows no such line else
      timer = setTimeout(() => {
        timer = undefined;
        element.parentElement?.classList.remove("says");
        show();
      }, STAYS);
    },
  };
}

/**
 * @param {string} name
 * @param {Piece} piece
 * @returns {Piece}
 */
function viewOf(name, { element, draw }) {
  return {
    element,
    draw(looked) {
      element.hidden = looked.view !== name;
      if (!element.hidden) draw(looked);
    },
  };
}

/**
 * @param {Board} board
 * @param {Sounding} sounding
 * @param {{ enter(run: number): void }} side
 * @param {{ find(): void, help(): void }} hands
 * @returns {Command[]}
 */
function commandsOfSweep(board, sounding, side, hands) {
  /** @type {(act: (run: number) => void) => () => void} */
  const ofRun = (act) => () => {
    if (board.looked.run !== null) act(board.looked.run);
  };
  const filtered = () => board.looked.query !== "" || board.looked.chosen.size > 0;
  return [
    { id: "down", name: "Go to the next run", keys: ["ArrowDown", "J"], run: () => board.move(1) },
    { id: "up", name: "Go to the run before", keys: ["ArrowUp", "K"], run: () => board.move(-1) },
    { id: "page-down", name: "Go a page down", keys: ["PageDown"], run: () => board.move(PAGE) },
    { id: "page-up", name: "Go a page up", keys: ["PageUp"], run: () => board.move(-PAGE) },
    { id: "first", name: "Go to the first run", keys: ["Home"], run: () => board.move(-Infinity) },
    { id: "last", name: "Go to the last run", keys: ["End"], run: () => board.move(Infinity) },
    { id: "hear", name: "Hear the run", keys: [" ", "H"], run: ofRun((run) => void sounding.toggle(run)) },
    { id: "open", name: "Open the run", keys: ["Enter", "O"], run: ofRun((run) => side.enter(run)) },
    { id: "find", name: "Filter the runs", keys: ["/"], run: () => hands.find() },
    { id: "clear", name: "See all runs", keys: ["Escape"], run: () => board.clear(), when: filtered },
    ...VIEWS.map((view, i) => ({
      id: `view-${view}`,
      name: `Show the view ${view}`,
      keys: [String(i + 1)],
      run: () => board.set({ view, pane: "Runs" }),
    })),
    { id: "keys", name: "Show the keys", keys: ["?"], run: () => hands.help() },
  ];
}

/**
 * @param {Runs} runs
 * @param {(theme: string | null) => void} choose
 * @param {() => void} help
 */
function headOfSweep(runs, choose, help) {
  const facts = h("span", { class: "facts" });
  const names = ["Page’s colours", ...THEMES.map(capital)];
  /** @type {HTMLSelectElement} */
  const theme = h(
    "select",
    { "aria-label": "Colours", class: "colours", onchange: () => choose(THEMES[theme.selectedIndex - 1] ?? null) },
    names.map((name) => h("option", {}, name)),
  );
  const about = { "aria-label": "Show the keys", title: "Show the keys (?)" };
  const keys = h("button", { type: "button", ...about, onclick: help }, "?");
  const element = h("header", { class: "top" }, h("h1", {}, bdi(runs.header.name)), facts, theme, keys);
  const settings = runs.axes.map((place) => `${runs.columns[place].name} × ${runs.columns[place].distinct}`);
  /** @param {Looked} looked */
  const draw = ({ rows }) => {
    const all = many(runs.count, "run");
    const shown = rows.length === runs.count ? all : `${rows.length.toLocaleString("en-US")} of ${all}`;
    say(facts, [shown, ...settings, many(runs.measures.length, "measure")].join(" · "));
  };
  return { element, draw };
}

/**
 * The first line: how it went, and what is not in the page.
 *
 * @param {Runs} runs
 * @param {Board} board
 */
function judged(runs, board) {
  const failed = runs.failed.length;
  const all = many(runs.count, "run");
  const said = failed ? `${failed} of ${all} failed` : `All ${all} are done`;
  const error = runs.columns.findIndex(({ name }) => name === "error");
  const why = failed && error >= 0 ? `: ${mostOften(runs, error)}` : "";
  const more = runs.header.told.length ? ` ${runs.header.told.join(" ")}` : "";
  const text = h("p", {}, h("b", {}, said), h("bdi", {}, why), h("span", { class: "note" }, more));
  const show = h("button", { type: "button", onclick: () => board.only(runs.status, runs.failing) }, "Show");
  return h(
    "section",
    { class: `judged ${failed ? "is-bad" : "is-good"}`, "aria-label": "How it went" },
    h("span", { class: "icon-of", "aria-hidden": "true" }, failed ? "!" : "✓"),
    text,
    failed ? show : null,
  );
}

/**
 * Why most of the failed runs did.
 *
 * @param {Runs} runs
 * @param {number} place
 */
function mostOften(runs, place) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const run of runs.failed) {
    const why = runs.text(place, run);
    counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  const [[why, count]] = Array.from(counts).sort((a, b) => b[1] - a[1]);
  return counts.size > 1 ? `most often (${count}) “${why}”` : `“${why}”`;
}

/** @param {Command[]} commands */
function hintsOf(commands) {
  const hinted = commands.filter(({ id }) => ["down", "hear", "open", "find", "keys"].includes(id));
  return h("span", { class: "hint" }, hinted.map(({ keys, name }) =>
    h("span", {}, h("kbd", {}, keyName(keys[0])), name.toLowerCase()),
  ));
}

/**
 * On a phone: the runs, or one of them.
 *
 * @param {Board} board
 * @returns {Piece}
 */
function panesOf(board) {
  const names = /** @type {Looked["pane"][]} */ (["Runs", "Run"]);
  const buttons = names.map((pane) => h("button", { type: "button", onclick: () => board.set({ pane }) }, pane));
  const element = h("nav", { class: "panes", "aria-label": "Panes" }, buttons);
  return {
    element,
    draw({ pane }) {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(names[i] === pane)));
    },
  };
}
