// The explorer in a file of its own: the view stands in the page as base64.

import { linkOf, namedIn } from "./link.js";
import { mount } from "./main.js";
import { tourFor } from "./toured.js";

/** @import { Options, Root } from "./types.d.ts" */

/**
 * What base64 stands for.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
function bytes(text) {
  const known = /** @type {{ fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }} */ (Uint8Array);
  if (known.fromBase64) return known.fromBase64(text); // browsers of 2026 have it
  const binary = atob(text);
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) found[i] = binary.charCodeAt(i); // a fifth of what Array.from takes
  return found;
}

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

/**
 * The tour comes by itself to who opens a page here for the first time, and was sent to no place in it. Where the page
 * stands in another one, it is offered.
 *
 * @returns {Options["tour"]}
 */
function tourOfPage() {
  if (location.hash.length > 1) return undefined;
  return window.parent === window ? tourFor("begin") : "offer";
}

async function show() {
  const root = byId("explorer");
  root.dataset.dia2Explorer = "";
  const views = document.querySelectorAll("script[type='application/dia2view']");
  const parts = Array.from(views, (view) => bytes(view.textContent.trim()));
  /** @type {Options} */
  const options = JSON.parse(byId("options").textContent);
  const asked = namedIn(location.hash);
  const linked = (/** @type {string} */ hash) => `${location.href.split("#")[0]}${hash}`;
  const mounted = await mount(root, parts, { ...options, ...asked, linked, tour: tourOfPage() });
  root.dia2 = mounted;
  window.addEventListener("hashchange", () => mounted.go(linkOf(location.hash)));
  root.focus({ preventScroll: true });
}

show().catch((error) => {
  const told = document.createElement("p");
  told.textContent = `This browser cannot show the trace: ${error.message}`;
  byId("explorer").replaceChildren(told);
});
