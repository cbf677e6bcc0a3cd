// The candidates of a draw as rows: how likely before and after guidance, guided logits and their cut, who is out.

import { chances } from "./chances.js";
import { h } from "./dom.js";
import { weigh } from "./sampler.js";

/** @import { Candidate, Draw, Settings } from "./types.d.ts" */

/** @typedef {"in" | "cut" | "out"} Fate */

/**
 * A candidate as it is shown: how likely before and after (null: not known), and what became of it.
 *
 * @typedef {{ candidate: Candidate, before: number, after: number | null, guided: number, fate: Fate }} Shown
 */

/**
 * @param {Draw} draw
 * @param {number} id
 */
export function tokenName(draw, id) {
  return draw.names[id] ?? String(id);
}

/** @param {number} chance */
export function percentText(chance) {
  if (chance > 0 && chance < 0.0005) return "<\u202f0.1\u00a0%";
  return `${chance < 0.0995 ? (100 * chance).toFixed(1) : Math.round(100 * chance)}\u00a0%`;
}

/**
 * Each candidate with the settings of the run, or with others.
 *
 * @param {Draw} draw
 * @param {Settings | null} settings null: as recorded
 * @returns {Shown[]}
 */
export function shownOf(draw, settings) {
  const before = chancesBefore(draw, settings?.temperature ?? draw.sampling.temperature);
  if (!settings) {
    const after = chances(draw);
    return draw.candidates.map((candidate, i) => {
      const alive = candidate.alive ?? candidate.kept;
      const fate = !candidate.kept ? "out" : alive && after[i] !== 0 ? "in" : "cut";
      return { candidate, before: before[i], after: after[i], guided: candidate.guided, fate };
    });
  }
  const found = weigh(draw, settings);
  return draw.candidates.map((candidate, i) => {
    const stays = found.kept[i] || found.unsure[i];
    const fate = !stays ? "out" : found.list.includes(i) ? "in" : "cut";
    return { candidate, before: before[i], after: found.chances[i], guided: found.guided[i], fate };
  });
}

/**
 * How likely each candidate would be among all of these, without filters.
 *
 * @param {Draw} draw
 * @param {number | null} temperature
 */
function chancesBefore({ candidates, sampling }, temperature) {
  const by = sampling.by ?? "cond";
  const best = Math.max(...candidates.map((candidate) => candidate[by]));
  const weight = (/** @type {Candidate} */ { [by]: logit }) =>
    temperature === 0 ? Number(logit === best) : Math.exp((logit - best) / (temperature ?? 1));
  const weights = candidates.map(weight);
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((each) => each / total);
}

/**
 * @param {Draw} draw
 * @param {Shown[]} rows
 * @param {boolean} guided
 */
export function headsOf(draw, rows, guided) {
  const named = Object.keys(draw.names).length >= draw.candidates.length;
  const keys = ["before ", h("i", { class: "why-key why-before" }), " after ", h("i", { class: "why-key why-after" })];
  const cut = cutOf(rows) === null ? null : h("span", { class: "why-cut-key" }, " cut");
  const found = [
    h("th", { scope: "col", class: named ? "why-named" : "" }, named ? "token" : "code"),
    h("th", { scope: "col", class: "why-wide" }, keys),
    h("th", { scope: "col", class: "why-number" }, h("span", { class: "why-unseen" }, "chance")),
  ];
  return guided ? [...found, h("th", { scope: "col", class: "why-dots" }, "guided", cut)] : found;
}

/**
 * Where between those that stay and those that are out the cut lies; null where none is out.
 *
 * @param {Shown[]} rows
 */
function cutOf(rows) {
  const stay = rows.filter(({ fate }) => fate !== "out").map(({ guided }) => guided);
  const least = Math.min(...stay);
  const out = rows.filter(({ fate, guided }) => fate === "out" && guided < least).map(({ guided }) => guided);
  return stay.length && out.length ? (least + Math.max(...out)) / 2 : null;
}

/**
 * @param {Draw} draw
 * @param {Shown[]} some
 * @param {Shown[]} rows all of them
 * @param {boolean} guided
 * @param {number | null} other what would have been drawn
 */
export function rowsOf(draw, some, rows, guided, other) {
  const longest = Math.max(...rows.map(({ before, after }) => Math.max(before, after ?? 0))) || 1;
  const values = some.map((row) => row.guided).filter((value) => value > -Infinity);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const place = (/** @type {number} */ value) => 8 + (84 * (Math.max(least, value) - least)) / (most - least || 1);
  const cut = cutOf(rows);
  const edge = cut === null ? null : () => cutLine(place(cut));
  return some.map(({ candidate, before, after, guided: logit, fate }) => {
    const fresh = candidate.token === other;
    const [mark, sign, hint] = candidate.chosen
      ? ["why-took", " ◂", "drawn"]
      : fresh ? ["why-new", " ◃", "would have been drawn"] : ["", "", ""];
    const chance = after === null ? "–" : percentText(after);
    const name = h("span", { class: "why-token" }, tokenName(draw, candidate.token));
    return h(
      "tr",
      { class: `${mark} why-${fate}`, title: hint },
      h("th", { scope: "row" }, name, h("span", { "aria-hidden": "true" }, sign)),
      h(
        "td",
        { class: "why-wide" },
        chanceBar("before", before / longest),
        chanceBar("after", fate === "in" ? (after ?? 0) / longest : 0),
      ),
      h("td", { class: "why-number" }, fate === "in" ? chance : fate),
      guided ? h("td", { class: "why-dots" }, edge && edge(), guidedDot(place(logit))) : null,
    );
  });
}

/**
 * @param {"before" | "after"} kind
 * @param {number} share
 */
function chanceBar(kind, share) {
  const element = h("i", { class: `why-bar why-${kind}` });
  element.style.width = `${(98 * share).toFixed(1)}%`;
  return element;
}

/** @param {number} at per cent */
function guidedDot(at) {
  const element = h("i", { class: "why-dot" });
  element.style.left = `${at}%`;
  return element;
}

/** @param {number} at per cent */
function cutLine(at) {
  const element = h("i", { class: "why-line" });
  element.style.left = `${at}%`;
  return element;
}
