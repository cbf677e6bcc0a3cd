// A trace as the panes ask for it: by calls, cells of the grid, draws and words.

import { counted } from "./dom.js";
import { drawAt } from "./draws.js";
import { joined, like, unpack } from "./unpack.js";

/**
 * @import { Action, Column, Draw, Packed, PieceHeader, SpokenWord, Stretch } from "./types.d.ts"
 * @import { TokenPart, Word } from "./types.d.ts"
 */

const SILENT_PACE = 50; // calls a second where nothing tells how long one lasts
/** @type {Action["outcome"][]} */
const OUTCOMES = ["pad", "new_word", "break", "end"];

/**
 * What only some views have, where it has to be there.
 *
 * @template T
 * @param {T | null | undefined} value
 * @param {string} what
 * @returns {T}
 */
function need(value, what) {
  if (value === null || value === undefined) throw new Error(`This view of a trace has no ${what}.`);
  return value;
}

/**
 * Open packed bytes (gzip).
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export async function open(bytes) {
  return new Data(await unpack(bytes));
}

/** What the panes ask of a trace. A call is counted from 0 over warm-up and main loop. */
export class Data {
  /** @param {Packed} view */
  constructor({ header, columns }) {
    this.header = header;
    this.columns = columns;
    this.calls = header.calls;
    this.codebooks = header.grid.codebooks;
    this.given = header.given.calls; // calls from the start that draw nothing
    /** @type {Record<string, number[]>} */
    this.starts = {}; // of the queues
    this.columnsOfGrid = columns.grid ? columns.grid.shape[0] : 0;
    this.spoken = (header.words ?? []).filter(isSpoken);
    /** @type {Stretch[] | null} */
    this.found = null;
  }

  /** Calls, and what the grid stands ahead of them. */
  get places() {
    const { ahead, at } = this.header.grid;
    return this.calls + ahead - at;
  }

  /**
   * Add the next calls of a run that goes on.
   *
   * @param {Packed<PieceHeader>} piece
   */
  append({ header, columns }) {
    const { grid, ...rest } = columns;
    for (const [name, array] of Object.entries(rest)) if (array) this.columns[name] = joined(this.columns[name], array);
    if (grid) this.write(grid, need(header.grid_at, "place for its codes"));
    this.header.by_call = header.by_call;
    this.header.reasons = header.reasons;
    if (header.clock) this.header.clock = header.clock;
    need(this.header.words, "words").push(...header.words);
    need(this.header.entries, "entries").push(...header.entries);
    this.spoken.push(...header.words.filter(isSpoken));
    this.calls = this.column("step").length;
    this.found = null;
  }

  /**
   * Set columns of the grid from `first` on.
   *
   * @param {Column} cells
   * @param {number} first
   */
  write(cells, first) {
    const [count, books] = cells.shape;
    const columns = Math.max(this.columnsOfGrid, first + count);
    const grid = Object.assign(like(cells, columns * books).fill(-1), { shape: [columns, books] });
    if (this.columns.grid) grid.set(this.columns.grid);
    grid.set(cells, first * books);
    this.columns.grid = grid;
    this.columnsOfGrid = columns;
  }

  /** Stretches of calls in the same state, of the first track of states: {from, to, colour}. */
  get stretches() {
    this.found ??= stretchesOf(this);
    return this.found;
  }

  /**
   * A column that has to be there.
   *
   * @param {string} name
   */
  column(name) {
    return need(this.columns[name], name);
  }

  /**
   * @param {string} name of a column
   * @param {number} place in it: of most of them a call
   */
  at(name, place) {
    return this.column(name)[place];
  }

  /**
   * What a column says at a call, by its name where the value has one; `writes` is the grid column it writes.
   *
   * @param {string} name
   * @param {number} call
   */
  value(name, call) {
    const value = name === "call" ? call : name === "writes" ? this.columnOf(call) : this.at(name, call);
    return this.header.names?.[name]?.[value] ?? String(value);
  }

