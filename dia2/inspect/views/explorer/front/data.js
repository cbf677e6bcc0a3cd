// A trace as `pack.py` wrote it: a header, and columns as typed arrays over one buffer.

import { counted } from "./dom.js";

const ARRAYS = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array,
};
const SILENT_PACE = 50; // calls a second where nothing tells how long one lasts
const OUTCOMES = ["pad", "new_word", "break", "end"];

/** Open packed bytes (gzip). */
export async function open(bytes) {
  const { header, columns } = await unpack(bytes);
  return new Data(header, columns);
}

/** Header and columns in packed bytes. */
export async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const view = new DataView(buffer);
  const decoder = new TextDecoder();
  if (decoder.decode(new Uint8Array(buffer, 0, 8)) !== "dia2view") throw new Error("These bytes are no view of a trace.");
  const length = view.getUint32(8, true);
  const { header, columns } = JSON.parse(decoder.decode(new Uint8Array(buffer, 12, length)));
  const start = 8 * Math.ceil((12 + length) / 8);
  const arrays = {};
  for (const [name, { dtype, shape, at }] of Object.entries(columns)) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = Object.assign(new ARRAYS[dtype](buffer, start + at, count), { shape });
  }
  return { header, columns: arrays };
}

/** What the panes ask of a trace. A call is counted from 0 over warm-up and main loop. */
export class Data {
  constructor(header, columns) {
    this.header = header;
    this.columns = columns;
    this.calls = header.calls;
    this.codebooks = header.grid.codebooks;
    this.given = header.given.calls; // calls from the start that draw nothing
    this.starts = {}; // of the queues
    this.columnsOfGrid = columns.grid ? columns.grid.shape[0] : 0;
    this.spoken = (header.words ?? []).filter((word) => word.call !== null);
  }

  /** Calls, and what the grid stands ahead of them. */
  get places() {
    const { ahead, at } = this.header.grid;
    return this.calls + ahead - at;
  }

  /** Add the next calls of a run that goes on. */
  append({ header, columns }) {
    const { grid, ...rest } = columns;
    for (const [name, array] of Object.entries(rest)) this.columns[name] = joined(this.columns[name], array);
    if (grid) this.write(grid, header.grid_at);
    this.header.reasons = header.reasons;
    this.header.words.push(...header.words);
    this.header.entries.push(...header.entries);
    this.spoken = this.header.words;
    this.calls = this.columns.step.length;
  }

  /** Set columns of the grid from `first` on. */
  write(cells, first) {
    const [count, books] = cells.shape;
    const columns = Math.max(this.columnsOfGrid, first + count);
    const grid = Object.assign(new cells.constructor(columns * books).fill(-1), { shape: [columns, books] });
    grid.set(this.columns.grid);
    grid.set(cells, first * books);
    this.columns.grid = grid;
    this.columnsOfGrid = columns;
  }

  /** Stretches of calls in the same state, of the first lane of states: {from, to, colour}. */
  get stretches() {
    this.found ??= stretchesOf(this);
    return this.found;
  }

  at(name, call) {
    return this.columns[name][call];
  }

  /** What a column says at a call, by its name where the value has one; `writes` is the grid column it writes. */
  value(name, call) {
    const value = { call, writes: this.columnOf(call) }[name] ?? this.at(name, call);
    return this.header.names?.[name]?.[value] ?? String(value);
  }

