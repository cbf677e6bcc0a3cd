// What one takes along: the call or the selection as text and JSON, a picture, a table, the sound.

import { commandOf } from "./commands.js";
import { commandButton } from "./controls.js";
import { copy } from "./copy.js";
import { csvOf } from "./csv.js";
import { capital, h } from "./dom.js";
import { selected } from "./facts.js";
import { menu } from "./menu.js";
import { pictureOf, pngOf } from "./picture.js";
import { fileName, save } from "./save.js";
import { jsonOf, textOf } from "./told.js";
import { piecesOf, samplesOf, wavOf } from "./wav.js";

/**
 * @import { Player } from "./player.js"
 * @import { Stage } from "./stage.js"
 * @import { Store } from "./store.js"
 * @import { Command } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

const WHOLE = /** @type {const} */ ([-Infinity, Infinity]);

export class Share {
  /**
   * @param {HTMLElement} root
   * @param {Views} views
   * @param {Store} store
   * @param {Player} player
   * @param {Stage} stage
   * @param {(text: string) => void} tell what became of it
   */
  constructor(root, views, store, player, stage, tell) {
    this.root = root;
    this.views = views;
    this.store = store;
    this.player = player;
    this.stage = stage;
    this.tell = tell;
  }

  /** The calls of the selection, from and up to; null: nothing is selected. */
  get selection() {
    return selected(this.store.state, this.views.calls);
  }

  /**
   * The calls that a copy is of: those selected, else the one that is looked at.
   *
   * @returns {[from: number, to: number]}
   */
  get calls() {
    const { call } = this.store.state;
    return this.selection ?? [call, call + 1];
  }

  /** Why there is no sound to save; empty: there is. */
  get mute() {
    const { data, bytes } = this.player;
    if (!bytes && !data.header.recordings?.length) return "This trace has no sound.";
    if (!data.header.clock) return "Nothing tells when its calls sound.";
    const [from, to] = this.selection ?? WHOLE;
    return piecesOf(data, from, to).length ? "" : "Nothing sounds at these calls.";
  }

  /** @returns {Command[]} */
  get commands() {
    return [
      { id: "text", name: "Copy as text", keys: ["C"], run: () => this.copy(textOf, "as text") },
      { id: "json", name: "Copy as JSON", keys: [], run: () => this.copy(jsonOf, "as JSON") },
      { id: "png", name: "Save the picture (PNG)", keys: [], run: () => this.report(this.picture()) },
      { id: "csv", name: "Save the table (CSV)", keys: [], run: () => this.table() },
      { id: "wav", name: "Save the sound (WAV)", keys: [], run: () => this.report(this.sound()), why: () => this.mute },
    ];
  }

  /**
   * @param {typeof textOf} make
   * @param {string} how
   */
  copy(make, how) {
    const { calls } = this;
    const text = make(this.views.all, calls, this.store.state.notes);
    this.report(copy(this.root, text, `${toldCalls(calls)} ${how}`));
  }

  table() {
    const calls = this.selection ?? [0, this.views.calls];
    const text = csvOf(this.views.all, calls, this.store.state.notes);
    this.saved("csv", new Blob(["\uFEFF", text], { type: "text/csv;charset=utf-8" })); // Excel reads UTF-8 by its mark
  }

  async picture() {
    if (!this.stage.plotWidth) {
      this.store.set({ pane: "Time" }); // on a phone another pane is seen: nothing stands where it would be drawn from
      await new Promise((done) => {
        requestAnimationFrame(done);
      });
    }
    const { first, span } = this.store.state;
    const seen = [Math.max(0, Math.floor(first)), Math.min(this.views.calls, Math.ceil(first + span))];
    const [from, to] = this.selection ?? seen;
    const names = this.views.all.map(({ header }) => header.name).join(" and ");
    const facts = this.views.all.length > 1 ? [] : this.views.all[0].header.facts;
    const caption = [names, toldCalls([from, to]), ...facts].join(" · ");
    const canvas = this.stage.seeing(this.selection, (state) => pictureOf(this.stage, state, caption));
    const blob = await pngOf(canvas);
    return this.saved("png", blob, [from, to]);
  }

  async sound() {
    const { data, bytes } = this.player;
    const [from, to] = this.selection ?? WHOLE;
    const made = bytes ?? new Uint8Array();
    const samples = await samplesOf(data, piecesOf(data, from, to), made);
    const run = data.header.name;
    const blob = new Blob([wavOf(samples, data.header.sound_rate ?? 0)], { type: "audio/wav" });
    return this.saved("wav", blob, this.selection, run);
  }

  /**
   * @param {string} kind
   * @param {Blob} content
   * @param {[from: number, to: number] | null} calls
   * @param {string} run
   */
  saved(kind, content, calls = this.selection, run = this.views.all.map(({ header }) => header.name).join("-")) {
    const told = save(this.root, fileName(run, calls, kind), content);
    this.tell(told);
    return told;
  }

  /** @param {Promise<string>} done */
  report(done) {
    done.then(
      (told) => this.tell(told),
      (/** @type {Error} */ error) => this.tell(`Not done: ${error.message}`),
    );
  }
}

/** @param {[from: number, to: number]} calls */
export function toldCalls([from, to]) {
  return to - from === 1 ? `call ${from}` : `calls ${from} … ${to - 1}`;
}

/**
 * What a picture is of.
 *
 * @param {Pick<Share, "selection">} share
 */
export function timelineOf({ selection }) {
  return selection ? `The timeline, ${toldCalls(selection)}` : "The timeline as it is seen";
}

/**
 * The button of notes and the menu of all that one takes along.
 *
 * @param {Command[]} commands
 * @param {Share} share
 * @param {AbortSignal} signal
 */
export function shareMenu(commands, share, signal) {
  const ids = ["pin", "text", "json", "png", "csv", "wav"];
  const [pin, text, json, png, csv, wav] = ids.flatMap((id) => commandOf(commands, id) ?? []);
  const groups = [
    { title: () => capital(toldCalls(share.calls)), commands: [text, json] },
    { title: () => timelineOf(share), commands: [png] },
    { title: () => (share.selection ? capital(toldCalls(share.selection)) : "The whole run"), commands: [csv, wav] },
  ];
  return h("span", { class: "group" }, commandButton(pin), menu("Export", groups, signal));
}
