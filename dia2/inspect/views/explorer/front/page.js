// The explorer in a file of its own: the view stands in the page as base64.

import { mount } from "./main.js";

/** @import { Options, Root } from "./types.d.ts" */

/** @type {(text: string) => Uint8Array<ArrayBuffer>} */
const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/**
 * An element of the page that html.py writes.
 *
 * @param {string} id
 * @returns {Root}
 */
function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element ${id}.`);
  return element;
}

async function show() {
  const root = byId("explorer");
  root.dataset.dia2Explorer = "";
  const views = document.querySelectorAll("script[type='application/dia2view']");
  const parts = Array.from(views, (view) => bytes(view.textContent.trim()));
  /** @type {Options} */
  const options = JSON.parse(byId("options").textContent);
  root.dia2 = await mount(root, parts, options);
  root.focus({ preventScroll: true });
}

show().catch((error) => {
  const told = document.createElement("p");
  told.textContent = `This browser cannot show the trace: ${error.message}`;
  byId("explorer").replaceChildren(told);
});
