// One run: what was set, what came out, its sound, and the way into its own explorer.

import { copy } from "../../explorer/front/copy.js";
import { bdi, h, say, sign } from "../../explorer/front/dom.js";
import { PLAY, QUIET } from "./runtable.js";

/**
 * @import { Runs } from "./runs.js"
 * @import { Sounding } from "./sounding.js"
 * @import { Hands, Piece } from "./types.d.ts"
 */

const TITLES = /** @type {const} */ ([
  ["setting", "What was set"], ["measure", "What came out"], ["about", "About it"],
]);

/**
 * @param {HTMLElement} root
 * @param {Runs} runs
 * @param {Sounding} sounding
 * @param {Hands["open"]} open
 * @param {(text: string) => void} tell
 * @returns {Piece & { enter(run: number): void }}
 */
export function runPane(root, runs, sounding, open, tell) {
  let shown = /** @type {number | null} */ (null);
  const hear = h("button", { type: "button", class: "go" });
  hear.addEventListener("click", () => {
    if (shown !== null) sounding.toggle(shown);
  });
  const enter = h("button", { type: "button", class: "open-run" });
  enter.addEventListener("click", () => {
    if (shown !== null) go(shown);
  });
  const page = h("a", { class: "open-run" }, "Open its page");
  const told = h("p", { class: "note" });
  const title = h("h2");
  const id = h("code");
  const failed = h("p", { class: "why-failed" });
  const buttons = h("p", { class: "run-buttons" }, hear, enter, page);
  const lists = TITLES.map(([role, name]) => ({ role, head: h("h3", {}, name), list: h("dl") }));
  const whole = h("div", {}, id, failed, buttons, told, lists.flatMap(({ head, list }) => [head, list]));
  const none = h("p", { class: "none" }, "Choose a run: a row, a dot, or a cell.");
  const section = h("section", { class: "pane run-pane", "aria-label": "Run" }, title, none, whole);
  const element = h("aside", { class: "side" }, h("div", { class: "panel", tabindex: 0 }, section));

  /** @param {number} run */
  function go(run) {
    const name = runs.name(run);
    if (!runs.hasTrace(run)) tell(`${name} left no trace`);
    else if (open) {
      tell(`Opening ${name} …`);
      open(run).then(() => tell(`Opened below: ${name}`), (/** @type {Error} */ error) => tell(error.message));
    } else if (runs.pages.has(run)) page.click();
    else copy(root, runs.command(run), "the command that makes its page").then(tell);
  }

  /** @param {number} run */
  function fill(run) {
    say(title, runs.name(run));
    say(id, runs.header.ids[run]);
    const error = runs.columns.findIndex(({ name }) => name === "error");
    const why = error < 0 || Number.isNaN(runs.value(error, run)) ? "" : runs.text(error, run);
    say(failed, why);
    failed.hidden = !why;
    hear.disabled = !sounding.can(run);
    const address = runs.pages.get(run);
    page.hidden = open !== null || address === undefined;
    if (address?.startsWith("./")) page.setAttribute("href", address);
    enter.hidden = !page.hidden;
    enter.disabled = !runs.hasTrace(run);
    say(enter, open ? "Open its explorer" : "Copy the command");
    const missing = runs.hasTrace(run) ? "" : "It left no trace.";
    const silent = sounding.can(run) ? "" : "Its sound is not in this page.";
    say(told, missing || (page.hidden && !open ? `${silent} The command makes its own page.`.trim() : silent));
    for (const { role, head, list } of lists) {
      const places = runs.places((column) => column.role === role && column.name !== "error");
      const pairs = places.filter((place) => role === "setting" || !Number.isNaN(runs.value(place, run)));
      head.hidden = !pairs.length;
      list.replaceChildren(...pairs.flatMap((place) => [
        h("dt", {}, bdi(runs.columns[place].name)), h("dd", {}, bdi(runs.text(place, run))),
      ]));
    }
  }

  return {
    element,
    enter: go,
    draw({ run, playing }) {
      if (run !== null && run !== shown) fill(run);
      shown = run;
      none.hidden = run !== null;
      whole.hidden = run === null;
      if (run === null) say(title, "Run");
      const on = run !== null && playing === run;
      const state = String(on);
      if (hear.dataset.playing === state) return;
      hear.dataset.playing = state;
      hear.replaceChildren(sign(on ? QUIET : PLAY), on ? "Stop" : "Hear it");
    },
  };
}
