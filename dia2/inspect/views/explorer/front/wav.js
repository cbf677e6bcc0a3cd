// What is heard over some calls, as a WAV file of 16 bits.

import { momentIn, secondIn } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sound } from "./types.d.ts"
 */

const WAV_HEAD = 44; // bytes before the samples

/** @typedef {{ column: string | null, from: number, to: number }} Piece of a sound (null: what was made), in samples */

/**
 * Mono samples in −1 … 1 as a WAV file; what lies beyond is cut.
 *
 * @param {Float32Array} samples
 * @param {number} rate Hz
 */
export function wavOf(samples, rate) {
  const bytes = new Uint8Array(WAV_HEAD + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  /** @type {(at: number, text: string) => void} */
  const write = (at, text) => bytes.set(Array.from(text, (letter) => letter.charCodeAt(0)), at);
  write(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of the format
  view.setUint16(20, 1, true); // whole numbers
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (const [i, sample] of samples.entries()) {
    view.setInt16(WAV_HEAD + 2 * i, Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768))), true);
  }
  return bytes;
}

/**
 * What sounds from one place on the axis up to another: recordings that the run was given, then what it made.
 *
 * @param {Data} data
 * @param {number} from
 * @param {number} to
 * @returns {Piece[]}
 */
export function piecesOf(data, from, to) {
  const { recordings = [], seconds, sound_rate: rate, clock } = data.header;
  if (!clock || !rate) return [];
  /** @type {Piece[]} */
  const found = [];
  let made = from; // where what was made can begin: where a recording sounds it does not
  for (const recording of recordings) {
    if (!data.columns[recording.column]) continue;
    const ends = momentIn(data, recording, recording.seconds);
    const [first, last] = [Math.max(from, momentIn(data, recording, 0)), Math.min(to, ends)];
    made = Math.max(made, ends);
    if (last <= first) continue;
    const bounds = [first, last].map((moment) => Math.round(secondIn(data, recording, moment) * rate));
    found.push({ column: recording.column, from: bounds[0], to: bounds[1] });
  }
  const all = Math.round((seconds ?? 0) * rate);
  const [first, last] = [made, to].map((moment) => sampleAt(data, moment, rate, all));
  if (last > first) found.push({ column: null, from: first, to: last });
  return found;
}

/**
 * @param {Data} data
 * @param {number} moment
 * @param {number} rate
 * @param {number} all samples
 */
function sampleAt(data, moment, rate, all) {
  return Math.max(0, Math.min(all, Math.round((data.secondsOf(moment) ?? 0) * rate)));
}

/**
 * The samples of pieces one after the other.
 *
 * @param {Data} data
 * @param {Piece[]} pieces
 * @param {Sound} made what the run made, as it is heard just now
 */
export async function samplesOf(data, pieces, made) {
  const rate = data.header.sound_rate ?? 0;
  const parts = [];
  for (const { column, from, to } of pieces) {
    const sound = await decoded(column === null ? made : data.sound(column), rate);
    const part = new Float32Array(to - from); // what a decoder leaves out at the end is silent
    part.set(sound.subarray(from, to));
    parts.push(part);
  }
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {Sound} bytes
 * @param {number} rate Hz
 */
async function decoded(bytes, rate) {
  const copy = bytes.slice(); // a decoder takes its bytes away
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(copy.buffer);
  return buffer.getChannelData(0);
}
