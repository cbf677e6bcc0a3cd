// Recordings that were given, and where they stand: which of them a call of the warm-up reads, and their sound.

/**
 * @import { Data } from "./data.js"
 * @import { Recording } from "./types.d.ts"
 */

/**
 * The frame that sounds at a moment, counted as the columns of the grid are without their delays: by the clock a frame
 * stands where a word sounds that the machine takes there, and recordings stand by the same clock.
 *
 * @param {Data} data
 * @param {number} moment a call and a fraction of it
 */
function frameAt(data, moment) {
  const { clock } = data.header;
  if (!clock || clock.frame === undefined) return moment;
  const step = moment - (clock.twice !== null && moment >= clock.twice ? 1 : 0);
  return step - clock.zero + clock.frame;
}

/**
 * The recording that a frame is of; null if of none, or if the view names none.
 *
 * @param {Data} data
 * @param {number} frame
 * @returns {Recording | null}
 */
export function recordingOf(data, frame) {
  const { recordings = [] } = data.header;
  return recordings.find(({ first, calls }) => frame >= first && frame < first + calls) ?? null;
}

/**
 * The recording that sounds at a moment.
 *
 * @param {Data} data
 * @param {number} moment
 */
export function recordingAt(data, moment) {
  return recordingOf(data, frameAt(data, moment));
}

/**
 * Second of a recording at a moment.
 *
 * @param {Data} data
 * @param {Recording} recording
 * @param {number} moment
 */
export function secondIn(data, { first, calls, seconds }, moment) {
  return ((frameAt(data, moment) - first) / calls) * seconds;
}

/**
 * The moment of a second of a recording.
 *
 * @param {Data} data
 * @param {Recording} recording
 * @param {number} second
 */
export function momentIn(data, { first, calls, seconds }, second) {
  const { clock } = data.header;
  const frame = first + (second / seconds) * calls;
  if (!clock || clock.frame === undefined) return frame;
  const step = frame - clock.frame + clock.zero;
  return step + (clock.twice !== null && step >= clock.twice - 1 ? 1 : 0);
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
  const speaker = known.get(frame) ?? recordingOf(data, frame)?.speaker ?? speakerAt(data, frame);
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
