import assert from "node:assert/strict";
import { test } from "node:test";

import {
  cellColours, describe, givenIn, loudnessTrack, momentIn, pullTrack, recordingAt, secondIn, signalsOf, soundOf,
  speakerAt, surpriseTrack,
} from "./front.js";
import { column, run, word } from "./run.js";

const SURPRISE = column(Uint8Array, [2, 3], [0, 17, 49, 33, 0, 17]); // action and two codebooks; 0: not known
const PULL = column(Uint8Array, [2, 2], [51, 102, 0, 255]); // of the first codebook, and the mean

test("curves are means over what is known, in bits", () => {
  const signals = signalsOf(run({ calls: 2 }, { surprise: SURPRISE, pull: PULL }));
  assert.deepEqual([...signals.mean], [2, 1]); // (1 + 3) / 2, and 1 alone
  assert.deepEqual([...signals.action], [Number.NaN, 2]);
  assert.deepEqual([...signals.pullFirst], [Math.fround(0.2), 0]);
  assert.deepEqual([...signals.pull], [Math.fround(0.4), 1]);
  assert.equal(signals.pulls, true);
  assert.deepEqual([signals.bits(0, 2), signals.bits(1, 0)], [3, 2]);
  const unknown = [signals.bits(0, 0), signals.bits(-1, 1), signals.bits(0, -1)];
  assert.deepEqual(unknown.map(Number.isNaN), [true, true, true]);
});

test("a run without draws has no curves", () => {
  const data = run({ draws: [] });
  const signals = signalsOf(data);
  assert.deepEqual([signals.mean.length, signals.action.length, signals.pulls], [0, 0, false]);
  assert.deepEqual(cellColours(data), ["code", "origin"]);
  assert.equal(signalsOf(data), signals); // made once
});

const GIVEN = { given: { calls: 3, why: "" }, grid: { ...run().header.grid, prefix: 3, ahead: 0, at: 0 } };

test("cells of the prefix are given, up to what the loop wrote over", () => {
  const grid = column(Int16Array, [6, 2], [1, -1, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5]);
  const surprise = column(Uint8Array, [10, 3], Array.from({ length: 30 }, () => 9));
  const data = run(GIVEN, { grid, surprise });
  const given = [0, 1, 2, 3].map((at) => [0, 1].map((book) => givenIn(data, book, at)));
  assert.deepEqual(given, [[true, false], [true, true], [true, true], [false, false]]);
  assert.match(describe(data, { book: 0, column: 1 }), /code 2 of frame 1, given by the prefix$/);
  assert.match(describe(data, { book: 1, column: 3 }), /drawn by call 3, over a code of the prefix, 0.5 bits$/);
  assert.equal(describe(data, { book: 0, column: 9 }), "");
  assert.deepEqual(cellColours(data, data)[0], "difference");
});

const RECORDINGS = [
  { speaker: 1, first: 0, calls: 2, seconds: 0.2, column: "sound_recording_1", rate: 24_000 },
  { speaker: 2, first: 2, calls: 1, seconds: 0.1, column: "sound_recording_2", rate: 24_000 },
];

test("a call of the warm-up reads a recording, and its speaker speaks", () => {
  const data = run({ ...GIVEN, recordings: RECORDINGS, words: [word("Yes", 4, { speaker: 2 })] });
  assert.deepEqual([0, 1, 2, 3].map((call) => recordingAt(data, call)?.speaker ?? 0), [1, 1, 2, 0]);
  assert.deepEqual([0, 2, 3, 4].map((call) => speakerAt(data, call)), [1, 2, 0, 2]);
  assert.ok(Math.abs(secondIn(data, RECORDINGS[0], 1.5) - 0.15) < 1e-9);
  assert.equal(recordingAt(run(), 0), null);
});

test("a recording stands by the clock of the sound, so that its words stand where it says them", () => {
  const clock = { rate: 10, zero: 5, twice: 3, before: "", frame: 3 }; // a frame sounds two calls after its column
  const data = run({ ...GIVEN, clock, recordings: RECORDINGS });
  const speakers = [0, 1, 2, 3, 4, 5, 6].map((call) => recordingAt(data, call)?.speaker ?? 0);
  assert.deepEqual(speakers, [0, 0, 1, 1, 1, 2, 0]); // the first call of the loop, 3, reads the step of 2 again
  assert.equal(secondIn(data, RECORDINGS[0], 2), 0);
  const again = secondIn(data, RECORDINGS[0], momentIn(data, RECORDINGS[0], 0.05));
  assert.ok(Math.abs(again - 0.05) < 1e-9);
  assert.equal(momentIn(data, RECORDINGS[1], 0), 5);
  assert.equal(speakerAt(data, 5), 2);
});

test("the frame that a call completes sounds at its place on the axis", () => {
  const clock = { rate: 10, zero: 2, twice: null, before: "", frame: 0 };
  const data = run({ clock, seconds: 0.5 });
  assert.equal(soundOf(data, 0), 2); // column 1, frame 0, at second 0, which is step 2
  assert.equal(soundOf(data, 4), 6);
  assert.equal(soundOf(data, 5), null); // after the sound
  assert.equal(soundOf(run({ clock: { ...clock, frame: 1 }, seconds: 1 }), 0), null); // a frame that is cut off
  assert.equal(soundOf(run({ clock: null }), 4), null);
  const later = run({ clock: { ...clock, twice: 3 }, given: { calls: 3, why: "" }, seconds: 1 });
  assert.equal(soundOf(later, 3), 6); // step 5, and one call more
});

test("a copy without the voice tells the surprise of its actions, and one without draws none", () => {
  const actions = { draws: [{ title: "action", book: null, sampling: "text", names: {} }] };
  const copy = surpriseTrack(run({ calls: 2, ...actions }, { surprise: column(Uint8Array, [2, 1], [0, 33]) }));
  assert.ok(copy.there);
  assert.deepEqual([0, 1].map((call) => copy.note({ call })), ["–", "action: 2.0 bits here"]);
  const none = run({ calls: 2 });
  for (const track of [surpriseTrack(none), pullTrack(none), loudnessTrack(none)]) {
    assert.ok(!track.there);
    assert.equal(typeof track.note({ call: 1 }), "string");
  }
  assert.equal(surpriseTrack(run({ calls: 2 }, { surprise: SURPRISE })).note({ call: 1 }), "1.0 bits here");
});
