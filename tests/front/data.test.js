import assert from "node:assert/strict";
import { test } from "node:test";

import { byCall, chances, counted, open, unpack } from "./front.js";
import { column, each, packed, run, word } from "./run.js";

test("a packed view comes back: header, names, types, shapes, numbers", async () => {
  const bytes = packed(
    { name: "é" }, // two bytes: the length is that of bytes
    {
      small: { dtype: "int8", shape: [3], bytes: Int8Array.of(-1, 0, 127).buffer },
      grid: { dtype: "int16", shape: [2, 2], bytes: Int16Array.of(-2, 1, 300, 4).buffer },
      real: { dtype: "float32", shape: [1], bytes: Float32Array.of(0.25).buffer },
      kept: { dtype: "uint16", shape: [1], bytes: Uint16Array.of(65_535).buffer },
      none: { dtype: "int32", shape: [0, 3], bytes: new ArrayBuffer(0) },
      sound: { dtype: "uint8", shape: [2], bytes: Uint8Array.of(255, 1).buffer },
    },
  );
  const { header, columns } = await unpack(bytes);
  assert.deepEqual(header, { name: "é" });
  assert.deepEqual(Object.keys(columns), ["small", "grid", "real", "kept", "none", "sound"]);
  assert.deepEqual([...columns.small], [-1, 0, 127]);
  assert.deepEqual([columns.grid.constructor, columns.grid.shape], [Int16Array, [2, 2]]);
  assert.deepEqual([...columns.grid], [-2, 1, 300, 4]);
  assert.deepEqual([columns.real.constructor, [...columns.real]], [Float32Array, [0.25]]);
  assert.deepEqual([...columns.kept], [65_535]);
  assert.deepEqual([columns.none.length, columns.none.shape], [0, [0, 3]]);
  assert.deepEqual([...columns.sound], [255, 1]);
});

test("other bytes are no view", async () => {
  const bytes = packed({}, {});
  await assert.rejects(open(bytes.slice(0, 20)));
  const { gzipSync } = await import("node:zlib");
  await assert.rejects(open(new Uint8Array(gzipSync("dia3view\0\0\0\0"))), /These bytes are no view of a trace\./);
});

test("a view opens as data", async () => {
  const header = run({ calls: 2 }).header;
  const grid = { dtype: "int16", shape: [3, 2], bytes: Int16Array.of(1, 2, 3, 4, 5, 6).buffer };
  const sound = { dtype: "uint8", shape: [3], bytes: Uint8Array.of(7, 8, 9).buffer };
  const data = await open(packed(header, { grid, sound_0: sound }));
  assert.deepEqual([data.calls, data.codebooks, data.columnsOfGrid, data.places], [2, 2, 3, 2]);
  assert.deepEqual([run().columnsOfGrid, run({ given: { calls: 3, why: "" } }).given], [0, 3]);
  assert.deepEqual([data.code(0, 0), data.code(1, 2)], [1, 6]);
  assert.deepEqual([...data.sound("sound_0")], [7, 8, 9]);
  assert.throws(() => data.at("step", 0), /no step/);
});

test("a column is one that the view has, whatever it is called", async () => {
  const one = { dtype: "uint8", shape: [1], bytes: Uint8Array.of(7).buffer };
  const { columns } = await unpack(packed({}, Object.fromEntries([["__proto__", one], ["step", one]])));
  assert.deepEqual(Object.keys(columns), ["__proto__", "step"]);
  assert.equal(columns.constructor, undefined);
});

test("calls and columns of the grid count by the header", () => {
  const data = run({ grid: { ...run().header.grid, ahead: 1, at: 0 } });
  assert.equal(data.places, 11);
  assert.equal(data.columnOf(4), 5);
  assert.deepEqual([0, 1, 10, 11].map((at) => data.callOf(at)), [-1, 0, 9, -1]);
});

test("seconds and calls are each other's inverse, across the step that is read twice", () => {
  const data = run({ clock: { rate: 10, zero: 2, twice: 4, before: "" } });
  assert.deepEqual([0, 2, 3, 4, 5, 4.5].map((call) => data.secondsOf(call)), [-0.2, 0, 0.1, 0.1, 0.2, 0.15]);
  assert.deepEqual([0, 0.05, 0.1, 0.2, 99].map((seconds) => data.callAt(seconds)), [2, 2, 4, 5, 9]);
  const plain = run();
  for (let call = 0; call < 10; call += 1) assert.equal(plain.callAt(plain.secondsOf(call)), call);
  assert.equal(plain.pace, 10);
});

