// The page around an explorer: whether it is light or dark, and whether it goes to paper.

import { brush } from "./dom.js";

/** @import { Layout } from "./types.d.ts" */

const SYSTEM_DARK = "(prefers-color-scheme: dark)";
const SYSTEM_CONTRAST = "(prefers-contrast: more)";
const NARROW = 860; // pixels below which the inspector stands beneath the timeline
const PHONE = 600; // and below which one thing is seen at a time
export const THEMES = ["light", "dark", "contrast"];

/**
 * Light or dark: what the notebook says, else what is seen behind the explorer, else what the page or the system wants.
 *
 * @param {Element} root
 */
function surroundings(root) {
  const named = document.body.dataset.jpThemeLight ?? document.body.dataset.vscodeThemeKind;
  if (named !== undefined) return named === "true" || named.includes("light") ? "light" : "dark";
  for (let at = above(root); at; at = above(at)) {
    const seen = brightness(getComputedStyle(at).backgroundColor);
    if (seen !== null) return seen > 0.5 ? "light" : "dark";
  }
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  const either = scheme.includes("light") && scheme.includes("dark");
  // A page that says nothing is white, but a frame that says nothing shows what lies behind it.
  const system = either || (scheme === "normal" && window.parent !== window);
  const dark = system ? matchMedia(SYSTEM_DARK).matches : scheme.includes("dark");
  return dark ? "dark" : "light";
}

/**
 * The element around another one, out of a shadow tree too.
 *
 * @param {Element} element
 * @returns {Element | null}
 */
function above(element) {
  const tree = element.getRootNode();
  return element.parentElement ?? (tree instanceof ShadowRoot ? tree.host : null);
}

/**
 * How bright a CSS colour is, 0 to 1; none where it is rather seen through.
 *
 * @param {string} colour
 */
function brightness(colour) {
  const rgb = colour.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
  const channels = rgb ? [Number(rgb[1]), Number(rgb[2]), Number(rgb[3]), 255 * Number(rgb[4] ?? 1)] : painted(colour);
  const [red, green, blue, alpha] = channels;
  return alpha < 128 ? null : (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}

/**
 * Red, green, blue and alpha of a colour of any notation.
 *
 * @param {string} colour
 */
function painted(colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = brush(canvas);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

/** Calls `changed` when the page around `root` has another look or `root` another size; paper is always light. */
export class Host {
  /**
   * @param {HTMLElement} root
   * @param {() => void} changed
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.printing = false;
    /** @type {string | null} */
    this.chosen = null; // a theme; null: that of the page
    this.end = new AbortController(); // of all listening
    const { signal } = this.end;
    const look = () => {
      if (this.theme !== root.dataset.theme) this.again();
    };
    const background = /** @type {(event: TransitionEvent) => void} */ ({ propertyName }) => {
      if (propertyName.startsWith("background")) look();
    };
    /** @type {(there: boolean) => void} */
    const paper = (there) => {
      this.printing = there;
      this.again();
    };
    const printed = matchMedia("print");
    printed.addEventListener("change", () => paper(printed.matches), { signal });
    window.addEventListener("beforeprint", () => paper(true), { signal }); // the canvases have to be drawn before it
    window.addEventListener("afterprint", () => paper(false), { signal });
    for (const query of [SYSTEM_DARK, SYSTEM_CONTRAST]) matchMedia(query).addEventListener("change", look, { signal });
    document.addEventListener("transitionend", background, { signal });
    this.sizes = new ResizeObserver(() => this.again());
    this.sizes.observe(root);
    this.marks = new MutationObserver(look);
    for (const element of [document.documentElement, document.body]) this.marks.observe(element, { attributes: true });
  }

  get theme() {
    if (this.printing) return "light";
    return this.chosen ?? (matchMedia(SYSTEM_CONTRAST).matches ? "contrast" : surroundings(this.root));
  }

  /** @param {string | null} theme of these, or that of the page */
  choose(theme) {
    this.chosen = theme !== null && THEMES.includes(theme) ? theme : null;
    this.again();
  }

  /**
   * How the parts stand: on paper all of them, beneath each other.
   *
   * @returns {Layout}
   */
  get layout() {
    if (this.printing) return "paper";
    const width = this.root.clientWidth;
    return width < PHONE ? "phone" : width < NARROW ? "narrow" : "wide";
  }

  again() {
    this.root.dataset.theme = this.theme;
    this.changed();
    // JupyterLab hides its page while it changes the theme. Who is hidden for longer is told by the change of size.
    if (this.root.clientWidth) return;
    requestAnimationFrame(() => {
      if (this.root.clientWidth) this.changed();
    });
  }

  destroy() {
    this.end.abort();
    this.sizes.disconnect();
    this.marks.disconnect();
  }
}
