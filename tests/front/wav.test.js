import assert from "node:assert/strict";
import { test } from "node:test";

import { piecesOf, samplesOf, wavOf } from "./front.js";
import { column, run } from "./run.js";

/** A WAV file as a reader takes it. */
function parsed(bytes) {
  const view = new DataView(bytes.buffer);
  const text = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  assert.deepEqual([0, 8, 12, 36].map(text), ["RIFF", "WAVE", "fmt ", "data"]);
  assert.deepEqual([view.getUint32(4, true), view.getUint32(16, true)], [bytes.length - 8, 16]);
  const [kind, channels] = [view.getUint16(20, true), view.getUint16(22, true)];
  const [rate, second] = [view.getUint32(24, true), view.getUint32(28, true)];
  const [sample, bits] = [view.getUint16(32, true), view.getUint16(34, true)];
  assert.deepEqual([kind, channels, second, sample, bits], [1, 1, 2 * rate, 2, 16]);
  assert.equal(view.getUint32(40, true), bytes.length - 44);
  return { rate, samples: Array.from({ length: (bytes.length - 44) / 2 }, (_, i) => view.getInt16(44 + 2 * i, true)) };
}

test("samples of 16 bits come back as they were, and what is too loud is cut", () => {
  const numbers = [0, 1, -1, 32_767, -32_768, 12_345];
  const samples = Float32Array.from([...numbers.map((number) => number / 32_768), 1, -1.5, 2]);
  assert.deepEqual(parsed(wavOf(samples, 24_000)), { rate: 24_000, samples: [...numbers, 32_767, -32_768, 32_767] });
  assert.deepEqual(parsed(wavOf(Float32Array.of(0.6 / 32_768, -0.4 / 32_768), 8000)).samples.map(Math.abs), [1, 0]);
  assert.deepEqual(parsed(wavOf(new Float32Array(0), 8000)).samples, []);
});

const SOUND = { seconds: 1, sound_rate: 1000, clock: { rate: 10, zero: 2, twice: null, before: "", frame: 0 } };

test("what is heard is cut where the clock says, to the sample", () => {
  const data = run(SOUND);
  const of = (from, to) => piecesOf(data, from, to).map(({ from: a, to: b }) => [a, b]);
  assert.deepEqual(of(3, 5), [[100, 300]]);
  assert.deepEqual(of(3.25, 5), [[125, 300]]);
  assert.deepEqual(of(0, 4), [[0, 200]]); // nothing sounds before second 0
  assert.deepEqual(of(0, 2), []);
  assert.deepEqual(of(11, 99), [[900, 1000]]);
  assert.deepEqual(of(-Infinity, Infinity), [[0, 1000]]);
  assert.deepEqual(piecesOf(run(), 0, 9), []); // no sound
  assert.deepEqual(piecesOf(run({ ...SOUND, clock: null }), 0, 9), []);
});

const RECORDINGS = [
  { speaker: 1, first: 0, calls: 2, seconds: 0.2, column: "sound_recording_1", rate: 1000, name: "" },
  { speaker: 2, first: 2, calls: 2, seconds: 0.2, column: "sound_recording_2", rate: 1000, name: "" },
];
const GIVEN = { ...SOUND, clock: { rate: 10, zero: 5, twice: 4, before: "", frame: 3 }, recordings: RECORDINGS };
const KEPT = { sound_recording_1: column(Uint8Array, [1], [1]), sound_recording_2: column(Uint8Array, [1], [2]) };

test("recordings come before what was made, and in their place", () => {
  // A frame sounds two calls after its column: recording 1 at places 2 … 4, its last one read twice.
  const of = (from, to, columns = KEPT) => piecesOf(run(GIVEN, columns), from, to);
  assert.deepEqual(of(-Infinity, Infinity), [
    { column: "sound_recording_1", from: 0, to: 200 },
    { column: "sound_recording_2", from: 0, to: 200 },
    { column: null, from: 100, to: 1000 },
  ]);
  assert.deepEqual(of(3, 5.5), [
    { column: "sound_recording_1", from: 100, to: 200 },
    { column: "sound_recording_2", from: 0, to: 50 },
  ]);
  assert.deepEqual(of(-Infinity, 8, {}), [{ column: null, from: 0, to: 200 }]); // none is kept
});

test("pieces are decoded at the rate of the run and put one after the other", async () => {
  const asked = [];
  globalThis.OfflineAudioContext = class {
    constructor(channels, length, rate) {
      asked.push([channels, rate]);
    }

    async decodeAudioData(buffer) {
      const [first] = new Uint8Array(buffer);
      return { getChannelData: () => Float32Array.from({ length: 4 }, (_, i) => 10 * first + i) };
    }
  };
  const pieces = [{ column: "sound_recording_2", from: 1, to: 3 }, { column: null, from: 2, to: 6 }];
  const samples = await samplesOf(run(GIVEN, KEPT), pieces, Uint8Array.of(7));
  assert.deepEqual([...samples], [21, 22, 72, 73, 0, 0]); // a decoder that ends early leaves silence
  assert.deepEqual(asked, [[1, 1000], [1, 1000]]);
});
