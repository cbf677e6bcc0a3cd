// The last line: what the pointer is on, else the cell that was chosen; and what became of a command.

import { describe } from "./cells.js";
import { h, say } from "./dom.js";

/**
 * @import { Child, Part, PinnedNote } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const STAYS = 6000; // milliseconds

export class Status {
  /**
   * @param {Views} views
   * @param {Child} hints
   */
  constructor(views, hints) {
    this.views = views;
    this.pointed = "";
    this.chosen = "";
    this.said = "";
    /** @type {ReturnType<typeof setTimeout> | null} */
    this.timer = null; // while what was said last stays
    this.line = h("p", { class: "told", "aria-live": "off" });
    this.element = h("footer", { class: "foot" }, this.line, hints);
    /** @type {Part["draw"]} */
    this.draw = ({ cell, call, notes }) => {
      this.chosen = describe(this.views.all[0], cell) || noteOf(notes, call);
      this.show();
    };
  }

  /** @param {string} text of what the pointer is on */
  point(text) {
    this.pointed = text;
    this.show();
  }

  show() {
    if (this.timer === null) say(this.line, this.pointed || this.chosen || this.said);
  }

  /**
   * Say what became of a command: for some seconds at least, whatever the pointer is on and whether the run plays.
   *
   * @param {string} text
   */
  tell(text) {
    clearTimeout(this.timer ?? undefined);
    this.said = text;
    this.timer = setTimeout(() => this.end(), text ? STAYS : 0);
    this.line.setAttribute("aria-live", "polite"); // not what the pointer is on
    this.element.classList.toggle("says", text !== ""); // a phone shows no such line else
    say(this.line, text);
  }

  end() {
    this.timer = null;
    this.line.setAttribute("aria-live", "off");
    this.element.classList.remove("says");
    this.show();
  }
}

/**
 * @param {PinnedNote[]} notes
 * @param {number} call
 */
function noteOf(notes, call) {
  const note = notes.find((each) => each.call === call);
  return note ? `Note: ${note.text}` : "";
}
