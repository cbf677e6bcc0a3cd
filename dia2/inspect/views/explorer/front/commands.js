// All that one can do, in one list: buttons, keys and the sheet of keys are made of it.

/**
 * @import { Moves } from "./moves.js"
 * @import { Player } from "./player.js"
 * @import { Store } from "./store.js"
 * @import { Command, Hands } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const NEARER = 1 / 1.5;
const AMONG_SLIDES = [
  "play", "word-back", "word-on", "first", "last", "draw-back", "draw-on", "next", "before", "link", "keys",
];

/**
 * @param {Views} views
 * @param {Store} store
 * @param {Player} player
 * @param {Moves} moves
 * @param {Hands} hands what is made of elements
 * @returns {Command[]} those that this run has a use for
 */
export function commandsOf(views, store, player, moves, hands) {
  const [data, other] = views.all;
  const words = data.header.words !== null;
  const clock = data.header.clock !== null;
  const found = () => moves.anomalies.length > 0;
  const selected = () => store.state.selection !== null;
  const roomy = () => store.state.layout !== "phone";
  const { slides, tour } = hands;
  const toured = () => tour.on && !selected();
  const present = () => {
    tour.end();
    slides.enter(0);
  };
  /** @type {(part: number) => void} */
  const slide = (part) => moves.pan(part * store.state.span);
  const step = () => {
    store.set({ tab: "Pipeline", pane: "Pipeline" });
    hands.step?.();
  };
  /** @type {(Command & { only?: boolean })[]} */
  const all = [
    { id: "play", name: "Play, pause", keys: [" ", "H"], run: () => player.toggle(), on: ({ playing }) => playing },
    { id: "back", name: "Go one call back", keys: ["ArrowLeft"], run: () => moves.by(-1) },
    { id: "on", name: "Go one call on", keys: ["ArrowRight"], run: () => moves.by(1) },
    { id: "word-back", name: "Go one word back", keys: ["Shift+ArrowLeft"], run: () => moves.word(-1), only: words },
    { id: "word-on", name: "Go one word on", keys: ["Shift+ArrowRight"], run: () => moves.word(1), only: words },
    { id: "first", name: "Go to the first call", keys: ["Home"], run: () => moves.to(0) },
    { id: "last", name: "Go to the last call", keys: ["End"], run: () => moves.to(views.calls - 1) },
    { id: "draw-back", name: "Look at the draw before", keys: ["ArrowUp"], run: () => moves.draw(-1) },
    { id: "draw-on", name: "Look at the next draw", keys: ["ArrowDown"], run: () => moves.draw(1) },
    { id: "next", name: "Go to the next anomaly or finding", keys: ["N"], run: () => moves.anomaly(1), when: found },
    { id: "before", name: "Go to the one before", keys: ["Shift+N"], run: () => moves.anomaly(-1), when: found },
    {
      id: "go",
      name: clock ? "Go to a call (311) or a time (12.4s)" : "Go to a call (311)",
      keys: ["G"],
      run: () => hands.go(),
    },
    {
      id: "find",
      name: words ? "Find a word, a code or a token" : "Find a code",
      keys: ["/"],
      run: () => hands.find(),
    },
    { id: "nearer", name: "Zoom in", keys: ["W", "+", "="], run: () => moves.zoom(NEARER) },
    { id: "farther", name: "Zoom out", keys: ["S", "-"], run: () => moves.zoom(1 / NEARER) },
    { id: "left", name: "Move left", keys: ["A"], run: () => slide(-0.25) },
    { id: "right", name: "Move right", keys: ["D"], run: () => slide(0.25) },
    { id: "fit", name: "See the whole run", keys: ["F"], run: () => moves.fit() },
    { id: "selection", name: "Zoom to the selection", keys: ["Z"], run: () => moves.fitSelection(), when: selected },
    {
      id: "loop",
      name: "Repeat the selection",
      keys: ["L"],
      run: () => store.set({ loop: !store.state.loop }),
      on: ({ loop }) => loop,
    },
    { id: "other", name: "Hear the other run", keys: ["X"], run: () => hands.other(), only: Boolean(other) },
    ...hands.tabs.map((tab, i) => ({
      id: `tab-${tab}`,
      name: `Show the tab ${tab}`,
      keys: [String(i + 1)],
      run: () => store.set({ tab, pane: tab }),
    })),
    { id: "step", name: "Go one step on in the Pipeline", keys: ["."], run: () => step(), only: Boolean(hands.step) },
    { id: "pin", name: "Pin a note to this call", keys: ["M"], run: () => hands.pin() },
    ...hands.share,
    { id: "link", name: "Copy a link to this call", keys: ["K"], run: () => hands.link() },
    { id: "slides", name: "Present it, slide by slide", keys: ["P"], run: () => present(), when: roomy, only: !other },
    { id: "guide", name: "Take the tour", keys: ["T"], run: () => tour.begin(), only: !other },
    { id: "keys", name: "Show the keys", keys: ["?"], run: () => hands.help() },
    {
      id: "slide-on",
      name: "Show the next slide",
      keys: ["ArrowRight", " ", "PageDown"],
      slides: "alone",
      run: () => slides.step(1),
    },
    {
      id: "slide-back",
      name: "Show the slide before",
      keys: ["ArrowLeft", "PageUp"],
      slides: "alone",
      run: () => slides.step(-1),
    },
    { id: "slide-less", name: "Go one call back, on a slide", keys: [","], slides: "alone", run: () => moves.by(-1) },
    { id: "slide-more", name: "Go one call on, on a slide", keys: ["."], slides: "alone", run: () => moves.by(1) },
    { id: "slide-end", name: "Leave the slides", keys: ["Escape"], slides: "alone", run: () => slides.leave() },
    {
      id: "clear",
      name: "Drop the selection",
      keys: ["Escape"],
      run: () => store.set({ selection: null }),
      when: selected,
    },
    { id: "guide-end", name: "End the tour", keys: ["Escape"], run: () => tour.end(), when: toured },
  ];
  const there = all.filter(({ only = true }) => only);
  return there.map((command) => {
    const own = command.slides ?? (AMONG_SLIDES.includes(command.id) ? "too" : undefined);
    const fits = () => own === "too" || (own === "alone") === (store.state.slide !== null);
    return { ...command, slides: own, when: () => fits() && (command.when?.() ?? true) };
  });
}

/**
 * The command of an id.
 *
 * @param {Command[]} commands
 * @param {string} id
 */
export function commandOf(commands, id) {
  return commands.find((command) => command.id === id) ?? null;
}

const KEY_NAMES = /** @type {Record<string, string>} */ ({
  " ": "space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", "-": "−", Escape: "esc",
  Home: "home", End: "end", PageUp: "page up", PageDown: "page down",
});

/**
 * A key as people read it.
 *
 * @param {string} key
 */
export function keyName(key) {
  const shift = key.startsWith("Shift+") ? "shift " : "";
  const alone = shift ? key.slice("Shift+".length) : key;
  return `${shift}${KEY_NAMES[alone] ?? alone}`;
}
