import assert from "node:assert/strict";
import { test } from "node:test";

import { Board, Kernel, Pairs, Sounding, early, figure, grouped, levels, many, meansOf } from "./front.js";
import { roundNumbers, shownPlaces, testsOf, wantedOf } from "./front.js";
import { page } from "./page.js";
import { sweepOf } from "./sweep.js";

const NONE = new Map();
const [STATUS, CFG, SEED, WORDS, CUT, ERROR] = [0, 1, 2, 3, 4, 5];

/** Runs that a query leaves. */
function left(query, chosen = NONE) {
  return wantedOf(sweepOf(), query, chosen).found;
}

test("numbers have four figures, a real minus, and nothing where there is none", () => {
  assert.deepEqual([0.123456, -2, 12345.6, NaN].map((value) => figure(value)), ["0.1235", "−2", "12350", "–"]);
  assert.equal(figure(123456, true), "123456");
  assert.deepEqual([many(1, "run"), many(1000, "run")], ["1 run", "1,000 runs"]);
});

test("numbers of a column stand above each other by their points", () => {
  const runs = sweepOf();
  assert.deepEqual([0, 4, 5].map((run) => runs.aligned(WORDS, run)), ["4.00", "−8.25", "–"]);
  assert.equal(runs.aligned(SEED, 1), "2");
  assert.equal(runs.text(CUT, 1), "yes");
  assert.equal(runs.text(ERROR, 0), "–");
});

