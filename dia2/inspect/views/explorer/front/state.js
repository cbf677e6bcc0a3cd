// What a call did to a run that is no machine: a sentence, numbers, and each channel's cell from drawn to written.

import { h, pane, say } from "./dom.js";

const HEADS = ["", "read", "drawn", "written", ""];

export function statePane(data, store) {
  const { told, verdicts, pairs } = data.header.state_pane;
  const verdict = h("p", { class: "verdict" });
  const values = pairs.map((pair) => ({ ...pair, shown: h("dd") }));
  const list = h("dl", { class: "machine" }, values.flatMap(({ name, shown }) => [h("dt", {}, name), shown]));
  const channels = data.columns.grid ? Array.from({ length: data.codebooks }, (_, book) => channelRow(data, store, book)) : [];
  const body = h("tbody", {}, channels.map((channel) => channel.element));
  const table = h("table", { class: "cells" }, h("thead", {}, h("tr", {}, HEADS.map((text) => h("th", { scope: "col" }, text)))), body);
  const { element, note } = pane("state", data.header.titles.state, "", verdict, list, data.columns.grid ? table : null);

  let shown = "";
  const draw = ({ call, draw: chosen }) => {
    if (shown === `${call} ${chosen}`) return;
    shown = `${call} ${chosen}`;
    say(note, data.told(told, call));
    say(verdict, data.told(verdicts[data.at("phase", call)], call));
    for (const { shows, gauge, shown: value } of values) value.replaceChildren(...(gauge ? meter(data, gauge, call) : []), data.told(shows, call));
    for (const channel of channels) channel.show(call, chosen);
  };
  return { element, draw };
}

function meter(data, { column, most }, call) {
  return [h("meter", { min: 0, max: most, value: Math.max(0, Math.min(most, data.at(column, call))), "aria-label": column })];
}

/** A row for a channel, made once: a button that is made anew would lose the focus. */
function channelRow(data, store, book) {
  const { words } = data.header.grid;
  const draw = data.drawOf(book);
  const choose = () => store.set({ draw, cell: { book, column: data.columnOf(store.state.call) } });
  const name = `${words.short} ${book}`;
  const [read, drew, wrote, from] = [null, null, null, "from"].map((kind) => h("td", { class: kind }));
  const element = h("tr", {}, h("th", { scope: "row" }, draw < 0 ? name : h("button", { type: "button", onclick: choose }, name)), read, drew, wrote, from);
  const show = (call, chosen) => {
    const written = data.columnOf(call);
    const drawn = data.columns.drawn[call * data.codebooks + book];
    const origin = written < data.columnsOfGrid ? data.origin(book, written) : null;
    element.classList.toggle("chosen", draw >= 0 && draw === chosen);
    say(read, data.token(data.code(book, call + data.header.grid.at)));
    say(drew, drawn < 0 ? "–" : data.token(drawn));
    say(wrote, origin ? data.token(data.code(book, written)) : "–");
    say(from, origin ? origin.name : "");
  };
  return { element, show };
}
