// What a call did to a run that is no machine: a sentence, numbers, and each channel's cell from drawn to written.

import { h, pane, say } from "./dom.js";

const HEADS = ["", "read", "drawn", "written", ""];

export function statePane(data, store) {
  const { told, verdicts, pairs } = data.header.state_pane;
  const verdict = h("p", { class: "verdict" });
  const values = pairs.map((pair) => ({ ...pair, shown: h("dd") }));
  const list = h("dl", { class: "machine" }, values.flatMap(({ name, shown }) => [h("dt", {}, name), shown]));
  const body = h("tbody");
  const table = h("table", { class: "cells" }, h("thead", {}, h("tr", {}, HEADS.map((text) => h("th", { scope: "col" }, text)))), body);
  const { element, note } = pane("state", data.header.titles.state, "", verdict, list, data.columns.grid ? table : null);

  let shown = "";
  const draw = ({ call, draw: chosen }) => {
    if (shown === `${call} ${chosen}`) return;
    shown = `${call} ${chosen}`;
    say(note, data.told(told, call));
    say(verdict, data.told(verdicts[data.at("phase", call)], call));
    for (const { shows, gauge, shown: value } of values) value.replaceChildren(...(gauge ? meter(data, gauge, call) : []), data.told(shows, call));
    if (data.columns.grid) body.replaceChildren(...channelRows(data, store, call, chosen));
  };
  return { element, draw };
}

function meter(data, { column, most }, call) {
  return [h("meter", { min: 0, max: most, value: Math.max(0, Math.min(most, data.at(column, call))), "aria-label": column })];
}

function channelRows(data, store, call, chosen) {
  const { words } = data.header.grid;
  const written = data.columnOf(call);
  return Array.from({ length: data.codebooks }, (_, book) => {
    const drawn = data.columns.drawn[call * data.codebooks + book];
    const origin = written < data.columnsOfGrid ? data.origin(book, written) : null;
    const draw = data.drawOf(book);
    const choose = draw < 0 ? null : () => store.set({ draw, cell: { book, column: written } });
    return h(
      "tr",
      { class: draw >= 0 && draw === chosen ? "chosen" : null },
      h("th", { scope: "row" }, draw < 0 ? `${words.short} ${book}` : h("button", { type: "button", onclick: choose }, `${words.short} ${book}`)),
      h("td", {}, data.token(data.code(book, call + data.header.grid.at))),
      h("td", {}, drawn < 0 ? "–" : data.token(drawn)),
      h("td", {}, origin ? data.token(data.code(book, written)) : "–"),
      h("td", { class: "from" }, origin ? origin.name : ""),
    );
  });
}
