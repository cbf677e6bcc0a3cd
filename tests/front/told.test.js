import assert from "node:assert/strict";
import { test } from "node:test";

import {
  aligned, byCall, cellOf, csvOf, fileName, jsonOf, rankOf, rankText, selected, textOf, toldCalls,
} from "./front.js";
import { column, each, run, word } from "./run.js";

const CHANCE = Math.fround(0.034);
const NAMES = [
  { title: "action", book: null, sampling: "text", names: { 0: "pad", 1: "new_word" } },
  { title: "codebook 0", book: 0, sampling: "audio", names: {} },
];
const HEADER = {
  calls: 3,
  by_call: ["slot"],
  state: "complete",
  facts: ["seed 1", "cfg 2"],
  readouts: [
    { name: "call", shows: "{call}" },
    { name: "slot", shows: "{slot}" },
    { name: "time", kind: "time" },
    { name: "word", kind: "word" },
  ],
  draws: NAMES,
  words: [word("Hi.", 1)],
  findings: [
    { kind: "surprise", call: 1, until: 2, speaker: null, severity: "note", text: "Unlikely.", fix: "Look." },
    { kind: "loop", call: 0, until: 0, speaker: null, severity: "bad", text: "Again.", fix: "" },
  ],
  edits: [{ call: 1, text: "new_word forced" }],
};
const COLUMNS = {
  slot: each(1, 2, 13),
  loudness: column(Uint8Array, [3], [1, 2, 3]), // of frames, not of calls
  replay_calls: column(Int32Array, [3], [0, 1, 2]), // all of them were replayed
  look_0: column(Uint8Array, [3], [255, 255, 255]),
  grid: column(Int16Array, [4, 2], [-1, -1, 72, -1, 107, 4, -2, 9]),
  draw_ids: column(Int16Array, [3, 2, 2], [-1, -1, -1, -1, 1, 0, 107, 72, 0, 1, 5, 6]),
  draw_choice: column(Int32Array, [3, 2], [-1, -1, 1, 72, 0, 5]),
  draw_probability: column(Float32Array, [3, 2], [0, 0, 1, CHANCE, 0.5, 0.25]),
  draw_kept: column(Uint8Array, [3, 2, 1], [0, 0, 3, 3, 1, 3]),
  draw_cond: column(Uint16Array, [3, 2, 2], [0, 0, 0, 0, 0, 8, 0, 4, 0, 0, 0, 0]),
  draw_guided: column(Uint16Array, [3, 2, 2], Array.from({ length: 12 }, () => 0)),
  best_cond: column(Float32Array, [3, 2], [0, 0, 2, 3, 0, 0]),
  best_guided: column(Float32Array, [3, 2], [0, 0, 2, 3, 0, 0]),
  draw_step_cond: column(Float32Array, [3, 2], [0, 0, 0.5, 0.25, 0, 0]),
  draw_step_guided: column(Float32Array, [3, 2], [0, 0, 0, 0, 0, 0]),
};
const NOTES = [{ call: 1, text: "odd\n=1+1", kept: true }, { call: 2, text: "later", kept: false }];
const data = () => run(HEADER, COLUMNS);

test("a call as text is what a bug report needs, under each other", () => {
  assert.equal(textOf([data()], [1, 2], NOTES), `run.dia2trace · seed 1 · cfg 2 · complete

call  slot    time  word      action        codes
   1     2  0.10 s  Hi. [S1]  new_word p 1  107 4

draw        token         p  bits  rank
action      new_word      1   0.0  1
codebook 0  72        0.034   4.9  2 or later

finding (note), calls 1 … 2, surprise: Unlikely. → Look.
edit, call 1: new_word forced
note, call 1: odd
  =1+1
`);
});

test("of several calls each has a line, and draws none", () => {
  assert.equal(textOf([data()], [0, 3], []), `run.dia2trace · seed 1 · cfg 2 · complete

call  slot    time  word      action        codes
   0     1  0.00 s  –         –             72 ·
   1     2  0.10 s  Hi. [S1]  new_word p 1  107 4
   2    13  0.20 s  Hi. [S1]  pad p 0.5     pad 9

finding (note), calls 1 … 2, surprise: Unlikely. → Look.
finding (bad), call 0, loop: Again.
edit, call 1: new_word forced
`);
  assert.doesNotMatch(textOf([data()], [1, 3], []), /rank/);
});

test("two runs are told one after the other, the notes with the first", () => {
  const told = textOf([data(), run({ ...HEADER, name: "b", findings: [] }, COLUMNS)], [2, 3], NOTES);
  assert.deepEqual(told.match(/^(run|b|note, call).*/gm), [
    "run.dia2trace · seed 1 · cfg 2 · complete", "note, call 2: later", "b · seed 1 · cfg 2 · complete",
  ]);
});

test("what the machine made of an action, and what was given, is told", () => {
  const machine = { drawn: each(0, 1, 1), outcome: each(0, 0, 1), forced: each(1, 0, 0), overruled: each(0, 1, 0) };
  const told = run(
    { ...HEADER, draws: [], reasons: [null, "no budget"], given: { calls: 1, why: "" } }, { ...COLUMNS, ...machine },
  );
  const actions = textOf([told], [0, 3], []).split("\n").slice(3, 6).map((line) => line.slice(30).split(/ {2,}/)[0]);
  assert.deepEqual(actions, ["given", "new_word → pad (no budget)", "new_word"]);
});

