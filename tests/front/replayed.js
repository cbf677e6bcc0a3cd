// `node replayed.js FILE`: what the front end makes of a replay in a packed view, as JSON: of every call that it has
// the weights of each memory, layer and head, and the logits of each draw. test_view_replay.py compares it.

import { readFileSync } from "node:fs";

import { Data, replaysOf, unpack } from "./front.js";

const data = new Data(await unpack(new Uint8Array(readFileSync(process.argv[2]))));
const replays = replaysOf(data);
const each = (count, make) => Array.from({ length: count }, (_, i) => make(i));
const told = replays.calls.map((call) => ({
  call,
  looks: replays.facts.looks.map(({ layers, heads }, look) =>
    each(layers, (layer) => each(heads, (head) => [...replays.weights(call, { look, layer, head })])),
  ),
  means: replays.facts.looks.map((_, look) => [...replays.weights(call, { look, layer: 0, head: -1 })]),
  logits: data.header.draws.map((_, draw) => replays.logits(call, draw)),
}));
const first = { look: 0, layer: 0, head: 0 };
const missing = each(data.calls, (call) => call).filter((call) => replays.weights(call, first) === null);
process.stdout.write(JSON.stringify({ told, missing }));
