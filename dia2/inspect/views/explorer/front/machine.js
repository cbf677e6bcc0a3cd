// The state machine after a call: the queue of words, its two queues of tokens, its two budgets.

import { bdi, counted, h, pane, say } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Entry, Part, TokenPart } from "./types.d.ts"
 */

const SHOWN = 7; // entries of the queue

/**
 * @param {Data} data
 * @returns {Part}
 */
export function machinePane(data) {
  const verdict = h("p", { class: "verdict" });
  const queue = h("div", { class: "chips" });
  const queues = ["pending", "lookahead"].map((name) => ({ name, shown: h("dd") }));
  const budgets = ["padding_budget", "forced_padding"].map((name) => ({ name, shown: h("dd"), most: 0 }));
  const pairs = [...queues, ...budgets].flatMap(({ name, shown: value }) => [h("dt", {}, name), value]);
  const list = h("dl", { class: "machine" }, pairs);
  const { element, note } = pane("state", data.header.titles.state, "", verdict, queue, list);

  let shown = -1;
  let known = 0; // calls that the budgets' `most` knows
  /** @type {Part["draw"]} */
  const draw = ({ call }) => {
    if (call === shown && known === data.calls) return;
    shown = call;
    for (; known < data.calls; known += 1) {
      for (const budget of budgets) budget.most = Math.max(budget.most, data.at(budget.name, known));
    }
    say(note, data.told(data.header.state_pane.told, call));
    verdict.replaceChildren(...judge(data, call));
    const left = data.entriesAfter(call);
    const chips = left.slice(0, SHOWN).map((entry) => chip(data, entry));
    if (left.length > SHOWN) chips.push(h("span", { class: "more" }, `${left.length - SHOWN} more`));
    if (!left.length) chips.push(h("span", { class: "more" }, "no word is left"));
    queue.replaceChildren(...chips);
    for (const { name, shown: value } of queues) {
      const { parts, length } = data.queue(name, call);
      value.replaceChildren(...tokens(parts, length));
    }
    for (const { name, shown: value, most } of budgets) {
      value.replaceChildren(...gauge(name, data.at(name, call), most));
    }
  };
  return { element, draw };
}

/**
 * @param {Data} data
 * @param {number} call
 */
function judge(data, call) {
  const action = data.action(call);
  const taken = data.spoken.find((word) => word.call === call);
  const verb = action.given ? "given" : "drawn";
  const became = {
    pad: "takes no word",
    break: "takes a break",
    end: "asks for a word, but none is left",
    new_word: "takes ",
  }[action.outcome];
  return [
    h("b", { class: action.drawn }, action.drawn),
    ` was ${verb}${action.overruled ? `, but overruled: ${action.overruled}` : ""}. The machine ${became}`,
    ...(action.outcome === "new_word" && taken ? ["“", bdi(taken.text), "”"] : []),
    ".",
  ];
}

/**
 * @param {Data} data
 * @param {Entry} entry
 */
function chip(data, entry) {
  if (!entry.tokens) return h("span", { class: "chip break" }, `break ${(entry.padding / data.pace).toFixed(1)} s`);
  const title = `${entry.text}, ${counted(entry.tokens, "token")}`;
  return h("span", { class: `chip s${entry.speaker}`, title }, bdi(entry.text));
}

/**
 * @param {TokenPart[]} parts
 * @param {number} length of the whole queue
 */
function tokens(parts, length) {
  if (!length) return [h("span", { class: "more" }, "empty")];
  /** @type {(TokenPart & { numbers: number[] })[]} */
  const found = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last && last.entry === part.entry) last.numbers.push(part.number);
    else found.push({ ...part, numbers: [part.number] });
  }
  const chips = found.map(({ text, speaker, numbers, of }) => {
    const which = numbers.length > 1 ? `${numbers[0]}–${numbers.at(-1)}` : `${numbers[0]}`;
    return h("span", { class: `token s${speaker}`, title: text }, bdi(text), ` ${which}/${of}`);
  });
  if (length > parts.length) chips.push(h("span", { class: "more" }, `${length - parts.length} more`));
  return chips;
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number} most
 */
function gauge(name, value, most) {
  const bar = h("meter", { min: 0, max: Math.max(1, most), value, "aria-label": name });
  return [bar, h("span", { class: "number" }, `${value} / ${most}`)];
}
