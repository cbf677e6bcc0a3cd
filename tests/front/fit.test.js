import assert from "node:assert/strict";
import { test } from "node:test";

import { Axis, driftText, driftTrack, fitChart, fitTab, hashOf, tabOf, takenTrack } from "./front.js";
import { page } from "./page.js";
import { looked, run } from "./run.js";

const word = (text, call, drift, asked = call / 10 + 0.2) => ({ text, call, taken: call, asked, drift });
const CURVES = [
  { words: "a … b", gain: [-3, -1, 0, -1, -3], drift: 0, at: 2, told: "where they sound" },
  { words: "c … d", gain: [-1, -2, 0, 1, 4], drift: 0.4, at: 4, told: "0.40 s late" },
  { words: "e", gain: [0, 0, 0, 0, 0], drift: null, at: null, told: "cannot tell" },
];
const LATE = [-0.4, -0.2, 0, 0.2, 0.4];
const RECORDING = {
  speaker: 1, title: "Words of speaker 1", told: "Late.", by: "by ear", why: "Heard.", unit: "nats a frame",
  late: LATE, curves: CURVES, mended: { text: "[]", told: "Save it." },
  words: [word("a", 1, 0), word("b", 2, 0), word("c", 3, 0.4), word("d", 4, 0.4), word("<e>", 5, null)],
};
const FIT = {
  name: "Voice", least: 0.24, recordings: [RECORDING],
  windows: [[0, 2, 0.08], [2, 4, 0.4], [4, 5, 0.4], [5, 6, null], [6, 7, null]],
};
const GIVEN = { calls: 7, why: "" };

/** What is drawn on a track of ten calls, of ten pixels each. */
function painted(fit, layout = "wide", first = 0, track = driftTrack, words = []) {
  const axis = Object.assign(new Axis(), { first, span: 10, width: 100 });
  const drawn = { fills: [], texts: [], clips: [], frames: [] };
  const context = new Proxy({}, { get: (_, name) => (...values) => name === "rect" && drawn.clips.push(values) });
  const palette = { warn: "warn", ok: "ok", ink: "ink", faint: "faint", back: "back", edge: "edge", s1: "s1" };
  const sheet = {
    axis, palette, context, width: 100, height: 60, font() {},
    widthOf: (text) => text.length,
    fill: (colour, ...box) => drawn.fills.push([colour, ...box]),
    text: (text, x, y, colour) => drawn.texts.push([text, x, y, colour]),
    frame: (colour, thick, ...box) => drawn.frames.push(box),
  };
  track(run({ fit, given: GIVEN, words })).paint(sheet, { layout });
  return drawn;
}

const of = (fills, colour) => fills.filter((fill) => fill[0] === colour).map(([, ...box]) => box);

test("a drift is told with its sign, and not where it cannot be", () => {
  assert.deepEqual([0.48, -0.4, 0, -0.001, null].map(driftText), ["+0.48", "−0.40", "0", "0", "cannot tell"]);
});

test("a window that can tell stands on its side of the zero line, as high as its drift", () => {
  const { fills, texts } = painted(FIT);
  const [one, two] = of(fills, "warn");
  assert.deepEqual([one[0], two[0]], [20, 40]);
  assert.equal(one[1] + one[3], 30); // it ends at the zero line
  assert.ok(one[3] > 20 && one[3] < 27, `0.4 of 0.5 s: ${one[3]}`);
  const early = { ...FIT, windows: [[0, 4, -0.4]] };
  assert.deepEqual(of(painted(early).fills, "warn").map(([, y]) => y), [30]);
  assert.deepEqual(texts.filter(([, , , colour]) => colour === "warn").map(([text]) => text), ["+0.40 s"]);
});

test("a drift that is usual is no warning", () => {
  const [line] = of(painted(FIT).fills, "ok");
  assert.deepEqual([line[0], line[3]], [0, 4]);
});

