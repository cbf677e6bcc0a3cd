import assert from "node:assert/strict";
import { test } from "node:test";

import { listen } from "./front.js";
import { FakeElement, page, press } from "./page.js";
import { run } from "./run.js";

/** The keyboard of an explorer, and what it did. */
function keyboard(t, { header = {}, search = null } = {}) {
  page(t);
  const did = [];
  const tell = (name) => (...values) => did.push([name, ...values]);
  const moves = { by: tell("by"), word: tell("word"), draw: tell("draw"), to: tell("to"), zoom: tell("zoom") };
  const end = new AbortController();
  const root = new FakeElement("div");
  const dialog = listen(root, run(header), { toggle: tell("toggle") }, moves, search, end.signal);
  return { root, dialog, did, end };
}

test("each key does what the list says", (t) => {
  const { root, did } = keyboard(t);
  const keys = [" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "+", "=", "-"];
  for (const key of keys) assert.deepEqual(press(root, key), { taken: true, kept: true });
  press(root, "ArrowLeft", { shiftKey: true });
  press(root, "ArrowRight", { shiftKey: true });
  const near = 1 / 1.5;
  assert.deepEqual(did, [
    ["toggle"], ["by", -1], ["by", 1], ["draw", -1], ["draw", 1], ["to", 0],
    ["zoom", near], ["zoom", near], ["zoom", 1.5], ["word", -1], ["word", 1],
  ]);
  did.length = 0;
  press(root, "End");
  const [[name, call]] = did;
  assert.equal(name, "to");
  assert.ok(call >= run().calls - 1);
});

test("a key that means nothing stays within the explorer, for a notebook has its own", (t) => {
  const { root, did } = keyboard(t);
  for (const kind of ["keydown", "keypress", "keyup"]) {
    assert.deepEqual(press(root, "d", { kind }), { taken: false, kept: true });
  }
  assert.deepEqual(press(root, "ArrowRight", { kind: "keyup" }), { taken: false, kept: true });
  assert.deepEqual(did, []);
});

test("keys by which one leaves, or that are the browser's, are let through", (t) => {
  const { root, did } = keyboard(t);
  for (const key of ["Escape", "Tab", "F1", "F12"]) assert.deepEqual(press(root, key), { taken: false, kept: false });
  for (const modifier of ["ctrlKey", "metaKey", "altKey"]) {
    assert.deepEqual(press(root, "ArrowRight", { [modifier]: true }), { taken: false, kept: false });
  }
  assert.equal(press(root, "F").kept, true); // no function key
  assert.deepEqual(did, []);
});

test("a field or a list keeps its own keys, a button its space", (t) => {
  const { root, did } = keyboard(t);
  const search = new FakeElement("input");
  search.setAttribute("type", "search");
  for (const target of [search, new FakeElement("select"), new FakeElement("dialog")]) {
    assert.deepEqual(press(root, "ArrowRight", { target }), { taken: false, kept: true });
  }
  const button = new FakeElement("button");
  assert.equal(press(root, " ", { target: button }).taken, false);
  assert.deepEqual(did, []);
  press(root, "ArrowRight", { target: button });
  const slider = new FakeElement("input");
  slider.setAttribute("type", "range");
  press(root, "ArrowLeft", { target: slider }); // it moves by calls as all else
  assert.deepEqual(did, [["by", 1], ["by", -1]]);
});

test("the search is reached where there is one", (t) => {
  let focused = 0;
  const search = { focus: () => (focused += 1) };
  press(keyboard(t, { search }).root, "/");
  assert.equal(focused, 1);
  assert.equal(press(keyboard(t).root, "/").taken, true);
});

test("the list of keys opens, and Escape closes it and leaves nothing", (t) => {
  const { root, dialog } = keyboard(t);
  press(root, "?");
  assert.equal(dialog.open, true);
  press(dialog, "a");
  assert.equal(dialog.open, true);
  assert.deepEqual(press(dialog, "Escape"), { taken: true, kept: true });
  assert.equal(dialog.open, false);
  press(root, "?");
  dialog.all.find(({ tag }) => tag === "button").dispatchEvent(new Event("click"));
  assert.equal(dialog.open, false);
});

test("a run without words has no keys for them", (t) => {
  const keysOf = (dialog) => dialog.all.filter(({ tag }) => tag === "kbd").map((key) => key.textContent);
  const listed = (header) => keysOf(keyboard(t, { header }).dialog);
  const words = ["shift ← →", "/"];
  assert.deepEqual(words.filter((key) => listed({}).includes(key)), words);
  assert.deepEqual(words.filter((key) => listed({ words: null }).includes(key)), []);
  assert.ok(listed({ words: null }).includes("space"));
});

test("nothing is heard after the end", (t) => {
  const { root, did, end } = keyboard(t);
  end.abort();
  assert.deepEqual(press(root, "ArrowRight"), { taken: false, kept: false });
  assert.deepEqual(did, []);
});
