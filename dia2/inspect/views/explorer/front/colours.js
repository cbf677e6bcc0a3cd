// Colours by what they mean; the values stand in style.css, for light and for dark.

/** @import { Colour, Palette, Rgb } from "./types.d.ts" */

const NAMES = [
  "ink", "faint", "line", "empty", "now", "frame", "s1", "s2", "word", "over", "code-low", "code-high", "back",
  "differ",
];

/**
 * The colours in force at an element, as CSS texts.
 *
 * @param {Element} element
 * @returns {Palette}
 */
export function colours(element) {
  const style = getComputedStyle(element);
  return named((name) => style.getPropertyValue(`--${name}`).trim());
}

/** No colours, before any are in force. */
export const UNPAINTED = named(() => "");

/** @param {(name: string) => string} valueOf */
function named(valueOf) {
  const values = Object.fromEntries(NAMES.map((name) => [name.replace("-", "_"), valueOf(name)]));
  return /** @type {Record<Colour, string>} */ (values);
}

/**
 * Colour of a speaker: 1, 2, or none of them.
 *
 * @param {Palette} palette
 * @param {number} speaker
 */
export function speakerColour(palette, speaker) {
  return [palette.faint, palette.s1, palette.s2][speaker] ?? palette.faint;
}

/**
 * @param {string} hex
 * @returns {Rgb}
 */
function channels(hex) {
  const value = Number.parseInt(hex.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/**
 * A colour as packed little-endian RGBA.
 *
 * @param {string} hex
 */
export function packed(hex) {
  return together(channels(hex));
}

/** @param {Rgb} channels */
function together([r, g, b]) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/**
 * [256] packed colours from the low end of codes to the high one.
 *
 * @param {Palette} palette
 * @param {string} top
 */
export function ramp(palette, top = palette.code_high) {
  const low = channels(palette.code_low);
  const high = channels(top);
  /** @type {(i: number, c: number) => number} */
  const between = (i, c) => Math.round(low[c] + ((high[c] - low[c]) * i) / 255);
  return Uint32Array.from({ length: 256 }, (_, i) => together([between(i, 0), between(i, 1), between(i, 2)]));
}