test("without a clock nothing has a time", () => {
  const data = run({ clock: null });
  assert.equal(data.secondsOf(3), null);
  assert.equal(data.pace, 50);
  assert.throws(() => data.callAt(0), /no clock/);
});

test("the word at a call is the last one that sounds", () => {
  const words = [word("a", 1), word("never", null), word("b", 3, { at: 2.5 }), word("c", 6)];
  const data = run({ words });
  const said = Array.from({ length: 10 }, (_, call) => data.wordAt(call)?.text);
  assert.deepEqual(said, [undefined, "a", "b", "b", "b", "b", "c", "c", "c", "c"]);
  assert.deepEqual(data.spoken.map(({ text }) => text), ["a", "b", "c"]);
  assert.deepEqual([0, 1, 2].map((i) => data.endOf(i)), [2.5, 6, 10]);
  assert.equal(run({ words: null }).wordAt(3), null);
});

test("texts of the header are filled in, with names where values have one", () => {
  const data = run({ names: { phase: { 1: "loop" } } }, { phase: each(0, 1), slot: each(1, 3) });
  assert.equal(data.told("{call} {writes} {phase} {slot:slot}", 1), "1 2 loop 3 slots");
  assert.equal(data.told("{phase} {slot:slot}", 0), "0 1 slot");
  const bytes = [1, "1", 0, 2].map((number) => counted(number, "byte"));
  assert.deepEqual([...bytes, counted(5)], ["1 byte", "1 byte", "0 bytes", "2 bytes", "5"]);
});

test("an action says what was drawn, and what became of it", () => {
  const columns = { drawn: each(1, 0), forced: each(0, 1), overruled: each(1, 0), outcome: each(0, 3) };
  const data = run({ reasons: [null, "tokens were pending"] }, columns);
  const overruled = "tokens were pending";
  assert.deepEqual(data.action(0), { drawn: "new_word", given: false, overruled, outcome: "pad" });
  assert.deepEqual(data.action(1), { drawn: "pad", given: true, overruled: null, outcome: "end" });
});

test("cells say where they come from", () => {
  const origins = [{ name: "unknown" }, { name: "drawn" }];
  const grid = { ...run().header.grid, origins, specials: { 7: "eos" } };
  const data = run({ grid }, { grid_origin: column(Uint8Array, [2, 2], [0, 0, 0, 1]) });
  assert.equal(data.origin(1, 1).name, "drawn");
  assert.equal(data.origin(0, 1).name, "unknown");
  assert.deepEqual([data.token(7), data.token(3)], ["eos", "3"]);
  assert.equal(run().origin(0, 0), null);
  assert.deepEqual([0, 1, 2].map((book) => data.drawOf(book)), [1, 2, -1]);
});

const ENTRIES = [
  { text: "Hello", speaker: 1, padding: 0, tokens: 2 },
  { text: "", speaker: 0, padding: 5, tokens: 0 },
  { text: "you", speaker: 2, padding: 0, tokens: 1 },
];

test("queues are found from any call on, in any order", () => {
  const columns = {
    pending: column(Int32Array, [4, 3], [0, 1, 2, 0, 2, 2, 0, 2, 2, 2, 1, 1]),
    pending_counts: column(Int32Array, [5, 2], [2, 2, 1, 1, 0, 0, 1, 9, 0, 0]),
    main_part: column(Int32Array, [3, 3], [-1, -1, -1, 2, 1, 1, 0, 1, 2]),
    taken: each(0, 1, 3, 3),
    entries_left: each(3, 2, 0, 0),
  };
  const data = run({ entries: ENTRIES }, columns);
  const last = { parts: [{ text: "you", speaker: 2, entry: 2, number: 1, of: 1 }], length: 9 };
  assert.deepEqual(data.queue("pending", 3), last);
  assert.deepEqual(data.queue("pending", 2), { parts: [], length: 0 });
  assert.deepEqual(data.queue("pending", 1).parts.map(({ number }) => number), [2]);
  const first = data.queue("pending", 0).parts;
  assert.deepEqual(first.map(({ text, number }) => [text, number]), [["Hello", 1], ["Hello", 2]]);
  assert.deepEqual(data.queue("pending", 3), last);
  assert.equal(data.part("main", 0), null);
  assert.deepEqual([data.part("main", 1).text, data.part("main", 2).text], ["you", "Hello"]);
  assert.equal(data.part("second", 1), null);
  assert.deepEqual(data.entriesAfter(1).map(({ text }) => text), ["", "you"]);
  assert.deepEqual(data.entriesAfter(2), []);
});

