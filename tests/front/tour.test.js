import assert from "node:assert/strict";
import { test } from "node:test";

import { Tour, beside, keepToured, tourFor } from "./front.js";
import { FakeElement, page, press } from "./page.js";
import { looked, run, word } from "./run.js";

const STOPS = [
  { title: "Verdict", text: "First.", part: "verdict" },
  { title: "Words", text: "Said.", track: "words", call: "word" },
  { title: "Gone", text: "Not recorded.", track: "gone" },
  { title: "Unsure", text: "Here.", track: "surprise", call: "surprise" },
  { title: "Draw", text: "Why.", tab: "Draw", call: "drawn" },
  { title: "Nowhere", text: "No such tab.", tab: "Other" },
  { title: "Lenses", text: "Three.", lens: "run" },
  { title: "Keys", text: "All.", part: "commands" },
];
const HEADER = {
  tour: STOPS,
  words: [word("a", 3)],
  anomalies: [{ call: 4, what: "", bits: 2 }, { call: 7, what: "", bits: 5 }],
  given: { calls: 5, why: "" },
};

/** An element that is seen, somewhere. */
function seen(tag = "section") {
  const element = new FakeElement(tag);
  const box = { left: 0, top: 0, right: 100, bottom: 20, width: 100, height: 20 };
  return Object.assign(element, {
    getClientRects: () => [box], getBoundingClientRect: () => box, scrollIntoView() {}, isConnected: true,
  });
}

/** A tour of a run, and where it looked. */
function touring(t, { state = {}, header = {}, verdict = seen() } = {}) {
  const screen = page(t);
  const size = { innerWidth: 1280, innerHeight: 800 };
  const DOMRect = class {
    constructor(left, top, width, height) {
      Object.assign(this, { left, top, right: left + width, bottom: top + height });
    }
  };
  Object.assign(globalThis, size, { DOMRect, HTMLElement: FakeElement });
  const start = { layout: "wide", tab: "Call", lens: "run", ...state };
  const { store, views } = looked([run({ ...HEADER, ...header })], start);
  const root = seen("main");
  globalThis.document.activeElement = root;
  const links = [];
  const parts = { verdict, commands: seen() };
  if (verdict) root.append(verdict);
  const ground = {
    root, parts, lenses: seen(), free: seen(), panes: seen(),
    track: (name) => (name === "gone" ? undefined : seen()),
    tab: (name) => (name === "Draw" ? seen() : undefined),
    look(link) {
      links.push(Object.fromEntries(Object.entries(link).filter(([, value]) => value !== undefined)));
      const { call = store.state.call, tab = store.state.tab } = link;
      store.set({ call, tab });
    },
  };
  const stops = [];
  const tour = new Tour(views.all[0], store, () => ground, new AbortController().signal, () => stops.push(tour.at));
  const titles = () => tour.title.textContent;
  return { tour, store, root, links, titles, screen, ground, stops };
}

test("it goes from stop to stop of what the run has, and to the calls that they name", (t) => {
  const { tour, links, titles } = touring(t);
  assert.equal(tour.on, false);
  tour.begin();
  const told = [titles()];
  for (let i = 0; i < 5; i += 1) {
    tour.go(1);
    told.push(titles());
  }
  assert.deepEqual(told, ["Verdict", "Words", "Unsure", "Draw", "Lenses", "Keys"]);
  assert.deepEqual(links, [
    {}, { track: "words", call: 3 }, { track: "surprise", call: 7 }, { tab: "Draw", call: 7 }, { lens: "run" }, {},
  ]);
  assert.equal(tour.count.textContent, "6 of 6");
  assert.equal(tour.next.textContent, "Done");
  tour.go(1);
  assert.equal(tour.on, false);
  assert.ok(tour.card.hidden && tour.ring.hidden);
});

test("a run without what a stop would go to stays where it is", (t) => {
  const { tour, links } = touring(t, { header: { anomalies: [], words: [], given: { calls: 0, why: "" } } });
  tour.begin();
  for (let i = 0; i < 3; i += 1) tour.go(1);
  assert.deepEqual(links, [{}, { track: "words" }, { track: "surprise" }, { tab: "Draw", call: 0 }]);
});

test("a stop at what was drawn stays at a call that drew", (t) => {
  const { tour, links } = touring(t, { state: { call: 9 }, header: { tour: [STOPS[4]] } });
  tour.begin();
  assert.deepEqual(links, [{ tab: "Draw", call: 9 }]);
});

