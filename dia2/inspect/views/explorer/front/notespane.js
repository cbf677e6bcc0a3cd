// The tab of notes: all that are pinned to calls, and a field to write one.

import { copy } from "./copy.js";
import { bdi, counted, h, pane, say } from "./dom.js";
import { LONGEST_NOTE } from "./notes.js";
import { timeOf } from "./readouts.js";
import { fileName, save } from "./save.js";

/**
 * @import { Data } from "./data.js"
 * @import { Moves } from "./moves.js"
 * @import { Notebook } from "./notes.js"
 * @import { Draft, Part, PinnedNote } from "./types.d.ts"
 */

/**
 * @param {Data} data
 * @param {Notebook} notebook
 * @param {Moves} moves
 * @param {{ tell: (text: string) => void, leave: () => void, download: () => void, copy: () => void }} hands
 */
export function notesPane(data, notebook, moves, { tell, leave, download, copy: take }) {
  /** @type {number | null} */
  let editing = null;
  /** @type {PinnedNote | null} */
  let gone = null; // what was deleted last, until something else is
  /** @type {PinnedNote[] | null} */
  let shown = null;
  let seen = -1; // the call that is marked
  /** @type {Map<number, HTMLElement>} */
  const items = new Map();

  const field = h("textarea", { rows: 4, maxlength: LONGEST_NOTE });
  const title = h("label", {}, "");
  const keep = h("button", { type: "button", class: "go", onclick: () => finish(true) }, "Keep");
  const drop = h("button", { type: "button", onclick: () => finish(false) }, "Cancel");
  const editor = h("div", { class: "note-editor", hidden: true }, title, field, h("span", {}, keep, drop));
  const begin = () => open(notebook.store.state.call);
  const add = h("button", { type: "button", class: "note-add", onclick: begin }, "Add a note");
  const back = () => gone && write(gone.call, gone.text);
  const undo = h("button", { type: "button", hidden: true, onclick: back }, "Undo");
  const list = h("ul", { class: "noted" });
  const kept = h("p", { class: "told" });
  const saver = h("button", { type: "button", onclick: download }, "Download notes");
  const copier = h("button", { type: "button", onclick: take }, "Copy notes");
  const { element, note } = pane("notes", "Notes", "", add, editor, undo, list, kept, h("span", {}, saver, copier));
  field.id = `dia2-note-${Math.random().toString(36).slice(2)}`; // of several explorers on a page
  title.htmlFor = field.id;
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) finish(true);
    else if (event.key === "Escape") leave(); // what was typed stays
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** @param {number} call */
  function open(call) {
    if (editing !== null && editing !== call) write(editing, field.value);
    edit(call, editing === call ? field.value : notebook.textAt(call));
    field.focus();
  }

  /**
   * @param {number} call
   * @param {string} text that stands in the field
   */
  function edit(call, text) {
    if (field.value !== text) field.value = text;
    editing = call;
    say(title, `Note at call ${call}`);
    editor.hidden = false;
    add.hidden = true;
  }

  /** @param {boolean} wanted whether what was typed is to be kept */
  function finish(wanted) {
    if (editing === null) return;
    if (wanted) write(editing, field.value);
    editing = null;
    editor.hidden = true;
    add.hidden = false;
    leave();
  }

  /**
   * @param {number} call
   * @param {string} text
   */
  async function write(call, text) {
    const before = notebook.all.find((each) => each.call === call) ?? null;
    gone = text.trim() ? null : before;
    const said = await notebook.set(call, text);
    if (said) tell(said);
  }

  /** @param {PinnedNote} one */
  function itemOf(one) {
    const { call, text, kept: beside } = one;
    const type = "button";
    const told = `call ${call} · ${timeOf(data, call)}`;
    const where = h("button", { type, class: "kind", onclick: () => moves.to(call) }, told);
    /** @type {(name: string, onclick: () => void) => HTMLElement} */
    const act = (name, onclick) =>
      h("button", { type, "aria-label": `${name} the note at call ${call}`, onclick }, name);
    const change = act("Edit", () => open(call));
    const cut = act("Delete", () => write(call, ""));
    const alone = beside ? null : h("small", {}, "on this page alone");
    return h("li", {}, h("header", {}, where, change, cut), h("p", {}, bdi(text)), alone);
  }

  /** @type {Part["draw"]} */
  const draw = ({ call, notes }) => {
    say(add, `${notebook.textAt(call) ? "Edit the note" : "Note"} at call ${call}`);
    if (notes !== shown) {
      shown = notes;
      items.clear();
      for (const one of notes) items.set(one.call, itemOf(one));
      list.replaceChildren(...items.values());
      say(note, counted(notes.length, "note"));
      undo.hidden = gone === null;
      say(undo, gone === null ? "" : `Undo: the note at call ${gone.call}`);
      saver.disabled = copier.disabled = !notes.length;
      say(kept, toldOf(notebook));
      seen = -1;
    }
    if (seen === call) return;
    items.get(seen)?.classList.remove("here");
    items.get(call)?.classList.add("here");
    seen = call;
  };
  return {
    element,
    draw,
    open,
    /**
     * What is being written, for another explorer to go on with; null: nothing.
     *
     * @returns {Draft | null}
     */
    get draft() {
      if (editing === null) return null;
      const { value: text, selectionStart, selectionEnd } = field;
      const { activeElement } = /** @type {Document | ShadowRoot} */ (field.getRootNode());
      return { call: editing, text, marked: [selectionStart, selectionEnd], focused: activeElement === field };
    },
    /** @param {Draft} draft go on writing it */
    resume({ call, text, marked, focused }) {
      edit(call, text);
      field.setSelectionRange(...marked);
      if (focused) field.focus({ preventScroll: true });
    },
  };
}

/**
 * Where the notes are, and what is to be done that they stay.
 *
 * @param {Notebook} notebook
 */
function toldOf({ all, unkept, keep }) {
  const putting = "trace.import_notes(FILE) puts a downloaded file beside the trace";
  if (unkept.length) {
    const alone = unkept.length === 1 ? "1 note is" : `${unkept.length} notes are`;
    return `${alone} on this page alone, and gone with it: download or copy before you leave. ${putting}.`;
  }
  if (all.length) return keep ? "They are in the trace’s folder, in notes.json." : "They came with the page.";
  const where = keep ? "It is kept in the trace’s folder." : `It stays on this page until you download it; ${putting}.`;
  return `M writes one at the call that is looked at. ${where}`;
}

/**
 * The pane of an explorer.
 *
 * @param {HTMLElement} root
 * @param {Data} data
 * @param {Notebook} notebook
 * @param {Moves} moves
 * @param {(text: string) => void} tell
 */
export function notesOf(root, data, notebook, moves, tell) {
  return notesPane(data, notebook, moves, {
    tell,
    leave: () => root.focus({ preventScroll: true }),
    download: () => {
      const file = new Blob([notebook.file], { type: "application/json" });
      tell(save(root, fileName(data.header.name, null, "notes.json"), file));
    },
    copy: () => copy(root, notebook.file, "the notes").then(tell),
  });
}
