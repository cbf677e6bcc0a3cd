// The explorer of a sweep in a notebook: anywidget's function.

import { mountSweep } from "./sweep.js";

/** @import { Answer, Question, SweepModel, SweepRoot } from "./types.d.ts" */

const PATIENCE = 20_000; // milliseconds: a trace is read, and its sound made into MP3
const SILENT = "the kernel does not answer. If it is busy, choose again later; else restart it and run the cell again";

/** @typedef {{ done(bytes: Uint8Array<ArrayBuffer>): void, failed(error: Error): void }} Waiting */

/** Asks the kernel about runs; one that does not answer in time is told of. */
export class Kernel {
  /** @param {SweepModel} model */
  constructor(model) {
    this.model = model;
    /** @type {Map<string, Waiting>} */
    this.waiting = new Map();
    /** @type {(answer: Answer, buffers: DataView<ArrayBuffer>[]) => void} */
    this.listen = (answer, buffers) => this.answered(answer, buffers);
    model.on("msg:custom", this.listen);
  }

  /**
   * @param {Question["kind"]} kind
   * @param {number} run
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  ask(kind, run) {
    const key = `${kind} ${run}`;
    this.waiting.get(key)?.failed(new Error("it was asked for again"));
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        this.waiting.delete(key);
      };
      const failed = (/** @type {Error} */ error) => {
        over();
        reject(error);
      };
      const done = (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => {
        over();
        resolve(bytes);
      };
      const timer = setTimeout(() => failed(new Error(SILENT)), PATIENCE);
      this.waiting.set(key, { done, failed });
      try {
        this.model.send({ kind, run });
      } catch {
        failed(new Error(SILENT)); // a kernel that is shut down
      }
    });
  }

  /**
   * @param {Answer} answer
   * @param {DataView<ArrayBuffer>[]} buffers
   */
  answered({ kind, run, error }, buffers) {
    const asked = this.waiting.get(`${kind} ${run}`);
    if (error) asked?.failed(new Error(error));
    else if (kind === "open") asked?.done(new Uint8Array());
    else if (buffers[0]) asked?.done(new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength));
  }

  destroy() {
    this.model.off("msg:custom", this.listen);
    for (const { failed } of Array.from(this.waiting.values())) failed(new Error("the explorer is gone"));
  }
}

/** @param {{ model: SweepModel, el: HTMLElement }} place */
async function render({ model, el }) {
  /** @type {SweepRoot} */
  const root = document.createElement("div");
  root.dataset.dia2Explorer = model.get("_cell");
  el.append(root);
  const kernel = new Kernel(model);
  const view = model.get("_view");
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  root.dia2 = await mountSweep(root, bytes, {
    sound: (run) => kernel.ask("hear", run),
    open: (run) => kernel.ask("open", run).then(() => {}),
  });
  return () => {
    kernel.destroy();
    root.dia2?.destroy();
  };
}

export default { render };
