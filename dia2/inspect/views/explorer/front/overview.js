// Above the tracks: the whole run in one strip, and the axis with its seconds and calls.

import { speakerColour } from "./colours.js";
import { h } from "./dom.js";
import { Axis } from "./axis.js";
import { paintPins } from "./pins.js";
import { Sheet } from "./sheet.js";
import { recordingAt, secondIn, speakerAt } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { State } from "./types.d.ts"
 */

const MINI = 26; // pixels high
const RULER = 34;
const SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60];
const CALLS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** The whole run: its sound by who speaks, anomalies and findings, and what the tracks show of it. */
export class Minimap {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.axis = new Axis();
    this.sheet = new Sheet(this.axis);
    this.base = new Sheet(this.axis); // what does not move
    this.drawn = "";
    /** @type {State["notes"]} */
    this.notes = [];
  }

  /**
   * @param {State} state
   * @param {number} places
   * @param {number} width
   */
  draw(state, places, width) {
    Object.assign(this.axis, { first: 0, span: places, width });
    const { sheet, axis } = this;
    sheet.begin(MINI, state.theme);
    const key = `${state.theme} ${places} ${width} ${this.data.calls}`;
    if (key !== this.drawn || this.notes !== state.notes) {
      this.drawn = key;
      this.notes = state.notes;
      Object.assign(this.base, { palette: sheet.palette, theme: state.theme }); // it is on no page, and has no colours
      this.base.begin(MINI, state.theme);
      this.paint();
    }
    sheet.context.drawImage(this.base.canvas, 0, 0, width, MINI);
    const { palette, context } = sheet;
    const [left, right] = [axis.x(state.first), axis.x(state.first + state.span)];
    context.globalAlpha = 0.11;
    sheet.fill(palette.ink, left, 0, right - left, MINI);
    context.globalAlpha = 1;
    sheet.frame(palette.ink, 1.5, left + 0.75, 0.75, Math.max(3, right - left - 1.5), MINI - 1.5);
    sheet.fill(palette.now, axis.x(state.call + 0.5) - 1, 0, 2, MINI);
  }

  paint() {
    const { base, axis, data } = this;
    const { palette } = base;
    for (let x = 0; x < axis.width; x += 1) {
      const high = Math.max(1, this.loudness(x) * (MINI - 8));
      base.fill(speakerColour(palette, speakerAt(data, axis.at(x))), x, (MINI - high) / 2, 1, high);
    }
    for (const { from, to, colour } of data.stretches) {
      base.fill(palette[colour], axis.x(from), MINI - 4, axis.x(to) - axis.x(from), 3);
    }
    for (const { call } of data.header.anomalies ?? []) {
      const x = axis.x(call + 0.5);
      base.context.fillStyle = palette.warn;
      base.context.beginPath();
      base.context.moveTo(x, MINI - 7);
      base.context.lineTo(x - 4, MINI);
      base.context.lineTo(x + 4, MINI);
      base.context.fill();
    }
    for (const { call, until, severity } of data.header.findings ?? []) {
      const colour = severity === "bad" ? palette.warn : palette.faint;
      base.fill(colour, axis.x(call), 0, Math.max(3, axis.x(until + 1) - axis.x(call)), 3);
    }
    paintPins(base, this.notes, 17, 13);
  }

  /** @param {number} x */
  loudness(x) {
    const { data, axis } = this;
    const [from, to] = [axis.at(x), axis.at(x + 1)];
    const recording = recordingAt(data, from);
    const peaks = recording ? data.columns[`peaks_recording_${recording.speaker}`] : data.columns.peaks;
    if (!peaks || !data.header.clock) return 0;
    /** @type {(place: number) => number} */
    const second = (place) => (recording ? secondIn(data, recording, place) : data.secondsOf(place) ?? 0);
    /** @type {(place: number) => number} */
    const at = (place) => Math.floor(second(place) * data.header.peak_rate);
    let most = 0;
    for (let i = Math.max(0, at(from)); i < Math.min(peaks.shape[0], Math.max(at(from) + 1, at(to))); i += 1) {
      most = Math.max(most, peaks[2 * i + 1]);
    }
    return most / 127;
  }
}

/** The axis: seconds above, calls below, and a slider of the call for who uses the keyboard or a screen reader. */
export class Ruler {
  /**
   * @param {Data} data
   * @param {Axis} axis
   */
  constructor(data, axis) {
    this.data = data;
    this.sheet = new Sheet(axis);
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Call" });
  }

  /** @param {State} state */
  paint(state) {
    const { sheet, data } = this;
    const { axis } = sheet;
    sheet.begin(RULER, state.theme);
    const { palette } = sheet;
    const clock = data.header.clock;
    if (clock) {
      const every = SECONDS.find((step) => step * clock.rate * axis.step >= 62) ?? 120;
      const from = Math.ceil((data.secondsOf(axis.first) ?? 0) / every);
      const to = Math.floor((data.secondsOf(axis.first + axis.span) ?? 0) / every);
      for (let i = from; i <= to; i += 1) {
        const x = axis.x(data.momentOf(i * every));
        sheet.fill(palette.edge, x, 0, 1, 5);
        sheet.text(`${Number((i * every).toFixed(2))} s`.replace("-", "−"), x + 4, 9, palette.ink);
      }
    }
    const every = CALLS.find((step) => step * axis.step >= 52) ?? 1000;
    const [begin, end] = axis.seen(data.calls);
    for (let call = Math.ceil(begin / every) * every; call < end; call += every) {
      const x = axis.x(call + 0.5);
      sheet.fill(palette.edge, x, RULER - 4, 1, 4);
      if (Math.abs(x - axis.x(state.call + 0.5)) < 38) continue; // the call that is looked at stands there
      sheet.text(String(call), x + 4, RULER - 8, palette.faint);
    }
    for (const { call, until, severity } of data.header.findings ?? []) {
      const colour = severity === "bad" ? palette.warn : palette.faint;
      sheet.fill(colour, axis.x(call), RULER - 3, axis.x(until + 1) - axis.x(call), 3);
    }
    paintPins(sheet, state.notes, RULER - 2, 13);
    this.mark(state.call);
  }

  /** @param {number} call */
  mark(call) {
    const { sheet } = this;
    const told = String(call);
    sheet.font(12, true);
    const width = sheet.widthOf(told) + 10;
    const x = Math.max(0, Math.min(sheet.width - width, sheet.axis.x(call + 0.5) - width / 2));
    sheet.fill(sheet.palette.now, x, RULER - 17, width, 17);
    sheet.text(told, x + 5, RULER - 8, sheet.palette.back);
  }
}
