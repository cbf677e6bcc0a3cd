import assert from "node:assert/strict";
import { test } from "node:test";

import { gridPane, h, tracksPane, say } from "./front.js";
import { FakeElement, page } from "./page.js";
import { looked, run } from "./run.js";

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
});

test("names beside a canvas are hidden from who hears the page, for the canvas says the same", (t) => {
  page(t);
  const data = run({ tracks: [{ name: "main", kind: "text" }] });
  const { store } = looked([data]);
  for (const { element } of [tracksPane(data, store), gridPane(data, store)]) {
    const names = element.all.find(({ attributes }) => attributes.class?.startsWith("names"));
    assert.equal(names.attributes["aria-hidden"], "true"); // without a value it would hide nothing
  }
});