test("settings are those in force", () => {
  const at = (call, temperature) => ({ call, told: "", audio: { temperature, top_k: 0 } });
  const data = run({ sampling: [at(0, 1), at(5, 2)] });
  assert.deepEqual([0, 4, 5, 9].map((call) => data.samplingAt(call).audio.temperature), [1, 1, 2, 2]);
});

/** Two calls with three draws, three candidates each; of those of the first call one was kept. */
function drawn(more = {}) {
  return run({}, {
    draw_ids: column(Int16Array, [2, 3, 3], [-1, -1, -1, -1, -1, -1, 0, -1, -1, 0, 1, -1, 4, 5, 6, 7, 8, -1]),
    draw_choice: each(-1, -1, 0, 1, 5, 7),
    draw_cond: column(Uint16Array, [2, 3, 3], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 2, 4, 0, 1, 0]),
    draw_guided: column(Uint16Array, [2, 3, 3], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 6, 8, 0, 1, 0]),
    draw_kept: column(Uint8Array, [2, 3, 1], [0, 0, 0b001, 0b011, 0b011, 0b001]),
    draw_uniform: column(Float32Array, [2, 3], [NaN, NaN, 0.5, 0.25, 0.5, 0.75]),
    draw_step_cond: column(Float32Array, [2, 3], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
    draw_step_guided: column(Float32Array, [2, 3], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
    best_cond: column(Float32Array, [2, 3], [0, 0, 1, 2, 10, 3]),
    best_guided: column(Float32Array, [2, 3], [0, 0, 1, 2, 20, 3]),
    draw_probability: column(Float32Array, [2, 3], [0, 0, 1, 0.5, 0.25, 1]),
    ...more,
  });
}

test("a draw has its candidates, best first, and none where none was kept", () => {
  const data = drawn();
  assert.equal(data.draw(0, 1), null);
  assert.deepEqual([data.draw(0, 2).choice, data.draw(0, 2).candidates.length], [0, 1]);
  assert.deepEqual([data.draw(1, 0).choice, data.draw(1, 0).sampling.temperature], [1, 0.5]);
  const { candidates, choice, probability, sampling } = data.draw(1, 1);
  assert.deepEqual([choice, probability, sampling], [5, 0.25, { temperature: 1, top_k: 0 }]);
  assert.deepEqual(candidates, [
    { token: 4, cond: 10, guided: 20, kept: true, chosen: false, alive: null },
    { token: 5, cond: 9, guided: 17, kept: true, chosen: true, alive: null },
    { token: 6, cond: 8, guided: 16, kept: false, chosen: false, alive: null },
  ]);
  assert.deepEqual(data.draw(1, 2).candidates.map(({ token }) => token), [7, 8]);
  assert.equal(run().draw(1, 1), null);
  const alive = drawn({ draw_alive: column(Uint8Array, [2, 3, 1], [0, 0, 0, 0, 0b010, 0]) });
  assert.deepEqual(alive.draw(1, 1).candidates.map((candidate) => candidate.alive), [false, true, false]);
});

test("chances follow from that of the choice", () => {
  const draw = drawn().draw(1, 1);
  const [first, second, third] = chances(draw);
  assert.ok(Math.abs(first - 0.25 * Math.E) < 1e-9); // one logit above the choice
  assert.deepEqual([second, third], [0.25, 0]); // guidance struck the third out
  const warm = chances({ ...draw, sampling: { temperature: 2, top_k: 0 } });
  assert.ok(Math.abs(warm[0] - 0.25 * Math.exp(0.5)) < 1e-9);
  assert.equal(chances({ ...draw, probability: 0.9 })[0], 1); // steps of logits are rounded, a chance stays one
});

