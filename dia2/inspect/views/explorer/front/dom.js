// Elements, made without ever reading data as markup: texts are set as text.

/** An element. `props`: attributes; `on…` are listeners, `class` a class list. Children: nodes, texts, or nothing. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A text of the trace: its direction is its own and moves nothing beside it. */
export function bdi(text, props = {}) {
  return h("bdi", props, text);
}

/** `1 slot`, `3 slots`; without a noun the number alone. */
export function counted(number, noun) {
  return noun ? `${number} ${noun}${Number(number) === 1 ? "" : "s"}` : `${number}`;
}

/** Set the text of an element only where it changes, so that nothing is laid out again for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A pane with its heading; `note` stands at the right of it. */
export function pane(name, title, note, ...children) {
  const told = h("span", { class: "note" }, note);
  const element = h("section", { class: `pane ${name}`, "aria-label": title }, h("header", {}, h("h2", {}, title), told), ...children);
  return { element, note: told };
}

/** A sign of a few strokes in a 16 × 16 box: fonts do not have them all. */
export function sign(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" })) svg.setAttribute(name, value);
  const stroke = document.createElementNS(space, "path");
  stroke.setAttribute("d", path);
  svg.append(stroke);
  return svg;
}
