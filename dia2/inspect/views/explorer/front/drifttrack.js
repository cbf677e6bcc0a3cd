// The track of the drift: how far the words of a recording stand beside their sound, window by window.

/**
 * @import { Data } from "./data.js"
 * @import { Sheet } from "./sheet.js"
 * @import { DriftWindow, Fit, Painter } from "./types.d.ts"
 */

const DRIFT_HEIGHT = 60;
const DRIFT_LABEL = 15; // pixels for the number of a window, beyond the zero line
const UNTOLD_HEIGHT = 15; // of what cannot be told
const HATCH_STEP = 6; // pixels from one line to the next

/**
 * Seconds of a drift with their sign.
 *
 * @param {number | null} drift null: it cannot be told
 */
export function driftText(drift) {
  if (drift === null) return "cannot tell";
  return `${drift < 0 ? "−" : "+"}${Math.abs(drift).toFixed(2)}`.replace(/^.0\.00$/, "0");
}

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function driftTrack(data) {
  const { fit } = data.header;
  if (!fit) return { height: DRIFT_HEIGHT, there: false, note: () => "", paint() {} };
  const most = rangeOf(fit);
  const lanes = [
    { name: `+${most} s`, y: 8 },
    { name: "0", y: DRIFT_HEIGHT / 2 },
    { name: `−${most} s`, y: DRIFT_HEIGHT - 8 },
  ];
  /** @type {(call: number) => string} */
  const here = (call) => driftAt(fit, fit.windows.find(([from, to]) => call >= from && call < to));
  return {
    height: DRIFT_HEIGHT,
    there: true,
    lanes,
    note: ({ call }) => here(call),
    tell: ({ call }) => here(call),
    paint(sheet, { layout }) {
      const { axis, palette, height } = sheet;
      const middle = height / 2;
      /** @type {(seconds: number) => number} */
      const y = (seconds) => middle - (seconds / most) * (middle - 3);
      const end = axis.first + axis.span;
      const seen = joinedWindows(fit.windows).filter((each) => each.to > axis.first && each.from < end);
      for (const { parts, drift } of seen) {
        for (const [from, to] of parts) paintWindow(sheet, axis.x(from), axis.x(to), drift, y, fit.least);
      }
      const [left, right] = [axis.x(fit.windows[0][0]), axis.x(fit.windows[fit.windows.length - 1][1])];
      sheet.fill(palette.ink, left, middle - 0.5, right - left, 1);
      for (const { from, to, drift } of seen) {
        paintNumber(sheet, Math.max(0, axis.x(from)), axis.x(to), drift, fit.least);
      }
      if (layout === "phone") paintRange(sheet, lanes);
    },
  };
}

/**
 * The range on a phone, where nothing stands beside a track.
 *
 * @param {Sheet} sheet
 * @param {{ name: string, y: number }[]} lanes
 */
function paintRange(sheet, lanes) {
  const { palette, width } = sheet;
  for (const { name, y } of lanes) {
    const room = sheet.widthOf(name);
    sheet.fill(palette.back, width - room - 8, y - 7, room + 8, 14);
    sheet.text(name, width - room - 4, y, palette.faint);
  }
}

/**
 * What is known of a window, in words.
 *
 * @param {Fit} fit
 * @param {DriftWindow | undefined} window
 */
function driftAt({ recordings }, window) {
  if (!window) return "of the recordings alone";
  const drift = window[2];
  if (drift === null) return "cannot tell here";
  const by = [...new Set(recordings.map((each) => each.by))].filter(Boolean);
  return `${driftText(drift)} s${by.length === 1 ? `, ${by[0]}` : ""}`;
}

/**
 * Seconds at the upper end: a round number above all drifts.
 *
 * @param {Fit} fit
 */
function rangeOf({ windows }) {
  const most = Math.max(0.5, ...windows.map(([, , drift]) => Math.abs(drift ?? 0)));
  return Math.ceil(most * 2) / 2;
}

/**
 * Windows in a row that say the same.
 *
 * @param {DriftWindow[]} windows
 */
function joinedWindows(windows) {
  /** @type {{ from: number, to: number, drift: number | null, parts: [number, number][] }[]} */
  const found = [];
  for (const [from, to, drift] of windows) {
    const last = found.at(-1);
    if (last && last.drift === drift && last.to === from) {
      last.to = to;
      if (drift === null) last.parts[0][1] = to; // of what cannot be told there are no parts
      else last.parts.push([from, to]);
    } else found.push({ from, to, drift, parts: [[from, to]] });
  }
  return found;
}

/**
 * @param {Sheet} sheet
 * @param {number} left
 * @param {number} right
 * @param {number | null} drift
 * @param {(seconds: number) => number} y
 * @param {number} least
 */
function paintWindow(sheet, left, right, drift, y, least) {
  const { palette } = sheet;
  const width = Math.max(1, right - left - 1);
  if (drift === null) hatch(sheet, left, y(0) - UNTOLD_HEIGHT / 2, width, UNTOLD_HEIGHT);
  else if (Math.abs(drift) < least) sheet.fill(palette.ok, left, Math.min(y(drift), y(0)) - 2, width, 4);
  else sheet.fill(palette.warn, left, Math.min(y(drift), y(0)), width, Math.abs(y(drift) - y(0)));
}

/**
 * Slanted lines.
 *
 * @param {Sheet} sheet
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} high
 */
function hatch(sheet, x, y, width, high) {
  const { context, palette } = sheet;
  const from = Math.max(x, -HATCH_STEP);
  const to = Math.min(x + width, sheet.width + HATCH_STEP);
  if (to <= from) return;
  context.save();
  context.beginPath();
  context.rect(from, y, to - from, high);
  context.clip();
  context.strokeStyle = palette.edge;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = x + Math.floor((from - x) / HATCH_STEP) * HATCH_STEP - high; at < to; at += HATCH_STEP) {
    context.moveTo(at, y + high);
    context.lineTo(at + high, y);
  }
  context.stroke();
  context.restore();
}

/**
 * The number of some windows, on the side where they have no bar; or that there is none.
 *
 * @param {Sheet} sheet
 * @param {number} left
 * @param {number} right
 * @param {number | null} drift
 * @param {number} least
 */
function paintNumber(sheet, left, right, drift, least) {
  const { palette, height } = sheet;
  const text = drift ? `${driftText(drift)} s` : driftText(drift);
  const width = sheet.widthOf(text);
  const end = Math.min(right, sheet.width);
  if (end - left < width + 6) return;
  const x = (left + end - width) / 2;
  if (drift === null) {
    sheet.fill(palette.back, x - 4, height / 2 - UNTOLD_HEIGHT / 2, width + 8, UNTOLD_HEIGHT);
    sheet.text(text, x, height / 2, palette.faint);
    return;
  }
  const beyond = (drift < 0 ? -1 : 1) * DRIFT_LABEL;
  sheet.text(text, x, height / 2 + beyond, Math.abs(drift) < least ? palette.ok : palette.warn, palette.back);
}
