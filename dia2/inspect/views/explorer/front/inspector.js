// Beside the timeline: where we are, and in tabs what a call drew, did and read.

import { attentionParts } from "./attention.js";
import { candidatesPane } from "./candidates.js";
import { h } from "./dom.js";
import { fitTab } from "./fitpane.js";
import { machinePane } from "./machine.js";
import { bounded } from "./over.js";
import { pipelinePane } from "./pipeline.js";
import { readouts } from "./readouts.js";
import { rowsPane } from "./rows.js";
import { scriptPane } from "./script.js";
import { statePane } from "./state.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Part, PipelineFacts, State, Tab } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

/**
 * @param {Views} views
 * @param {Store} store
 * @param {Part} notes
 * @returns {Tab[]}
 */
export function tabsOf(views, store, notes) {
  const [data, other] = views.all;
  if (other) {
    const parts = views.all.map((of, i) => part(candidatesPane(of, store, `Draw of ${"AB"[i]}`), of));
    return [
      { name: "Draw", parts },
      { name: "Call", parts: [sideBySide(views, (of) => rowsPane(of, store))] },
      { name: "Machine", parts: [sideBySide(views, (of) => stateOfRun(of, store))] },
      { name: "Notes", parts: [notes] },
    ];
  }
  const script = scriptPane(data);
  const fit = fitTab(data, store);
  const { pipeline } = data.header;
  return [
    { name: "Draw", parts: [candidatesPane(data, store)] },
    { name: "Call", parts: [rowsPane(data, store)] },
    { name: "Machine", parts: [stateOfRun(data, store)] },
    ...(data.header.replay ? [{ name: "Attention", parts: attentionParts(data, store) }] : []),
    ...(pipeline ? [pipelineTab(data, store, pipeline)] : []),
    ...(script ? [{ name: "Script", parts: [script] }] : []),
    ...(fit ? [fit] : []),
    { name: "Notes", parts: [notes] },
  ];
}

/**
 * The tab that is shown: the one that somebody chose, else the one for where the run is; of a cell its draw.
 *
 * @param {State} state
 * @param {Tab[]} tabs
 */
export function tabOf(state, tabs) {
  const fitting = state.cell ? undefined : tabs.find(({ opens }) => opens?.(state));
  return state.tab || (fitting ?? tabs[0]).name;
}

/**
 * @param {Data} data
 * @param {Store} store
 * @param {PipelineFacts} facts
 * @returns {Tab}
 */
function pipelineTab(data, store, facts) {
  const whole = pipelinePane(data, store, facts);
  return { name: "Pipeline", parts: [whole], step: whole.step };
}

/**
 * @param {Data} data
 * @param {Store} store
 */
function stateOfRun(data, store) {
  const facts = data.header.state_pane;
  return facts.kind === "machine" ? machinePane(data) : statePane(data, store, facts);
}

/**
 * The same pane of both runs side by side.
 *
 * @param {Views} views
 * @param {(data: Data) => Part} paneOf
 * @returns {Part}
 */
function sideBySide(views, paneOf) {
  const parts = views.all.map((data) => part(paneOf(data), data));
  const columns = parts.map(({ element }, i) => h("div", {}, h("h3", {}, "AB"[i]), element));
  return {
    element: h("div", { class: "beside" }, columns),
    draw: (state) => parts.forEach(({ draw }) => draw(state)),
  };
}

/**
 * A part that stops at the last call of its run.
 *
 * @param {Part} whole
 * @param {Data} data
 * @returns {Part}
 */
function part(whole, data) {
  return { ...whole, draw: (state) => whole.draw(bounded(state, data.calls)) };
}

/**
 * @param {Views} views
 * @param {Store} store
 * @param {Tab[]} tabs
 * @returns {Part}
 */
export function inspector(views, store, tabs) {
  const where = readouts(views);
  const buttons = tabs.map(({ name }, i) =>
    h("button", { type: "button", role: "tab", class: `of-${name.toLowerCase()}`, onclick: () => choose(i) }, name),
  );
  const panels = tabs.map(({ name, parts }) =>
    h("div", { class: "panel", role: "tabpanel", "aria-label": name }, parts.map(({ element }) => element)),
  );
  /** @param {number} i */
  function choose(i) {
    const { name } = tabs[i];
    store.set({ tab: name, pane: name });
  }
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": "About this call" }, buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (!step || at < 0 || event.shiftKey) return;
    event.preventDefault(); // of the tabs, not of the run
    const next = (at + step + tabs.length) % tabs.length;
    choose(next);
    buttons[next].focus();
  });
  const element = h("section", { class: "side", "aria-label": "Inspector" }, where.element, list, panels);
  /** @type {Part["draw"]} */
  const draw = (state) => {
    where.draw(state);
    const shown = tabOf(state, tabs);
    tabs.forEach(({ name, parts }, i) => {
      const here = name === shown;
      buttons[i].setAttribute("aria-selected", String(here));
      buttons[i].tabIndex = here ? 0 : -1;
      panels[i].classList.toggle("off", !here);
      const seen = here && (state.layout !== "phone" || state.pane === name);
      if (seen || state.layout === "paper") for (const each of parts) each.draw(state);
    });
  };
  return { element, draw };
}
