// Time: what is heard drives the calls; where nothing is heard, the clock does.

import { h } from "./dom.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Sound } from "./types.d.ts"
 * @import { Views } from "./views.js"
 */

export const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const PLAYS = "dia2-plays"; // an event of the window: one voice at a time

export class Player {
  /**
   * @param {Views} views
   * @param {Store} store
   */
  constructor(views, store) {
    this.views = views;
    /** @type {Data} */
    this.data = views.all[0]; // the run that is heard: its clock counts
    this.store = store;
    this.audio = h("audio", { preload: "auto" });
    this.audio.preservesPitch = true;
    /** @type {string | null} */
    this.url = null;
    this.last = 0;
    this.call = 0; // as a fraction, while the clock drives
    /** @type {(event: CustomEvent<Player>) => void} */
    this.hush = ({ detail }) => {
      if (detail !== this) this.pause();
    };
    window.addEventListener(PLAYS, this.hush); // another explorer of this page, whose script may be another copy
  }

  /**
   * Hear these bytes of a run from now on.
   *
   * @param {Sound} bytes
   * @param {Data} data
   */
  load(bytes, data) {
    this.data = data;
    const { playing } = this.store.state;
    const at = this.audio.currentTime;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(new Blob([bytes], { type: data.header.mime ?? "" }));
    this.audio.src = this.url;
    this.audio.currentTime = at;
    if (playing) this.start();
  }

  toggle() {
    if (this.store.state.playing) this.pause();
    else this.play();
  }

  play() {
    const { store, views } = this;
    const call = store.state.call >= views.calls - 1 ? 0 : store.state.call;
    store.set({ playing: true, call });
    this.call = call;
    this.last = performance.now();
    window.dispatchEvent(new CustomEvent(PLAYS, { detail: this }));
    this.start();
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.audio.pause();
    this.store.set({ playing: false });
  }

  /** Begin to sound, if the calls have reached the audio. */
  start(call = this.store.state.call) {
    const seconds = this.data.secondsOf(call);
    if (!this.url || seconds === null || seconds < 0 || seconds >= (this.data.header.seconds ?? 0)) return;
    this.audio.currentTime = seconds;
    this.audio.playbackRate = this.store.state.speed;
    this.audio.play().catch(() => {}); // the browser wants a click first: until then the clock drives
  }

  /** @param {number} now */
  tick(now) {
    const { store, data, views, audio } = this;
    if (!store.state.playing) return;
    if (store.state.call !== Math.floor(this.call)) {
      this.call = store.state.call; // somebody scrubbed
      audio.pause();
      this.start();
    }
    const elapsed = Math.max(0, Math.min(0.25, (now - this.last) / 1e3)); // a frame can be dated before the click
    this.last = now;
    if (!audio.paused && !audio.ended) {
      audio.playbackRate = store.state.speed;
      this.call = Math.max(this.call, data.callAt(audio.currentTime));
    } else {
      const before = data.secondsOf(Math.floor(this.call));
      this.call += elapsed * data.pace * store.state.speed;
      const call = views.clamp(Math.floor(this.call));
      const after = data.secondsOf(call);
      if (before !== null && after !== null && before < 0 && after >= 0) this.start(call);
    }
    const call = views.clamp(Math.floor(this.call));
    store.set({ call, row: store.state.row }); // time goes by itself: a row that is read stays
    this.call = Math.max(call, Math.min(this.call, call + 0.999));
    if (call >= views.calls - 1) this.pause();
    else requestAnimationFrame((next) => this.tick(next));
  }

  destroy() {
    window.removeEventListener(PLAYS, this.hush);
    this.pause(); // the clock too, which would start the sound later
    if (this.url) URL.revokeObjectURL(this.url);
  }
}