test("windows that cannot tell are hatched, and say so once", () => {
  const { fills, texts, clips } = painted(FIT);
  assert.deepEqual(clips.map(([x, , width]) => [x, width]), [[50, 19]]);
  assert.deepEqual(texts.filter(([, , , colour]) => colour === "faint").map(([text]) => text), ["cannot tell"]);
  assert.equal(of(fills, "warn").length, 2);
  assert.deepEqual(painted({ ...FIT, windows: [[0, 1, null]] }).texts, []); // there is no room to say it
});

test("hatching goes on where the window began before what is seen", () => {
  const long = { ...FIT, windows: [[0, 1000, null]] };
  const { clips } = painted(long, "wide", 500);
  assert.equal(clips.length, 1);
  assert.ok(clips[0][0] >= -6 && clips[0][0] + clips[0][2] <= 106);
});

test("the range is told beside the track, on a phone upon it", () => {
  const painter = driftTrack(run({ fit: FIT }));
  assert.deepEqual(painter.lanes.map(({ name }) => name), ["+0.5 s", "0", "−0.5 s"]);
  const texts = (layout) => painted(FIT, layout).texts.map(([text]) => text);
  assert.ok(!texts("wide").includes("+0.5 s"));
  assert.ok(texts("phone").includes("+0.5 s"));
  const wide = driftTrack(run({ fit: { ...FIT, windows: [[0, 2, -1.2]] } }));
  assert.equal(wide.lanes[0].name, "+1.5 s");
});

test("the note says what is known at a call, and by what", () => {
  const painter = driftTrack(run({ fit: FIT }));
  const notes = [0, 3, 6, 8].map((call) => painter.note({ call }));
  const wanted = ["+0.08 s, by ear", "+0.40 s, by ear", "cannot tell here", "of the recordings alone"];
  assert.deepEqual(notes, wanted);
  const two = { ...FIT, recordings: [RECORDING, { ...RECORDING, by: "by loudness" }] };
  assert.equal(driftTrack(run({ fit: two })).note({ call: 3 }), "+0.40 s");
});

test("a run without such words has no track and no tab", () => {
  assert.equal(driftTrack(run({ fit: null })).there, false);
  assert.equal(driftTrack(run()).there, false);
  assert.equal(fitTab(run(), null), null);
});

const ASKED = RECORDING.words.map(({ text, call }) => ({ text, speaker: 1, prefix: true, call, at: call }));

test("words that are heard elsewhere than asked stand there, too", () => {
  const data = run({ fit: FIT, given: GIVEN, words: ASKED });
  assert.deepEqual(takenTrack(data).lanes.map(({ name }) => name), ["heard", "asked", "taken"]);
  const { fills, texts, frames } = painted(FIT, "wide", 0, takenTrack, ASKED);
  const at = (y) => of(fills, "s1").filter((box) => box[1] === y).map(([x]) => x);
  assert.deepEqual(at(62), [10, 20, 30, 40, 50]); // as asked
  assert.deepEqual(at(38), [10, 20, -10, 0]); // 0.4 s are four calls
  assert.deepEqual(frames.map(([x]) => x), [50.5]); // of the last one it is not known
  assert.deepEqual(texts.map(([text, x]) => [text, x]).slice(0, 2), [["a", 11], ["b", 21]]);
});

test("where no word is heard elsewhere the track is as it was", () => {
  const still = { ...FIT, recordings: [{ ...RECORDING, words: [word("a", 1, 0), word("b", 2, null)] }] };
  for (const fit of [still, null]) {
    const track = takenTrack(run({ fit, given: GIVEN, words: ASKED }));
    assert.deepEqual(track.lanes.map(({ name }) => name), ["asked", "taken"]);
    const { fills } = painted(fit, "wide", 0, takenTrack, ASKED);
    assert.deepEqual(of(fills, "s1").map(([x]) => x), [10, 20, 30, 40, 50]);
  }
});

