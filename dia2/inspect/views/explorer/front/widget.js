// The explorer in a notebook: anywidget's two functions.

import { open } from "./data.js";
import { namedIn } from "./link.js";
import { goAlong } from "./live.js";
import { mountViews } from "./main.js";
import { keepToured, tourFor } from "./toured.js";
import { unpack } from "./unpack.js";

/**
 * @import { Data } from "./data.js"
 * @import { Message, Model, Mounted, Options, Root, Sound, SoundAnswer } from "./types.d.ts"
 */

const PATIENCE = 8000; // milliseconds; decoding takes less than one
const SILENT = "the kernel does not answer. If it is busy, choose again later; else restart it and run the cell again";
/** @type {(view: DataView<ArrayBuffer>) => Uint8Array<ArrayBuffer>} */
const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A question to the kernel: the promise of its answer, and what keeps it. */
class Question {
  /** @param {() => void} silent called where there is no answer in time */
  constructor(silent) {
    /** @type {(bytes: Sound) => void} */
    this.resolve = () => {};
    /** @type {(error: Error) => void} */
    this.reject = () => {};
    /** @type {Promise<Sound>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.timer = setTimeout(silent, PATIENCE);
  }
}

/**
 * Asks the kernel for a sound, once per choice of codebooks, and gives it notes to keep; a kernel that does not answer
 * in time is told of.
 */
class Asker {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Map<string, Sound>} */
    this.heard = new Map(); // sounds, by their codebooks
    /** @type {Map<string, Question>} */
    this.waiting = new Map(); // those asked for
    this.notes = 0; // given so far
    /** @type {(message: SoundAnswer, buffers: DataView<ArrayBuffer>[]) => void} */
    this.listen = (message, buffers) => this.answered(message, buffers);
    model.on("msg:custom", this.listen);
  }

  /** @param {number[]} books */
  ask(books) {
    const key = books.join(" ");
    return this.heard.get(key) ?? (this.waiting.get(key) ?? this.send({ kind: "hear", key, books })).promise;
  }

  /**
   * Put a note beside the trace, or take it away.
   *
   * @param {number} call
   * @param {string} text
   */
  note(call, text) {
    this.notes += 1;
    return this.send({ kind: "note", key: `note ${this.notes}`, call, text }).promise;
  }

  /** @param {Message} message */
  send(message) {
    const { key } = message;
    const silent = () => {
      this.waiting.delete(key); // chosen again it is asked for again
      asked.reject(new Error(SILENT));
    };
    const asked = new Question(silent);
    this.waiting.set(key, asked);
    try {
      this.model.send(message);
    } catch {
      setTimeout(silent); // a kernel that is shut down
    }
    return asked;
  }

  /**
   * @param {SoundAnswer} message
   * @param {DataView<ArrayBuffer>[]} buffers
   */
  answered(message, buffers) {
    if (message.kind !== "sound" && message.kind !== "noted") return;
    const asked = this.waiting.get(message.key);
    this.waiting.delete(message.key);
    clearTimeout(asked?.timer);
    if (message.error) {
      asked?.reject(new Error(message.error));
      return;
    }
    const sound = message.kind === "sound" ? bytesOf(buffers[0]) : new Uint8Array();
    if (message.kind === "sound") this.heard.set(message.key, sound); // also where it comes too late
    asked?.resolve(sound);
  }

  destroy() {
    this.model.off("msg:custom", this.listen);
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
  }
}

/** @param {{ model: Model, el: HTMLElement }} place */
async function render({ model, el }) {
  /** @type {Root} */
  const root = document.createElement("div");
  root.dataset.dia2Explorer = model.get("_cell");
  el.append(root);
  for (const saved of document.querySelectorAll("[data-dia2-saved]")) {
    // The widget of a notebook is there after all, and takes over; see saved.js.
    if (saved instanceof HTMLElement && saved.dataset.dia2Saved === model.get("_cell")) {
      saved.dispatchEvent(new Event("dia2-widget"));
    }
  }
  Object.assign(el.style, { flex: "1 1 auto", minWidth: "0" }); // in a row of widgets it takes the width that is left
  /** @type {Mounted | null} */
  let shown = null; // what stands on the page
  /** @type {Data | null} */
  let live = null; // the data of a run that goes on
  let pieces = 0; // of it that are in the data
  const asker = new Asker(model);

  /** @type {(next: Mounted) => void} */
  const replace = (next) => {
    const own = shown?.notebook.unkept ?? []; // written while nobody could keep them
    shown?.destroy();
    shown = next;
    for (const { call, text } of own) shown.notebook.set(call, text);
    root.dia2 = shown; // for tests and the curious: the state that is drawn
  };
  /** Notes: where there is no kernel, the view has those that there were, and nobody keeps others. */
  const noting = () => {
    const notes = model.get("_notes");
    return notes ? { notes, note: (/** @type {number} */ at, /** @type {string} */ text) => asker.note(at, text) } : {};
  };
  const linked = (/** @type {string} */ hash) => `trace.explore(link="${hash}")`;
  // A notebook is others' page too: here the tour is offered, and does not come by itself; and once, not in each cell.
  const tour = model.get("_views").length > 1 ? undefined : tourFor("offer"); // it leads through one run
  if (tour) keepToured();
  const show = async () => {
    const views = await Promise.all(model.get("_views").map((view) => open(bytesOf(view))));
    /** @type {Options} */
    const options = { difference: model.get("_difference") ?? undefined, linked, tour, ...noting() };
    if (shown) {
      const { call, tab } = shown.store.state;
      Object.assign(options, { call, tab, draft: shown.draft }); // of what stands there until now
    } else {
      const link = model.get("_link") ?? ""; // notebooks that were saved before there were links have none
      Object.assign(options, namedIn(link), { call: model.get("call") }); // the link's, or set since
    }
    if (model.get("_can_decode")) options.ask = (books) => asker.ask(books);
    replace(mountViews(root, views, options));
  };
  const grow = async () => {
    const there = model.get("_pieces");
    if (!there.length) return; // the run is over
    const before = live?.calls ?? 0;
    for (; pieces < there.length; pieces += 1) {
      const piece = bytesOf(there[pieces]);
      if (live) live.append(await unpack(piece));
      else live = await open(piece);
    }
    if (!live?.calls) root.textContent = "The run begins …";
    else if (!shown) replace(mountViews(root, [live], { call: live.calls - 1, linked, tour, ...noting() }));
    else goAlong(shown, before, live.calls);
  };
  let last = Promise.resolve(); // one change after another
  /** @type {(change: () => Promise<void>) => () => void} */
  const soon = (change) => () => {
    last = last.then(change);
  };
  model.on("change:_pieces", soon(grow));
  model.on("change:_views", soon(show));
  model.on("change:_notes", () => shown?.notebook.refresh(model.get("_notes") ?? []));
  model.on("change:call", () => shown?.store.set({ call: shown.store.clamp(model.get("call")), row: null }));
  if (model.get("_views").length) soon(show)();
  else {
    root.textContent = "Waiting for a run …";
    soon(grow)();
  }
  await last;
  return () => {
    asker.destroy();
    shown?.destroy();
  };
}

export default { render };
