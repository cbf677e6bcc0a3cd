import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, linkOf, namedIn as named } from "./front.js";

test("a link names what is looked at, and is read again", () => {
  const seen = { call: 311, lens: "voice", track: null, open: ["surprise"], tab: "Call", draw: 3, slide: null };
  const hash = hashOf(seen);
  assert.equal(hash, "#call=311&lens=voice&tab=Call&draw=3");
  assert.deepEqual(named(hash), { call: 311, lens: "voice", tab: "Call", draw: 3 });
  assert.deepEqual(named(hashOf({ ...seen, slide: 0 })), { ...named(hash), present: 0 });
  assert.deepEqual(named("#call=7&track=surprise&theme=dark"), { call: 7, track: "surprise", theme: "dark" });
});

test("a link names the track that was chosen, as long as it is open", () => {
  const seen = { call: 3, lens: "run", track: "surprise", open: ["sound", "surprise"], tab: "", draw: 0, slide: null };
  assert.equal(hashOf(seen), "#call=3&lens=run&track=surprise&draw=0");
  assert.equal(named(hashOf(seen)).track, "surprise");
  assert.equal(named(hashOf({ ...seen, open: ["sound"] })).track, undefined);
  const odd = 'a&call=9"#';
  const hash = hashOf({ ...seen, track: odd, open: [odd] });
  assert.deepEqual([named(hash).track, named(hash).call, hash.includes('"')], [odd, 3, false]);
});

test("what is no number is no call, and no text is long", () => {
  assert.deepEqual(named(""), {});
  for (const call of ["-1", "1e9", "x", "", "1.5", "12345678901"]) assert.deepEqual(named(`#call=${call}`), {}, call);
  assert.equal(linkOf(`#track=${"x".repeat(999)}`).track.length, 40);
});
