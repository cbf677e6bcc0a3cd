// Runs to test with: ten calls of two codebooks, at ten calls a second, unless a test says otherwise.

import { gzipSync } from "node:zlib";

import { Data, Store, Views } from "./front.js";

/** A column of a view: numbers of a type, and their shape. */
export function column(Numbers, shape, numbers) {
  return Object.assign(Numbers.from(numbers), { shape });
}

/** One number a call. */
export function each(...numbers) {
  return column(Int32Array, [numbers.length], numbers);
}

export function word(text, call, more = {}) {
  return { text, speaker: 1, prefix: false, call, at: call, ...more };
}

const HEADER = {
  name: "run.dia2trace",
  calls: 10,
  span: 80,
  given: { calls: 0, why: "" },
  clock: { rate: 10, zero: 0, twice: null, before: "prefix" },
  seconds: null,
  sampling: [{ call: 0, told: "", text: { temperature: 0.5, top_k: 2 }, audio: { temperature: 1, top_k: 0 } }],
  titles: { rows: "", grid: "", state: "" },
  tracks: [],
  grid: {
    codebooks: 2, delays: [0, 1], codes: 8, prefix: 0, prefix_name: "", edge: [0, 0], first: 0, ahead: 1, at: 1,
    words: { book: "codebook", short: "cb", column: "column" }, missing: "",
  },
  words: [],
  entries: [],
  findings: [],
  edits: [],
  reasons: [null],
  draws: [
    { title: "action", book: null, sampling: "text", names: {} },
    { title: "codebook 0", book: 0, sampling: "audio", names: {} },
    { title: "codebook 1", book: 1, sampling: "audio", names: {} },
  ],
};

export function run(header = {}, columns = {}) {
  const whole = { ...HEADER, ...header };
  const counted = Object.keys(columns).filter((name) => String(columns[name].shape) === String(whole.calls));
  const declared = { by_call: counted };
  return new Data({ header: structuredClone({ ...declared, ...whole }), columns });
}

/** What is looked at in some runs. */
export function looked(runs, state = {}) {
  const views = new Views(runs);
  const still = { call: 0, playing: false, speed: 1, draw: 0, row: null, cell: null };
  const look = { look: 0, layer: 0, head: -1 };
  const tracks = { look, open: [], track: null };
  const seen = { ...tracks, first: 0, span: 10, theme: "light", selection: null, loop: false, slide: null };
  const start = { ...still, ...seen, ...state };
  return { views, store: new Store(start, (call) => views.clamp(call)) };
}

/** Bytes as pack.py writes them. */
export function packed(header, columns) {
  const parts = [];
  const table = Object.create(null); // of any names
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(columns)) {
    table[name] = { dtype, shape, at };
    parts.push(padded(Buffer.from(bytes)));
    at += parts.at(-1).length;
  }
  const text = Buffer.from(JSON.stringify({ header, columns: table }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const whole = Buffer.concat([padded(Buffer.concat([Buffer.from("dia2view"), length, text])), ...parts]);
  return new Uint8Array(gzipSync(whole));
}

function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}
