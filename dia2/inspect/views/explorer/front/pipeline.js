// The picture of a call in the inspector: step by step, with the rows as its legend.

import { flowSizeOf } from "./flow.js";
import { flowFigure } from "./flowfigure.js";
import { lineAt, toldAt } from "./flowitems.js";
import { bdi, h, pane, say } from "./dom.js";
import { duration, rowAt } from "./rows.js";
import { onWidth } from "./width.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { FlowBox, FlowSize, Part, PipelineFacts, Row } from "./types.d.ts"
 */

const STEP_TIME = 1500; // milliseconds of a step that is played
const CALMER = "(prefers-reduced-motion: reduce)";

/**
 * @param {Data} data
 * @param {Store} store
 * @param {PipelineFacts} facts
 * @returns {Part & {step(): void, play(): void}}
 */
export function pipelinePane(data, store, facts) {
  const { rows } = data.header;
  let step = 0; // from 1; 0: the whole call
  let call = -1;
  /** @type {ReturnType<typeof setTimeout> | null} */
  let playing = null;
  /** @type {number[]} */
  let marked = []; // rows whose boxes are marked

  const said = h("p", { class: "flow-said", "aria-live": "polite" });
  const forward = h("button", { type: "button", class: "flow-step", onclick: () => stepOn() }, "Step");
  const player = h("button", { type: "button", class: "flow-play", onclick: () => play() }, "Play the call");
  const whole = h("button", { type: "button", class: "flow-whole", onclick: () => setStep(0) }, "Whole call");
  const bar = h("div", { class: "flow-controls" }, forward, player, whole);
  const place = h("div", { class: "flow-place" });
  const chips = rows.map((row) =>
    h(
      "button",
      {
        type: "button", class: `flow-chip ${row.status.replace(" ", "-")}`, title: row.title,
        "aria-label": `Row ${row.number}: ${row.title}, ${row.status}`,
        onclick: () => chooseRow(row.number, [row.number]),
      },
      String(row.number),
    ),
  );
  const legend = h("div", { class: "flow-legend", role: "toolbar", "aria-label": data.header.titles.rows }, chips);
  legend.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = chips.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (!by || at < 0 || event.shiftKey) return;
    event.preventDefault(); // of the legend, not of the run
    chips[(at + by + chips.length) % chips.length].focus();
  });
  const detail = h("div", { class: "flow-detail" });
  const title = "One call, from what it reads to what it writes";
  const { element } = pane("flow-pane", title, "", bar, said, place, legend, detail);

  /** @type {Map<FlowSize, import("./flowfigure.js").Figure>} */
  const figures = new Map();
  /** @type {FlowSize} */
  let size = "tall";
  const figure = () => {
    const known = figures.get(size);
    if (known) return known;
    const made = flowFigure(data, facts, size, (box) => chooseBox(box));
    figures.set(size, made);
    return made;
  };
  const fit = () => {
    const now = figure().element;
    if (place.firstChild !== now) place.replaceChildren(now);
  };
  onWidth(place, (pixels) => {
    size = flowSizeOf(pixels);
    paint();
  });

  /** @param {FlowBox} box */
  function chooseBox(box) {
    const current = rowAt(data, call);
    const row = current !== null && box.rows.includes(current) ? current : box.rows[0];
    chooseRow(row, box.rows);
  }
  /**
   * @param {number} row
   * @param {number[]} boxRows
   */
  function chooseRow(row, boxRows) {
    marked = boxRows;
    store.set({ row });
    paint();
  }

  /** @param {number} to */
  function setStep(to) {
    if (!to) halt();
    step = to;
    paint();
    if (to && !matchMedia(CALMER).matches) figure().travel();
  }
  function halt() {
    if (playing !== null) clearTimeout(playing);
    playing = null;
  }
  function stepOn() {
    show(store.state.call);
    halt();
    if (step < facts.stages.length) setStep(step + 1);
    else if (call + 1 < data.calls) {
      store.set({ call: call + 1 });
      show(store.state.call);
      setStep(1);
    } else setStep(0);
  }
  function play() {
    const was = playing !== null;
    halt();
    show(store.state.call);
    if (was) paint();
    else next(1);
  }
  /** @param {number} at */
  function next(at) {
    if (at > facts.stages.length || element.offsetParent === null) {
      halt();
      paint();
      return;
    }
    playing = setTimeout(() => next(at + 1), STEP_TIME);
    setStep(at);
  }

  /** @param {number} now */
  function show(now) {
    if (now === call) return;
    call = now;
    step = 0;
    halt();
  }

  let chosen = /** @type {number | null} */ (null);
  function paint() {
    if (call < 0) return;
    fit();
    const current = rowAt(data, call);
    figure().draw(call, step, marked, frameTold(data, rows.find(({ number }) => number === current), call));
    const stage = facts.stages[step - 1];
    say(said, stage ? `${step}. ${stageTold(data, stage, call)}` : toldAt(data, facts.told, call) ?? "");
    say(player, playing === null ? "Play the call" : "Pause");
    whole.disabled = step === 0;
    rows.forEach(({ number }, i) => {
      chips[i].setAttribute("aria-current", number === current ? "step" : "false");
      chips[i].setAttribute("aria-pressed", String(marked.includes(number)));
      chips[i].tabIndex = number === (chosen ?? current ?? rows[0].number) ? 0 : -1;
    });
    const row = rows.find(({ number }) => number === (chosen ?? current));
    if (detail.dataset.row !== String(row?.number)) detail.replaceChildren(...(row ? rowTold(row, store) : []));
    detail.dataset.row = String(row?.number);
  }

  /** @type {Part["draw"]} */
  const draw = (state) => {
    show(state.call);
    if (state.row !== chosen) {
      chosen = state.row;
      if (chosen === null || !marked.includes(chosen)) marked = chosen === null ? [] : [chosen];
    }
    paint();
  };
  return { element, draw, step: stepOn, play };
}

/**
 * What happens in a stage at a call.
 *
 * @param {Data} data
 * @param {PipelineFacts["stages"][number]} stage
 * @param {number} call
 */
export function stageTold(data, { told, given }, call) {
  return given && call < data.given ? toldAt(data, given, call) ?? "" : lineAt(data, told, call);
}

/**
 * What stands on the frame of what every call does.
 *
 * @param {Data} data
 * @param {Row | undefined} row
 * @param {number} call
 */
function frameTold(data, row, call) {
  if (!row) return `call ${call}`;
  const each = perCall(data, row);
  return `call ${call} · row ${row.number}${each === null ? "" : ` · ${duration(each)} a call`}`;
}

/**
 * Seconds of a row in each of its calls; null where they are not known.
 *
 * @param {Data} data
 * @param {Row} row
 */
export function perCall(data, { seconds, lit }) {
  const calls = lit.reduce((sum, [from, to]) => sum + (to ?? data.calls) - from, 0);
  return seconds === null || !calls ? null : seconds / calls;
}

/**
 * @param {Row} row
 * @param {Store} store
 */
function rowTold(row, store) {
  const { number, title, status, seconds, where, note, cells } = row;
  const time = status === "done" && seconds !== null ? duration(seconds) : status;
  const go = h(
    "button",
    { type: "button", class: "flow-go", onclick: () => store.set({ row: number, tab: "Call", pane: "Call" }) },
    "Show it in Call",
  );
  const said = note || cells.outputs || cells.mutations || "";
  return [
    h("p", {}, h("b", {}, `${number}. ${title}`), ` · ${time}`),
    h("code", {}, where),
    ...(said ? [h("p", { class: "told" }, bdi(said))] : []),
    go,
  ];
}
