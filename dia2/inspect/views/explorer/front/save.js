// Files for the reader: a link to bytes that is clicked. Frames of some hosts forbid it, and say so to nobody.

import { h } from "./dom.js";

const SOON = 60_000; // milliseconds after which the bytes need not be kept any more

/** @typedef {"yes" | "no" | "unknown"} Allowed */

/** Whether this page may save files. */
export function saving() {
  if (window.parent === window) return /** @type {Allowed} */ ("yes");
  const frame = window.frameElement; // of a frame that is from elsewhere, or sandboxed, nothing can be seen
  if (!frame) return /** @type {Allowed} */ ("unknown");
  const sandbox = frame.getAttribute("sandbox");
  return /** @type {Allowed} */ (sandbox === null || sandbox.includes("allow-downloads") ? "yes" : "no");
}

/**
 * Save a file.
 *
 * @param {HTMLElement} root the explorer; the link stands in it for a moment, as hosts that take downloads over want it
 * @param {string} name
 * @param {Blob} content
 * @returns what became of it
 */
export function save(root, name, content) {
  const allowed = saving();
  if (allowed === "no") return "Not saved: the frame that this page stands in forbids it. Open the page by itself.";
  const url = URL.createObjectURL(content);
  const link = h("a", { href: url, download: name, hidden: true });
  root.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), SOON);
  const size = content.size < 1e5 ? `${(content.size / 1e3).toFixed(1)} kB` : `${(content.size / 1e6).toFixed(1)} MB`;
  const doubt = allowed === "unknown" ? "; if no file comes, its frame forbids it: open the page by itself" : "";
  return `Saved ${name}, ${size}${doubt}`;
}

/**
 * Name of a file about some calls of a run.
 *
 * @param {string} run
 * @param {[from: number, to: number] | null} calls from and up to; null: all
 * @param {string} kind
 */
export function fileName(run, calls, kind) {
  const stem = run.replace(/\.dia2trace$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^[._]+/, "").slice(0, 80);
  return `${stem || "run"}${calls ? `-calls-${calls[0]}-${calls[1] - 1}` : ""}.${kind}`;
}
