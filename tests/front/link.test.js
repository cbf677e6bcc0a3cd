import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, linkOf } from "./front.js";

/** What a link names. */
function named(hash) {
  return Object.fromEntries(Object.entries(linkOf(hash)).filter(([, value]) => value !== undefined));
}

test("a link names what is looked at, and is read again", () => {
  const seen = { call: 311, lens: "voice", tab: "Call", draw: 3, slide: null };
  const hash = hashOf(seen);
  assert.equal(hash, "#call=311&lens=voice&tab=Call&draw=3");
  assert.deepEqual(named(hash), { call: 311, lens: "voice", tab: "Call", draw: 3 });
  assert.deepEqual(named(hashOf({ ...seen, slide: 0 })), { ...named(hash), present: 0 });
  assert.deepEqual(named("#call=7&track=surprise&theme=dark"), { call: 7, track: "surprise", theme: "dark" });
});

test("what is no number is no call, and no text is long", () => {
  assert.deepEqual(named(""), {});
  for (const call of ["-1", "1e9", "x", "", "1.5", "12345678901"]) assert.deepEqual(named(`#call=${call}`), {}, call);
  assert.equal(linkOf(`#track=${"x".repeat(999)}`).track.length, 40);
});
