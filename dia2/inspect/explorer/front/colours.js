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

/** [256] packed little-endian RGBA from the low end of codes to the high one. */
export function ramp(palette) {
  const low = channels(palette.code_low);
  const high = channels(palette.code_high);
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const [r, g, b] = low.map((from, c) => Math.round(from + ((high[c] - from) * i) / 255));
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
}