test("a chart has a curve for each stretch: moved, in its place, or dashed where it tells nothing", (t) => {
  page(t);
  const [plot, axis, , key] = fitChart(RECORDING, 0.24);
  const lines = plot.all.filter(({ tag, attributes }) => tag === "path" && !/grid|zero|asked/.test(attributes.class));
  assert.deepEqual(lines.map(({ attributes }) => attributes.class), ["fit-right", "fit-moved", "fit-flat"]);
  const points = lines[1].attributes.d.match(/[\d.]+ [\d.]+/g).map((pair) => pair.split(" ").map(Number));
  assert.deepEqual(points.map(([x]) => x), [0, 25, 50, 75, 100]);
  assert.equal(Math.min(...points.map(([, y]) => y)), points[4][1]); // the best is the highest
  assert.equal(points[2][1], 8 + (84 * 4) / 7); // no drift gains nothing
  const marks = plot.all.filter(({ attributes }) => /fit-dot|fit-best/.test(attributes.class ?? ""));
  assert.deepEqual(marks.map(({ tag, textContent }) => [tag, textContent]), [["i", ""], ["i", ""], ["b", "+0.40 s"]]);
  assert.deepEqual(axis.all.slice(1).map(({ textContent }) => textContent), ["0"]);
  assert.match(plot.attributes["aria-label"], /c … d: 0.40 s late; e: cannot tell$/);
  assert.deepEqual(key.children.map((row) => row.textContent), [
    "“a … b” where they sound", "“c … d” 0.40 s late", "“e” cannot tell",
  ]);
});

test("the axis is in seconds, half by half", (t) => {
  page(t);
  const late = [-1.44, 0, 1.44];
  const curves = [{ ...CURVES[0], gain: [-1, 0, -1], at: 1 }];
  const [, axis] = fitChart({ ...RECORDING, late, curves }, 0.24);
  const wanted = ["−1 s", "−0.5 s", "0", "+0.5 s", "+1 s"];
  assert.deepEqual(axis.children.map(({ textContent }) => textContent), wanted);
  const [, longer] = fitChart({ ...RECORDING, late: [-1.6, 0, 1.6], curves }, 0.24);
  assert.deepEqual(longer.children.map(({ textContent }) => textContent), wanted); // at the edge they would be cut off
});

test("without a curve there is no chart", (t) => {
  page(t);
  assert.deepEqual(fitChart({ ...RECORDING, curves: [] }, 0.24), []);
});

/** The pane of a run in its warm-up, and its rows. */
function opened(fit = FIT, state = {}) {
  const data = run({ fit, given: GIVEN, calls: 10 });
  const { store } = looked([data], { tab: "", ...state });
  const tab = fitTab(data, store);
  const [pane] = tab.parts;
  const rows = () => pane.element.all.filter(({ tag, children }) => tag === "tr" && children[1]?.tag === "td");
  const current = () => rows().filter(({ attributes }) => attributes["aria-current"]);
  const lit = () => current().map((row) => row.children[0].textContent);
  return { tab, pane, store, rows, lit };
}

test("each word stands with its times; what cannot be told is a question mark", (t) => {
  page(t);
  const told = opened().rows().map((row) => row.children.map(({ textContent }) => textContent));
  assert.deepEqual(told[2], ["c", "0.10", "0.50", "call 3", "+0.40"]);
  assert.deepEqual(told[0], ["a", "0.30", "0.30", "call 1", "0"]);
  assert.deepEqual(told[4], ["<e>", "?", "0.70", "call 5", "cannot tell"]);
  const [begin] = opened({ ...FIT, recordings: [{ ...RECORDING, words: [word("x", 0, 0.5)] }] }).rows();
  assert.equal(begin.children[1].textContent, "0.00"); // nothing sounds before the recording
  const lost = { ...RECORDING, words: [{ ...word("x", 9, 0.1, null), taken: null }] };
  const [row] = opened({ ...FIT, recordings: [lost] }).rows();
  assert.deepEqual(row.children.map(({ textContent }) => textContent), ["x", "?", "?", "never", "+0.10"]);
});

test("words that are moved are marked, those that are not are not", (t) => {
  page(t);
  const classes = opened().rows().map(({ attributes }) => attributes.class ?? "");
  assert.deepEqual(classes, ["", "", "moved", "moved", ""]);
  const [early] = opened({ ...FIT, recordings: [{ ...RECORDING, words: [word("x", 0, -0.4)] }] }).rows();
  assert.equal(early.attributes.class, "moved");
});

