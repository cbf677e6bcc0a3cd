import assert from "node:assert/strict";
import { test } from "node:test";

import { Moves } from "./front.js";
import { page } from "./page.js";
import { looked, run, word } from "./run.js";

function moving(t, runs, state) {
  page(t);
  const { views, store } = looked(runs, state);
  return { moves: new Moves(views, store), store, views };
}

const WORDS = [word("One", 1), word("two,", 4), word("Two", 4), word("three", 8)];

test("calls go on and back, and not out of the run", (t) => {
  const { moves, store } = moving(t, [run()], { call: 3, row: 7 });
  moves.by(2);
  assert.deepEqual([store.state.call, store.state.row], [5, null]);
  moves.by(-99);
  assert.equal(store.state.call, 0);
  moves.to(Number.MAX_SAFE_INTEGER);
  assert.equal(store.state.call, 9);
});

test("words go on and back, and stay where there is none", (t) => {
  const { moves, store } = moving(t, [run({ words: WORDS })]);
  const calls = [1, 1, 1, 1, -1, -1, -1].map((direction) => {
    moves.word(direction);
    return store.state.call;
  });
  assert.deepEqual(calls, [1, 4, 8, 8, 4, 1, 1]);
  moves.to(6);
  moves.word(-1);
  assert.equal(store.state.call, 4);
});

test("draws go on and back, and drop the cell that was chosen", (t) => {
  const { moves, store } = moving(t, [run()], { draw: 1, cell: { book: 0, column: 1 } });
  moves.draw(1);
  assert.deepEqual([store.state.draw, store.state.cell], [2, null]);
  moves.draw(1);
  assert.equal(store.state.draw, 2);
  for (let i = 0; i < 4; i += 1) moves.draw(-1);
  assert.equal(store.state.draw, 0);
});

test("a run without draws has one place for them", (t) => {
  const { moves, store } = moving(t, [run({ draws: [] })]);
  moves.draw(1);
  assert.equal(store.state.draw, 0);
});

test("what is looked at stays where it is when one sees more calls, or fewer", (t) => {
  const { moves, store } = moving(t, [run({ calls: 200 })], { call: 120, first: 100, span: 80 });
  moves.zoom(0.5);
  assert.deepEqual([store.state.span, store.state.first], [40, 110]); // a quarter of it is before the call
  moves.zoom(0.25);
  assert.deepEqual([store.state.span, store.state.first], [12, 117]); // not fewer than twelve
  moves.zoom(99);
  assert.deepEqual([store.state.span, store.state.first], [200, 0]); // nor more than there are
});

test("the place that is pointed at stays too, and so does the middle where the call is not seen", (t) => {
  const { moves, store } = moving(t, [run({ calls: 200 })], { call: 0, first: 100, span: 40 });
  moves.zoom(0.5, 130);
  assert.deepEqual([store.state.span, store.state.first], [20, 115]);
  moves.zoom(2);
  assert.deepEqual([store.state.span, store.state.first], [40, 105]);
});

test("one sees other calls without going to one", (t) => {
  const { moves, store } = moving(t, [run({ calls: 200 })], { call: 0, first: 100, span: 40 });
  moves.pan(15);
  assert.equal(store.state.first, 115);
  moves.pan(99);
  assert.equal(store.state.first, 160);
  moves.look(-5);
  assert.deepEqual([store.state.first, store.state.call], [0, 0]);
  moves.fit();
  assert.deepEqual([store.state.first, store.state.span], [0, 200]);
});

test("the selection is seen with some room around it, and a word can be selected", (t) => {
  const { moves, store } = moving(t, [run({ calls: 200, words: WORDS })], { first: 0, span: 200 });
  moves.fitSelection();
  assert.equal(store.state.span, 200);
  store.set({ selection: [100, 150] });
  moves.fitSelection();
  assert.deepEqual([store.state.first, store.state.span], [95, 60]);
  moves.selectWord(2);
  assert.deepEqual(store.state.selection, [1, 4]);
  moves.selectWord(0); // before the first word
  assert.deepEqual(store.state.selection, [1, 4]);
});

test("anomalies and findings are gone to in the order of their calls", (t) => {
  const header = {
    anomalies: [{ call: 2, what: "codes", bits: 3 }, { call: 7, what: "action", bits: 2 }],
    findings: [{ call: 5 }, { call: 7 }],
  };
  const { moves, store } = moving(t, [run(header)]);
  const calls = [1, 1, 1, 1, -1].map((direction) => {
    moves.anomaly(direction);
    return store.state.call;
  });
  assert.deepEqual(calls, [2, 5, 7, 7, 5]);
});

test("a call is found by its number, and by a time of the sound", (t) => {
  const { moves, store } = moving(t, [run({ calls: 200, clock: { rate: 10, zero: 5, twice: null, before: "" } })]);
  const texts = ["31", " 12.4s ", "12,4 S", "−0.2s", "999", "x", "", "12.4m"];
  const found = texts.map((text) => [moves.find(text), store.state.call]);
  assert.deepEqual(found, [
    [true, 31], [true, 129], [true, 129], [true, 3], [true, 199], [false, 199], [false, 199], [false, 199],
  ]);
  const silent = moving(t, [run({ clock: null })]);
  assert.equal(silent.moves.find("1s"), false);
});

test("a short run is seen whole", (t) => {
  const { moves, store } = moving(t, [run()], { span: 10 });
  moves.zoom(0.1);
  assert.equal(store.state.span, 10);
});

test("of two runs the longer one can be reached, and its later words", (t) => {
  const short = run({ calls: 5, words: [word("a", 1), word("b", 4)] });
  const long = run({ calls: 12, words: [word("A", 1), word("B", 4), word("C", 5), word("D", 9)] });
  const { moves, store, views } = moving(t, [short, long]);
  moves.to(99);
  assert.equal(store.state.call, 11);
  assert.deepEqual(views.spoken.map(({ text }) => text), ["a", "b", "C", "D"]);
  assert.deepEqual([views.calls, views.places], [12, 12]);
  assert.deepEqual([views.at(4), views.at(5), views.at(99)], [short, long, short]);
  moves.to(4);
  moves.word(1);
  assert.equal(store.state.call, 5);
});
