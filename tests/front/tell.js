// `node tell.js FILE …`: what the front end makes of a packed view, and of pieces that go on with it, call by call,
// as JSON. tests/inspect/test_front.py compares it with what the trace says.

import { readFileSync } from "node:fs";

import { Data, unpack } from "./front.js";

const [first, ...pieces] = process.argv.slice(2).map((path) => new Uint8Array(readFileSync(path)));
const data = new Data(await unpack(first));
for (const piece of pieces) data.append(await unpack(piece));

const calls = Array.from({ length: data.calls }, (_, call) => ({
  step: data.at("step", call),
  seconds: data.secondsOf(call),
  took: data.spoken.filter((word) => word.call === call).map(({ text }) => text),
  left: data.entriesAfter(call).map(({ text }) => text),
  pending: data.queue("pending", call).length,
  lookahead: data.queue("lookahead", call).length,
  codes: Array.from({ length: data.codebooks }, (_unused, book) => data.code(book, data.columnOf(call))),
  draws: data.header.draws.map((_draw, i) => told(data.draw(call, i))).filter((draw) => draw !== null),
}));
process.stdout.write(JSON.stringify(calls));

function told(draw) {
  if (draw === null) return null;
  const { choice, probability, candidates } = draw;
  return { choice, probability, candidates: candidates.map(({ token, kept }) => [token, kept]) };
}
