// Colours by what they mean; the values stand in style.css, for light and for dark.

const NAMES = ["ink", "faint", "line", "empty", "now", "frame", "s1", "s2", "word", "over", "code-low", "code-high", "back", "differ"];

/** The colours in force at an element, as CSS texts. */
export function colours(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((name) => [name.replace("-", "_"), style.getPropertyValue(`--${name}`).trim()]));
}

/** Colour of a speaker: 1, 2, or none of them. */
export function speakerColour(palette, speaker) {
  return { 1: palette.s1, 2: palette.s2 }[speaker] ?? palette.faint;
}

function channels(hex) {
  const value = Number.parseInt(hex.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** A colour as packed little-endian RGBA. */
export function packed(hex) {
  return together(channels(hex));
}

function together([r, g, b]) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** [256] packed colours from the low end of codes to the high one. */
export function ramp(palette, top = palette.code_high) {
  const low = channels(palette.code_low);
  const high = channels(top);
  return Uint32Array.from({ length: 256 }, (_, i) => together(low.map((from, c) => Math.round(from + ((high[c] - from) * i) / 255))));
}
