// What if: sliders for the settings of a draw, and a sentence that says what would have been drawn.

import { h, say } from "./dom.js";
import { again, sameSettings, settingsOf } from "./sampler.js";

/** @import { Again, Draw, Settings } from "./types.d.ts" */

/** @typedef {keyof Settings} Setting */

const MOST_NAMED = 3; // tokens that are told of those that it may have been
const COUNTS = [...stopsFrom(1, 20, 1), ...stopsFrom(25, 50, 5), ...stopsFrom(60, 100, 10), ...stopsFrom(120, 200, 20)];
/** @type {Record<Setting, string>} */
const SETTING_LABELS = { temperature: "temperature", top_k: "top-k", top_p: "top-p", cfg: "cfg", keep: "keep" };

/**
 * Sliders, and what they say. `show` gives them a draw; `settings` are those they stand at, null while they have none.
 *
 * @param {() => void} changed
 */
export function whatIf(changed) {
  const sliders = h("div", { class: "why-sliders" });
  const told = h("p", { class: "why-told", role: "status" });
  const reset = h("button", { type: "button", class: "why-reset", onclick: () => set(own) }, "As recorded");
  const element = h("div", { class: "why-if" }, sliders, h("div", { class: "why-foot" }, told, reset));
  /** @type {Draw | null} */
  let draw = null;
  /** @type {Settings | null} */
  let own = null;
  /** @type {Settings | null} */
  let settings = null;
  /** @type {Slider[]} */
  let rows = [];

  /** @param {Settings | null} next */
  const set = (next) => {
    settings = next;
    for (const row of rows) if (next) row.set(next);
    reset.disabled = !own || !next || sameSettings(own, next);
    if (draw) told.replaceChildren(...whatIfSentence(draw, own, next));
    changed();
  };
  return {
    element,
    get settings() {
      return settings;
    },
    /** They stand where the run had them. */
    get recorded() {
      return !own || !settings || sameSettings(own, settings);
    },
    /** @param {Draw | null} next */
    show(next) {
      draw = next;
      const found = next && settingsOf(next);
      const fit = own && found && rows.length > 0 && rows[0].of === next.sampler && sameSettings(own, found);
      own = found;
      element.hidden = !next;
      if (found && !fit) {
        rows = slidersOf(next, found, (name, value) => settings && set({ ...settings, [name]: value }));
        sliders.replaceChildren(...rows.map((row) => row.element));
      }
      if (!found) rows = [];
      sliders.hidden = !found;
      settings = found;
      reset.hidden = !found;
      reset.disabled = true;
      for (const row of rows) if (found) row.set(found);
      if (next) told.replaceChildren(...whatIfSentence(next, own, own));
    },
  };
}

/**
 * @typedef {{ element: HTMLElement, of: object | null, set: (settings: Settings) => void }} Slider
 */

/**
 * @param {Draw} draw
 * @param {Settings} own
 * @param {(name: Setting, value: number) => void} move
 */
function slidersOf(draw, own, move) {
  return stopsOf(draw, own).map(([name, stops]) => sliderOf(name, stops, own, draw, move));
}

/**
 * Where each slider can stand: the recorded value is one of its places.
 *
 * @param {Draw} draw
 * @param {Settings} own
 * @returns {[Setting, number[]][]}
 */
export function stopsOf({ guidance, sampler }, own) {
  const below = (/** @type {number} */ count) => count < (sampler?.vocabulary ?? Infinity);
  const counts = [...COUNTS.filter(below), 0]; // 0, all, stands behind the largest
  /** @type {[Setting, number[]][]} */
  const found = [["temperature", stopsWith(stopsFrom(0, 2, 0.05), own.temperature)]];
  if (own.top_k !== undefined) found.push(["top_k", stopsWith(counts, own.top_k)]);
  if (own.top_p !== undefined) found.push(["top_p", stopsWith(stopsFrom(0.05, 1, 0.05), own.top_p)]);
  if (guidance && own.cfg !== undefined && own.keep !== undefined) {
    // Without guidance there is one branch alone, and nothing to lead away from.
    const guided = guidance.cfg + guidance.plus !== 1;
    if (guided) found.push(["cfg", stopsWith(stopsFrom(guidance.off ?? 0, 4, 0.1), own.cfg)]);
    found.push(["keep", stopsWith(counts, own.keep)]);
  }
  return found;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} step
 */
