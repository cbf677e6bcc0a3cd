// What the prefix doctor found, where it happened; and what was edited.

import { bdi, h, pane } from "./dom.js";

export function findingsPane(data, store) {
  const items = [
    ...data.header.findings.map((found) => ({ call: found.call, kind: found.kind, text: found.message, advice: found.advice })),
    ...data.header.edits.map((edit) => ({ call: edit.call, kind: "edit", text: edit.text })),
  ];
  if (!items.length) return null;
  const list = items.map((item) =>
    h(
      "li",
      {},
      item.call === null
        ? h("span", { class: "kind" }, item.kind)
        : h("button", { type: "button", class: "kind", onclick: () => store.set({ call: item.call, row: null }) }, `${item.kind} · call ${item.call}`),
      " ",
      bdi(item.text),
      item.advice ? h("span", { class: "advice" }, " → ", bdi(item.advice)) : null,
    ),
  );
  const { element } = pane("findings", data.header.titles.findings, "", h("ul", {}, list));
  return { element, draw: () => {} };
}
