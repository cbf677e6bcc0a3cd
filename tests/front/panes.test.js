import assert from "node:assert/strict";
import { test } from "node:test";

import { bounded, capital, h, say, shellsOf } from "./front.js";
import { FakeElement, page } from "./page.js";
import { each, looked, run } from "./run.js";

test("an element has attributes, listeners, and texts that are texts", (t) => {
  page(t);
  let clicks = 0;
  const onclick = () => (clicks += 1);
  const attributes = { class: "a", title: "", hidden: true, selected: false, value: null, max: 0, min: undefined };
  const element = h("button", { ...attributes, onclick }, "<b>", [null, h("i")], undefined);
  assert.deepEqual(element.attributes, { class: "a", title: "", hidden: "", max: "0" });
  assert.deepEqual(element.children.map((child) => child.tag ?? child), ["<b>", "i"]);
  element.dispatchEvent(new Event("click"));
  assert.equal(clicks, 1);
});

test("a text is set only where it changes", (t) => {
  page(t);
  const element = new FakeElement("p");
  const set = [];
  const write = (text) => {
    set.push(text);
  };
  Object.defineProperty(element, "textContent", { get: () => "same", set: write });
  say(element, "same");
  say(element, "other");
  assert.deepEqual(set, ["other"]);
  assert.equal(capital("codebook"), "Codebook");
});

const DECLARED = { label: "", told: "", lenses: ["run"] };
const TRACKS = [
  { ...DECLARED, kind: "count", name: "left", label: "Left", most: 9, colour: "over" },
  { ...DECLARED, kind: "count", name: "gone", most: 9, colour: "over" },
  { ...DECLARED, kind: "grid", name: "grid", label: "Grid" },
  { ...DECLARED, kind: "words", name: "words" },
];

test("a track is shown where the run has its columns, under its name", (t) => {
  page(t);
  const data = run({ tracks: TRACKS, words: null }, { left: each(3, 2, 1) });
  const { views, store } = looked([data]);
  const shells = shellsOf(views, store, {});
  assert.deepEqual(shells.map(({ name, label }) => [name, label]), [["left", "Left"], ["grid", "Grid"]]);
  assert.deepEqual(shells[0].painter.note({ call: 1 }), "2 of 9");
});

test("of two runs the tracks of a kind stand one over the other", (t) => {
  page(t);
  const runs = [run({ tracks: TRACKS }), run({ tracks: TRACKS })];
  const { views, store } = looked(runs);
  const shells = shellsOf(views, store, {});
  assert.deepEqual(shells.map(({ name }) => name), ["gridA", "gridB", "wordsA", "wordsB"]);
  assert.deepEqual(shells.map(({ data }) => runs.indexOf(data)), [0, 1, 0, 1]);
  assert.equal(shells[1].label, "B: Grid");
});

test("a click on a track's name folds it", (t) => {
  page(t);
  const { views, store } = looked([run({ tracks: TRACKS })], { open: ["grid", "words"] });
  const [grid] = shellsOf(views, store, {});
  grid.element.all.find(({ tag }) => tag === "button").dispatchEvent(new Event("click"));
  assert.deepEqual(store.state.open, ["words"]);
});

test("a canvas says what it shows, and names beside it are hidden from who hears the page", (t) => {
  page(t);
  const { views, store } = looked([run({ tracks: TRACKS })]);
  for (const { element } of shellsOf(views, store, {})) {
    assert.equal(element.all.find(({ tag }) => tag === "canvas").attributes.role, "img");
    const names = element.all.find(({ attributes }) => attributes.class === "names");
    assert.equal(names.attributes["aria-hidden"], "true"); // without a value it would hide nothing
  }
});

test("a run that ended before stays at its last call", () => {
  assert.equal(bounded({ call: 9 }, 4).call, 3);
  const state = { call: 3 };
  assert.equal(bounded(state, 4), state);
});
