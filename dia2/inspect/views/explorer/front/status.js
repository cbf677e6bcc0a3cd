// The last line: what the pointer is on, else the cell that was chosen; and what became of a command.

import { describe } from "./cells.js";
import { h, say } from "./dom.js";

/**
 * @import { Child, Part } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

export class Status {
  /**
   * @param {Views} views
   * @param {Child} hints
   */
  constructor(views, hints) {
    this.views = views;
    this.pointed = "";
    this.chosen = "";
    this.line = h("p", { class: "told", "aria-live": "off" });
    this.element = h("footer", { class: "foot" }, this.line, hints);
    /** @type {Part["draw"]} */
    this.draw = ({ cell }) => {
      this.chosen = describe(this.views.all[0], cell);
      this.show();
    };
  }

  /** @param {string} text of what the pointer is on */
  point(text) {
    this.pointed = text;
    this.show();
  }

  show() {
    say(this.line, this.pointed || this.chosen);
  }

  /** @param {string} text until something else is to be said */
  tell(text) {
    say(this.line, text);
  }
}