test("top-k leaves so many of those that guidance kept", () => {
  const draw = drawn().draw(1, 1);
  const left = (topK, ...kept) => {
    const candidates = draw.candidates.map((candidate, i) => ({ ...candidate, kept: kept[i] }));
    return chances({ ...draw, candidates, sampling: { temperature: 1, top_k: topK } }).map((chance) => chance > 0);
  };
  assert.deepEqual(left(0, true, true, true), [true, true, true]); // 0: all
  assert.deepEqual(left(3, true, true, true), [true, true, true]);
  assert.deepEqual(left(2, true, true, true), [true, true, false]);
  assert.deepEqual(left(1, true, true, true), [true, true, false]); // the choice is told as it was drawn
  assert.deepEqual(left(2, true, false, true), [true, true, true]); // it was put there, and takes nobody's place
});

test("no chance is made up", () => {
  const draw = drawn().draw(1, 1);
  assert.deepEqual(chances({ ...draw, probability: 0 }), [null, null, 0]); // an edit chose
  assert.deepEqual(chances({ ...draw, sampling: { temperature: 0, top_k: 0 } }), [0, 0.25, 0]); // the best alone
  const kept = draw.candidates.map((candidate) => ({ ...candidate, kept: true }));
  const alive = kept.map((candidate, i) => ({ ...candidate, alive: i > 0 }));
  const told = chances({ ...draw, candidates: alive, sampling: { temperature: 1, top_k: 1 } });
  assert.equal(told[0], 0); // what the view says goes before top-k
  assert.ok(told[2] > 0);
});

test("stretches of a state are put together, and grow with the run", () => {
  const states = { kind: "states", colours: ["s1", "s1", "word"] };
  const tracks = [{ name: "left", kind: "count" }, { ...states, name: "phase" }, { ...states, name: "other" }];
  const data = run({ tracks, calls: 5 }, { phase: each(0, 1, 2, 0, 0) });
  assert.deepEqual(data.stretches, [
    { from: 0, to: 2, colour: "s1" },
    { from: 2, to: 3, colour: "word" },
    { from: 3, to: 5, colour: "s1" },
  ]);
  assert.deepEqual(run().stretches, []);
  data.columns.step = each(0, 1, 2, 3, 4);
  data.append({ header: { words: [], entries: [], reasons: [null] }, columns: { step: each(5), phase: each(2) } });
  assert.deepEqual(data.stretches.at(-1), { from: 5, to: 6, colour: "word" });
});

test("pieces of a run that goes on are put together", () => {
  const before = { grid: column(Int16Array, [2, 2], [1, 2, -1, -1]) };
  const data = run({ calls: 0, words: [], entries: ENTRIES.slice(0, 1), live: true }, before);
  data.append({
    header: { words: [word("Hello", 0)], entries: ENTRIES.slice(1), reasons: [null, "why"], grid_at: 1 },
    columns: {
      step: each(0, 1),
      parts: column(Int32Array, [2, 3], [1, 2, 3, 4, 5, 6]),
      grid: column(Int16Array, [2, 2], [3, 4, 5, 6]),
    },
  });
  data.append({
    header: { words: [word("you", 2)], entries: [], reasons: [null, "why"], by_call: ["step"] },
    columns: { step: each(2), parts: column(Int32Array, [1, 3], [7, 8, 9]) },
  });
  assert.equal(data.calls, 3);
  assert.deepEqual(byCall(data), ["step"]);
  assert.deepEqual([...data.columns.step], [0, 1, 2]);
  assert.deepEqual([[...data.columns.parts], data.columns.parts.shape], [[1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]]);
  assert.deepEqual([[...data.columns.grid], data.columns.grid.shape], [[1, 2, 3, 4, 5, 6], [3, 2]]);
  assert.equal(data.columnsOfGrid, 3);
  assert.deepEqual(data.spoken.map(({ text }) => text), ["Hello", "you"]);
  assert.deepEqual([data.header.entries.length, data.header.reasons], [3, [null, "why"]]);
  assert.equal(data.wordAt(2).text, "you");
});

test("a piece that lies further on leaves what was never written clear", () => {
  const data = run({}, { grid: column(Int16Array, [1, 2], [1, 2]) });
  data.write(column(Int16Array, [1, 2], [5, 6]), 2);
  assert.deepEqual([...data.columns.grid], [1, 2, -1, -1, 5, 6]);
  data.write(column(Int16Array, [1, 2], [3, 4]), 0);
  assert.deepEqual([...data.columns.grid], [3, 4, -1, -1, 5, 6]);
});
