import assert from "node:assert/strict";
import { test } from "node:test";

import { attentionParts, lookTrack, rankTold, replaysOf, wordsLookedAt } from "./front.js";
import { page } from "./page.js";
import { column, looked, run, word } from "./run.js";

const LOOKS = { label: "past calls", over: "calls", layers: 2, heads: 2, means: false, labels: [] };

/** A run whose calls 1 and 4 were replayed; the weight of a place is the square of its byte. */
function replayed(more = {}) {
  const bytes = [
    // Call 1 sees two places: layer 0 head 0, head 1; layer 1 likewise.
    255, 0, 0, 255, 0, 255, 51, 0,
    // Call 4 sees five.
    0, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0,
  ];
  return run(
    { replay: { how: "how", looks: [LOOKS], left_out: "" }, words: [word("a", 2), word("b", 4)], ...more },
    {
      replay_calls: column(Int32Array, [2], [1, 4]),
      look_0: column(Uint8Array, [bytes.length], bytes),
      logit_ids: column(Int16Array, [2, 3, 2], [1, 0, 7, 5, -1, -1, 0, 1, 5, 7, 2, 3]),
      logit_steps: column(Uint16Array, [2, 3, 2], [0, 8, 0, 16, 0, 0, 0, 1, 0, 2, 0, 3]),
      logit_best: column(Float32Array, [2, 3], [4, 2, 0, 1, 1, 1]),
      logit_step: column(Float32Array, [2, 3], [0.25, 0.5, 0, 1, 1, 1]),
      logit_total: column(Float32Array, [2, 3], [4, 3, 0, 2, 2, 2]),
    },
  );
}

const at = (layer, head) => ({ look: 0, layer, head });

test("weights are those of the call, the layer and the head", () => {
  const replays = replaysOf(replayed());
  assert.deepEqual([...replays.weights(1, at(0, 0))], [1, 0]);
  assert.deepEqual([...replays.weights(1, at(0, 1))], [0, 1]);
  assert.deepEqual([...replays.weights(1, at(1, 0))], [0, 1]);
  assert.deepEqual([...replays.weights(1, at(1, 1))], [...Float32Array.of(0.04, 0)]); // of a byte of 51, a fifth
  assert.deepEqual([...replays.weights(4, at(0, 0))], [0, 0, 0, 0, 1]);
  assert.deepEqual([...replays.weights(4, at(1, 1))], [0, 1, 0, 0, 0]);
  assert.deepEqual([...replays.weights(4, at(1, -1))], [0, 0.5, 0.5, 0, 0]); // the mean of both heads
});

test("of a call that was not replayed nothing is shown, and no other call's", () => {
  const replays = replaysOf(replayed());
  for (const call of [0, 2, 3, 5]) {
    assert.equal(replays.weights(call, at(0, 0)), null);
    assert.equal(replays.logits(call, 0), null);
  }
  assert.deepEqual([0, 2, 3, 9].map((call) => replays.nearest(call)), [1, 1, 4, 4]);
  assert.equal(replaysOf(run()).weights(1, at(0, 0)), null);
});

test("logits are the best of all, with their chances", () => {
  const replays = replaysOf(replayed());
  assert.deepEqual(replays.logits(1, 0), [
    { token: 1, logit: 4, chance: 1 }, { token: 0, logit: 2, chance: Math.exp(-2) },
  ]);
  assert.equal(replays.logits(1, 2), null); // it is not drawn
  assert.deepEqual(replays.logits(4, 1).map(({ token }) => token), [5, 7]);
});

test("how good a choice was among all", () => {
  const logits = replaysOf(replayed()).logits(1, 1);
  const told = (choice) => rankTold({ choice, names: {} }, logits, 256);
  assert.match(told(7), /^7 was drawn: rank 1 of 256, with a chance of 37.% before guidance\.$/); // e^(2 − 3)
  assert.match(told(5), /^5 was drawn: rank 2 of 256, with a chance of <.0\.1.% before guidance\.$/);
  assert.match(told(3), /3 was drawn\. It is none of the best 2/);
  assert.equal(rankTold(null, logits, 256), "The best 2 logits of the draw.");
});

test("attention in words, by what is said where one looks", () => {
  const found = wordsLookedAt(replayed(), Float32Array.from([0.25, 0, 0.5, 0, 0.25]));
  assert.deepEqual(found, [["“a”", 0.5], ["what is before the first word", 0.25], ["“b”", 0.25]]);
});

test("the tab of a page without a replay says how to get one", (t) => {
  page(t);
  const data = run({ replay: { how: "trace.to_html(…)", looks: [], left_out: "" } });
  const parts = attentionParts(data, looked([data]).store);
  assert.equal(parts.length, 1);
  assert.match(parts[0].element.textContent, /computes it again.*trace\.to_html\(…\)/s);
});

test("the tab of a call that was not replayed says so, and goes to one that was", (t) => {
  const clock = page(t);
  const data = replayed();
  const { store } = looked([data], { call: 3 });
  const parts = attentionParts(data, store);
  for (const part of parts) part.draw(store.state);
  for (const { element } of parts) {
    const none = element.all.find(({ attributes }) => attributes.class === "look-none");
    assert.equal(none.hidden, false);
    assert.match(none.textContent, /does not have call 3\. It has 2 calls, from 1 to 4\./);
    assert.ok(element.all.find(({ attributes }) => attributes.class === "look-place").hidden);
  }
  const go = parts[0].element.all.find(({ attributes }) => attributes.class === "look-go");
  go.dispatchEvent(new Event("click"));
  clock.frame();
  assert.equal(store.state.call, 4);
});

test("the track tells where a call looks, and draws no other call's", () => {
  const data = replayed();
  const track = lookTrack(data);
  assert.ok(track.there);
  assert.equal(track.note({ call: 3, look: at(0, 0) }), "this call is not replayed");
  assert.match(track.note({ call: 4, look: at(0, 0) }), /^100.% on “b”$/);
  const bars = [];
  const sheet = {
    axis: { x: (call) => call, step: 1, seen: (calls) => [0, calls] }, height: 40,
    palette: { heat_css: Array.from({ length: 64 }, () => "") }, fill: (...bar) => bars.push(bar),
  };
  track.mark(sheet, { call: 3, look: at(0, 0) });
  assert.equal(bars.length, 0);
  track.mark(sheet, { call: 4, look: at(0, 0) });
  assert.deepEqual(bars.map(([, , , , high]) => high), [1, 1, 1, 1, 36]);
  assert.ok(!lookTrack(run()).there);
});
