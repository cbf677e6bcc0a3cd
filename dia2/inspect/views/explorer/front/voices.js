// Recordings that were given, and where they stand: which of them a call of the warm-up reads, and their sound.

/**
 * @import { Data } from "./data.js"
 * @import { Recording } from "./types.d.ts"
 */

/**
 * The recording that a call reads; null if none, or if the view names none.
 *
 * @param {Data} data
 * @param {number} call
 * @returns {Recording | null}
 */
export function recordingAt(data, call) {
  const { recordings = [] } = data.header;
  return recordings.find(({ first, calls }) => call >= first && call < first + calls) ?? null;
}

/**
 * Second of a recording at a moment.
 *
 * @param {Recording} recording
 * @param {number} moment a call and a fraction of it
 */
export function secondIn({ first, calls, seconds }, moment) {
  return ((moment - first) / calls) * seconds;
}

/** @type {WeakMap<Data, Map<number, number>>} */
const SPEAKERS = new WeakMap();

/**
 * Who speaks in a frame that was given.
 *
 * @param {Data} data
 * @param {number} frame
 */
export function givenSpeaker(data, frame) {
  const known = SPEAKERS.get(data) ?? new Map();
  SPEAKERS.set(data, known);
  const speaker = known.get(frame) ?? speakerAt(data, frame);
  known.set(frame, speaker);
  return speaker;
}

/**
 * Who speaks at a call: of a prefix whose recording it reads, else whose word it is; 0: nobody.
 *
 * @param {Data} data
 * @param {number} call
 */
export function speakerAt(data, call) {
  return recordingAt(data, call)?.speaker ?? data.wordAt(call)?.speaker ?? 0;
}
