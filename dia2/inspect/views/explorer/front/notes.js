// Notes pinned to calls: those that are beside the trace, and those that are on this page alone.

/**
 * @import { Store } from "./store.js"
 * @import { CallNote, Options, PinnedNote } from "./types.d.ts"
 */

const NOTES_FORMAT = "dia2notes"; // as store/notes.py reads it
const NOTES_VERSION = 1;
export const MOST_NOTES = 1000;
export const LONGEST_NOTE = 2000; // characters

export class Notebook {
  /**
   * @param {Store} store has the notes
   * @param {string} trace its name
   * @param {Options["note"]} keep puts a note beside the trace; none: nobody does
   */
  constructor(store, trace, keep) {
    this.store = store;
    this.trace = trace;
    this.keep = keep;
    this.taken = true; // what is on this page alone was downloaded or copied
  }

  get all() {
    return this.store.state.notes;
  }

  /** Those that would be gone with the page. */
  get unkept() {
    return this.all.filter(({ kept }) => !kept);
  }

  /** @param {number} call */
  textAt(call) {
    return this.all.find((note) => note.call === call)?.text ?? "";
  }

  /**
   * Note something at a call, in place of what is noted there; nothing takes that away.
   *
   * @param {number} call
   * @param {string} text
   * @returns {Promise<string>} what became of it
   */
  async set(call, text) {
    const before = this.all.find((note) => note.call === call);
    const wanted = text.trim().slice(0, LONGEST_NOTE);
    if (wanted === (before?.text ?? "")) return "";
    const full = wanted && !before && this.all.length >= MOST_NOTES;
    if (full) return `A trace keeps ${MOST_NOTES} notes: remove some first.`;
    this.put(call, wanted ? { call, text: wanted, kept: false } : null);
    this.taken = false;
    if (!this.keep) return wanted ? `Noted at call ${call}, on this page alone` : `No note at call ${call} any more`;
    const failed = await this.keep(call, wanted).then(() => null, (/** @type {Error} */ error) => error);
    if (failed) {
      if (!wanted && before) this.put(call, before);
      return `${wanted ? "Noted on this page alone" : "The note stays"}: ${failed.message}`;
    }
    const now = this.all.find((note) => note.call === call);
    if (now?.text === wanted) this.put(call, { ...now, kept: true });
    return wanted ? `Noted at call ${call}, beside the trace` : `No note at call ${call} any more`;
  }

  /**
   * The notes beside the trace have changed: show them, and those that nobody kept.
   *
   * @param {CallNote[]} beside
   */
  refresh(beside) {
    const own = this.unkept.filter(({ call }) => !beside.some((note) => note.call === call));
    this.show([...beside.map((note) => ({ ...note, kept: true })), ...own]);
  }

  /** As a file that `trace.import_notes` reads. */
  get file() {
    this.taken = true;
    const notes = this.all.map(({ call, text }) => ({ call, text }));
    return `${JSON.stringify({ format: NOTES_FORMAT, version: NOTES_VERSION, trace: this.trace, notes }, null, 1)}\n`;
  }

  /**
   * @param {number} call
   * @param {PinnedNote | null} note
   */
  put(call, note) {
    this.show([...this.all.filter((each) => each.call !== call), ...(note ? [note] : [])]);
  }

  /** @param {PinnedNote[]} notes */
  show(notes) {
    this.store.set({ notes: notes.toSorted((a, b) => a.call - b.call) });
  }
}

/**
 * Ask before a page is left whose notes are nowhere else.
 *
 * @param {Notebook} notebook
 * @param {AbortSignal} signal
 */
export function guard(notebook, signal) {
  const ask = (/** @type {BeforeUnloadEvent} */ event) => {
    if (notebook.unkept.length && !notebook.taken) event.preventDefault();
  };
  window.addEventListener("beforeunload", ask, { signal });
}
