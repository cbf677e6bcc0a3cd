import assert from "node:assert/strict";
import { test } from "node:test";

import { Presentation, byDelay, gridPicture, slidesOf, worthCall } from "./front.js";
import { FakeElement, page } from "./page.js";
import { column, each, looked, run, word } from "./run.js";

const VERDICT = { severity: "bad", text: "Words come late.", call: 2 };
const FINDINGS = [{ kind: "shift", call: 2, until: 4, speaker: 1, severity: "bad", text: "Late.", fix: "move them" }];
const ROWS = [
  { number: 1, title: "Load", lit: [] },
  { number: 2, title: "Loop", lit: [[0, null]] },
];
/** Codes that tell their place: 100 of the column, 1 of the codebook. */
const GRID = column(Int16Array, [11, 2], Array.from({ length: 22 }, (_, i) => 100 * (i >> 1) + 10 + (i % 2)));

/** Tabs of some names, each with one part that counts how often it is drawn. */
function tabsOf(...names) {
  return names.map((name) => {
    const part = { element: new FakeElement("section"), drawn: 0, draw: () => (part.drawn += 1) };
    return { name, parts: [part] };
  });
}

function ready(t, header = {}, columns = { grid: GRID }) {
  const screen = page(t);
  globalThis.document.exitFullscreen = async () => {};
  const data = run({ verdict: VERDICT, findings: FINDINGS, rows: ROWS, ...header }, columns);
  return { screen, data, ...looked([data], { layout: "wide" }) };
}

/** A presentation of a run with the tabs Draw and Call. */
function presenting(t, { state = {}, names = ["Draw", "Call"], header = {} } = {}) {
  const { screen, data, store } = ready(t, header);
  Object.assign(store.state, state);
  const root = new FakeElement("div");
  const asked = [];
  root.requestFullscreen = async () => asked.push("screen");
  const tabs = tabsOf(...names);
  const end = new AbortController();
  const slides = new Presentation(root, store, data, () => tabs, end.signal);
  return { screen, store, root, slides, tabs, asked, end };
}

test("slides come in their order, each where the run has what it shows", (t) => {
  const { data, store } = ready(t);
  const namesOf = (of, ...tabs) => slidesOf(of, store, tabsOf(...tabs)).map(({ name }) => name);
  assert.deepEqual(namesOf(data, "Call", "Draw"), ["finding", "grid", "draw", "call"]);
  const whole = ["finding", "grid", "draw", "call", "pipeline"];
  assert.deepEqual(namesOf(data, "Draw", "Call", "Machine", "Pipeline"), whole);
  assert.deepEqual(namesOf(data, "Script"), ["finding", "script", "grid"]);
  const lanes = [{ kind: "action", name: "action" }, { kind: "tokens", name: "main" }];
  const text = { kind: "text", name: "text", label: "Text", told: "", lenses: [], lanes };
  assert.deepEqual(namesOf(run({ tracks: [text], verdict: VERDICT }), "Script"), ["finding", "text"]);
  assert.deepEqual(namesOf(run({}), "Machine"), []);
});

test("the first slide says what is worst and what to do, or that nothing is wrong", (t) => {
  const { data, store } = ready(t);
  const textOf = (children) => children.map((child) => child.textContent ?? child).join("");
  const [worst] = slidesOf(data, store, []);
  assert.deepEqual([worst.call, worst.severity, worst.title(store.state)], [2, "bad", "Late."]);
  assert.equal(textOf(worst.lead(store.state)), "→ move them");
  const good = { severity: "good", text: "All is well.", call: 7 };
  const [none] = slidesOf(run({ verdict: good, anomalies: [{ call: 7, what: "", bits: 2.5 }] }), store, []);
  assert.deepEqual([none.call, none.title(store.state)], [7, "All is well."]);
  assert.equal(textOf(none.lead(store.state)), "The most surprising call is 7: 2.5 bits.");
});

