import assert from "node:assert/strict";
import { test } from "node:test";

import {
  bookNames, cellColour, cellColours, entropy, gridTrack, labelOf, pull, scaleOf, shadeIn, shadesOf, toldOfColour,
} from "./front.js";
import { FakeElement, page } from "./page.js";
import { column, each, looked, run } from "./run.js";

const HEAT = Array.from({ length: 64 }, (_, i) => [i, i, i]);
const PALETTE = { heat: HEAT, empty: "#010203", given_1: "#040506", given_2: "#040506", ok_pale: "#070809" };
const SHADES = [
  { column: "budget", label: "Padding budget", told: "frames that may be pads", unit: "frame" },
  { column: "same", label: "Same", told: "", unit: "" },
  { column: "gone", label: "Gone", told: "", unit: "" },
];
const COLUMNS = {
  grid: column(Int16Array, [4, 2], [-1, -1, 1, 2, 3, 4, 5, 6]), // call k writes column k + 1
  budget: each(2, -1, 6),
  same: each(3, 3, 3),
  surprise: column(Uint8Array, [3, 3], [17, 17, 17, 17, 17, 17, 17, 17, 17]),
  pull: column(Uint8Array, [3, 2], [9, 9, 9, 9, 9, 9]),
  draw_ids: column(Int16Array, [3, 3, 2], Array.from({ length: 18 }, (_, i) => i % 2)),
  draw_choice: column(Int32Array, [3, 3], [0, 1, 0, -1, -1, -1, 1, 1, 1]),
  draw_probability: column(Float32Array, [3, 3], [1, 0.25, 0.5, 0, 0, 0, 0.5, 0.5, 0.5]),
  draw_kept: column(Uint8Array, [3, 3, 1], Array.from({ length: 9 }, () => 3)),
  draw_cond: column(Uint16Array, [3, 3, 2], Array.from({ length: 18 }, () => 0)),
  draw_guided: column(Uint16Array, [3, 3, 2], Array.from({ length: 18 }, () => 0)),
  best_cond: column(Float32Array, [3, 3], Array.from({ length: 9 }, () => 0)),
  best_guided: column(Float32Array, [3, 3], Array.from({ length: 9 }, () => 0)),
  draw_step_cond: column(Float32Array, [3, 3], Array.from({ length: 9 }, () => 0)),
  draw_step_guided: column(Float32Array, [3, 3], Array.from({ length: 9 }, () => 0)),
};
const data = (header = {}, columns = COLUMNS) => run({ calls: 3, shades: SHADES, ...header }, columns);

test("a run has the shades of its draws, and those of its calls that are not the same everywhere", () => {
  const names = ["cell.probability", "cell.rank", "cell.entropy", "cell.pull", "call.budget"];
  assert.deepEqual(cellColours(data()), ["surprise", "code", "origin", ...names]);
  assert.deepEqual(names.map((name) => labelOf(data(), name))[4], "Padding budget");
  const plain = { grid: COLUMNS.grid, budget: COLUMNS.budget };
  assert.deepEqual(shadesOf(data({}, plain)).map(({ name }) => name), ["call.budget"]);
  assert.deepEqual(cellColours(data({}, { budget: COLUMNS.budget })), ["code", "origin"]); // no grid, no cells
  assert.equal(labelOf(data(), "origin"), "Origin");
});

test("a colour is told as its family declares it", () => {
  assert.equal(toldOfColour(data(), "call.budget"), "frames that may be pads");
  assert.match(toldOfColour(data(), "cell.rank"), /from 1/);
  assert.equal(toldOfColour(data(), "origin"), "");
});

test("the choice of colours tells what each means", (t) => {
  page(t);
  const { store } = looked([data()], { shows: "call.budget" });
  const names = new FakeElement("div");
  const [select] = gridTrack(data(), store).gutter(names);
  const told = select.children.map((option) => [option.textContent, option.getAttribute("title")]);
  const titles = Object.fromEntries(told);
  assert.equal(titles["Padding budget"], "frames that may be pads");
  assert.equal(titles.Origin, null);
});

