// The pointer over the timeline: click, drag, select, zoom.

/**
 * @import { Moves } from "./moves.js"
 * @import { Stage } from "./stage.js"
 * @import { Store } from "./store.js"
 * @import { Spot } from "./types.d.ts"
 */

const STILL = 4; // pixels that a click may move

/**
 * @param {Stage} stage
 * @param {Store} store
 * @param {Moves} moves
 * @param {(text: string) => void} tell what is pointed at
 */
export function point(stage, store, moves, tell) {
  const { axis, over, body } = stage;
  /** @type {(event: MouseEvent) => number} */
  const placeOf = (event) => axis.at(event.clientX - over.sheet.canvas.getBoundingClientRect().left);
  /** @type {{ x: number, at: number, first: number, selects: boolean, moved: boolean } | null} */
  let drag = null;

  body.addEventListener("pointerdown", (event) => {
    if (event.button || !spotOf(stage, event)) return;
    const at = placeOf(event);
    drag = { x: event.clientX, at, first: store.state.first, selects: event.shiftKey, moved: false };
  });
  body.addEventListener("pointermove", (event) => {
    const spot = spotOf(stage, event);
    if (drag) {
      const moved = event.clientX - drag.x;
      if (!drag.moved && Math.abs(moved) < STILL) return;
      if (!drag.moved) body.setPointerCapture(event.pointerId); // not before: a captured click has lost its element
      drag.moved = true;
      if (drag.selects) store.set({ selection: ordered(drag.at, placeOf(event)) });
      else moves.look(drag.first - moved / axis.step);
      return;
    }
    over.hover = spot ? spot.call : null;
    tell(spot ? pointedAt(spot) : "");
    stage.drawOver();
  });
  body.addEventListener("pointerleave", () => {
    over.hover = null;
    tell("");
    stage.drawOver();
  });
  body.addEventListener("pointercancel", () => {
    drag = null;
  });
  // A click, for a touch that scrolls the page begins on a canvas too.
  body.addEventListener("click", (event) => {
    const { moved = false, selects = false } = drag ?? {};
    drag = null;
    const spot = moved ? null : spotOf(stage, event);
    if (!spot) return;
    if (selects && !moved) store.set({ selection: null });
    const { shell, ...place } = spot;
    const change = shell.painter.click ? shell.painter.click(place) : { call: store.clamp(place.call), row: null };
    store.set({ ...change, track: shell.name });
  });
  body.addEventListener("dblclick", (event) => {
    const spot = spotOf(stage, event);
    if (spot) moves.selectWord(store.clamp(spot.call));
  });
  const wheel = /** @type {(event: WheelEvent) => void} */ (event) => {
    // Over a page that scrolls the wheel is the page's, until the explorer has the focus.
    if (!stage.element.closest(".dia2-explorer")?.contains(document.activeElement) || event.ctrlKey) return;
    if (event.target instanceof Element && event.target.closest(".head")) return;
    event.preventDefault();
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (sideways) moves.pan((event.deltaX || event.deltaY) / axis.step);
    else moves.zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, placeOf(event));
  };
  stage.element.addEventListener("wheel", wheel, { passive: false });
  pointMinimap(stage, store, moves);
}

/**
 * On the strip of the whole run: a click goes there, a drag moves what is seen.
 *
 * @param {Stage} stage
 * @param {Store} store
 * @param {Moves} moves
 */
function pointMinimap(stage, store, moves) {
  const { canvas } = stage.minimap.sheet;
  /** @type {number | null} */
  let from = null;
  let moved = false;
  canvas.addEventListener("pointerdown", (event) => {
    from = event.clientX;
    moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null || (!moved && Math.abs(event.clientX - from) < STILL)) return;
    if (!moved) canvas.setPointerCapture(event.pointerId);
    moved = true;
    moves.look(stage.minimap.axis.at(event.offsetX) - store.state.span / 2);
  });
  canvas.addEventListener("pointercancel", () => {
    from = null;
  });
  canvas.addEventListener("click", (event) => {
    from = null;
    if (!moved) moves.to(Math.floor(stage.minimap.axis.at(event.offsetX)));
  });
  stage.ruler.sheet.canvas.addEventListener("click", (event) => moves.to(Math.floor(stage.axis.at(event.offsetX))));
}

/**
 * What lies under a pointer: a track, a call, which need not exist, and how far down the track, 0 to 1.
 *
 * @param {Stage} stage
 * @param {MouseEvent} event
 * @returns {Spot | null}
 */
function spotOf(stage, event) {
  const { left, width } = stage.over.sheet.canvas.getBoundingClientRect();
  const x = event.clientX - left;
  if (x < 0 || x >= width) return null;
  const shell = stage.open.find(({ sheet }) => {
    const { top, bottom } = sheet.canvas.getBoundingClientRect();
    return event.clientY >= top && event.clientY < bottom;
  });
  if (!shell) return null;
  const { top, height } = shell.sheet.canvas.getBoundingClientRect();
  return { shell, call: Math.floor(stage.axis.at(x)), share: (event.clientY - top) / height };
}

/** @param {Spot} spot */
function pointedAt({ shell, call, share }) {
  const { data, painter } = shell;
  if (call < 0 || call >= data.places) return "";
  return painter.tell?.({ call, share }) || data.told(data.header.where, data.clamp(call));
}

/**
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]}
 */
function ordered(from, to) {
  const [low, high] = from < to ? [from, to] : [to, from];
  return [Math.floor(low), Math.ceil(high)];
}
