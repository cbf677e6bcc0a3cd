// Tracks of what is counted from call to call: states, counts, the budgets of a machine, the slots of caches.

/**
 * @import { Data } from "./data.js"
 * @import { BudgetTrack, CountTrack, Painter, StateTrack } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @param {StateTrack} track
 * @returns {Painter}
 */
export function stateTrack(data, { name, colours }) {
  return {
    height: 36,
    there: name in data.columns,
    note: ({ call }) => data.value(name, call),
    paint(sheet) {
      const { axis, palette } = sheet;
      const [from, to] = axis.seen(data.calls);
      const gap = axis.step > 4 ? 1 : 0;
      for (let call = from; call < to; call += sheet.group) {
        const colour = palette[colours[data.at(name, call)]];
        sheet.fill(colour, axis.x(call), 9, Math.max(1, axis.step - gap), sheet.height - 18);
      }
    },
  };
}

/**
 * @param {Data} data
 * @param {CountTrack} track
 * @returns {Painter}
 */
export function countTrack(data, { name, most, colour }) {
  return {
    height: 36,
    there: name in data.columns,
    note: ({ call }) => (data.at(name, call) < 0 ? "–" : `${data.value(name, call)} of ${most}`),
    paint(sheet) {
      const { axis, palette, height } = sheet;
      const [from, to] = axis.seen(data.calls);
      const gap = axis.step > 4 ? 1 : 0;
      for (let call = from; call < to; call += sheet.group) {
        const value = sheet.highest(call, to, (at) => data.at(name, at));
        if (value < 0) continue;
        const high = Math.max(2, (Math.min(value, most) / most) * (height - 6));
        sheet.fill(palette[colour], axis.x(call), height - 1 - high, Math.max(1, axis.step - gap), high);
      }
    },
  };
}

/**
 * @param {Data} data
 * @param {BudgetTrack} track
 * @returns {Painter}
 */
export function budgetTrack(data, { line, bars, number }) {
  return {
    height: 40,
    there: [line, bars, number].every((name) => data.columns[name]),
    note: ({ call }) => `padding ${data.at(line, call)} · ${data.at(number, call)} left`,
    paint(sheet) {
      const { axis, palette, height } = sheet;
      const [from, to] = axis.seen(data.calls);
      const [lines, blocks, numbers] = [line, bars, number].map((name) => data.column(name));
      const most = Math.max(6.5, ...lines.subarray(from, to));
      /** @type {(value: number) => number} */
      const y = (value) => height - 2 - (Math.min(value, most) / most) * (height - 17);
      sheet.bars(from, to, (call) => blocks[call], y, () => palette.given_1);
      sheet.context.strokeStyle = palette.ok;
      sheet.context.lineWidth = axis.step < 4 ? 1 : 2;
      sheet.steps(from, to, (call) => lines[call], y);
      let free = -Infinity;
      for (let call = from; call < to && axis.step > 4; call += 1) {
        const x = axis.x(call);
        if (call >= data.given && !lines[call] && lines[call - 1]) {
          sheet.text("0", x + 1, height - 8, palette.warn, palette.back);
        }
        if (x < free || numbers[call] === numbers[call - 1]) continue;
        sheet.text(String(numbers[call]), x + 2, 8, palette.faint);
        free = x + 26;
      }
    },
  };
}

/**
 * @param {Data} data
 * @returns {Painter}
 */
export function cacheTrack(data) {
  const { caches } = data.header;
  const curves = caches.flatMap(({ column }) => (column === null ? [] : [column]));
  return {
    height: 38,
    there: curves.length > 0,
    note: ({ call }) => caches.map(({ told }) => data.told(told, call)).join(" · "),
    paint(sheet) {
      const { axis, palette, height } = sheet;
      const [from, to] = axis.seen(data.calls);
      const top = Math.max(1, ...curves.map((column) => data.at(column, data.calls - 1)));
      /** @type {(value: number) => number} */
      const y = (value) => height - 1 - (value / top) * (height - 6);
      curves.forEach((column, i) => {
        const values = data.column(column);
        if (!i) sheet.bars(from, to, (call) => values[call], y, () => palette.soft);
        sheet.context.setLineDash(i ? [6, 4] : []);
        sheet.context.strokeStyle = i ? palette.s2 : palette.faint;
        sheet.context.lineWidth = 1.6;
        sheet.steps(from, to, (call) => values[call], y);
      });
      sheet.context.setLineDash([]);
    },
  };
}
