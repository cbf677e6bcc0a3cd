// To the clipboard; and where the browser does not let a page write there, by a field that one can copy from.

import { h } from "./dom.js";

/**
 * Copy a text, whichever way the browser allows.
 *
 * @param {HTMLElement} at where a field can stand for a moment
 * @param {string} text
 */
export async function copied(at, text) {
  const clipboard = /** @type {Clipboard | undefined} */ (navigator.clipboard); // https and localhost alone have one
  if (await Promise.resolve(clipboard?.writeText(text).then(() => true)).catch(() => false)) return true;
  return copiedByField(at, text);
}

/**
 * The way of before: select it in a field, and ask for what Ctrl+C does.
 *
 * @param {HTMLElement} at
 * @param {string} text
 */
function copiedByField(at, text) {
  const { activeElement: focused } = /** @type {Document | ShadowRoot} */ (at.getRootNode());
  const field = h("textarea", { "aria-hidden": "true" }, text);
  Object.assign(field.style, { position: "fixed", top: "0", opacity: "0" });
  at.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return done;
}

/**
 * Copy a text, or show it to be copied by hand.
 *
 * @param {HTMLElement} root the explorer
 * @param {string} text
 * @param {string} what it is
 * @returns {Promise<string>} what became of it
 */
export async function copy(root, text, what) {
  if (await copied(root, text)) return `Copied ${what}`;
  const field = h("textarea", { "aria-label": what, readonly: true, rows: 12 }, text);
  const close = () => {
    dialog.remove();
    root.focus({ preventScroll: true });
  };
  const told = h("p", {}, "This browser lets no page copy: the text is selected, press Ctrl+C or ⌘C.");
  const button = h("button", { type: "button", class: "go", onclick: () => dialog.close() }, "Close");
  const title = h("h2", {}, `To copy: ${what}`);
  const dialog = h("dialog", { "aria-label": "To copy", onclose: close }, title, told, field, button);
  root.append(dialog);
  dialog.showModal();
  field.select();
  return `To copy by hand: ${what}`;
}