test("the word that was taken last is lit, in the warm-up alone", (t) => {
  page(t);
  const { pane, lit } = opened();
  for (const [call, wanted] of [[0, []], [3, ["c"]], [4, ["d"]], [2, ["b"]], [6, ["<e>"]], [7, []]]) {
    pane.draw({ call });
    assert.deepEqual(lit(), wanted, `at ${call}`);
  }
});

test("a click on a word goes to its call, and the tab stays", (t) => {
  page(t);
  const { store, rows } = opened();
  rows()[3].children[0].children[0].dispatchEvent(new Event("click"));
  assert.deepEqual([store.state.call, store.state.tab], [4, "Voice"]);
});

test("of two recordings the one that is read is seen, and the last one afterwards", (t) => {
  page(t);
  const second = { ...RECORDING, speaker: 2, words: [word("f", 6, null)], mended: null };
  const { pane, store } = opened({ ...FIT, recordings: [RECORDING, second] });
  const parts = () => pane.element.all.filter(({ attributes }) => attributes.class === "fit-recording");
  const seen = (state) => {
    pane.draw(state);
    return parts().map(({ hidden }) => !hidden);
  };
  assert.deepEqual(seen({ call: 2 }), [true, false]);
  assert.deepEqual(seen({ call: 6 }), [false, true]);
  assert.deepEqual(seen({ call: 9 }), [false, true]);
  assert.deepEqual(seen({ call: 2, layout: "paper" }), [true, true]);
  const [, choice] = pane.element.all.filter(({ attributes }) => attributes.class === "segment");
  choice.dispatchEvent(new Event("click"));
  assert.equal(store.state.call, 6);
});

test("the mended list is copied, or shown where the browser copies nothing", async (t) => {
  page(t);
  const copies = [];
  const clipboard = { writeText: async (text) => copies.push(text) };
  Object.defineProperty(globalThis, "navigator", { value: { clipboard }, configurable: true });
  const { pane } = opened();
  const find = (tag, name) => pane.element.all.find((one) => one.tag === tag && one.attributes.class === name);
  const said = () => pane.element.all.find(({ attributes }) => attributes.role === "status").textContent;
  find("button", "go").dispatchEvent(new Event("click"));
  await new Promise(setImmediate);
  assert.deepEqual([copies, said(), find("pre", "fit-list").hidden], [["[]"], "Copied. Save it.", true]);
  clipboard.writeText = async () => Promise.reject(new Error("not allowed"));
  find("button", "go").dispatchEvent(new Event("click"));
  await new Promise(setImmediate);
  assert.deepEqual([said(), find("pre", "fit-list").hidden], ["Copy it from below. Save it.", false]);
});

test("where no drift is told there is nothing to copy", (t) => {
  page(t);
  const { pane } = opened({ ...FIT, recordings: [{ ...RECORDING, mended: null }] });
  assert.equal(pane.element.all.some(({ attributes }) => attributes.class === "go"), false);
});

test("in the warm-up the tab opens by itself, unless another one was chosen", (t) => {
  page(t);
  const { tab } = opened();
  const tabs = [{ name: "Draw", parts: [] }, { name: "Call", parts: [] }, tab];
  const shown = (state) => tabOf({ cell: null, tab: "", ...state }, tabs);
  assert.equal(shown({ call: 3 }), "Voice");
  assert.equal(shown({ call: 7 }), "Draw");
  assert.equal(shown({ call: 3, tab: "Call" }), "Call");
  assert.equal(shown({ call: 7, tab: "Voice" }), "Voice");
  assert.equal(shown({ call: 3, cell: { book: 0, column: 3 } }), "Draw");
  assert.equal(tabOf({ call: 3, cell: null, tab: "" }, tabs.slice(0, 2)), "Draw");
});

test("who works in the tab has chosen it", (t) => {
  page(t);
  const { pane, store } = opened();
  pane.element.dispatchEvent(new Event("focusin"));
  assert.equal(store.state.tab, "Voice");
});

test("a link names no tab that nobody chose", () => {
  const seen = { call: 3, lens: "run", track: null, open: [], tab: "", draw: 1, slide: null };
  assert.equal(hashOf(seen), "#call=3&lens=run&draw=1");
});
