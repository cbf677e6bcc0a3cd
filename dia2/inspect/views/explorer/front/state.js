// What a call did to a run that is no machine: a sentence, numbers, and each channel's cell from drawn to written.

import { h, pane, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Gauge, Part, StateFacts } from "./types.d.ts"
 */

const HEADS = ["", "read", "drawn", "written", ""];

/**
 * @param {Data} data
 * @param {Store} store
 * @param {StateFacts} facts
 * @returns {Part}
 */
export function statePane(data, store, { told, verdicts, pairs }) {
  const verdict = h("p", { class: "verdict" });
  const values = pairs.map((pair) => ({ ...pair, shown: h("dd") }));
  const list = h("dl", { class: "machine" }, values.flatMap(({ name, shown }) => [h("dt", {}, name), shown]));
  const length = data.columns.grid ? data.codebooks : 0; // a redacted trace has no cells
  const channels = Array.from({ length }, (_, book) => channelRow(data, store, book));
  const body = h("tbody", {}, channels.map((channel) => channel.element));
  const heads = h("tr", {}, HEADS.map((text) => h("th", { scope: "col" }, text)));
  const table = data.columns.grid ? h("table", { class: "cells" }, h("thead", {}, heads), body) : null;
  const { element, note } = pane("state", data.header.titles.state, "", verdict, list, table);

  let shown = "";
  /** @type {Part["draw"]} */
  const draw = ({ call, draw: chosen }) => {
    if (shown === `${call} ${chosen}`) return;
    shown = `${call} ${chosen}`;
    say(note, data.told(told, call));
    say(verdict, data.told(verdicts[data.at("phase", call)], call));
    for (const { shows, gauge, shown: value } of values) {
      value.replaceChildren(...(gauge ? [meter(data, gauge, call)] : []), data.told(shows, call));
    }
    for (const channel of channels) channel.show(call, chosen);
  };
  return { element, draw };
}

/**
 * @param {Data} data
 * @param {Gauge} gauge
 * @param {number} call
 */
function meter(data, { column, most }, call) {
  const value = Math.max(0, Math.min(most, data.at(column, call)));
  return h("meter", { min: 0, max: most, value, "aria-label": column });
}

/**
 * A row for a channel, made once: a button that is made anew would lose the focus.
 *
 * @param {Data} data
 * @param {Store} store
 * @param {number} book
 */
function channelRow(data, store, book) {
  const { words } = data.header.grid;
  const draw = data.drawOf(book);
  const choose = () => store.set({ draw, cell: { book, column: data.columnOf(store.state.call) } });
  const name = `${words.short} ${book}`;
  const [read, drew, wrote, from] = [h("td"), h("td"), h("td"), h("td", { class: "from" })];
  const head = draw < 0 ? name : h("button", { type: "button", onclick: choose }, name);
  const element = h("tr", {}, h("th", { scope: "row" }, head), read, drew, wrote, from);
  /** @type {(call: number, chosen: number) => void} */
  const show = (call, chosen) => {
    const written = data.columnOf(call);
    const drawn = data.column("drawn")[call * data.codebooks + book];
    const origin = written < data.columnsOfGrid ? data.origin(book, written) : null;
    element.classList.toggle("chosen", draw >= 0 && draw === chosen);
    say(read, data.token(data.code(book, call + data.header.grid.at)));
    say(drew, drawn < 0 ? "–" : data.token(drawn));
    say(wrote, origin ? data.token(data.code(book, written)) : "–");
    say(from, origin ? origin.name : "");
  };
  return { element, show };
}
