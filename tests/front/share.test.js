import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, timelineOf } from "./front.js";
import { looked, run } from "./run.js";

/** A stage that remembers what it drew. */
function drawing(state) {
  const { store } = looked([run()], state);
  const drawn = [];
  const stage = Object.assign(Object.create(Stage.prototype), { store });
  stage.draw = ({ first, span, selection }) => drawn.push([first, span, selection]);
  return { stage, store, drawn };
}

test("a picture is of the selection, and nothing of it stays on the page", () => {
  const { stage, store, drawn } = drawing({ first: 2, span: 5, selection: [3.4, 6.1] });
  const before = store.state;
  const made = stage.seeing([3, 7], (state) => {
    assert.equal(store.state, state); // what moves with the call is drawn by the store's
    return [state.first, state.span, state.selection];
  });
  assert.deepEqual(made, [3, 4, null]);
  assert.deepEqual(drawn, [[3, 4, null], [2, 5, [3.4, 6.1]]]);
  assert.equal(store.state, before);
  assert.throws(() => stage.seeing([3, 7], () => {
    throw new Error("no canvas");
  }));
  assert.equal(store.state, before);
});

test("without a selection it is of what is seen", () => {
  const { stage, store, drawn } = drawing({ first: 2, span: 5 });
  assert.equal(stage.seeing(null, (state) => state), store.state);
  assert.deepEqual(drawn, []);
});

test("the menu says of what", () => {
  assert.equal(timelineOf({ selection: null }), "The timeline as it is seen");
  assert.equal(timelineOf({ selection: [3, 7] }), "The timeline, calls 3 … 6");
});
