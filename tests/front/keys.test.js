import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Share, commandsOf, helpSheet, keyName, listen } from "./front.js";
import { FakeElement, page, press } from "./page.js";
import { looked, run } from "./run.js";

/** The keyboard of an explorer, and what it did. */
function keyboard(t, { header = {}, state = {}, runs = [run(header)] } = {}) {
  page(t);
  const did = [];
  const tell = (name) => (...values) => did.push([name, ...values]);
  const { views, store } = looked(runs, state);
  const moves = { anomalies: [4] };
  const ways = ["by", "word", "draw", "to", "zoom", "pan", "fit", "fitSelection", "anomaly"];
  for (const name of ways) moves[name] = tell(name);
  const share = new Share(null, views, store, { data: views.all[0], bytes: null }, null, tell("told")).commands;
  const hands = { tabs: ["Draw", "Call"], share, step: tell("step") };
  for (const name of ["go", "find", "help", "other", "link", "pin"]) hands[name] = tell(name);
  hands.slides = { enter: tell("enter"), step: tell("step"), leave: tell("leave") };
  hands.tour = { on: false, begin: tell("begin"), end: tell("end") };
  const end = new AbortController();
  const root = new FakeElement("div");
  const commands = commandsOf(views, store, { toggle: tell("toggle") }, moves, hands);
  listen(root, commands, end.signal);
  return { root, commands, did, end, store, moves, hands };
}

test("each key does what the list says", (t) => {
  const { root, did, store } = keyboard(t, { state: { selection: [2, 5], span: 8 } });
  const keys = [
    " ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "w", "+", "=", "s", "-", "a", "d", "f", "z", "n",
    "g", "/", "k", "?",
  ];
  for (const key of keys) assert.deepEqual(press(root, key), { taken: true, kept: true }, key);
  for (const key of ["ArrowLeft", "ArrowRight", "N"]) press(root, key, { shiftKey: true });
  const near = 1 / 1.5;
  assert.deepEqual(did, [
    ["toggle"], ["by", -1], ["by", 1], ["draw", -1], ["draw", 1], ["to", 0],
    ["zoom", near], ["zoom", near], ["zoom", near], ["zoom", 1.5], ["zoom", 1.5], ["pan", -2], ["pan", 2],
    ["fit"], ["fitSelection"], ["anomaly", 1], ["go"], ["find"],
    ["link"], ["help"], ["word", -1], ["word", 1], ["anomaly", -1],
  ]);
  did.length = 0;
  press(root, ".");
  assert.deepEqual([did, store.state.tab], [[["step"]], "Pipeline"]);
  did.length = 0;
  press(root, "End");
  assert.deepEqual(did, [["to", 9]]);
});

test("Notebook 7, which hears a key first, is told by the element with the focus which keys stay", (t) => {
  const { root, end } = keyboard(t);
  const field = new FakeElement("input");
  const told = () => field.getAttribute("data-lm-suppress-shortcuts");
  for (const kind of ["keydown", "keyup"]) {
    press(root, "x", { target: field, kind });
    assert.equal(told(), "");
    press(root, "s", { target: field, kind, ctrlKey: true });
    assert.equal(told(), null);
  }
  end.abort();
  press(root, "x", { target: field });
  assert.equal(told(), null);
});

test("a key with capitals on is the same key", (t) => {
  const { root, did } = keyboard(t);
  press(root, "W");
  press(root, "?", { shiftKey: true });
  assert.deepEqual(did, [["zoom", 1 / 1.5], ["help"]]);
});

test("keys of the state: loop, tabs, and Escape where there is a selection", (t) => {
  const { root, store } = keyboard(t, { state: { selection: [2, 5] } });
  press(root, "l");
  assert.equal(store.state.loop, true);
  press(root, "2");
  assert.deepEqual([store.state.tab, store.state.pane], ["Call", "Call"]);
  assert.deepEqual(press(root, "3"), { taken: false, kept: true }); // there are two tabs
  assert.deepEqual(press(root, "Escape"), { taken: true, kept: true });
  assert.equal(store.state.selection, null);
  assert.deepEqual(press(root, "Escape"), { taken: false, kept: false }); // now one leaves by it
});

test("what cannot be done now does nothing, and stays within the explorer", (t) => {
  const { root, did, moves } = keyboard(t);
  moves.anomalies = [];
  assert.deepEqual(press(root, "n"), { taken: false, kept: true });
  assert.deepEqual(press(root, "z"), { taken: false, kept: true });
  assert.deepEqual(press(root, "x"), { taken: false, kept: true }); // there is no other run
  assert.deepEqual(did, []);
});

