// Time: what is heard drives the calls; where nothing is heard, the clock does.

import { h } from "./dom.js";
import { momentIn, recordingAt, secondIn } from "./voices.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Sound, Voice } from "./types.d.ts"
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
    /** @type {Sound | null} */
    this.bytes = null; // that are heard
    /** @type {Map<string, { audio: HTMLAudioElement, url: string }>} */
    this.recordings = new Map(); // by their columns, as they are first heard
    this.heard = this.audio; // what sounds, or did last
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
    this.bytes = bytes;
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
    const [from, to] = this.stretch;
    const over = store.state.call >= (store.state.loop ? to : views.calls - 1);
    const call = over || (store.state.loop && store.state.call < from) ? from : store.state.call;
    store.set({ playing: true, call });
    this.call = call;
    this.last = performance.now();
    window.dispatchEvent(new CustomEvent(PLAYS, { detail: this }));
    this.start();
    requestAnimationFrame((now) => this.tick(now));
  }

  /** Calls that are played, from and up to: of a loop the selection. */
  get stretch() {
    const { loop, selection } = this.store.state;
    return loop && selection ? selection : [0, this.views.calls];
  }

  pause() {
    this.heard.pause();
    this.store.set({ playing: false });
  }

  /**
   * What sounds at a call: the recording that it reads, or what was made; null if nothing does.
   *
   * @param {number} call
   * @returns {Voice | null}
   */
  voiceAt(call) {
    const recording = recordingAt(this.data, call);
    if (recording) {
      const audio = this.recordingOf(recording.column);
      /** @type {Voice["callAt"]} */
      const callAt = (at) => Math.floor(momentIn(this.data, recording, at) + 1e-6);
      return audio && { audio, seconds: secondIn(this.data, recording, call), callAt };
    }
    const seconds = this.data.secondsOf(call);
    if (!this.url || seconds === null || seconds < 0 || seconds >= (this.data.header.seconds ?? 0)) return null;
    return { audio: this.audio, seconds, callAt: (at) => this.data.callAt(at) };
  }

  /**
   * The sound of a recording; null where it was not kept.
   *
   * @param {string} column
   */
  recordingOf(column) {
    const known = this.recordings.get(column);
    if (known) return known.audio;
    if (!this.data.columns[column]) return null;
    const url = URL.createObjectURL(new Blob([this.data.sound(column)], { type: this.data.header.mime ?? "" }));
    const audio = h("audio", { preload: "auto" });
    audio.preservesPitch = true;
    audio.src = url;
    this.recordings.set(column, { audio, url });
    return audio;
  }

  /** Begin to sound, if there is something to hear. */
  start(call = this.store.state.call) {
    const voice = this.voiceAt(call);
    if (voice?.audio !== this.heard) this.heard.pause();
    if (!voice) return;
    this.heard = voice.audio;
    this.heard.currentTime = voice.seconds;
    this.heard.playbackRate = this.store.state.speed;
    this.heard.play().catch(() => {}); // the browser wants a click first: until then the clock drives
  }

  /** @param {number} now */
  tick(now) {
    const { store, data, views } = this;
    if (!store.state.playing) return;
    if (store.state.call !== Math.floor(this.call)) {
      this.call = store.state.call; // somebody scrubbed
      this.heard.pause();
      this.start();
    }
    const elapsed = Math.max(0, Math.min(0.25, (now - this.last) / 1e3)); // a frame can be dated before the click
    this.last = now;
    const before = views.clamp(Math.floor(this.call));
    const voice = this.voiceAt(before);
    if (voice?.audio === this.heard && !this.heard.paused && !this.heard.ended) {
      this.heard.playbackRate = store.state.speed;
      this.call = Math.max(this.call, voice.callAt(this.heard.currentTime));
    } else this.call += elapsed * data.pace * store.state.speed;
    const call = views.clamp(Math.floor(this.call));
    const next = this.voiceAt(call);
    if (next && next.audio !== voice?.audio) this.start(call); // a recording ends, or the sound begins
    const [from, to] = this.stretch;
    const again = store.state.loop && (call >= to || call >= views.calls - 1);
    store.set({ call: again ? from : call, row: store.state.row }); // time goes by itself: a row that is read stays
    if (!again) this.call = Math.max(call, Math.min(this.call, call + 0.999));
    if (call >= views.calls - 1 && !again) this.pause();
    else requestAnimationFrame((at) => this.tick(at));
  }

  destroy() {
    window.removeEventListener(PLAYS, this.hush);
    this.pause(); // the clock too, which would start the sound later
    if (this.url) URL.revokeObjectURL(this.url);
    for (const { url } of this.recordings.values()) URL.revokeObjectURL(url);
  }
}
