// What a verdict about a given voice rests on: how well the words of its recordings fit their sound, and each word.

import { copied } from "./copy.js";
import { bdi, h, pane, say } from "./dom.js";
import { driftText } from "./drifttrack.js";
import { fitChart } from "./fitchart.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Fit, FitRecording, FitWord, Mended, Part, State, Tab } from "./types.d.ts"
 */

const COLUMNS = ["word", "heard", "asked", "taken", "drift"];

/**
 * The tab of a run that was given words and recordings: it opens by itself at the calls that read them.
 *
 * @param {Data} data
 * @param {Store} store
 * @returns {Tab | null}
 */
export function fitTab(data, store) {
  const { fit } = data.header;
  if (!fit) return null;
  return { name: fit.name, parts: [fitPane(fit, data, store)], opens: ({ call }) => call < data.given };
}

/**
 * @param {Fit} fit
 * @param {Data} data
 * @param {Store} store
 * @returns {Part}
 */
function fitPane(fit, data, store) {
  /** @type {(word: FitWord) => void} */
  const go = ({ call }) => store.set({ call, row: null, tab: fit.name });
  const parts = fit.recordings.map((recording) => recordingPart(recording, fit, go));
  const first = parts.findIndex(({ words }) => words.length > 0);
  const choices = parts.map(({ recording: { speaker }, words }, i) => {
    const onclick = () => {
      at = i; // its first word may have been taken after the warm-up
      go(words[0]);
    };
    return h("button", { type: "button", class: "segment", disabled: !words.length, onclick }, `Speaker ${speaker}`);
  });
  const chooser = h("div", { class: "fit-choices", role: "group", "aria-label": "Recording" }, choices);
  const shown = parts.map(({ element }) => element);
  const { element } = pane("fit", "Do the words fit their sound?", "", parts.length > 1 ? chooser : null, ...shown);
  // Whoever works in it has chosen it: playing on into what the run made itself takes it from nobody's hands.
  element.addEventListener("focusin", () => store.set({ tab: fit.name }));

  let at = Math.max(0, first);
  let seen = -1;
  let revealed = true; // a list that nobody sees yet cannot be scrolled
  /** @type {FitWord | null} */
  let lit = null;
  /** @type {(state: State) => void} */
  const draw = ({ call, layout }) => {
    const word = call < data.given ? takenLast(fit, call) : null;
    if (word && word !== lit) at = parts.findIndex(({ words }) => words.includes(word));
    if (at !== seen || layout === "paper") {
      seen = at;
      parts.forEach(({ element: each }, i) => {
        each.hidden = i !== at && layout !== "paper";
        choices[i].setAttribute("aria-pressed", String(i === at));
      });
    }
    if (word !== lit) for (const part of parts) part.light(word);
    if (word !== lit || !revealed) revealed = parts[at].reveal();
    lit = word;
  };
  return { element, draw };
}

/**
 * The word that was taken last, up to a call.
 *
 * @param {Fit} fit
 * @param {number} call
 */
function takenLast({ recordings }, call) {
  /** @type {FitWord | null} */
  let found = null;
  for (const { words } of recordings) {
    for (const word of words) if (word.call <= call && (!found || word.call >= found.call)) found = word;
  }
  return found;
}

/**
 * @param {FitRecording} recording
 * @param {Fit} fit
 * @param {(word: FitWord) => void} go
 */
function recordingPart(recording, { least }, go) {
  const { title, told, why, words, mended } = recording;
  const rows = words.map((word) => rowOf(word, least, go));
  const head = h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)));
  const table = h("table", { "aria-label": title }, h("thead", {}, head), h("tbody", {}, rows));
  const list = h("div", { class: "fit-words" }, table);
  const note = "Seconds of the recording. Heard: asked − drift.";
  const element = h(
    "div",
    { class: "fit-recording" },
    h("p", { class: "fit-title" }, title), // on paper, where both recordings are seen
    h("p", { class: "fit-told" }, told),
    h("p", { class: "fit-why" }, why),
    fitChart(recording, least),
    words.length ? [list, h("p", { class: "fit-why" }, note)] : null,
    mended ? copier(mended) : null,
  );
  /** @type {HTMLElement | null} */
  let row = null;
  /** @param {FitWord | null} word */
  const light = (word) => {
    row?.removeAttribute("aria-current");
    row = (word && rows[words.indexOf(word)]) ?? null;
    row?.setAttribute("aria-current", "true");
  };
  return { recording, words, element, light, reveal: () => !row || reveal(list, row) };
}

/**
 * @param {FitWord} word
 * @param {number} least
 * @param {(word: FitWord) => void} go
 */
function rowOf(word, least, go) {
  const { text, asked, taken, drift } = word;
  const heard = asked === null || drift === null ? "?" : Math.max(0, asked - drift).toFixed(2);
  const moved = drift !== null && Math.abs(drift) >= least;
  const onclick = () => go(word);
  return h(
    "tr",
    { class: moved ? "moved" : undefined },
    h("th", { scope: "row" }, h("button", { type: "button", title: text, onclick }, bdi(text))),
    h("td", {}, heard),
    h("td", {}, asked === null ? "?" : asked.toFixed(2)),
    h("td", {}, taken === null ? "never" : `call ${taken}`),
    h("td", {}, driftText(drift)),
  );
}

/**
 * Scroll a list, and nothing else of the page, until a row of it can be seen; false where the list itself cannot.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} row
 */
function reveal(list, row) {
  if (!list.clientHeight) return false;
  const above = row.offsetTop - 2 * row.offsetHeight; // the head of the table stays in sight
  const below = row.offsetTop + 2 * row.offsetHeight - list.clientHeight;
  if (list.scrollTop > above) list.scrollTop = Math.max(0, above);
  else if (list.scrollTop < below) list.scrollTop = below;
  return true;
}

/**
 * A button that copies the mended list; where the browser does not let it, the list to copy by hand.
 *
 * @param {Mended} mended
 */
function copier({ text, told }) {
  const said = h("p", { class: "fit-why", role: "status" });
  const list = h("pre", { class: "fit-list", tabindex: 0, hidden: true, "aria-label": "The mended word list" }, text);
  const onclick = async () => {
    const done = await copied(element, text);
    say(said, done ? `Copied. ${told}` : `Copy it from below. ${told}`);
    list.hidden = done;
    if (!done) globalThis.getSelection?.()?.selectAllChildren(list);
  };
  const button = h("button", { type: "button", class: "go", onclick }, "Copy the mended word list");
  const element = h("div", { class: "fit-copy" }, button, said, list);
  return element;
}
