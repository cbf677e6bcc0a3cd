// The keyboard: the same moves as by the pointer.

import { h } from "./dom.js";

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

/** Listen on `root`; returns the dialog that lists the keys. */
export function listen(root, data, player, moves, search) {
  const help = HELP.filter(([key]) => data.header.words || !OF_WORDS.includes(key));
  const dialog = h(
    "dialog",
    { "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h("dl", {}, help.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
  );
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
  root.addEventListener("keydown", (event) => {
    const own = event.target.matches("input[type=search], select, dialog *");
    const button = event.key === " " && event.target.matches("button");
    if (own || button || event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    event.stopPropagation(); // a notebook has keys of its own
    actions[event.key](event);
  });
  return dialog;
}
