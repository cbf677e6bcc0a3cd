// Colours by what they mean; the values stand in style.css, for light, dark and high contrast.

/** @import { Colour, Palette, Rgb } from "./types.d.ts" */

const NAMES = [
  "ink", "faint", "line", "edge", "soft", "empty", "now", "frame", "s1", "s2", "pale-1", "pale-2", "given-1", "given-2",
  "word", "over", "back", "differ", "go", "ok", "ok-pale", "warn", "warn-pale", "select",
];
const SYSTEM = /** @type {Partial<Record<Colour, string>>} */ ({
  ink: "CanvasText", faint: "CanvasText", edge: "CanvasText", line: "GrayText", back: "Canvas", now: "Highlight",
  go: "LinkText", warn: "CanvasText",
});
export const HOTTEST = 9; // of a surprise, from which on the heat is at its end

/** @type {WeakMap<Element, { theme: string, palette: Palette }>} */
const PALETTES = new WeakMap(); // by explorer: asking for them makes the browser work out all styles

/**
 * The colours of the explorer that an element stands in, which its sheets share.
 *
 * @param {Element} element
 * @param {string} theme of it
 */
export function paletteOf(element, theme) {
  const root = element.closest(".dia2-explorer") ?? element;
  const known = PALETTES.get(root);
  if (known?.theme === theme) return known.palette;
  const palette = colours(element);
  PALETTES.set(root, { theme, palette });
  return palette;
}

/**
 * The colours in force at an element.
 *
 * @param {Element} element
 * @returns {Palette}
 */
function colours(element) {
  const style = getComputedStyle(element);
  const own = named((name) => style.getPropertyValue(`--${name}`).trim());
  const stops = style.getPropertyValue("--heat").split(",").map((stop) => stop.trim());
  const warmth = ramp(stops.length > 1 ? stops : ["#ffffff", "#000000"]); // a host may have lost the style sheet
  const forced = matchMedia("(forced-colors: active)").matches ? SYSTEM : {};
  return { ...own, ...forced, heat: warmth, heat_css: warmth.map((colour) => `rgb(${colour.join(" ")})`) };
}

/** No colours, before any are in force. */
export const UNPAINTED = /** @type {Palette} */ ({ ...named(() => ""), heat: [], heat_css: [] });

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
 * What lies behind a speaker's text.
 *
 * @param {Palette} palette
 * @param {number} speaker
 */
export function speakerPale(palette, speaker) {
  return [palette.empty, palette.pale_1, palette.pale_2][speaker] ?? palette.empty;
}

/** @type {Map<string, Rgb>} */
const READ = new Map();

/**
 * @param {string} hex
 * @returns {Rgb}
 */
export function channels(hex) {
  const known = READ.get(hex);
  if (known) return known;
  const value = Number.parseInt(hex.replace("#", ""), 16);
  /** @type {Rgb} */
  const read = [(value >> 16) & 255, (value >> 8) & 255, value & 255];
  READ.set(hex, read);
  return read;
}

/**
 * A colour as packed little-endian RGBA.
 *
 * @param {Rgb} channels
 */
export function packed([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * [64] colours along some stops.
 *
 * @param {string[]} stops
 * @returns {Rgb[]}
 */
function ramp(stops) {
  const known = stops.map(channels);
  return Array.from({ length: 64 }, (_, i) => {
    const place = (i / 63) * (known.length - 1);
    const below = Math.min(known.length - 2, Math.floor(place));
    /** @type {(c: number) => number} */
    const between = (c) => Math.round(known[below][c] + (known[below + 1][c] - known[below][c]) * (place - below));
    return [between(0), between(1), between(2)];
  });
}

/**
 * The colour of a share of the heat, 0 to 1.
 *
 * @param {Palette} palette
 * @param {number} share
 */
export function heatOf(palette, share) {
  return palette.heat[step64(share)];
}

/** @param {number} share */
function step64(share) {
  return Math.max(0, Math.min(63, Math.floor(share * 63)));
}

/**
 * The same as CSS.
 *
 * @param {Palette} palette
 * @param {number} share
 */
export function heat(palette, share) {
  return palette.heat_css[step64(share)];
}

/** @param {Rgb} behind what is written on @returns {string} */
export function inkOn([red, green, blue]) {
  return 0.3 * red + 0.59 * green + 0.11 * blue > 135 ? "#111111" : "#ffffff";
}
