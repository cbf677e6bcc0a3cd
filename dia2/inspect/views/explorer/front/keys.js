// The keyboard: the same moves as by the pointer.

import { h } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Moves } from "./moves.js"
 * @import { Player } from "./player.js"
 */

const OF_WORDS = ["shift ← →", "/"]; // what only a run with words can do
const HELP = [
  ["space", "play, pause"],
  ["← →", "one call back, on"],
  ["shift ← →", "one word back, on"],
  ["↑ ↓", "another draw of the call"],
  ["home end", "first call, last call"],
  ["+ −", "see fewer calls, more"],
  ["/", "search a word"],
  ["?", "these keys"],
];

/**
 * A key by which one leaves the explorer, or that the browser or the notebook as a whole knows.
 *
 * @param {KeyboardEvent} event
 */
function leaves(event) {
  return event.ctrlKey || event.metaKey || event.altKey || /^(Escape|Tab|F\d+)$/.test(event.key);
}

/**
 * Listen on `root` until the signal; returns the dialog that lists the keys.
 *
 * @param {HTMLElement} root
 * @param {Data} data
 * @param {Player} player
 * @param {Moves} moves
 * @param {HTMLElement | null} search none in a run without words
 * @param {AbortSignal} signal
 */
export function listen(root, data, player, moves, search, signal) {
  const help = HELP.filter(([key]) => data.header.words || !OF_WORDS.includes(key));
  /** @type {HTMLDialogElement} */
  const dialog = h(
    "dialog",
    { "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h("dl", {}, help.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
  );
  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const actions = {
    " ": () => player.toggle(),
    ArrowLeft: (event) => (event.shiftKey ? moves.word(-1) : moves.by(-1)),
    ArrowRight: (event) => (event.shiftKey ? moves.word(1) : moves.by(1)),
    ArrowUp: () => moves.draw(-1),
    ArrowDown: () => moves.draw(1),
    Home: () => moves.to(0),
    End: () => moves.to(Number.MAX_SAFE_INTEGER),
    "+": () => moves.zoom(1 / 1.5),
    "=": () => moves.zoom(1 / 1.5),
    "-": () => moves.zoom(1.5),
    "/": () => search?.focus(),
    "?": () => dialog.showModal(),
  };
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation(); // it closes the list, and leaves nothing; a notebook may take the key from the browser
    dialog.close();
  });
  for (const kind of /** @type {const} */ (["keydown", "keypress", "keyup"])) {
    const keep = /** @type {(event: KeyboardEvent) => void} */ (event) => {
      if (!leaves(event)) event.stopPropagation(); // a notebook has keys of its own
    };
    root.addEventListener(kind, keep, { signal });
  }
  root.addEventListener(
    "keydown",
    (event) => {
      const target = /** @type {Element} */ (event.target); // keys go to what has the focus, or to the root
      const own = target.matches("input[type=search], select, dialog, dialog *");
      const button = event.key === " " && target.matches("button");
      if (own || button || leaves(event) || !(event.key in actions)) return;
      event.preventDefault();
      actions[event.key](event);
    },
    { signal },
  );
  return dialog;
}
