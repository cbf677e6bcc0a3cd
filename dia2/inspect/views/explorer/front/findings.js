// What was found, where it is; and what was edited.

import { bdi, h, pane } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Part } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @param {Store} store
 * @returns {Part | null}
 */
export function findingsPane(data, store) {
  const items = [
    ...(data.header.findings ?? []),
    ...data.header.edits.map((edit) => ({ ...edit, kind: "edit", fix: "" })),
  ];
  if (!items.length) return null;
  const list = items.map(({ call, kind, text, fix }) =>
    h(
      "li",
      {},
      jump(store, call, kind),
      " ",
      bdi(text),
      fix ? h("span", { class: "advice" }, " → ", bdi(fix)) : null,
    ),
  );
  const { element } = pane("findings", data.header.titles.findings, "", h("ul", {}, list));
  return { element, draw: () => {} };
}

/**
 * To the call where something was found.
 *
 * @param {Store} store
 * @param {number} call
 * @param {string} kind
 */
function jump(store, call, kind) {
  const onclick = () => store.set({ call, row: null });
  return h("button", { type: "button", class: "kind", onclick }, `${kind} · call ${call}`);
}