test("of many codebooks every fourth is named", () => {
  assert.deepEqual(bookNames(2), ["0", "1"]);
  assert.deepEqual(bookNames(12).at(-1), "11");
  assert.deepEqual(bookNames(13).filter(Boolean), ["0", "4", "8", "12"]);
  assert.equal(bookNames(13).length, 13);
});

test("each says between which numbers its colours run, and in what", () => {
  const told = ["surprise", "code", "cell.probability", "cell.rank", "call.budget"].map((name) => {
    return scaleOf(data(), name)?.join(" ");
  });
  assert.deepEqual(told, ["0 bits 9+", "0 code 7", "0 p 1", "1 place 2+", "2 frame 6"]);
  assert.deepEqual([scaleOf(data(), "origin"), scaleOf(data(), "difference")], [null, null]);
});

test("a cell has the number of its draw, or of the call that wrote it", () => {
  const at = (name, book, call) => shadesOf(data()).find((shade) => shade.name === name).at(book, call);
  assert.deepEqual([at("cell.probability", 0, 0), at("cell.probability", 1, 0)], [0.25, 0.5]);
  assert.deepEqual([at("cell.rank", 0, 0), at("cell.rank", 1, 0)], [2, 1]);
  assert.deepEqual([at("cell.rank", 0, 1), at("cell.rank", 0, -1), at("call.budget", 0, 1)], [NaN, NaN, NaN]);
  assert.deepEqual([at("call.budget", 0, 2), at("call.budget", 1, 2)], [6, 6]);
  const cell = { book: 0, column: 1 };
  assert.equal(shadeIn(data(), cell, "cell.probability"), "probability 0.25");
  assert.equal(shadeIn(data(), cell, "call.budget"), "padding budget 2");
  assert.equal(shadeIn(data(), cell, "surprise"), "");
  assert.equal(shadeIn(data(), cell, "cell.rank"), "rank 2 or later"); // of two candidates, which need not be all
  assert.equal(shadeIn(data(), { book: 1, column: 1 }, "cell.rank"), "rank 1");
  assert.equal(shadeIn(data(), { book: 0, column: 2 }, "call.budget"), ""); // none
});

test("the colour runs from the least to the most, and nothing stands where nothing is known", () => {
  const of = (shows, book, at) => cellColour(data(), PALETTE, shows, book, at);
  assert.deepEqual(of("cell.probability", 0, 1), HEAT[15]); // a quarter of 63
  assert.deepEqual([of("call.budget", 0, 1), of("call.budget", 0, 3)], [HEAT[0], HEAT[63]]);
  assert.deepEqual([of("call.budget", 0, 2), of("cell.rank", 0, 2)], [[1, 2, 3], [1, 2, 3]]);
  assert.equal(of("call.budget", 0, 0), null); // nothing was written there
});

test("what was given has the number of its call, and of no draw", () => {
  const grid = { ...run().header.grid, prefix: 3, delays: [0, 0] };
  const given = { given: { calls: 3, why: "" }, grid };
  const of = (shows) => cellColour(data(given), PALETTE, shows, 0, 1);
  assert.deepEqual([of("call.budget"), of("cell.probability")], [HEAT[0], [4, 5, 6]]);
});

const SAMPLING = { temperature: 1, top_k: 0 };
const candidate = (cond, guided, chosen = false) => ({ token: 0, cond, guided, kept: true, chosen, alive: true });

test("entropy is that of the chances of the draw, and unknown where they are", () => {
  const even = [0, 1, 2, 3].map((i) => candidate(0, 0, i === 0));
  assert.ok(Math.abs(entropy({ candidates: even, probability: 0.25, sampling: SAMPLING }) - 2) < 1e-12);
  const sure = [candidate(0, 0, true), { ...candidate(5, 0), alive: false }];
  assert.equal(entropy({ candidates: sure, probability: 1, sampling: SAMPLING }), 0);
  assert.ok(Number.isNaN(entropy({ candidates: even, probability: 0, sampling: SAMPLING })));
});

test("guidance pulls as far as half the odds that it moves", () => {
  const of = (...pairs) => pull({ candidates: pairs.map(([cond, guided]) => candidate(cond, guided)) });
  assert.equal(of([0, 0], [0, 0]), 0);
  assert.ok(Math.abs(of([0, 0], [0, -Infinity]) - 0.5) < 1e-12);
});