test("slides say what the call does", (t) => {
  const { data, store } = ready(t);
  const [, grid, draw, call] = slidesOf(data, store, tabsOf("Draw", "Call"));
  const textOf = (children) => children.map((child) => child.textContent ?? child).join("");
  assert.equal(grid.title({ call: 4 }), "Call 4 writes one column, and completes one frame");
  const stair = "So a frame lies on a stair, and is heard when its last code is drawn.";
  const late = "Codebook 0 comes at its place in the sound, the others 1 column later.";
  assert.equal(textOf(grid.lead({ call: 4 })), `${late} ${stair}`);
  const delayed = (delays) => {
    const of = slidesOf(run({ grid: { ...run().header.grid, delays } }, { grid: GRID }), store, []);
    return textOf(of[0].lead({ call: 4 })).split(". ")[0];
  };
  assert.equal(delayed([6, 7, 7]), "Codebook 0 comes 6 columns after its place in the sound, the others 7 columns");
  assert.equal(delayed([2, 2, 3, 4]), "2 codebooks come 2 columns after its place in the sound, codebook 3 4 columns");
  assert.equal(delayed([2, 2]), "All codes of a frame come 2 columns after its place in the sound.");
  assert.equal(delayed([0, 0]), "All codes of a frame stand in one column: there is no delay.");
  assert.equal(draw.title({ call: 4, draw: 2 }), "Why this token? Codebook 1, in call 4");
  assert.equal(textOf(call.lead({ call: 4 })), "Call 4 is in row 2, Loop.");
});

test("one goes to the next slide and back, no further than there are, and only what is seen is drawn", (t) => {
  const { slides, store, tabs, root } = presenting(t, { state: { call: 5 } });
  globalThis.document.activeElement = new FakeElement("button"); // which is hidden then
  slides.enter(0);
  assert.equal(globalThis.document.activeElement, root);
  assert.deepEqual([store.state.slide, store.state.call], [0, 2]); // where it was found
  const seen = [1, 1, 1, 1, -1].map((direction) => {
    slides.step(direction);
    return [store.state.slide, store.state.call];
  });
  assert.deepEqual(seen, [[1, 5], [2, 5], [3, 5], [3, 5], [2, 5]]); // the others: where one was
  assert.equal(slides.draw(store.state), true);
  assert.deepEqual(tabs.map(({ parts: [{ drawn }] }) => drawn), [1, 0]);
  assert.deepEqual(slides.body.children, [tabs[0].parts[0].element]);
  assert.ok(root.classList.contains("presenting"));
  assert.equal(slides.counter.textContent, "Slide 3 of 43 / 4"); // the first half for who hears it
  assert.equal(slides.where.textContent, "call 5");
  for (let i = 0; i < 5; i += 1) slides.step(-1);
  assert.deepEqual([store.state.slide, store.state.call], [0, 2]);
});

test("each kind of slide keeps the call to which one went on it", (t) => {
  const { slides, store } = presenting(t, { state: { call: 5 } });
  slides.enter(0);
  store.set({ call: 3 });
  slides.step(1);
  store.set({ call: 8 });
  slides.step(1);
  assert.equal(store.state.call, 8);
  slides.step(-1);
  slides.step(-1);
  assert.equal(store.state.call, 3);
});

test("who leaves is back where he was, unless the run plays on", (t) => {
  const before = { call: 5, draw: 1, row: 2, cell: { book: 0, column: 5 }, first: 3, span: 4 };
  const { slides, store, root } = presenting(t, { state: before });
  slides.enter(1);
  store.set({ call: 9, draw: 2, first: 6 });
  slides.leave();
  const { call, draw, row, cell, first, span, slide } = store.state;
  assert.deepEqual({ call, draw, row, cell, first, span }, before);
  assert.equal(slide, null);
  assert.equal(slides.draw(store.state), false);
  assert.equal(slides.element.hidden, true);
  assert.ok(!root.classList.contains("presenting"));
  assert.equal(globalThis.document.activeElement, root);
  slides.enter(1);
  store.set({ call: 9, playing: true });
  slides.step(-1);
  assert.equal(store.state.call, 9); // the slide follows what is heard
  slides.leave();
  assert.deepEqual([store.state.call, store.state.slide], [9, null]);
});

test("a key asks for the whole screen, a link does not; and who leaves that leaves the slides", (t) => {
  const { slides, store, root, asked } = presenting(t, { state: { call: 1 } });
  slides.enter(9, { call: 1 });
  assert.deepEqual([store.state.slide, store.state.call, asked.length], [3, 1, 0]); // the call of the link is meant
  slides.enter(0, { call: 1 });
  assert.deepEqual([store.state.slide, store.state.call], [0, 1]);
  store.set({ call: 7 });
  slides.enter(1, { call: 7 }); // and of one that is followed meanwhile
  slides.step(-1);
  slides.step(1);
  assert.equal(store.state.call, 7);
  slides.leave();
  slides.enter(0, {});
  assert.deepEqual([store.state.call, asked.length], [2, 0]); // without one, the slide's own
  slides.leave();
  slides.enter(0);
  assert.deepEqual(asked, ["screen"]);
  root.full = true;
  root.dispatchEvent(new Event("fullscreenchange"));
  assert.equal(store.state.slide, 0);
  root.full = false;
  root.dispatchEvent(new Event("fullscreenchange"));
  assert.equal(store.state.slide, null);
});

