// The explorer of a saved notebook, where no kernel has its widget: it is drawn from what the cell's outputs hold.

/** @import { Model, Traits } from "./types.d.ts" */

/**
 * What they hold, as saved.py writes it.
 *
 * @typedef {object} Saved
 * @property {string} cell name of the cell
 * @property {string} view id of the widget that a live notebook shows
 * @property {string} picture how the address of the picture ends that gives way to the explorer
 * @property {string} script module of the widget; gzip, base64, as is the style
 * @property {string} style
 * @property {string[]} views packed views, base64
 * @property {Traits["_difference"]} difference
 * @property {number} call
 * @property {string} link
 */

const PATIENCE = 3000; // milliseconds that a notebook has to show its widget; one that comes later takes over
const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

/** @type {(text: string) => Uint8Array<ArrayBuffer>} */
const decoded = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** @type {(text: string) => Promise<string>} */
const inflated = (text) =>
  new Response(new Blob([decoded(text)]).stream().pipeThrough(new DecompressionStream("gzip"))).text();

/**
 * Take a widget off a page without a kernel: a library from the network would draw it beside this explorer.
 *
 * @param {string} id
 */
function takeOff(id) {
  for (const view of document.querySelectorAll(VIEW)) {
    if (view.textContent.includes(id)) view.remove();
  }
}

/**
 * Whether the widget stands on the page.
 *
 * @param {string} cell
 */
function widgetStands(cell) {
  return document.querySelector(`[data-dia2-explorer="${cell}"]`) !== null;
}

/**
 * @param {HTMLElement} at
 * @param {Saved} saved
 */
async function draw(at, saved) {
  const module = URL.createObjectURL(new Blob([await inflated(saved.script)], { type: "text/javascript" }));
  const { default: widget } = await import(module);
  URL.revokeObjectURL(module);
  const sheet = document.createElement("style");
  const picture = `img[src$="${saved.picture || "none"}"]`;
  const hidden = `${picture}, .jp-OutputArea-child:has(${picture}) { display: none; }`;
  sheet.textContent = hidden + (await inflated(saved.style));
  /** @type {Traits} */
  const traits = {
    _views: saved.views.map((view) => new DataView(decoded(view).buffer)),
    _pieces: [],
    _difference: saved.difference,
    _can_decode: false,
    _cell: "",
    _notes: null,
    _link: saved.link,
    call: saved.call,
  };
  /** @type {Model} */
  const model = { get: (name) => traits[name], on() {}, off() {}, send() {} };
  const el = document.createElement("div");
  at.replaceChildren(sheet, el);
  const end = await widget.render({ model, el });
  const leave = () => {
    end();
    at.replaceChildren();
  };
  if (widgetStands(saved.cell)) leave();
  else at.addEventListener("dia2-widget", leave, { once: true });
}

/**
 * Draw the explorer in an output, unless a live notebook shows the widget.
 *
 * @param {HTMLElement} at
 * @param {Saved} saved
 */
export async function revive(at, saved) {
  // The page of a notebook is read once, from top to bottom, without a Jupyter server.
  if (document.readyState === "loading" && !document.getElementById("jupyter-config-data")) takeOff(saved.view);
  else {
    await new Promise((done) => {
      setTimeout(done, PATIENCE);
    });
  }
  if (widgetStands(saved.cell)) return;
  at.dataset.dia2Saved = saved.cell;
  try {
    await draw(at, saved);
  } catch (error) {
    at.textContent = `This browser cannot draw the explorer: ${error instanceof Error ? error.message : error}`;
  }
}
