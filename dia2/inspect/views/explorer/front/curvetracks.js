// Tracks of curves over the draws and the sound: surprise, the pull of guidance, loudness.

import { HOTTEST, heat } from "./colours.js";
import { signalsOf } from "./signals.js";
import { recordingAt, secondIn } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { Painter } from "./types.d.ts"
 */

const TOP = 14; // pixels above a curve, for its marks
const MOST = 5; // bits that the track shows
const QUIET = -50; // dB: below it is silence

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function surpriseTrack(data) {
  const signals = signalsOf(data);
  const { anomalies = [] } = data.header;
  /** @type {(call: number) => string} */
  const told = (call) => {
    const books = signals.mean.length > 0; // a copy without the voice has the surprise of its actions alone
    const bits = (books ? signals.mean : signals.action)[call] ?? Number.NaN;
    return Number.isNaN(bits) ? "–" : `${books ? "" : "action: "}${bits.toFixed(1)} bits here`;
  };
  return {
    height: 52,
    most: 120,
    there: signals.mean.length > 0 || signals.action.length > 0,
    note: ({ call }) => (call < data.given ? "nothing is drawn here" : told(call)),
    paint(sheet) {
      const { axis, palette, height } = sheet;
      const [from, to] = axis.seen(data.calls);
      /** @type {(bits: number) => number} */
      const y = (bits) => height - 1 - (Math.min(MOST, bits) / MOST) * (height - TOP);
      const end = Math.min(to, signals.mean.length);
      /** @type {(call: number) => number} */
      const mean = (call) => signals.mean[call];
      // A mean runs over less of the heat than single draws do.
      sheet.bars(from, end, mean, y, (bits) => heat(palette, (1.4 * bits) / HOTTEST));
      sheet.context.strokeStyle = palette.faint;
      sheet.context.lineWidth = 1.4;
      sheet.steps(from, end, mean, y);
      const wide = Math.min(5, Math.max(1, axis.step - 1));
      for (let call = from; call < Math.min(to, signals.action.length); call += 1) {
        const bits = signals.action[call];
        if (bits > 0.04) sheet.fill(palette.go, axis.x(call + 0.5) - wide / 2, y(bits), wide, height - y(bits));
      }
      sheet.text("4 bits", sheet.width - 36, y(4) + 4, palette.faint, palette.back);
      let free = -Infinity; // where the last number ends
      for (const { call, bits } of anomalies) {
        if (call < from - 1 || call > to) continue;
        const x = axis.x(call + 0.5);
        sheet.text("▲", x - 5, 7, palette.warn, palette.back);
        if (axis.step < 6 || x < free) continue;
        sheet.text(bits.toFixed(1), x + 8, 7, palette.ink, palette.back);
        free = x + 36;
      }
      paintGiven(sheet, data, "nothing is drawn here");
    },
  };
}

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function pullTrack(data) {
  const { pull, pullFirst, pulls } = signalsOf(data);
  return {
    height: 36,
    there: pulls,
    note: () => "0 agree … 1 differ",
    paint(sheet) {
      const { axis, palette, height } = sheet;
      const [from, to] = axis.seen(Math.min(data.calls, pull.length));
      /** @type {(value: number) => number} */
      const y = (value) => height - 1 - value * (height - 5);
      sheet.bars(from, to, (call) => pull[call], y, () => palette.given_1);
      sheet.context.strokeStyle = palette.s1;
      sheet.context.lineWidth = axis.step < 3 ? 1 : 1.6;
      if (pullFirst.length) sheet.steps(Math.max(from, data.given), to, (call) => pullFirst[call], y);
    },
  };
}

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function loudnessTrack(data) {
  const { loudness } = data.columns;
  const { clock } = data.header;
  /** @type {(call: number) => number} */
  const level = (call) => {
    const recording = recordingAt(data, call);
    const frames = recording ? data.columns[`loudness_recording_${recording.speaker}`] : loudness;
    const second = recording ? secondIn(data, recording, call) : data.secondsOf(call) ?? -1;
    const frame = Math.floor(second * (clock?.rate ?? 0) + 1e-6);
    return frames && frame >= 0 && frame < frames.length ? -frames[frame] : Number.NaN;
  };
  return {
    height: 44,
    most: 90,
    there: Boolean(loudness && clock),
    note: ({ call }) => (Number.isNaN(level(call)) ? "dB of full scale" : `−${-level(call)} dB here`),
    paint(sheet) {
      const { axis, palette, height } = sheet;
      /** @type {(decibels: number) => number} */
      const y = (decibels) => 3 + (Math.max(0, Math.min(60, -10 - decibels)) / 60) * (height - 6);
      sheet.context.strokeStyle = palette.ink;
      sheet.context.lineWidth = 1.6;
      const [from, to] = axis.seen(data.calls);
      sheet.steps(from, to, level, y);
      sheet.dashed(palette.edge, y(QUIET));
      sheet.text(`−${-QUIET} dB`, sheet.width - 50, y(QUIET) - 8, palette.faint, palette.back);
      const { recordings = [], given } = data.header;
      if (!recordings.length) paintGiven(sheet, data, given.sound ?? "");
    },
  };
}

/**
 * What is said of the calls that are given, as far as there is room for it.
 *
 * @param {Sheet} sheet
 * @param {Data} data
 * @param {string} told
 */
function paintGiven(sheet, data, told) {
  const left = Math.max(0, sheet.axis.x(0)) + 8;
  const room = Math.min(sheet.width, sheet.axis.x(data.given)) - left - 8;
  if (!data.given || room < 40) return;
  sheet.text(sheet.cut(told, room), left, sheet.height / 2 + 5, sheet.palette.faint);
}