test("the arrows and Escape are its own while it has the focus, and other keys go on", (t) => {
  const { tour, titles, root } = touring(t);
  tour.begin();
  assert.equal(globalThis.document.activeElement, tour.card);
  assert.deepEqual(press(tour.card, "ArrowRight"), { taken: true, kept: true });
  assert.equal(titles(), "Words");
  assert.deepEqual(press(tour.card, "ArrowLeft"), { taken: true, kept: true });
  assert.equal(titles(), "Verdict");
  press(tour.card, "ArrowLeft");
  assert.equal(titles(), "Verdict");
  for (const key of [" ", "n", "Tab"]) assert.deepEqual(press(tour.card, key), { taken: false, kept: false }, key);
  assert.deepEqual(press(tour.card, "ArrowRight", { shiftKey: true }), { taken: false, kept: false });
  assert.deepEqual(press(tour.card, "Escape"), { taken: true, kept: true });
  assert.equal(tour.on, false);
  assert.equal(globalThis.document.activeElement, root);
});

test("who ends it is back where he was, unless he has gone elsewhere or it plays", (t) => {
  const { tour, store } = touring(t, { state: { call: 1 } });
  const there = () => [store.state.call, store.state.tab];
  tour.begin();
  for (let i = 0; i < 3; i += 1) tour.go(1);
  assert.deepEqual(there(), [7, "Draw"]);
  tour.end();
  assert.deepEqual(there(), [1, "Call"]);
  tour.begin();
  tour.go(1);
  store.set({ call: 9 });
  tour.end();
  assert.deepEqual(there(), [9, "Call"]);
  tour.begin();
  tour.go(1);
  store.set({ playing: true });
  tour.end();
  assert.deepEqual(there(), [3, "Call"]);
});

test("by itself it is a part of the page below the verdict, and takes no focus", (t) => {
  const { tour, root, ground, links, stops } = touring(t);
  tour.greet();
  assert.equal(tour.on, true);
  assert.deepEqual(stops, [0]);
  assert.equal(globalThis.document.activeElement, root);
  assert.ok(ground.parts.verdict.contains(tour.card));
  assert.deepEqual([tour.card.getAttribute("role"), tour.card.classList.contains("docked")], ["note", true]);
  assert.ok(tour.ring.hidden);
  assert.deepEqual(links, []); // it has led nowhere
  tour.go(1);
  assert.deepEqual([tour.card.getAttribute("role"), tour.card.classList.contains("docked")], ["dialog", false]);
  assert.equal(tour.card.parentElement, root);
  assert.equal(globalThis.document.activeElement, tour.card);
});

test("it does not come by itself where there is no verdict to stand by", (t) => {
  const { tour, stops } = touring(t, { verdict: null });
  tour.greet();
  assert.equal(tour.on, false);
  assert.deepEqual(stops, []); // nobody has seen it: it may come another time
  tour.begin();
  assert.equal(tour.title.textContent, "Words");
});

test("it comes for the first time until it was shown, and is offered where nothing is kept", (t) => {
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  t.after(() => delete globalThis.localStorage);
  const store = (get) => Object.defineProperty(globalThis, "localStorage", { get, configurable: true });
  store(() => storage);
  assert.deepEqual([tourFor("begin"), tourFor("begin"), tourFor("offer")], ["begin", "begin", "offer"]);
  keepToured();
  assert.deepEqual([tourFor("begin"), tourFor("offer")], [undefined, undefined]);
  store(() => {
    throw new Error("no");
  });
  keepToured();
  assert.deepEqual([tourFor("begin"), tourFor("offer")], ["offer", "offer"]);
});

test("a run that declares no tour has none, and a phone none of keys", (t) => {
  const none = touring(t, { header: { tour: undefined } });
  none.tour.begin();
  assert.equal(none.tour.on, false);
  const phone = touring(t, { state: { layout: "phone" } });
  phone.tour.begin();
  assert.equal(phone.tour.count.textContent, "1 of 5");
  phone.tour.go(1);
  assert.equal(phone.store.state.pane, "Time");
});

const VIEW = { left: 0, top: 0, right: 1000, bottom: 600 };
const FREE = { left: 0, top: 50, right: 300, bottom: 90 };
const CARD = { width: 200, height: 100 };

/** Where the card stands beside a target. */
function placed(left, top, right, bottom) {
  const { x, y } = beside({ left, top, right, bottom }, VIEW, FREE, CARD);
  return [x, y];
}

test("the card stands beside what it is about, never on the play button", () => {
  assert.deepEqual(placed(0, 200, 700, 300), [710, 200]); // at the right
  assert.deepEqual(placed(700, 200, 1000, 600), [490, 200]); // at the left
  assert.deepEqual(placed(0, 0, 1000, 40), [310, 50]); // below, and beside the buttons
  assert.deepEqual(placed(0, 300, 1000, 350), [10, 360]); // below
  assert.deepEqual(placed(0, 450, 1000, 600), [10, 340]); // above
  assert.deepEqual(placed(0, 0, 1000, 600), [780, 480]); // in its corner
  assert.deepEqual(placed(0, 560, 700, 600), [710, 490]); // where all of it can be seen
});
