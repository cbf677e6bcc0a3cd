// The explorer in a notebook: anywidget's two functions.

import { Data, unpack } from "./data.js";
import { mount, mountViews } from "./main.js";

const PATIENCE = 8000; // milliseconds; decoding takes less than one
const SILENT = "the kernel does not answer. If it is busy, choose again later; else restart it and run the cell again";
const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Asks the kernel for a sound, once per choice of codebooks; a kernel that does not answer in time is told of. */
class Asker {
  constructor(model) {
    this.model = model;
    this.heard = new Map(); // sounds, by their codebooks
    this.waiting = new Map(); // those asked for
    this.listen = (message, buffers) => this.answered(message, buffers);
    model.on("msg:custom", this.listen);
  }

  ask(books) {
    const key = books.join(" ");
    if (this.heard.has(key)) return this.heard.get(key);
    if (!this.waiting.has(key)) this.waiting.set(key, this.send(key, books));
    return this.waiting.get(key).promise;
  }

  send(key, books) {
    const asked = {};
    asked.promise = new Promise((resolve, reject) => Object.assign(asked, { resolve, reject }));
    const silent = () => {
      this.waiting.delete(key); // chosen again it is asked for again
      asked.reject(new Error(SILENT));
    };
    asked.timer = setTimeout(silent, PATIENCE);
    try {
      this.model.send({ kind: "hear", key, books });
    } catch {
      setTimeout(silent); // a kernel that is shut down
    }
    return asked;
  }

  answered(message, buffers) {
    if (message.kind !== "sound") return;
    const asked = this.waiting.get(message.key);
    this.waiting.delete(message.key);
    clearTimeout(asked?.timer);
    if (message.error) {
      asked?.reject(new Error(message.error));
      return;
    }
    this.heard.set(message.key, bytesOf(buffers[0])); // also where it comes too late
    asked?.resolve(this.heard.get(message.key));
  }

  destroy() {
    this.model.off("msg:custom", this.listen);
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
  }
}

async function render({ model, el }) {
  const root = document.createElement("div");
  el.append(root);
  Object.assign(el.style, { flex: "1 1 auto", minWidth: "0" }); // in a row of widgets it takes the width that is left
  let shown = null; // what stands on the page
  let live = null; // the data of a run that goes on
  let pieces = 0; // of it that are in the data
  const asker = new Asker(model);

  const replace = (next) => {
    shown?.destroy();
    shown = next;
    root.dia2 = shown; // for tests and the curious: the state that is drawn
  };
  const show = async () => {
    const call = shown?.store.state.call ?? model.get("call");
    const options = { difference: model.get("_difference") ?? undefined, call };
    if (model.get("_can_decode")) options.ask = (books) => asker.ask(books);
    replace(await mount(root, model.get("_views").map(bytesOf), options));
  };
  const grow = async () => {
    const there = model.get("_pieces");
    if (!there.length) return; // the run is over
    const before = live?.calls ?? 0;
    for (; pieces < there.length; pieces += 1) {
      const piece = await unpack(bytesOf(there[pieces]));
      if (live) live.append(piece);
      else live = new Data(piece.header, piece.columns);
    }
    if (!live.calls) root.textContent = "The run begins …";
    else if (!shown) replace(mountViews(root, [live], { call: live.calls - 1 }));
    else {
      const follows = shown.store.state.call === before - 1; // who looks at the last call goes along
      shown.store.set({ calls: live.calls, ...(follows ? { call: live.calls - 1, row: shown.store.state.row } : {}) });
    }
  };
  let last = Promise.resolve(); // one change after another
  const soon = (change) => () => (last = last.then(change));
  model.on("change:_pieces", soon(grow));
  model.on("change:_views", soon(show));
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