test("a key that means nothing stays within the explorer, for a notebook has its own", (t) => {
  const { root, did } = keyboard(t);
  for (const kind of ["keydown", "keypress", "keyup"]) {
    assert.deepEqual(press(root, "b", { kind }), { taken: false, kept: true });
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
  assert.deepEqual(did, []);
});

test("a field or a list keeps its own keys, a button its space", (t) => {
  const { root, did } = keyboard(t);
  const fields = ["search", "text"].map((type) => {
    const field = new FakeElement("input");
    field.setAttribute("type", type);
    return field;
  });
  const others = ["textarea", "select", "dialog"].map((tag) => new FakeElement(tag));
  for (const target of [...fields, ...others]) {
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

test("the sheet of keys has every command, and Escape closes it and leaves nothing", (t) => {
  const { commands } = keyboard(t);
  const sheet = helpSheet(commands);
  const told = (tag) => sheet.all.filter((element) => element.tag === tag).map((element) => element.textContent);
  const withKeys = commands.filter(({ keys }) => keys.length);
  assert.ok(withKeys.length < commands.length); // the menu has some that no key starts
  assert.deepEqual(told("dd"), withKeys.map(({ name }) => name));
  assert.deepEqual(told("kbd"), commands.flatMap(({ keys }) => keys.map(keyName)));
  sheet.showModal();
  press(sheet, "a");
  assert.equal(sheet.open, true);
  assert.deepEqual(press(sheet, "Escape"), { taken: true, kept: true });
  assert.equal(sheet.open, false);
  sheet.showModal();
  sheet.all.find(({ tag }) => tag === "button").dispatchEvent(new Event("click"));
  assert.equal(sheet.open, false);
});

test("keys have the names that people read", () => {
  const names = [" ", "Shift+ArrowLeft", "Shift+N", "-", "+", "Escape"].map(keyName);
  assert.deepEqual(names, ["space", "shift ←", "shift N", "−", "+", "esc"]);
});

test("commands have a name of their own each, a verb at first", (t) => {
  const { commands } = keyboard(t, { runs: [run(), run()] });
  const [ids, names] = [commands.map(({ id }) => id), commands.map(({ name }) => name)];
  for (const list of [ids, names]) assert.equal(new Set(list).size, list.length);
  assert.ok(commands.some(({ id }) => id === "other"));
  const verbs = /^(Play|Go|Look|Find|Zoom|Move|See|Repeat|Hear|Show|Copy|Drop|Pin|Save|Present|Take|Leave|End)\b/;
  for (const { name } of commands) assert.match(name, verbs);
});

test("at any time one key starts one command", (t) => {
  const { commands, store, hands } = keyboard(t);
  const times = [[null, false, null], [null, true, null], [null, true, [1, 2]], [0, false, null]];
  for (const [slide, on, selection] of times) {
    store.state = { ...store.state, slide, selection };
    hands.tour.on = on;
    const keys = commands.filter(({ when }) => when()).flatMap((each) => each.keys);
    const twice = keys.filter((key, i) => keys.indexOf(key) !== i);
    assert.deepEqual(twice, slide === null ? [] : [" "]); // among slides space is theirs, and H plays
  }
});

test("among slides the arrows, space and a clicker change them, and what has no use there does nothing", (t) => {
  const { root, did } = keyboard(t, { state: { slide: 1, layout: "wide" } });
  for (const key of ["ArrowRight", " ", "PageDown", "ArrowLeft", "PageUp", ".", ",", "h", "k", "Escape"]) {
    assert.deepEqual(press(root, key), { taken: true, kept: true }, key);
  }
  assert.deepEqual(did, [
    ["step", 1], ["step", 1], ["step", 1], ["step", -1], ["step", -1], ["by", 1], ["by", -1], ["toggle"], ["link"],
    ["leave"],
  ]);
  did.length = 0;
  for (const key of ["w", "f", "1", "g", "/", "p", "t", "l"]) {
    assert.deepEqual(press(root, key), { taken: false, kept: true }, key);
  }
  assert.deepEqual(did, []);
});

test("slides and tour begin by a key; a phone has no slides, and two runs have neither", (t) => {
  const { root, did, store, hands } = keyboard(t, { state: { layout: "wide" } });
  assert.deepEqual(press(root, "PageDown"), { taken: false, kept: true }); // no slide is shown
  press(root, "t");
  press(root, "p");
  assert.deepEqual(did, [["begin"], ["end"], ["enter", 0]]);
  store.state.layout = "phone";
  assert.equal(press(root, "p").taken, false);
  hands.tour.on = true;
  did.length = 0;
  assert.deepEqual(press(root, "Escape"), { taken: true, kept: true });
  assert.deepEqual(did, [["end"]]);
  const two = keyboard(t, { runs: [run(), run()], state: { layout: "wide" } });
  for (const key of ["p", "t"]) assert.deepEqual(press(two.root, key), { taken: false, kept: true });
});

test("the documentation tells every command by its name", (t) => {
  const told = readFileSync(new URL("../../docs/explorer.md", import.meta.url), "utf8");
  const { commands } = keyboard(t, { runs: [run(), run()] });
  assert.deepEqual(commands.filter(({ name }) => !told.includes(name)), []);
});

test("a run without words has no keys for them", (t) => {
  const idsOf = (header) => keyboard(t, { header }).commands.map(({ id }) => id);
  const words = ["word-back", "word-on"];
  assert.deepEqual(words.filter((id) => idsOf({}).includes(id)), words);
  assert.deepEqual(words.filter((id) => idsOf({ words: null }).includes(id)), []);
  assert.ok(idsOf({ words: null }).includes("play"));
});

test("nothing is heard after the end", (t) => {
  const { root, did, end } = keyboard(t);
  end.abort();
  assert.deepEqual(press(root, "ArrowRight"), { taken: false, kept: false });
  assert.deepEqual(did, []);
});
