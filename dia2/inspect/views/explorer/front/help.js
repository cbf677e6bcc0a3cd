// The sheet of keys, made of the commands.

import { commandOf, keyName } from "./commands.js";
import { h } from "./dom.js";

/** @import { Command } from "./types.d.ts" */

const POINTER =
  "The wheel zooms where the pointer is, with shift it moves; a drag moves, with shift it selects. A click on a cell " +
  "of the grid shows the draw that made it.";
const WORDS = " A double click selects a word.";

/**
 * @param {Command[]} commands
 * @param {string} pointer what the pointer does
 * @returns {HTMLDialogElement}
 */
export function helpSheet(commands, pointer = `${POINTER}${commandOf(commands, "word-on") ? WORDS : ""}`) {
  const keys = commands.filter((command) => command.keys.length).flatMap((command) => [
    h("dt", {}, command.keys.map((key) => h("kbd", {}, keyName(key)))),
    h("dd", {}, command.name),
  ]);
  /** @type {HTMLDialogElement} */
  const dialog = h(
    "dialog",
    { "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h("dl", { tabindex: 0 }, keys),
    h("p", {}, pointer),
    h("button", { type: "button", class: "go", onclick: () => dialog.close() }, "Close"),
  );
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation(); // it closes the list, and leaves nothing; a notebook may take the key from the browser
    dialog.close();
  });
  return dialog;
}
