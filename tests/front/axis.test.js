import assert from "node:assert/strict";
import { test } from "node:test";

import { Axis, windowAround, within } from "./front.js";

test("a place stands where it is, and is found there", () => {
  const axis = Object.assign(new Axis(), { first: 10.5, span: 20, width: 400 });
  assert.equal(axis.step, 20);
  assert.equal(axis.x(12), 30);
  assert.equal(axis.at(30), 12);
  assert.deepEqual(axis.seen(100), [10, 31]);
  assert.deepEqual(axis.seen(15), [10, 15]);
});

test("a stretch stays within the run, and is not shorter than twelve calls", () => {
  assert.deepEqual(within(5, 20, 100), { first: 5, span: 20 });
  assert.deepEqual(within(-3, 20, 100), { first: 0, span: 20 });
  assert.deepEqual(within(95, 20, 100), { first: 80, span: 20 });
  assert.deepEqual(within(5, 3, 100), { first: 5, span: 12 });
  assert.deepEqual(within(5, 300, 100), { first: 0, span: 100 });
  assert.deepEqual(within(5, 3, 7), { first: 0, span: 7 });
});

test("what is seen stays while the call is well within it", () => {
  assert.equal(windowAround(50, 200, 40, 30), 30);
  assert.equal(windowAround(63, 200, 40, 30), 31); // played on: what comes next is seen little, what was much
  assert.equal(windowAround(31, 200, 40, 30), 21);
  assert.equal(windowAround(150, 200, 40, 30), 130); // a jump puts it in the middle
  assert.equal(windowAround(199, 200, 40, 30), 160);
  assert.equal(windowAround(0, 200, 40, 30), 0);
});
