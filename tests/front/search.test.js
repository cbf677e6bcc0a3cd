import assert from "node:assert/strict";
import { test } from "node:test";

import { Moves, Views, search } from "./front.js";
import { page } from "./page.js";
import { column, each, looked, run, word } from "./run.js";

const WORDS = [word("One", 1), word("two,", 4), word("Two", 4), word("three", 8), word("411", 9)];
// Call k writes column k + 1; no call wrote the first one.
const GRID = column(Int16Array, [5, 2], [411, -1, 411, -1, 7, 411, -2, 7, 411, 3]);
const COLUMNS = {
  grid: GRID,
  budget: each(3, 2, 1, 0, 0, 0, 0, 0, 0, 0),
  phase: each(0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
  main: each(5, 6, 5, 0, 0, 0, 0, 0, 0, 0),
  main_part: column(Int32Array, [10, 3], [0, 0, 2, 0, 1, 2, -1, -1, -1, ...Array.from({ length: 21 }, () => -1)]),
  draw_choice: column(Int32Array, [10, 3], Array.from({ length: 30 }, (_, i) => (i === 6 ? 1 : 0))),
};
const HEADER = {
  words: WORDS,
  names: { phase: { 1: "Loop" } },
  entries: [{ text: "Friend,", speaker: 1, padding: 0, tokens: 2 }],
  draws: [{ title: "action", book: null, sampling: "text", names: { 1: "new_word" } }, ...run().header.draws.slice(1)],
  grid: { ...run().header.grid, specials: { 7: "EOS" }, words: { book: "codebook", short: "cb", column: "column" } },
};

function found(text, header = HEADER, columns = COLUMNS) {
  return search(new Views([run(header, columns)]), text);
}
const calls = (text) => found(text).map(({ call }) => call);
const cells = (text) => found(text).map(({ cell }) => cell && [cell.book, cell.column]);

test("words are found by a part of them, in any case", () => {
  assert.deepEqual(found(" TWO ").map(({ told }) => told), ["“two,”", "“Two”"]);
  assert.deepEqual(calls("t"), [4, 4, 8]);
  assert.deepEqual(calls("   "), []);
  assert.deepEqual(calls("four"), []);
});

test("a number is a code in any codebook, and a word that holds it", () => {
  assert.deepEqual(cells("411"), [[0, 1], [1, 2], [0, 4], undefined]);
  assert.deepEqual(calls("411"), [0, 1, 3, 9]);
  assert.equal(found("411")[1].told, "Codebook 1: 411");
  assert.deepEqual(calls("99"), []);
  assert.deepEqual(found("411", HEADER, {}).length, 1); // a redacted voice has no grid
});

test("a codebook and a code, by its short name, its long one, or the name of a special code", () => {
  assert.deepEqual(cells("cb1:411"), [[1, 2]]);
  assert.deepEqual(cells("Codebook 0: 411"), [[0, 1], [0, 4]]);
  assert.deepEqual(cells("cb0:eos"), [[0, 2]]);
  assert.deepEqual(cells("eos"), [[0, 2], [1, 3]]);
  assert.deepEqual(calls("cb2:411"), []); // there are two
  assert.deepEqual(calls("cb1:x"), []);
});

test("a draw, a stream and a column have values", () => {
  assert.deepEqual(calls("action:new_word"), [2]);
  assert.deepEqual(calls("main:friend"), [0, 1]); // every token of the word
  assert.deepEqual(calls("main: 5"), [0, 2]);
  assert.deepEqual(calls("budget:0"), [3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(calls("phase:loop").length, 8);
  assert.deepEqual(calls("nothing:0"), []);
});

test("names that every object has are no columns", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    assert.deepEqual([name, calls(`${name}:1`)], [name, []]);
  }
});

test("what is counted otherwise is no column of calls, however long it is", () => {
  const header = { ...HEADER, by_call: ["budget"] };
  const columns = { ...COLUMNS, loudness: each(3, 3, 3, 3, 3, 3, 3, 3, 3, 3) };
  assert.deepEqual(found("loudness:3", header, columns), []);
  assert.deepEqual(found("budget:2", header, columns).map(({ call }) => call), [1]);
});

test("a place that was found is gone to, with its cell and the draw that made it", (t) => {
  page(t);
  const { views, store } = looked([run(HEADER, COLUMNS)], { row: 3 });
  const moves = new Moves(views, store);
  const [, second] = moves.search("411");
  moves.toHit(second);
  const { call, cell, draw, row } = store.state;
  assert.deepEqual([call, cell, draw, row], [1, { book: 1, column: 2 }, 2, null]);
  moves.toHit(moves.search("three")[0]);
  assert.deepEqual([store.state.call, store.state.cell, store.state.draw], [8, null, 2]);
});

test("the words of both runs are searched, and the codes of the first", () => {
  const views = new Views([run(HEADER, COLUMNS), run({ calls: 20, words: [word("later 411", 15)] }, COLUMNS)]);
  assert.deepEqual(search(views, "411").map(({ call }) => call), [0, 1, 3, 9, 15]);
});
