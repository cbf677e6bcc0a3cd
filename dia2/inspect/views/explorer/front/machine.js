// The state machine after a call: the queue of words, its two queues of tokens, its two budgets.

import { bdi, counted, h, pane, say } from "./dom.js";

const SHOWN = 7; // entries of the queue

export function machinePane(data) {
  const verdict = h("p", { class: "verdict" });
  const queue = h("div", { class: "chips" });
  const rows = { pending: h("dd"), lookahead: h("dd"), padding_budget: h("dd"), forced_padding: h("dd") };
  const list = h("dl", { class: "machine" }, Object.entries(rows).flatMap(([name, dd]) => [h("dt", {}, name), dd]));
  const { element, note } = pane("state", data.header.titles.state, "", verdict, queue, list);
  const most = { padding_budget: 0, forced_padding: 0 };

  let shown = -1;
  let known = 0; // calls that `most` knows
  const draw = ({ call }) => {
    if (call === shown && known === data.calls) return;
    shown = call;
    for (; known < data.calls; known += 1) {
      for (const name of Object.keys(most)) most[name] = Math.max(most[name], data.at(name, known));
    }
    say(note, data.told(data.header.state_pane.told, call));
    verdict.replaceChildren(...judge(data, call));
    const left = data.entriesAfter(call);
    const chips = left.slice(0, SHOWN).map((entry) => chip(data, entry));
    if (left.length > SHOWN) chips.push(h("span", { class: "more" }, `${left.length - SHOWN} more`));
    if (!left.length) chips.push(h("span", { class: "more" }, "no word is left"));
    queue.replaceChildren(...chips);
    for (const name of ["pending", "lookahead"]) {
      const { parts, length } = data.queue(name, call);
      rows[name].replaceChildren(...tokens(parts, length));
    }
    for (const name of ["padding_budget", "forced_padding"]) {
      rows[name].replaceChildren(...gauge(name, data.at(name, call), most[name]));
    }
  };
  return { element, draw };
}

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

function chip(data, entry) {
  if (!entry.tokens) return h("span", { class: "chip break" }, `break ${(entry.padding / data.pace).toFixed(1)} s`);
  return h("span", { class: `chip s${entry.speaker}`, title: `${entry.text}, ${counted(entry.tokens, "token")}` }, bdi(entry.text));
}

function tokens(parts, length) {
  if (!length) return [h("span", { class: "more" }, "empty")];
  const found = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last && last.entry === part.entry) last.numbers.push(part.number);
    else found.push({ ...part, numbers: [part.number] });
  }
  const chips = found.map(({ text, speaker, numbers, of }) =>
    h("span", { class: `token s${speaker}`, title: text }, bdi(text), ` ${numbers[0]}${numbers.length > 1 ? `–${numbers.at(-1)}` : ""}/${of}`),
  );
  if (length > parts.length) chips.push(h("span", { class: "more" }, `${length - parts.length} more`));
  return chips;
}

function gauge(name, value, most) {
  const bar = h("meter", { min: 0, max: Math.max(1, most), value, "aria-label": name });
  return [bar, h("span", { class: "number" }, `${value} / ${most}`)];
}
