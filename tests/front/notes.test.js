import assert from "node:assert/strict";
import { test } from "node:test";

import { LONGEST_NOTE, MOST_NOTES, Notebook, guard, notesPane } from "./front.js";
import { page } from "./page.js";
import { looked, run } from "./run.js";

const KEPT = [{ call: 2, text: "two", kept: true }, { call: 7, text: "seven", kept: true }];

function book(t, keep, notes = KEPT) {
  page(t);
  const { store } = looked([run()], { notes });
  return new Notebook(store, "run.dia2trace", keep);
}
const told = (notebook) => notebook.all.map(({ call, text, kept }) => `${call} ${text} ${kept}`);

test("on a page notes are written, changed and taken away, in the order of their calls", async (t) => {
  const notebook = book(t);
  assert.equal(await notebook.set(5, " five\n"), "Noted at call 5, on this page alone");
  assert.deepEqual(told(notebook), ["2 two true", "5 five false", "7 seven true"]);
  await notebook.set(7, "SEVEN");
  assert.equal(await notebook.set(2, "  "), "No note at call 2 any more");
  assert.deepEqual(told(notebook), ["5 five false", "7 SEVEN false"]);
  assert.equal(await notebook.set(5, "five"), ""); // as it was
  assert.deepEqual([notebook.textAt(7), notebook.textAt(8)], ["SEVEN", ""]);
});

test("notes are as long and as many as a trace keeps", async (t) => {
  const many = Array.from({ length: MOST_NOTES }, (_, call) => ({ call, text: "x", kept: true }));
  const notebook = book(t, undefined, many);
  assert.match(await notebook.set(MOST_NOTES, "one more"), /^A trace keeps 1000 notes/);
  assert.equal(notebook.all.length, MOST_NOTES);
  await notebook.set(0, "y".repeat(LONGEST_NOTE + 1));
  assert.equal(notebook.textAt(0).length, LONGEST_NOTE);
});

test("in a notebook a note is kept beside the trace", async (t) => {
  const asked = [];
  const notebook = book(t, async (...note) => asked.push(note));
  const done = notebook.set(5, "five");
  assert.deepEqual(notebook.unkept.map(({ call }) => call), [5]); // seen at once, kept when the kernel says so
  assert.equal(await done, "Noted at call 5, beside the trace");
  await notebook.set(2, "");
  assert.deepEqual(told(notebook), ["5 five true", "7 seven true"]);
  assert.deepEqual(asked, [[5, "five"], [2, ""]]);
});

test("what a kernel does not keep stays on the page, and what it does not take away comes back", async (t) => {
  const notebook = book(t, async () => {
    throw new Error("the folder is read-only.");
  });
  assert.equal(await notebook.set(5, "five"), "Noted on this page alone: the folder is read-only.");
  assert.equal(await notebook.set(2, ""), "The note stays: the folder is read-only.");
  assert.deepEqual(told(notebook), ["2 two true", "5 five false", "7 seven true"]);
});

test("a note that is changed while the kernel keeps it is not taken for kept", async (t) => {
  const waiting = [];
  const notebook = book(t, () => {
    const { promise, resolve } = Promise.withResolvers();
    waiting.push(resolve);
    return promise;
  });
  const [first, second] = [notebook.set(5, "a"), notebook.set(5, "b")];
  waiting[0]();
  await first;
  assert.deepEqual(told(notebook)[1], "5 b false");
  waiting[1]();
  await second;
  assert.deepEqual(told(notebook)[1], "5 b true");
});

test("notes of others come in, and those that nobody kept stay", async (t) => {
  const notebook = book(t);
  await notebook.set(5, "mine");
  await notebook.set(7, "mine too");
  notebook.refresh([{ call: 1, text: "one" }, { call: 7, text: "theirs" }]);
  assert.deepEqual(told(notebook), ["1 one true", "5 mine false", "7 theirs true"]);
});

test("the file has all of them, as import_notes reads them", async (t) => {
  const notebook = book(t);
  await notebook.set(5, "five");
  assert.deepEqual(JSON.parse(notebook.file), {
    format: "dia2notes", version: 1, trace: "run.dia2trace",
    notes: [{ call: 2, text: "two" }, { call: 5, text: "five" }, { call: 7, text: "seven" }],
  });
});

test("a page is not left without a question while its notes are nowhere else", async (t) => {
  const notebook = book(t);
  const end = new AbortController();
  guard(notebook, end.signal);
  const asks = () => !globalThis.window.dispatchEvent(new Event("beforeunload", { cancelable: true }));
  assert.equal(asks(), false);
  await notebook.set(5, "five");
  assert.equal(asks(), true);
  assert.ok(notebook.file);
  assert.equal(asks(), false); // it was downloaded
  await notebook.set(5, "six");
  assert.equal(asks(), true);
  end.abort();
  assert.equal(asks(), false);
});

/** The pane of some notes, and its field. */
function pane(notebook) {
  const hands = { tell() {}, leave() {}, download() {}, copy() {} };
  const made = notesPane(run(), notebook, {}, hands);
  const all = made.element.all;
  const find = (name) => all.find((each) => each.className === name || each.attributes.class === name);
  return { made, field: all.find(({ tag }) => tag === "textarea"), editor: find("note-editor") };
}

test("what is being written goes on in the explorer that takes the place of this one", (t) => {
  const notebook = book(t);
  const [before, after] = [pane(notebook), pane(notebook)];
  assert.equal(before.made.draft, null);
  before.made.open(7);
  before.field.value = "seven, and mo";
  before.field.setSelectionRange(3, 9);
  const { draft } = before.made;
  assert.deepEqual(draft, { call: 7, text: "seven, and mo", marked: [3, 9], focused: true });
  globalThis.document.activeElement = null;
  after.made.resume(draft);
  assert.deepEqual([after.field.value, after.field.selectionStart, after.field.selectionEnd], ["seven, and mo", 3, 9]);
  assert.equal(globalThis.document.activeElement, after.field);
  assert.deepEqual(after.made.draft, draft);
  assert.equal(notebook.textAt(7), "seven"); // nothing is kept before somebody says so
  globalThis.document.activeElement = null;
  pane(notebook).made.resume({ ...draft, focused: false });
  assert.equal(globalThis.document.activeElement, null); // it had no focus to give
  after.made.open(7); // what was typed stays
  assert.equal(after.field.value, "seven, and mo");
});
