import assert from "node:assert/strict";
import { test } from "node:test";

import { page } from "./page.js";
import { looked, run } from "./run.js";

test("changes are drawn together, once a frame", (t) => {
  const screen = page(t);
  const { store } = looked([run()]);
  const drawn = [];
  store.subscribe((state) => drawn.push(state.call));
  store.set({ call: 1 });
  store.set({ call: 2, draw: 1 });
  assert.deepEqual([drawn, screen.waiting], [[], 1]);
  screen.frame();
  assert.deepEqual([drawn, store.frames], [[2], 1]);
  store.set({ call: 3 });
  screen.frame();
  assert.deepEqual(drawn, [2, 3]);
});

test("what changes nothing is not drawn", (t) => {
  const screen = page(t);
  const { store } = looked([run()], { first: Number.NaN });
  const before = store.state;
  store.set({ call: 0, playing: false, first: Number.NaN });
  assert.deepEqual([screen.waiting, store.state === before], [0, true]);
  assert.deepEqual([store.clamp(99), store.clamp(-1)], [9, 0]);
  store.set({ calls: 12 }); // a run that goes on has more of them
  assert.equal(screen.waiting, 1);
});

test("another call drops the row and the cell, unless the change names them", (t) => {
  page(t);
  const { store } = looked([run()], { row: 3, cell: { book: 0, column: 1 } });
  store.set({ call: 0, draw: 1 }); // the same call
  assert.deepEqual([store.state.row, store.state.cell], [3, { book: 0, column: 1 }]);
  store.set({ call: 1, row: 4 });
  assert.deepEqual([store.state.row, store.state.cell], [4, null]);
  store.set({ call: 2, cell: { book: 1, column: 2 } });
  assert.deepEqual([store.state.row, store.state.cell], [null, { book: 1, column: 2 }]);
});
