import assert from "node:assert/strict";
import { test } from "node:test";

import { copied } from "./front.js";
import { FakeElement, page } from "./page.js";

/** A page whose clipboard is this one, and whose old way answers so. */
function copying(t, clipboard, old) {
  page(t);
  Object.defineProperty(globalThis, "navigator", { value: { clipboard }, configurable: true });
  const asked = [];
  const at = new FakeElement("main");
  const focused = new FakeElement("input");
  focused.focus = () => asked.push("focus");
  Object.assign(globalThis.document, {
    activeElement: focused,
    execCommand(command) {
      const [field] = at.children;
      asked.push([command, field.textContent, field.selected, field.removed]);
      return old;
    },
  });
  return { at, asked };
}

test("a text goes to the clipboard where the page has one", async (t) => {
  const written = [];
  const { at, asked } = copying(t, { writeText: async (text) => written.push(text) }, false);
  assert.equal(await copied(at, "a\nb"), true);
  assert.deepEqual([written, asked], [["a\nb"], []]);
});

test("else by a field that is selected and goes, and the focus is where it was", async (t) => {
  const refusing = { writeText: async () => Promise.reject(new Error("not allowed")) };
  for (const clipboard of [undefined, refusing]) {
    const { at, asked } = copying(t, clipboard, true);
    assert.equal(await copied(at, "a\nb"), true);
    assert.deepEqual(asked, [["copy", "a\nb", true, undefined], "focus"]);
    assert.equal(at.children[0].removed, true);
  }
});

test("and where that is not allowed either, it says so", async (t) => {
  const { at } = copying(t, undefined, false);
  assert.equal(await copied(at, "a"), false);
});
