// Elements, made without ever reading data as markup: texts are set as text.

/** @import { Child, Children, Props } from "./types.d.ts" */

/**
 * An element. `props`: attributes; `on…` are listeners, `class` a class list. Children: nodes, texts, or nothing.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} props
 * @param {Children} children
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * A text of the trace: its direction is its own and moves nothing beside it.
 *
 * @param {string} text
 */
export function bdi(text) {
  return h("bdi", {}, text);
}

/**
 * What is drawn with on a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function brush(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser gives no canvas to draw on.");
  return context;
}

/**
 * `1 slot`, `3 slots`; without a noun the number alone.
 *
 * @param {number | string} number
 * @param {string} [noun]
 */
export function counted(number, noun) {
  return noun ? `${number} ${noun}${Number(number) === 1 ? "" : "s"}` : `${number}`;
}

/**
 * With a capital at its beginning.
 *
 * @param {string} text
 */
export function capital(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

/**
 * Set the text of an element only where it changes, so that nothing is laid out again for nothing.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A pane with its heading; `note` stands at the right of it.
 *
 * @param {string} name of its class
 * @param {string} title
 * @param {Child | Child[]} note
 * @param {Children} children
 */
export function pane(name, title, note, ...children) {
  const told = h("span", { class: "note" }, note);
  const header = h("header", {}, h("h2", {}, title), told);
  const element = h("section", { class: `pane ${name}`, "aria-label": title }, header, ...children);
  return { element, note: told };
}

/**
 * A sign of a few strokes in a 16 × 16 box: fonts do not have them all.
 *
 * @param {string} path
 */
export function sign(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const attributes = { viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const stroke = document.createElementNS(space, "path");
  stroke.setAttribute("d", path);
  svg.append(stroke);
  return svg;
}