  /** A text of the header with `{column}` filled in. */
  told(text, call) {
    return text.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, noun) => counted(this.value(name, call), noun));
  }

  /** Grid column that a call writes, or that is under way. */
  columnOf(call) {
    return call + this.header.grid.ahead;
  }

  /** The call that writes a grid column; −1 if none does. */
  callOf(column) {
    const call = column - this.header.grid.ahead;
    return call >= 0 && call < this.calls ? call : -1;
  }

  /** Seconds in the audio at a moment, which is a call and a fraction of it; null if nothing tells them. */
  secondsOf(moment) {
    const { clock } = this.header;
    if (!clock) return null;
    const step = moment - (clock.twice !== null && moment >= clock.twice ? 1 : 0);
    return (step - clock.zero) / clock.rate;
  }

  /** The last call whose place in the audio is not after `seconds`. */
  callAt(seconds) {
    const { rate, zero, twice } = this.header.clock;
    const step = Math.floor(seconds * rate + 1e-6) + zero;
    return this.clamp(step + (twice !== null && step >= twice - 1 ? 1 : 0));
  }

  /** Calls a second, while the clock drives. */
  get pace() {
    return this.header.clock?.rate ?? SILENT_PACE;
  }

  /** The nearest call that there is. */
  clamp(call) {
    return Math.max(0, Math.min(this.calls - 1, call));
  }

  /** Where the i-th word ends to be drawn: where the next one sounds. */
  endOf(i) {
    return i + 1 < this.spoken.length ? this.spoken[i + 1].at : Math.min(this.calls, this.spoken[i].at + 8);
  }

  /** The word being said at a call: the last one that sounds. */
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

  /** Code in a cell of the grid; −1 nothing was written, −2 a pad. */
  code(book, column) {
    return this.columns.grid[column * this.codebooks + book];
  }

  /** A token by its name. */
  token(code) {
    return this.header.grid.specials?.[code] ?? String(code);
  }

  /** Where a cell comes from, one of the header's origins; null where it says none. */
  origin(book, column) {
    const { grid_origin: origins } = this.columns;
    return origins ? this.header.grid.origins[origins[column * this.codebooks + book]] : null;
  }

  action(call) {
    return {
      drawn: this.at("drawn", call) ? "new_word" : "pad",
      given: Boolean(this.at("forced", call)),
      overruled: this.header.reasons[this.at("overruled", call)],
      outcome: OUTCOMES[this.at("outcome", call)],
    };
  }

  /** The word that a text token is a part of: {text, speaker, number, of}; null if of none. */
  part(lane, call) {
    const parts = this.columns[`${lane}_part`];
    if (!parts || parts[3 * call] < 0) return null;
    return this.partOf(parts, call);
  }

  partOf(parts, row) {
    const entry = this.header.entries[parts[3 * row]];
    return { text: entry.text, speaker: entry.speaker, entry: parts[3 * row], number: parts[3 * row + 1], of: parts[3 * row + 2] };
  }

  /** Tokens in a queue after a call, as far as they were kept, and how many there are. */
  queue(name, call) {
    const counts = this.columns[`${name}_counts`];
    const first = this.startOf(name, call);
    const parts = [];
    for (let row = first; row < first + counts[2 * call]; row += 1) parts.push(this.partOf(this.columns[name], row));
    return { parts, length: counts[2 * call + 1] };
  }

  /** Where a call's part of a queue begins, remembered for every call so far. */
  startOf(name, call) {
    const starts = (this.starts[name] ??= [0]);
    const counts = this.columns[`${name}_counts`];
    while (starts.length <= call) starts.push(starts.at(-1) + counts[2 * (starts.length - 1)]);
    return starts[call];
  }

  /** Entries that were left after a call: counted from the front, as streamed text adds to their end meanwhile. */
  entriesAfter(call) {
    const first = this.at("taken", call);
    return this.header.entries.slice(first, first + this.at("entries_left", call));
  }

  /** Settings in force at a call. */
  samplingAt(call) {
    return this.header.sampling.filter((part) => part.call <= call).at(-1);
  }

  /** One draw of a call: its choice and candidates, best first; null where none was kept. */
  draw(call, index) {
    const ids = this.columns.draw_ids;
    if (!ids) return null;
    const [, draws, width] = ids.shape;
    const cell = call * draws + index;
    if (this.columns.draw_choice[cell] < 0) return null;
    const choice = this.columns.draw_choice[cell];
    const candidates = [];
    for (let i = 0; i < width; i += 1) {
      const at = cell * width + i;
      if (ids[at] < 0) continue;
      candidates.push({
        token: ids[at],
        cond: this.columns.best_cond[cell] - this.columns.draw_cond[at] * this.header.logit_step,
        guided: this.columns.best_guided[cell] - this.columns.draw_guided[at] * this.header.logit_step,
        kept: Boolean((this.columns.draw_kept[cell] >> i) & 1),
        chosen: ids[at] === choice,
        alive: this.columns.draw_alive ? Boolean((this.columns.draw_alive[cell] >> i) & 1) : null,
      });
    }
    const { names, sampling } = this.header.draws[index];
    return { names, choice, probability: this.columns.draw_probability[cell], candidates, sampling: this.samplingAt(call)[sampling] };
  }

  /** Which draw of a call wrote a codebook; −1 if it was not recorded. */
  drawOf(book) {
    return this.header.draws.findIndex((draw) => draw.book === book);
  }

  /** Bytes of a sound. */
  sound(column) {
    return this.columns[column];
  }
}

function stretchesOf(data) {
  const lane = data.header.lanes.find(({ kind }) => kind === "states");
  const found = [];
  for (let call = 0; lane && call < data.calls; call += 1) {
    const colour = lane.colours[data.at(lane.name, call)];
    const last = found.at(-1);
    if (last?.colour === colour) last.to = call + 1;
    else found.push({ from: call, to: call + 1, colour });
  }
  return found;
}

/** Two parts of a column as one. */
function joined(old, array) {
  if (!old) return array;
  const all = new array.constructor(old.length + array.length);
  all.set(old);
  all.set(array, old.length);
  return Object.assign(all, { shape: [old.shape[0] + array.shape[0], ...array.shape.slice(1)] });
}

/**
 * Chance of each candidate in a draw, from that of the choice: the same softmax, so their ratio is known. Who is in the
 * draw the view says (`alive`); where it does not, the best `top_k` that guidance kept are. Null where it is not known:
 * an edit can put a code there that the draw could not give, whose chance, 0, tells of no other.
 */
export function chances(draw) {
  const { temperature, top_k: topK } = draw.sampling;
  const chosen = draw.candidates.find((candidate) => candidate.chosen);
  let better = 0;
  return draw.candidates.map((candidate) => {
    if (candidate.chosen) {
      better += candidate.kept ? 1 : 0;
      return draw.probability > 0 ? draw.probability : null;
    }
    if (!(candidate.alive ?? candidate.kept) || temperature <= 0) return 0;
    const rank = better;
    better += 1;
    if (candidate.alive === null && topK > 0 && rank >= topK) return 0;
    if (!chosen || !(draw.probability > 0)) return null;
    return Math.min(1, draw.probability * Math.exp((candidate.cond - chosen.cond) / temperature));
  });
}