test("a screen that is refused changes nothing, and one without the means is not asked", async (t) => {
  const { slides, store, root } = presenting(t);
  root.requestFullscreen = async () => {
    throw new Error("not allowed here");
  };
  slides.enter(0);
  await Promise.resolve();
  delete root.requestFullscreen;
  slides.leave();
  slides.enter(1);
  assert.equal(store.state.slide, 1);
});

test("a phone and paper show the explorer", (t) => {
  const { slides, store } = presenting(t);
  slides.enter(0);
  for (const layout of ["phone", "paper"]) assert.equal(slides.draw({ ...store.state, layout }), false);
  assert.equal(slides.draw({ ...store.state, layout: "narrow" }), true);
});

test("a call without a complete frame gives way to one that has something to show", () => {
  const words = [word("a", 1), word("b", 4), word("c", 6), word("d", 8)];
  const grid = { ...run().header.grid, delays: [2, 3] };
  assert.equal(worthCall(run({ words, grid }), 0), 8);
  assert.equal(worthCall(run({ words, grid }), 3), 3);
  const anomalies = [{ call: 1, what: "", bits: 9 }, { call: 5, what: "", bits: 3 }, { call: 7, what: "", bits: 2 }];
  assert.equal(worthCall(run({ words, grid, anomalies }), 0), 5);
  assert.equal(worthCall(run({ grid }), 0), 6);
});

test("codebooks of one delay belong together", () => {
  assert.deepEqual(byDelay([6, 7, 7]), [{ delay: 6, books: [0] }, { delay: 7, books: [1, 2] }]);
  assert.deepEqual(byDelay([8, 0]), [{ delay: 0, books: [1] }, { delay: 8, books: [0] }]);
});

/** The texts that a picture of the grid writes, in a canvas of a size. */
function written(t, call, { header = {}, width = 1200, height = 500 } = {}) {
  const { data } = ready(t, header);
  const texts = [];
  const context = new Proxy(
    { fillText: (text) => texts.push(text), measureText: (text) => ({ width: 10 * text.length }) },
    { get: (known, name) => known[name] ?? (() => {}), set: () => true },
  );
  t.mock.method(FakeElement.prototype, "getContext", () => context);
  const style = { getPropertyValue: () => "#202020", fontSize: "24px" };
  Object.assign(globalThis, { getComputedStyle: () => style });
  const { element, draw } = gridPicture(data);
  Object.assign(element, { clientWidth: width, clientHeight: height });
  draw({ call, theme: "light", shows: "code" });
  return texts;
}

test("columns after the one that is written are empty: not yet", (t) => {
  const texts = written(t, 4);
  assert.equal(data4(texts).join(" "), "10 11 110 111 210 211 310 311 410 411 510 511");
  assert.ok(texts.includes("not yet"));
  assert.ok(texts.includes("column 5"));
  assert.ok(texts.includes("codebook 1"));
});

/** The codes among texts, by column and codebook. */
function data4(texts) {
  return texts.filter((text) => /^\d*1[01]$/.test(text)).sort((a, b) => a - b);
}

test("at the last call nothing is to come", (t) => {
  assert.ok(!written(t, 9).includes("not yet"));
});

test("codebooks for which there is no room are left out between", (t) => {
  const grid = { ...run().header.grid, codebooks: 40, delays: Array.from({ length: 40 }, () => 0) };
  const texts = written(t, 4, { header: { grid } });
  const names = texts.filter((text) => text.startsWith("codebook "));
  assert.deepEqual([names[0], names.at(-1)], ["codebook 0", "codebook 39"]);
  assert.ok(names.length <= 12);
  assert.ok(texts.includes("⋮"));
});

test("nothing is drawn where there is no room at all", (t) => {
  assert.deepEqual(written(t, 4, { width: 0 }), []);
});

test("a run whose draws are in the future has no slides of them", (t) => {
  const { data, store } = ready(t, {}, { step: each(0, 1, 2) });
  assert.deepEqual(slidesOf(data, store, tabsOf("Call")).map(({ name }) => name), ["finding", "call"]);
});
