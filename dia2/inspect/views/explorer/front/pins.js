// Where notes are pinned, over the calls.

/**
 * @import { Sheet } from "./sheet.js"
 * @import { PinnedNote } from "./types.d.ts"
 */

const PIN = 4.5; // pixels of its radius

/**
 * @param {Sheet} sheet
 * @param {PinnedNote[]} notes
 * @param {number} foot where they stand
 * @param {number} high
 */
export function paintPins(sheet, notes, foot, high) {
  const { context, palette, axis } = sheet;
  for (const { call } of notes) {
    const x = axis.x(call + 0.5);
    if (x < -PIN || x > sheet.width + PIN) continue;
    const y = foot - high + PIN;
    context.beginPath();
    context.arc(x, y, PIN, Math.PI - 0.5, 0.5);
    context.lineTo(x, foot);
    context.closePath();
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = palette.back;
    context.stroke();
    context.fillStyle = palette.ok;
    context.fill();
  }
}
