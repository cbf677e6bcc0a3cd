// The first line: what the run is, in a sentence; and all that was found in it, with what to do.

import { bdi, counted, h } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Moves } from "./moves.js"
 * @import { Difference, Finding, Part, Severity } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const ICONS = /** @type {Record<Severity, [sign: string, name: string]>} */ ({
  bad: ["!", "Bad"],
  note: ["i", "Note"],
  good: ["✓", "Good"],
});

/**
 * @param {Data} data
 * @param {Moves} moves
 * @returns {Part | null} none where there is nothing to say
 */
export function verdictBar(data, moves) {
  const { header } = data;
  /** @type {Finding[]} */
  const edits = header.edits.map(({ call, text }) => {
    return { kind: "edit", call, until: call, speaker: null, severity: "note", text, fix: "" };
  });
  const items = [...(header.findings ?? []), ...edits];
  const said = header.verdict ?? unsaid(data);
  if (!said && !items.length) return null;
  const { severity, text, call } = said ?? items[0];
  const fix = said && header.findings?.[0]?.fix; // of the worst, which the verdict is about
  const found = items.map((item) => h("li", { class: item.severity }, finding(item, moves)));
  const list = h("ul", { class: "findings", hidden: true }, found);
  const open = () => {
    list.hidden = !list.hidden;
    more.setAttribute("aria-expanded", String(!list.hidden));
  };
  const many = counted(items.length, "finding");
  const more = h("button", { type: "button", "aria-expanded": "false", onclick: open }, many);
  const [icon, name] = ICONS[severity];
  const element = h(
    "section",
    { class: `judged is-${severity}`, "aria-label": "Verdict" },
    h("span", { class: "icon-of", role: "img", "aria-label": name }, icon),
    h("p", {}, h("b", {}, bdi(text)), fix ? ` → ${fix}` : null),
    call === null ? null : h("button", { type: "button", class: "go show", onclick: () => moves.to(call) }, "Show"),
    items.length ? more : null,
    list,
  );
  return { element, draw: () => {} };
}

/**
 * What can be said where nobody judged: which draws were the least likely.
 *
 * @param {Data} data
 * @returns {{ severity: Severity, text: string, call: number } | null}
 */
function unsaid(data) {
  const { anomalies = [], findings = [] } = data.header;
  if (findings.length || !anomalies.length) return null;
  const worst = anomalies.reduce((a, b) => (b.bits > a.bits ? b : a));
  const where = `call ${worst.call}, ${worst.bits.toFixed(1)} bits`;
  const text = `${counted(anomalies.length, "unlikely draw")}; the least likely at ${where}.`;
  return { severity: "note", text, call: worst.call };
}

/**
 * @param {Finding} item
 * @param {Moves} moves
 */
function finding({ kind, call, text, fix }, moves) {
  const place = jump(`${kind} · call ${call}`, call, moves);
  return [place, " ", bdi(text), fix ? h("span", { class: "fix" }, " → ", bdi(fix)) : null];
}

/**
 * @param {string} label
 * @param {number} call
 * @param {Moves} moves
 */
function jump(label, call, moves) {
  return h("button", { type: "button", class: "kind", onclick: () => moves.to(call) }, label);
}

/**
 * The first line over two runs: what was set differently, where they part, and how likely each found its own draw.
 *
 * @param {Views} views two
 * @param {Difference | undefined} difference
 * @param {Moves} moves
 * @returns {Part}
 */
export function partedBar({ all }, difference, moves) {
  const icon = h("span", { class: "icon-of", role: "img", "aria-label": "Comparison" }, "≠");
  const attributes = { class: "judged is-note parted", "aria-label": "Difference" };
  if (!difference) {
    const told = h("p", {}, h("b", {}, "The two runs are the same."));
    return { element: h("section", attributes, icon, told), draw: () => {} };
  }
  const { call, what, cause } = difference;
  const chances = all.map((data) => chanceAt(data, all, call));
  const odds = chances.every((chance) => chance !== null) ? `, p ${chances.join(" against ")}` : "";
  const told = h(
    "p",
    {},
    cause ? [h("b", {}, bdi(cause)), ". "] : [],
    h("b", {}, `The runs part at call ${call}`),
    ": ",
    bdi(what),
    odds,
  );
  const show = h("button", { type: "button", class: "go show", onclick: () => moves.to(call) }, "Show");
  return { element: h("section", attributes, icon, told, show), draw: () => {} };
}

/**
 * How likely a run's own choice was in the first draw of a call in which the runs differ.
 *
 * @param {Data} data
 * @param {Data[]} all both runs
 * @param {number} call
 */
function chanceAt(data, all, call) {
  const first = differingDraw(all, call);
  const found = first < 0 || call >= data.calls ? null : data.draw(call, first);
  return found && found.probability > 0 ? String(Number(found.probability.toPrecision(2))) : null;
}

/**
 * The first draw of a call in which two runs chose differently; −1 if none.
 *
 * @param {Data[]} all both runs
 * @param {number} call
 */
export function differingDraw([data, other], call) {
  if (call >= data.calls || call >= other.calls) return -1;
  return data.header.draws.findIndex((_, i) => data.draw(call, i)?.choice !== other.draw(call, i)?.choice);
}