test("JSON has the numbers as they came, under keys that stay", () => {
  const { format, version, runs } = JSON.parse(jsonOf([data()], [1, 2], NOTES));
  assert.deepEqual([format, version, runs.length], ["dia2calls", 2, 1]);
  const [{ calls: [call], ...rest }] = runs;
  assert.deepEqual(Object.keys(rest), ["trace", "state", "facts", "findings", "edits", "notes"]);
  assert.deepEqual(rest.notes, [{ call: 1, text: "odd\n=1+1" }]);
  assert.deepEqual(call, {
    call: 1,
    seconds: 0.1,
    word: { text: "Hi.", speaker: 1, call: 1, prefix: false },
    values: { slot: 2 },
    codes: [107, 4],
    draws: [
      {
        name: "action", codebook: null, choice: 1, token: "new_word", probability: 1, bits: 0,
        rank: 1, or_later: false, uniform: null,
        candidates: [
          { token: 1, cond: 2, guided: 2, kept: true }, { token: 0, cond: -2, guided: 2, kept: true },
        ],
      },
      {
        name: "codebook 0", codebook: 0, choice: 72, token: null, probability: CHANCE, bits: -Math.log2(CHANCE),
        rank: 2, or_later: true, uniform: null,
        candidates: [{ token: 107, cond: 3, guided: 3, kept: true }, { token: 72, cond: 2, guided: 3, kept: true }],
      },
    ],
  });
  const both = JSON.parse(jsonOf([data(), data()], [1, 2], NOTES)).runs;
  assert.deepEqual(both.map((one) => one.notes.length), [1, 0]);
  const several = JSON.parse(jsonOf([data()], [0, 9], [])).runs[0].calls;
  assert.deepEqual(several.map(({ draws }) => draws.some((draw) => "candidates" in draw)), [false, false, false]);
});

test("a table has a line for each call, numbers as they came, and texts in quotes", () => {
  const lines = csvOf([data()], [1, 3], NOTES).split("\r\n");
  assert.deepEqual(lines, [
    '"call","seconds","word","speaker","slot","code.cb0","code.cb1","choice.action","p.action","bits.action",' +
      '"choice.cb0","p.cb0","bits.cb0","findings","note"',
    `1,0.1,"Hi.",1,2,107,4,1,1,0,72,${CHANCE},${-Math.log2(CHANCE)},"surprise","odd\n=1+1"`,
    '2,0.2,"Hi.",1,13,-2,9,0,0.5,1,5,0.25,2,"surprise","later"',
    "",
  ]);
  const both = csvOf([data(), data()], [2, 3], NOTES);
  assert.match(both, /^"run","call",.*\r\n"A",2,.*,"later"\r\n"B",2,.*,"surprise",\r\n$/); // a note is of the first
  assert.match(csvOf([data()], [0, 1], []), /^0,0,,,1,72,-1,,,,,,,"loop",$/m); // nothing was drawn
});

test("no spreadsheet takes a text for a formula", () => {
  const texts = ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "  =1", "＝1", "\n@x"];
  for (const text of texts) assert.equal(cellOf(text), `"'${text}"`);
  assert.equal(cellOf('say "=1"'), '"say ""=1"""');
  assert.equal(cellOf("a,b\nc"), '"a,b\nc"');
  assert.deepEqual([-1, 0, null, undefined, "", Number.NaN].map(cellOf), ["-1", "0", "", "", "", ""]);
});

test("only columns of one number a call are told, however long the others are", () => {
  assert.deepEqual(byCall(data()), ["slot"]);
  assert.deepEqual(byCall(run({ ...HEADER, by_call: ["slot", "gone"] }, COLUMNS)), ["slot"]); // not in this view
});

const RANKED = [0, 1, 2].map((token) => ({ token, cond: -token, guided: 0, kept: true, chosen: false, alive: null }));
const ranked = (at, more = {}) => {
  const candidates = RANKED.map((one, i) => ({ ...one, chosen: i === at }));
  const place = rankOf({ candidates, places: 3, sampler: null, ...more });
  return place && rankText(place);
};

test("ranks count from 1, and the last place stands for later ones where there are more", () => {
  assert.deepEqual([ranked(0), ranked(1), ranked(2), ranked(-1)], ["1", "2", "3 or later", "4 or later"]);
  assert.equal(ranked(2, { places: 16 }), "3"); // there are no others
  assert.equal(ranked(2, { sampler: { vocabulary: 3, forbidden: [] } }), "3");
  assert.equal(ranked(2, { sampler: { vocabulary: 4, forbidden: [] } }), "3 or later");
  assert.equal(rankOf({ candidates: [], places: 3, sampler: null }), null);
});

test("a selection is whole calls of the run", () => {
  const of = (selection) => selected({ selection }, 10);
  const found = [null, [2.5, 4.2], [-3, 99], [4, 4], [12, 15]].map(of);
  assert.deepEqual(found, [null, [2, 5], [0, 10], [4, 5], [9, 10]]);
  assert.deepEqual([toldCalls([3, 4]), toldCalls([3, 6])], ["call 3", "calls 3 … 5"]);
});

test("numbers stand at the right, texts at the left, whatever letters they have", () => {
  assert.deepEqual(aligned([["n", "text"], ["5", "é𝄞"], ["12", "abc"]]), [" n  text", " 5  é𝄞", "12  abc"]);
});

test("files are named after the run and its calls, and nothing else", () => {
  assert.equal(fileName("run.dia2trace", null, "csv"), "run.csv");
  assert.equal(fileName("run.dia2trace", [3, 9], "png"), "run-calls-3-8.png");
  assert.equal(fileName("../../a b\\c:d", null, "wav"), "a_b_c_d.wav");
  assert.equal(fileName("..", null, "wav"), "run.wav");
  assert.equal(fileName("x".repeat(300), null, "wav").length, 84);
});
