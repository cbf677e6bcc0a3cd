// The keyboard: it starts commands, and what means nothing here stays here all the same.

/** @import { Command } from "./types.d.ts" */

const SUPPRESSED = "data-lm-suppress-shortcuts"; // of Lumino, on which JupyterLab and Notebook 7 are built

/**
 * A key by which one leaves the explorer, or that the browser or the notebook as a whole knows.
 *
 * @param {KeyboardEvent} event
 */
function leaves(event) {
  return event.ctrlKey || event.metaKey || event.altKey || /^(Escape|Tab|F\d+)$/.test(event.key);
}

/**
 * A key as commands name it: letters in capitals, with shift where it changes nothing else.
 *
 * @param {KeyboardEvent} event
 */
export function keyOf({ key, shiftKey }) {
  const letter = /^[a-z]$/i.test(key);
  const shifted = shiftKey && (letter || key.length > 1);
  return `${shifted ? "Shift+" : ""}${letter ? key.toUpperCase() : key}`;
}

/**
 * Listen on `root` until the signal.
 *
 * @param {HTMLElement} root
 * @param {Command[]} commands
 * @param {AbortSignal} signal
 */
export function listen(root, commands, signal) {
  /** @type {(event: KeyboardEvent) => Command | null} */
  const meant = (event) => {
    const target = /** @type {Element} */ (event.composedPath()[0]); // what has the focus, or the root
    if (event.ctrlKey || event.metaKey || event.altKey) return null;
    const own = target.matches("input[type=search], input[type=text], textarea, select, dialog, dialog *");
    const button = (event.key === " " || event.key === "Enter") && target.matches("button");
    if (own || button) return null;
    const key = keyOf(event);
    // Of several that have it, the one that is there for a while only: they stand last.
    return commands.findLast(({ keys, when }) => keys.includes(key) && (when?.() ?? true)) ?? null;
  };
  /** @type {(event: KeyboardEvent) => boolean} */
  const stays = (event) => !leaves(event) || meant(event) !== null; // a notebook has keys of its own
  for (const kind of /** @type {const} */ (["keydown", "keypress", "keyup"])) {
    const keep = /** @type {(event: KeyboardEvent) => void} */ (event) => {
      if (stays(event)) event.stopPropagation();
    };
    root.addEventListener(kind, keep, { signal });
    // Notebook 7 listens on its document before a key comes down to us, and asks this attribute of who has the focus.
    const mark = /** @type {(event: KeyboardEvent) => void} */ (event) => {
      const path = event.composedPath();
      const focused = path[0];
      if (path.includes(root) && focused instanceof Element) focused.toggleAttribute(SUPPRESSED, stays(event));
    };
    window.addEventListener(kind, mark, { capture: true, signal });
  }
  root.addEventListener(
    "keydown",
    (event) => {
      const command = event.defaultPrevented ? null : meant(event);
      if (!command) return;
      event.preventDefault();
      command.run();
    },
    { signal },
  );
}