function stopsFrom(from, to, step) {
  const count = Math.floor((to - from) / step + 1.5);
  return Array.from({ length: count }, (_, i) => Math.round((from + i * step) * 100) / 100);
}

/**
 * Numbers in their order, with one more if it is not there; 0 of counts, all, stays behind.
 *
 * @param {number[]} stops
 * @param {number} value
 */
function stopsWith(stops, value) {
  if (stops.includes(value)) return stops;
  const at = stops.findIndex((stop, i) => stop > value || (stop === 0 && i > 0));
  return stops.toSpliced(at < 0 ? stops.length : at, 0, value);
}

/**
 * @param {Setting} name
 * @param {number[]} stops
 * @param {Settings} own
 * @param {Draw} draw
 * @param {(name: Setting, value: number) => void} move
 * @returns {Slider}
 */
function sliderOf(name, stops, own, { sampler }, move) {
  const label = SETTING_LABELS[name];
  const input = h("input", {
    type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": label,
    oninput: () => move(name, stops[Number(input.value)]),
    onkeydown: (event) => {
      if (/^(Arrow|Page|Home|End)/.test(event.key)) event.stopPropagation(); // elsewhere they go to other calls
    },
  });
  const output = h("output", {});
  const tick = h("i", { class: "why-tick" });
  const recorded = /** @type {number} */ (own[name]);
  const share = stops.length > 1 ? stops.indexOf(recorded) / (stops.length - 1) : 0;
  tick.style.left = `calc(8px + ${share} * (100% - 16px))`;
  tick.title = `recorded: ${settingText(name, recorded)}`;
  const element = h("div", { class: "why-slider" }, h("span", { "aria-hidden": "true" }, label),
    h("div", { class: "why-track" }, input, tick), output);
  return {
    element,
    of: sampler,
    set(settings) {
      const value = /** @type {number} */ (settings[name]);
      input.value = String(stops.indexOf(value));
      input.setAttribute("aria-valuetext", `${settingText(name, value)}${value === recorded ? ", as recorded" : ""}`);
      say(output, settingText(name, value));
    },
  };
}

/**
 * @param {Setting} name
 * @param {number} value
 * @param {boolean} [plain] without zeros behind
 */
function settingText(name, value, plain = false) {
  if (name === "top_k" || name === "keep") return value ? String(value) : "all";
  const even = value.toFixed(name === "cfg" ? 1 : 2);
  return value !== 0 && !plain && Number(even) === value ? even : String(Number(value.toPrecision(4)));
}

/**
 * @param {Draw} draw
 * @param {Settings | null} own
 * @param {Settings | null} settings
 */
function whatIfSentence(draw, own, settings) {
  if (!own || !settings) return [UNTOLD.unknown];
  const found = again(draw, settings);
  if (found.kind === "put" || found.kind === "contrary" || found.kind === "unknown") return [UNTOLD[found.kind]];
  if (sameSettings(own, settings)) {
    return [`Move a slider: the draw is made again with its own random number, ${draw.uniform?.toFixed(4)}.`];
  }
  const names = /** @type {Setting[]} */ (Object.keys(own)).filter((name) => own[name] !== settings[name]);
  const at = names.map((name) => `${SETTING_LABELS[name]} ${settingText(name, settings[name] ?? 0, true)}`).join(", ");
  return [`At ${at} `, ...whatIfAnswer(draw, found)];
}

const UNTOLD = {
  unknown: "This model does not say how it draws, so no other choice can be computed.",
  put: "This token was put there, not drawn by this run: it has no random number to draw again with.",
  contrary: "The recorded numbers do not give the recorded choice, so no other one is named.",
};

/**
 * @param {Draw} draw
 * @param {Again} found
 */
function whatIfAnswer(draw, found) {
  const named = (/** @type {number} */ id) => draw.names[id] ?? String(id);
  if (found.kind === "token") {
    const same = found.token === draw.choice ? "the same, " : "";
    return [`it would have been ${same}`, h("b", {}, named(found.token)), "."];
  }
  if (found.kind === "close") {
    const some = found.tokens.slice(0, MOST_NAMED).map(named).join(" or ");
    const more = found.tokens.length > MOST_NAMED ? ` or one of ${found.tokens.length - MOST_NAMED} others` : "";
    return [`it cannot be told: ${some}${more}. The random number lies too near the border.`];
  }
  return [`the odds are of these ${draw.candidates.length}; others may stay too, so no new choice is named.`];
}