  /**
   * A text of the header with `{column}` filled in.
   *
   * @param {string} text
   * @param {number} call
   */
  told(text, call) {
    return text.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, noun) => counted(this.value(name, call), noun));
  }

  /**
   * Grid column that a call writes, or that is under way.
   *
   * @param {number} call
   */
  columnOf(call) {
    return call + this.header.grid.ahead;
  }

  /**
   * The call that writes a grid column; −1 if none does.
   *
   * @param {number} column
   */
  callOf(column) {
    const call = column - this.header.grid.ahead;
    return call >= 0 && call < this.calls ? call : -1;
  }

  /**
   * Seconds in the audio at a moment, which is a call and a fraction of it; null if nothing tells them.
   *
   * @param {number} moment
   */
  secondsOf(moment) {
    const { clock } = this.header;
    if (!clock) return null;
    const step = moment - (clock.twice !== null && moment >= clock.twice ? 1 : 0);
    return (step - clock.zero) / clock.rate;
  }

  /**
   * The moment of a second in the audio.
   *
   * @param {number} seconds
   */
  momentOf(seconds) {
    const { rate, zero, twice } = need(this.header.clock, "clock");
    const step = seconds * rate + zero;
    return step + (twice !== null && step >= twice - 1 ? 1 : 0);
  }

  /**
   * The last call whose place in the audio is not after `seconds`.
   *
   * @param {number} seconds
   */
  callAt(seconds) {
    const { rate, zero, twice } = need(this.header.clock, "clock");
    const step = Math.floor(seconds * rate + 1e-6) + zero;
    return this.clamp(step + (twice !== null && step >= twice - 1 ? 1 : 0));
  }

  /** Calls a second, while the clock drives. */
  get pace() {
    return this.header.clock?.rate ?? SILENT_PACE;
  }

  /**
   * The nearest call that there is.
   *
   * @param {number} call
   */
  clamp(call) {
    return Math.max(0, Math.min(this.calls - 1, call));
  }

  /**
   * Where the i-th word ends to be drawn: where the next one sounds.
   *
   * @param {number} i
   */
  endOf(i) {
    return i + 1 < this.spoken.length ? this.spoken[i + 1].at : Math.min(this.calls, this.spoken[i].at + 8);
  }

  /**
   * The word being said at a call: the last one that sounds.
   *
   * @param {number} call
   */
  wordAt(call) {
    let low = 0;
    let high = this.spoken.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.spoken[middle].at < call + 1) low = middle + 1;
      else high = middle;
    }
    return low ? this.spoken[low - 1] : null;
  }

  /**
   * Code in a cell of the grid; −1 nothing was written, −2 a pad.
   *
   * @param {number} book
   * @param {number} column
   */
  code(book, column) {
    return this.column("grid")[column * this.codebooks + book];
  }

  /**
   * A token by its name.
   *
   * @param {number} code
   */
  token(code) {
    return this.header.grid.specials?.[code] ?? String(code);
  }

  /**
   * Where a cell comes from, one of the header's origins; null where it says none.
   *
   * @param {number} book
   * @param {number} column
   */
  origin(book, column) {
    const { grid_origin: origins } = this.columns;
    return origins ? need(this.header.grid.origins, "origins")[origins[column * this.codebooks + book]] : null;
  }

  /**
   * What the machine was told at a call, and what became of it.
   *
   * @param {number} call
   * @returns {Action}
   */
  action(call) {
    return {
      drawn: this.at("drawn", call) ? "new_word" : "pad",
      given: Boolean(this.at("forced", call)),
      overruled: need(this.header.reasons, "reasons")[this.at("overruled", call)],
      outcome: OUTCOMES[this.at("outcome", call)],
    };
  }

  /**
   * The word that a text token is a part of; null if of none.
   *
   * @param {string} track
   * @param {number} call
   */
  part(track, call) {
    const parts = this.columns[`${track}_part`];
    if (!parts || parts[3 * call] < 0) return null;
    return this.partOf(parts, call);
  }

  /**
   * Whose word a text token is a part of; 0: nobody's.
   *
   * @param {string} track
   * @param {number} call
   */
  speakerOf(track, call) {
    const entry = this.columns[`${track}_part`]?.[3 * call] ?? -1;
    return entry < 0 ? 0 : need(this.header.entries, "entries")[entry].speaker;
  }

  /**
   * @param {Column} parts [n, 3] entry, number, of
   * @param {number} row
   * @returns {TokenPart}
   */
  partOf(parts, row) {
    const [entry, number, of] = parts.subarray(3 * row, 3 * row + 3);
    const { text, speaker } = need(this.header.entries, "entries")[entry];
    return { text, speaker, entry, number, of };
  }

  /**
   * Tokens in a queue after a call, as far as they were kept, and how many there are.
   *
   * @param {string} name
   * @param {number} call
   */
  queue(name, call) {
    const counts = this.column(`${name}_counts`);
    const first = this.startOf(name, call);
    const parts = [];
    for (let row = first; row < first + counts[2 * call]; row += 1) parts.push(this.partOf(this.column(name), row));
    return { parts, length: counts[2 * call + 1] };
  }

  /**
   * Where a call's part of a queue begins, remembered for every call so far.
   *
   * @param {string} name
   * @param {number} call
   */
  startOf(name, call) {
    const starts = (this.starts[name] ??= [0]);
    const counts = this.column(`${name}_counts`);
    for (let last = starts.length - 1; last < call; last += 1) starts.push(starts[last] + counts[2 * last]);
    return starts[call];
  }

  /**
   * Entries that were left after a call: counted from the front, as streamed text adds to their end meanwhile.
   *
   * @param {number} call
   */
  entriesAfter(call) {
    const first = this.at("taken", call);
    return need(this.header.entries, "entries").slice(first, first + this.at("entries_left", call));
  }

  /**
   * Settings in force at a call.
   *
   * @param {number} call
   */
  samplingAt(call) {
    return need(this.header.sampling.findLast((part) => part.call <= call), `settings of call ${call}`);
  }

  /**
   * One draw of a call: its choice and candidates, best first; null where none was kept.
   *
   * @param {number} call
   * @param {number} index
   * @returns {Draw | null}
   */
  draw(call, index) {
    return drawAt(this, call, index);
  }

  /**
   * Which draw of a call wrote a codebook; −1 if it was not recorded.
   *
   * @param {number} book
   */
  drawOf(book) {
    return this.header.draws.findIndex((draw) => draw.book === book);
  }

  /**
   * Bytes of a sound.
   *
   * @param {string} column
   */
  sound(column) {
    const bytes = this.column(column);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** @type {(word: Word) => word is SpokenWord} */
function isSpoken(word) {
  return word.call !== null;
}

/** @param {Data} data */
function stretchesOf(data) {
  const track = data.header.tracks.find((each) => each.kind === "states");
  if (!track) return [];
  /** @type {Stretch[]} */
  const found = [];
  for (let call = 0; call < data.calls; call += 1) {
    const colour = track.colours[data.at(track.name, call)];
    const last = found.at(-1);
    if (last && last.colour === colour) last.to = call + 1;
    else found.push({ from: call, to: call + 1, colour });
  }
  return found;
}
