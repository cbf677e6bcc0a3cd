// The explorer in a server's page: a run while it is spoken, then the whole of it.

import { open } from "./data.js";
import { goAlong } from "./live.js";
import { mountViews } from "./main.js";
import { unpack } from "./unpack.js";

/**
 * @import { Data } from "./data.js"
 * @import { Mounted, Options, Root } from "./types.d.ts"
 */

/** One run in an element; the next one takes its place. */
class Served {
  /** @param {Root} root */
  constructor(root) {
    this.root = root;
    /** @type {Mounted | null} */
    this.shown = null;
    /** @type {Data | null} */
    this.live = null; // the data of a run that goes on
  }

  /**
   * Show the next calls of a run that goes on.
   *
   * @param {Uint8Array<ArrayBuffer>} piece
   */
  async add(piece) {
    const before = this.live?.calls ?? 0;
    if (this.live) this.live.append(await unpack(piece));
    else this.live = await open(piece);
    const { live, shown } = this;
    if (!live.calls) return;
    if (!shown) {
      this.replace(mountViews(this.root, [live], { call: live.calls - 1 }));
      return;
    }
    goAlong(shown, before, live.calls);
  }

  /**
   * Show the whole run, with candidates and sound.
   *
   * @param {Uint8Array<ArrayBuffer>} view
   */
  async finish(view) {
    const data = await open(view);
    /** @type {Options} */
    const options = this.shown ? { call: this.shown.store.state.call, tab: this.shown.store.state.tab } : {};
    this.replace(mountViews(this.root, [data], options));
  }

  /** @param {Mounted} next */
  replace(next) {
    this.shown?.destroy();
    this.shown = next;
    this.root.dia2 = next; // for tests and the curious: the state that is drawn
  }

  /** Another run takes the element. */
  close() {
    this.shown?.destroy();
    this.shown = null;
    this.live = null;
    this.root.replaceChildren();
  }
}

/** @type {(root: Root) => Served} */
const serve = (root) => new Served(root);

export default serve;