test("filters are texts and comparisons, and all have to be passed", () => {
  assert.deepEqual(left(""), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(left("cfg_scale=2"), [2, 3]);
  assert.deepEqual(left("CFG_Scale>=2 seed!=1"), [3, 5]);
  assert.deepEqual(left("words<6"), [0, 2, 4]); // who has none passes no comparison
  assert.deepEqual(left("words<−8"), [4]);
  assert.deepEqual(left("cut=yes"), [1, 4]);
  assert.deepEqual(left("died"), [5]);
  assert.deepEqual(left('error:"it died"'), [5]);
  assert.deepEqual(left("status=DONE seed=1"), [0, 2, 4]);
  assert.deepEqual(left("status!=done"), [5]);
  assert.deepEqual(left("id3"), [3]);
  assert.deepEqual(left("nowhere"), []);
  assert.deepEqual(left("seed=1", new Map([[CFG, 3]])), [4]);
});

test("what says nothing is told of, and filters nothing", () => {
  assert.deepEqual(testsOf(sweepOf(), "words>many status<done cfg_scale=").wrong, [
    "words>many", "status<done", "cfg_scale=",
  ]);
  assert.deepEqual(left("words>many"), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(left("other=3"), []); // no column: a text that no run has
});

test("runs sort either way, those without a value last", () => {
  const runs = sweepOf();
  const all = [0, 1, 2, 3, 4, 5];
  assert.deepEqual(runs.sorted(all, WORDS, false), [4, 0, 2, 1, 3, 5]);
  assert.deepEqual(runs.sorted(all, WORDS, true), [3, 1, 2, 0, 4, 5]);
  assert.deepEqual(runs.sorted(all, CFG, true), [4, 5, 2, 3, 0, 1]); // equal ones stay in their order
  assert.deepEqual(runs.sorted(all, -1, true), [5, 4, 3, 2, 1, 0]);
  assert.deepEqual(all, [0, 1, 2, 3, 4, 5]);
});

test("charts begin with the measure that tells most, over what was chosen, a panel for each script", (t) => {
  page(t);
  assert.deepEqual(new Board(sweepOf()).looked.chart, { measure: CUT, x: CFG, by: -1, panel: -1 });
  const setting = { role: "setting", kind: "number", values: [1, 2] };
  const text = { name: "script", role: "setting", kind: "text", texts: ["a", "b"], values: [0, 1] };
  const columns = ["seed", "cfg_scale", "top_k"].map((name) => ({ ...setting, name }));
  const runs = sweepOf([text, ...columns, { ...setting, name: "words", role: "measure" }]);
  assert.deepEqual(new Board(runs).looked.chart, { measure: 4, x: 2, by: 3, panel: 0 });
  assert.deepEqual(new Board(sweepOf([columns[0]])).looked.chart, { measure: -1, x: 0, by: -1, panel: -1 });
});

test("a head sorts up, down, and not at all", (t) => {
  page(t);
  const board = new Board(sweepOf());
  const seen = () => board.looked.rows[0];
  assert.equal(seen(), 0);
  board.sortBy(WORDS);
  assert.equal(seen(), 4);
  board.sortBy(WORDS);
  assert.equal(seen(), 3);
  board.sortBy(WORDS);
  assert.deepEqual([seen(), board.looked.sort], [0, -1]);
});

test("the board filters and goes from row to row, in the order that is seen", (t) => {
  page(t);
  const board = new Board(sweepOf());
  board.move(Infinity);
  assert.equal(board.looked.run, 5);
  board.set({ run: null });
  board.move(-1);
  assert.equal(board.looked.run, 5);
  board.set({ run: null });
  board.move(1);
  assert.equal(board.looked.run, 0);
  board.set({ sort: WORDS, falling: true });
  board.move(1);
  assert.equal(board.looked.run, 4); // after run 0 stands run 4
  board.move(-Infinity);
  assert.equal(board.looked.run, 3);
  board.only(CFG, 1);
  assert.deepEqual(board.looked.rows, [1, 0]);
  board.move(1);
  assert.equal(board.looked.run, 1); // the one that was looked at is filtered out
  board.only(CFG, null);
  board.set({ query: "nowhere" });
  board.move(1);
  assert.deepEqual([board.looked.rows, board.looked.run], [[], 1]);
  board.clear();
  assert.equal(board.looked.rows.length, 6);
});

test("changes are drawn together, once a frame", (t) => {
  const { frame } = page(t);
  const board = new Board(sweepOf());
  const drawn = [];
  board.subscribe(({ query, run }) => drawn.push([query, run]));
  board.set({ query: "done" });
  board.set({ run: 2 });
  assert.deepEqual(drawn, []);
  frame();
  assert.deepEqual(drawn, [["done", 2]]);
});

test("the table leaves out what tells no run from another", () => {
  const same = { name: "device", role: "about", kind: "text", texts: ["cpu"], values: [0, 0] };
  const tries = { name: "tries", role: "measure", kind: "number", values: [1, 1] };
  const status = { name: "status", role: "about", kind: "text", texts: ["done"], values: [0, 0] };
  const words = { ...tries, name: "words" };
  assert.deepEqual(shownPlaces(sweepOf([status, same, tries, words, { ...words, values: [1, 2] }])), [0, 4, 3]);
});

test("a chart has a panel for each value, a series for each, and the mean of each place", () => {
  const runs = sweepOf();
  const chart = { measure: WORDS, x: CFG, by: SEED, panel: -1 };
  const { panels, names, x, told } = grouped(runs, [0, 1, 2, 3, 4, 5], chart);
  assert.deepEqual(names, ["1", "2"]);
  assert.equal(panels.length, 1);
  assert.deepEqual(panels[0].series[0].means, [
    { x: 1, mean: 4, count: 1 }, { x: 2, mean: 5, count: 1 }, { x: 3, mean: -8.25, count: 1 },
  ]);
  assert.deepEqual(panels[0].series[1].dots.map(({ run }) => run), [1, 3]); // one has no words
  assert.equal(told, "1 run without words");
  assert.deepEqual(x.ticks.map(({ text }) => text), ["1", "2", "3"]);
  assert.ok(Math.abs(x.at(2) - 0.5) < 1e-9);
  const apart = grouped(runs, [0, 1, 2, 3], { measure: CUT, x: -1, by: -1, panel: CFG });
  assert.deepEqual(apart.panels.map(({ name }) => name), ["1", "2"]);
  assert.deepEqual(apart.panels[0].series[0].means, [{ x: 0, mean: 0.5, count: 2 }]);
  assert.deepEqual(apart.y.ticks.map(({ text }) => text), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
});

test("of many values some are shown, and the chart says so", () => {
  const values = Array.from({ length: 40 }, (_, i) => i);
  const seed = { name: "seed", role: "setting", kind: "number", values, whole: true };
  const runs = sweepOf([seed, { name: "words", role: "measure", kind: "number", values }]);
  const panels = grouped(runs, values, { measure: 1, x: -1, by: -1, panel: 0 });
  assert.deepEqual([panels.panels.length, panels.told], [24, "16 more values of seed have no panel"]);
  const series = grouped(runs, values, { measure: 1, x: 0, by: 0, panel: -1 });
  assert.match(series.told, /^34 more values of seed are not shown/);
  assert.equal(series.panels[0].series.flatMap(({ dots }) => dots).length, 6);
  assert.equal(series.x.step, 0); // so many numbers stand on a line
});

test("scales hold all values, and mark round numbers", () => {
  const scale = levels([3, 17]);
  assert.ok(scale.at(3) > 0 && scale.at(17) < 1);
  assert.deepEqual(scale.ticks.map(({ text }) => text), ["5", "10", "15"]);
  assert.deepEqual(roundNumbers(0, 1, 4), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(roundNumbers(-0.0004, 0.0011, 3), [0, 0.0005, 0.001]);
  for (const values of [[], [7], [0, 0], [1e300, -1e300]]) {
    const { ticks, at } = levels(values);
    assert.ok(ticks.length < 51);
    for (const value of values) assert.ok(at(value) >= 0 && at(value) <= 1, `${values}`);
  }
});

test("means go from left to right", () => {
  const dots = [[2, 1], [1, 4], [2, 3]].map(([x, y], run) => ({ run, x, y }));
  assert.deepEqual(meansOf(dots), [{ x: 1, mean: 4, count: 1 }, { x: 2, mean: 2, count: 2 }]);
});

test("the map says of two runs where they part and in what", () => {
  const runs = sweepOf(undefined, {}, {
    p_runs: Int32Array.of(0, 2, 4), p_call: Int32Array.of(-1, 7, 0, 7, -1, -1, 0, -1, -1),
    p_what: Int16Array.of(-1, 0, 1, 0, -1, -1, 1, -1, -1), p_calls: Int32Array.of(20, 21, 22),
  });
  const pairs = new Pairs(runs, { script: "", of: 5, parts: ["codebook 3", "action"], column: "p" });
  const name = (run) => `run ${run}`;
  assert.equal(pairs.told(0, 1, name), "run 0 | run 2: part at call 7, in codebook 3");
  assert.equal(pairs.told(2, 0, name), "run 4 | run 0: part at call 0, in action");
  assert.equal(pairs.told(1, 2, name), "run 2 | run 4: the same, call for call");
  assert.equal(pairs.told(1, 1, name), "run 2: 21 calls");
  assert.equal(pairs.last, 7);
  assert.deepEqual([early(0, 7), early(7, 7)], [1, 0]);
});

/** A page on which sounds are heard, and what is said there. */
function heard(t, ask, header = {}) {
  page(t);
  const said = [];
  let made = 0;
  const urls = { createObjectURL: () => `blob:${(made += 1)}`, revokeObjectURL: (url) => said.push(`gone ${url}`) };
  Object.assign(globalThis.URL, urls);
  const sound = { sound_0: Uint8Array.of(1, 2) };
  const board = new Board(sweepOf(undefined, { sounds: ask ? null : [0], ...header }, sound));
  return { board, said, sounding: new Sounding(board.runs, board, ask, (text) => said.push(text)) };
}

test("a sound of the page is played, and stops when it is asked for again", async (t) => {
  const { board, sounding, said } = heard(t, null);
  assert.deepEqual([sounding.can(0), sounding.can(1)], [true, false]);
  await sounding.toggle(0);
  assert.deepEqual([board.looked.playing, sounding.audio.paused, sounding.audio.source], [0, false, "blob:1"]);
  await sounding.toggle(0);
  assert.deepEqual([board.looked.playing, sounding.audio.paused], [null, true]);
  await sounding.toggle(1);
  assert.equal(said.at(-1), "cfg_scale 1, seed 2: its sound is not in this page");
});

test("the kernel is asked once for a sound, and what it says is told", async (t) => {
  const asked = [];
  const ask = async (run) => {
    asked.push(run);
    if (run === 3) throw new Error("it is damaged");
    return Uint8Array.of(run);
  };
  const { board, sounding, said } = heard(t, ask);
  await sounding.toggle(1);
  await sounding.toggle(2);
  await sounding.toggle(1);
  assert.deepEqual([asked, board.looked.playing], [[1, 2], 1]);
  await sounding.toggle(3);
  assert.equal(said.at(-1), "cfg_scale 2, seed 2 cannot be heard: it is damaged");
  assert.equal(board.looked.playing, null);
});

test("a sound that comes after another was wanted is not played", async (t) => {
  const waiting = [];
  const ask = (run) => new Promise((done) => {
    waiting.push(() => done(Uint8Array.of(run)));
  });
  const { board, sounding } = heard(t, ask);
  const first = sounding.toggle(1);
  const second = sounding.toggle(2);
  waiting[1]();
  await second;
  const { source } = sounding.audio;
  waiting[0]();
  await first;
  assert.deepEqual([board.looked.playing, sounding.audio.source], [2, source]);
});

/** A kernel that hears questions. */
function kernel(t, send) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [];
  const model = { on() {}, off() {}, send: send ?? ((question) => sent.push(question)) };
  return { kernel: new Kernel(model), sent };
}

test("each question is answered by its own kind and run", async (t) => {
  const { kernel: one, sent } = kernel(t);
  const [hear, open] = [one.ask("hear", 4), one.ask("open", 4)];
  assert.deepEqual(sent, [{ kind: "hear", run: 4 }, { kind: "open", run: 4 }]);
  one.answered({ kind: "hear", run: 5 }, [new DataView(new ArrayBuffer(1))]);
  one.answered({ kind: "open", run: 4 }, []);
  one.answered({ kind: "hear", run: 4 }, [new DataView(Uint8Array.of(7, 8).buffer)]);
  assert.deepEqual([...(await hear)], [7, 8]);
  await open;
  const wrong = one.ask("open", 1);
  one.answered({ kind: "open", run: 1, error: "it has no trace" }, []);
  await assert.rejects(wrong, /it has no trace/);
});

test("a kernel that is silent or gone is told of", async (t) => {
  const { kernel: silent } = kernel(t);
  const asked = silent.ask("hear", 1);
  t.mock.timers.tick(20_000);
  await assert.rejects(asked, /the kernel does not answer/);
  const unanswered = silent.ask("open", 1);
  silent.destroy();
  await assert.rejects(unanswered, /gone/);
  const { kernel: gone } = kernel({ mock: { timers: { enable() {} } } }, () => {
    throw new Error("no comm");
  });
  await assert.rejects(gone.ask("hear", 1), /the kernel does not answer/);
});

test("a run is named by what sets it apart, and its command by its id", () => {
  const runs = sweepOf();
  assert.equal(runs.name(3), "cfg_scale 2, seed 2");
  assert.equal(runs.command(3), "dia2 trace html runs/traces/id3.dia2trace -o runs/traces/id3.html");
  assert.deepEqual([runs.failed, runs.columns[STATUS].name], [[5], "status"]);
});
