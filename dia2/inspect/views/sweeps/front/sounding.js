// Hearing a run: one at a time, and the sounds of those that were heard are kept.

/**
 * @import { Board } from "./board.js"
 * @import { Runs } from "./runs.js"
 * @import { Hands } from "./types.d.ts"
 */

const MOST_KEPT = 24; // sounds

export class Sounding {
  /**
   * @param {Runs} runs
   * @param {Board} board
   * @param {Hands["sound"]} ask
   * @param {(text: string) => void} tell
   */
  constructor(runs, board, ask, tell) {
    this.runs = runs;
    this.board = board;
    this.ask = ask;
    this.tell = tell;
    this.audio = document.createElement("audio");
    /** @type {Map<number, string>} */
    this.kept = new Map(); // addresses, by run
    /** @type {number | null} */
    this.wanted = null;
    this.audio.addEventListener("ended", () => this.stop());
  }

  /** @param {number} run whether it can be heard here */
  can(run) {
    return this.runs.hasTrace(run) && (this.ask !== null || (this.runs.heard?.has(run) ?? false));
  }

  /**
   * Hear a run, or be quiet where it is heard.
   *
   * @param {number} run
   */
  async toggle(run) {
    if (this.wanted === run) {
      this.stop();
      return;
    }
    this.stop();
    if (!this.can(run)) {
      this.tell(`${this.runs.name(run)}: ${this.runs.hasTrace(run) ? "its sound is not in this page" : "no sound"}`);
      return;
    }
    this.wanted = run;
    this.board.set({ playing: run });
    try {
      const url = this.kept.get(run) ?? this.keep(run, await this.bytes(run));
      if (this.wanted !== run) return; // another one was wanted meanwhile
      this.audio.src = url;
      await this.audio.play();
      this.tell(`Heard: ${this.runs.name(run)}`);
    } catch (error) {
      if (this.wanted !== run) return;
      this.stop();
      this.tell(`${this.runs.name(run)} cannot be heard: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * @param {number} run
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async bytes(run) {
    const here = this.runs.sound(run);
    if (here) return here;
    if (!this.ask) throw new Error("it is not in this page");
    return this.ask(run);
  }

  /**
   * @param {number} run
   * @param {Uint8Array<ArrayBuffer>} bytes
   */
  keep(run, bytes) {
    const url = URL.createObjectURL(new Blob([bytes], { type: this.runs.header.mime }));
    this.kept.set(run, url);
    const [oldest] = this.kept;
    if (this.kept.size > MOST_KEPT) {
      URL.revokeObjectURL(oldest[1]);
      this.kept.delete(oldest[0]);
    }
    return url;
  }

  stop() {
    this.wanted = null;
    this.audio.pause();
    this.board.set({ playing: null });
  }

  destroy() {
    this.wanted = null;
    this.audio.pause();
    for (const url of this.kept.values()) URL.revokeObjectURL(url);
    this.kept.clear();
  }
}
