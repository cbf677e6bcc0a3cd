// How wide a place is, told whenever that changes; a hidden one is not.

/**
 * @param {Element} place
 * @param {(pixels: number) => void} changed
 */
export function onWidth(place, changed) {
  if (!globalThis.ResizeObserver) return; // where nothing is laid out
  let known = 0;
  new ResizeObserver(([{ contentRect }]) => {
    const pixels = Math.round(contentRect.width);
    if (!pixels || pixels === known) return;
    known = pixels;
    changed(pixels);
  }).observe(place);
}
