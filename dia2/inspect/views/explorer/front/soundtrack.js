// The track of what is heard: recordings that were given, then what was made.

import { speakerColour, speakerPale } from "./colours.js";
import { momentIn, recordingAt, secondIn, speakerAt } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Column, Painter } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function soundTrack(data) {
  const { peaks } = data.columns;
  const { clock, given } = data.header;
  const told = given.sound ? "recordings, then made" : clock?.told ?? "";
  return {
    height: 60,
    most: 240,
    there: true,
    note: () => (peaks ? told : "no sound in this trace"),
    paint(sheet) {
      sheet.fill(sheet.palette.line, 0, sheet.height / 2, sheet.width, 1);
      if (clock) paintWaves(sheet, data);
      paintRecordings(sheet, data);
      const seam = sheet.axis.x(data.given);
      if (!data.given || seam < 0 || seam > sheet.width) return;
      sheet.fill(sheet.palette.ink, seam - 1, 0, 2, sheet.height);
      sheet.text("made from here ▸", seam + 5, 9, sheet.palette.ink, sheet.palette.back);
    },
    mark(sheet, state) {
      const at = soundOf(data, state.call);
      if (at === null || !peaks) return;
      const width = Math.max(3, sheet.axis.step - 1);
      sheet.frame(sheet.palette.frame, 2, sheet.axis.x(at) + 0.5, 1, width, sheet.height - 2);
    },
  };
}

/**
 * Where the frame sounds that a call completes: a place on the axis; null if it is not heard.
 *
 * @param {Data} data
 * @param {number} call
 */
export function soundOf(data, call) {
  const { clock, seconds } = data.header;
  const frame = frameOf(data, call);
  if (!clock || clock.frame === undefined || frame === null || seconds === null) return null;
  const step = frame + clock.zero;
  return step + (clock.twice !== null && step >= clock.twice - 1 ? 1 : 0);
}

/**
 * The frame that a call completes, from 0 where the sound begins; null if none.
 *
 * @param {Data} data
 * @param {number} call
 */
export function frameOf(data, call) {
  const { clock, grid, seconds } = data.header;
  if (call < data.given) return null;
  const frame = data.columnOf(call) - Math.max(...grid.delays) - (clock?.frame ?? grid.first);
  const ends = clock && seconds !== null ? seconds * clock.rate : grid.frames ?? Infinity;
  return frame < 0 || frame >= ends ? null : frame;
}

/**
 * @param {Sheet} sheet
 * @param {Data} data
 */
function paintWaves(sheet, data) {
  const { axis } = sheet;
  const rate = data.header.peak_rate;
  /** @type {(column: Column | undefined, place: (x: number) => number, x: number) => void} */
  const bar = (column, place, x) => {
    if (!column) return;
    const from = Math.floor(place(x) * rate);
    const to = Math.max(from + 1, Math.floor(place(x + 1) * rate));
    const most = loudest(column, from, to);
    if (most < 0) return;
    const high = Math.max(1, (most / 127) * (sheet.height - 4));
    sheet.fill(speakerColour(sheet.palette, speakerAt(data, axis.at(x))), x, (sheet.height - high) / 2, 1, high);
  };
  for (let x = 0; x < sheet.width; x += 1) {
    const recording = recordingAt(data, axis.at(x));
    if (recording) {
      const { [`peaks_recording_${recording.speaker}`]: column } = data.columns;
      bar(column, (at) => secondIn(data, recording, axis.at(at)), x);
    } else bar(data.columns.peaks, (at) => data.secondsOf(axis.at(at)) ?? 0, x);
  }
}

/**
 * The largest of the peaks from and up to; −1 where there are none.
 *
 * @param {Column} peaks
 * @param {number} from
 * @param {number} to
 */
export function loudest(peaks, from, to) {
  let most = -1;
  for (let i = Math.max(0, from); i < Math.min(peaks.shape[0], to); i += 1) {
    most = Math.max(most, peaks[2 * i + 1], -peaks[2 * i]);
  }
  return most;
}

/**
 * What each recording is called, at its beginning; or that its sound is not there.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 */
function paintRecordings(sheet, data) {
  const { recordings = [] } = data.header;
  const { axis, palette } = sheet;
  const kept = recordings.filter(({ speaker }) => data.columns[`peaks_recording_${speaker}`]);
  for (const recording of kept) {
    const { speaker, seconds, name } = recording;
    const left = Math.max(0, axis.x(momentIn(data, recording, 0)));
    const told = `${speaker}: ${name} · ${seconds.toFixed(1)} s`;
    const room = sheet.widthOf(told) + 10;
    if (axis.x(momentIn(data, recording, seconds)) - left < room || left > sheet.width) continue;
    sheet.fill(speakerPale(palette, speaker), left + 1, 1, room, 17);
    sheet.text(told, left + 6, 10, palette.ink);
  }
  const end = Math.min(sheet.width, axis.x(data.given));
  const { sound } = data.header.given;
  if (kept.length || !sound || end < 20) return;
  const left = Math.max(0, axis.x(0));
  const told = sheet.cut(sound, end - left - 12);
  sheet.text(told, left + 6, sheet.height / 2, palette.faint, palette.back);
}
