import assert from "node:assert/strict";
import { test } from "node:test";

import { Player, SPEEDS } from "./front.js";
import { page } from "./page.js";
import { looked, run } from "./run.js";

/** A player on a page, of a run of ten calls at ten calls a second. */
function playing(t, header = {}, state = {}) {
  const screen = page(t);
  const runs = [run({ seconds: 1, mime: "audio/mpeg", ...header })];
  const { views, store } = looked(runs, state);
  const player = new Player(views, store);
  return { player, store, screen, data: runs[0], calls: (frames, ms) => callsOf(store, screen, frames, ms) };
}

/** The call after each of some frames. */
function callsOf(store, screen, frames, milliseconds = 100) {
  return Array.from({ length: frames }, () => {
    screen.frame(milliseconds);
    return store.state.call;
  });
}

const SOUND = Uint8Array.of(1, 2, 3);

test("a run is heard at its own speed at first, and at its own pitch at any", (t) => {
  const { player } = playing(t);
  assert.deepEqual(SPEEDS, [0.25, 0.5, 1, 1.5, 2]);
  assert.equal(player.audio.preservesPitch, true);
});

test("where nothing is heard the clock drives", (t) => {
  const { player, store, calls } = playing(t);
  player.play();
  assert.equal(store.state.playing, true);
  assert.deepEqual(calls(3), [1, 2, 3]);
  store.set({ speed: 2 });
  assert.deepEqual(calls(2), [5, 7]);
  player.toggle();
  assert.equal(store.state.playing, false);
  assert.deepEqual(calls(2), [7, 7]);
  store.set({ call: 3, speed: 1 });
  player.toggle();
  assert.deepEqual(calls(1), [4]); // the pause does not count
});

test("who scrubs while the clock drives goes on from there", (t) => {
  const { player, store, calls } = playing(t);
  player.play();
  calls(5);
  store.set({ call: 2 });
  assert.deepEqual(calls(2), [3, 4]);
});

test("half a call is kept for the next frame", (t) => {
  const { player, calls } = playing(t);
  player.play();
  assert.deepEqual(calls(4, 50), [0, 1, 1, 2]);
});

test("a frame that comes late moves a quarter of a second at most, and one dated before the click none", (t) => {
  const { player, calls } = playing(t);
  player.play();
  assert.deepEqual(calls(1, 60_000), [2]);
  player.pause();
  calls(1);
  player.toggle();
  assert.deepEqual(calls(1, -30), [2]);
});

test("a run without a clock is played at a pace of its own", (t) => {
  const { player, calls } = playing(t, { clock: null, calls: 100 });
  player.load(SOUND, run({ clock: null, seconds: 1 }));
  player.play();
  assert.deepEqual(calls(2), [5, 10]);
  assert.equal(player.audio.paused, true); // nothing tells where in the sound they are
});

test("at its end it pauses, and plays again from the first call", (t) => {
  const { player, store, screen, calls } = playing(t, {}, { call: 8 });
  player.play();
  assert.deepEqual(calls(1), [9]);
  assert.equal(store.state.playing, false);
  screen.frame(); // the last call is drawn
  assert.equal(screen.waiting, 0);
  player.play();
  assert.equal(store.state.call, 0);
});

test("what is heard drives the calls", (t) => {
  const { player, store, data, calls } = playing(t, {}, { call: 2, speed: 1.5 });
  player.load(SOUND, data);
  assert.equal(player.audio.paused, true); // until it plays
  player.play();
  assert.deepEqual([player.audio.paused, player.audio.currentTime, player.audio.playbackRate], [false, 0.2, 1.5]);
  player.audio.currentTime = 0.55;
  assert.deepEqual(calls(2), [5, 5]);
  player.audio.currentTime = 0.4; // a sound that lags moves nothing back
  store.set({ speed: 0.5 });
  assert.deepEqual(calls(1), [5]);
  assert.equal(player.audio.playbackRate, 0.5);
  player.pause();
  assert.equal(player.audio.paused, true);
});

test("who scrubs while it plays hears it from there", (t) => {
  const { player, store, data, screen } = playing(t);
  player.load(SOUND, data);
  player.play();
  screen.frame();
  store.set({ call: 6 });
  screen.frame();
  assert.deepEqual([player.audio.currentTime, player.audio.paused, store.state.call], [0.6, false, 6]);
  store.set({ call: 3 });
  screen.frame();
  assert.deepEqual([player.audio.currentTime, store.state.call], [0.3, 3]);
});

test("who scrubs to where there is no sound hears none", (t) => {
  const { player, store, data, screen } = playing(t, { seconds: 0.5 });
  player.load(SOUND, data);
  player.play();
  assert.equal(player.audio.paused, false);
  store.set({ call: 7 });
  screen.frame();
  assert.deepEqual([player.audio.paused, store.state.call], [true, 8]);
});

test("before its sound a run is played by the clock, which asks for none", (t) => {
  const clock = { rate: 10, zero: 4, twice: null, before: "prefix" };
  const { player, data, calls } = playing(t, { clock });
  player.load(SOUND, data);
  player.play();
  assert.deepEqual([calls(3), player.audio.asked], [[1, 2, 3], 0]);
  assert.deepEqual([calls(1), player.audio.asked], [[4], 1]);
});

test("the sound begins where the calls reach it, and that call is drawn", (t) => {
  const clock = { rate: 10, zero: 2, twice: null, before: "prefix" };
  const { player, store, data, screen } = playing(t, { clock });
  const drawn = [];
  store.subscribe(({ call }) => drawn.push(call));
  player.load(SOUND, data);
  player.play();
  assert.equal(player.audio.paused, true);
  screen.frame();
  assert.equal(player.audio.paused, true);
  screen.frame();
  assert.deepEqual([player.audio.paused, player.audio.currentTime, store.state.call], [false, 0, 2]);
  screen.frame();
  assert.ok(drawn.includes(2));
});

test("after its sound the rest of a run is played by the clock", (t) => {
  const { player, data, calls } = playing(t, { seconds: 0.3 }, { call: 3 });
  player.load(SOUND, data);
  player.play();
  assert.equal(player.audio.paused, true); // there is no sound that late
  assert.deepEqual(calls(2), [4, 5]);
  player.pause();
  player.load(SOUND, run({ seconds: null }));
  player.start(0);
  assert.equal(player.audio.asked, 0); // nor is there any of which no length is known
});

test("a sound that has ended drives nothing", (t) => {
  const { player, data, calls } = playing(t);
  player.load(SOUND, data);
  player.play();
  player.audio.ended = true;
  assert.deepEqual(calls(2), [1, 2]);
});

test("a browser that wants a click first is driven by the clock", async (t) => {
  const { player, data, calls } = playing(t);
  player.load(SOUND, data);
  player.audio.refused = true;
  player.play();
  await Promise.resolve();
  assert.deepEqual(calls(3), [1, 2, 3]);
  assert.equal(player.audio.asked, 1); // not again with every frame
});

test("another sound goes on where the last one was, and takes its place", (t) => {
  const { player, data, screen } = playing(t);
  const revoked = t.mock.method(URL, "revokeObjectURL");
  player.load(SOUND, data);
  const first = player.url;
  player.play();
  player.audio.currentTime = 0.42;
  screen.frame();
  const other = run({ clock: { rate: 5, zero: 0, twice: null, before: "" }, seconds: 2, mime: "audio/ogg" });
  player.load(Uint8Array.of(4), other);
  assert.deepEqual(revoked.mock.calls.map((call) => call.arguments), [[first]]);
  assert.notEqual(player.url, first);
  assert.equal(player.audio.source, player.url);
  assert.equal(player.audio.currentTime, 0.8); // call 4 by the other's clock
  assert.equal(player.data, other);
  player.pause();
  player.audio.currentTime = 1.2;
  player.load(SOUND, data);
  assert.equal(player.audio.currentTime, 1.2); // no call was asked for
});

test("what is loaded is of the kind that the run says", async (t) => {
  const { player, data } = playing(t);
  const made = t.mock.method(URL, "createObjectURL");
  player.load(SOUND, data);
  const [blob] = made.mock.calls[0].arguments;
  assert.equal(blob.type, "audio/mpeg");
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), SOUND);
});

test("a row that is read stays while time goes by", (t) => {
  const { player, store, calls } = playing(t, {}, { row: 5 });
  player.play();
  store.set({ row: 5 });
  calls(2);
  assert.deepEqual([store.state.call, store.state.row], [2, 5]);
});

test("one voice at a time", (t) => {
  const { player, store } = playing(t);
  const second = looked([run()]);
  const other = new Player(second.views, second.store);
  player.play();
  other.play();
  assert.deepEqual([store.state.playing, second.store.state.playing], [false, true]);
  player.play();
  assert.deepEqual([store.state.playing, second.store.state.playing], [true, false]);
  other.play();
  other.destroy();
  assert.equal(second.store.state.playing, false); // what is taken away is still
  second.store.set({ playing: true });
  player.play();
  assert.equal(second.store.state.playing, true); // and listens no more
});

test("with another, shorter run it plays on to the end of the longer one", (t) => {
  const screen = page(t);
  const { views, store } = looked([run({ calls: 3 }), run({ calls: 5 })]);
  const player = new Player(views, store);
  player.play();
  assert.deepEqual(callsOf(store, screen, 5), [1, 2, 3, 4, 4]);
  assert.equal(store.state.playing, false);
});

test("a selection is played again and again while the loop is on", (t) => {
  const { player, store, calls } = playing(t, {}, { call: 0, loop: true, selection: [4, 6] });
  player.play();
  assert.equal(store.state.call, 4); // who stands before it begins with it
  assert.deepEqual(calls(5), [5, 4, 5, 4, 5]);
  store.set({ loop: false });
  assert.deepEqual(calls(3), [6, 7, 8]);
});

test("without a selection the loop is the whole run", (t) => {
  const { player, store, calls } = playing(t, {}, { call: 7, loop: true });
  player.play();
  assert.deepEqual(calls(3), [8, 0, 1]);
  assert.equal(store.state.playing, true);
});

test("recordings sound while the calls read them, then what was made", (t) => {
  const recordings = [
    { speaker: 1, first: 0, calls: 2, seconds: 0.2, column: "sound_recording_1", rate: 8000 },
    { speaker: 2, first: 2, calls: 1, seconds: 0.1, column: "sound_recording_2", rate: 8000 },
  ];
  const screen = page(t);
  const clock = { rate: 10, zero: 3, twice: null, before: "prefix" };
  const header = { recordings, clock, given: { calls: 3, why: "" }, seconds: 1, mime: "audio/mpeg" };
  const data = run(header, { sound_recording_1: SOUND });
  const { views, store } = looked([data]);
  const player = new Player(views, store);
  player.load(SOUND, data);
  player.play();
  const recorded = player.heard;
  assert.notEqual(recorded, player.audio);
  assert.deepEqual([recorded.paused, recorded.currentTime], [false, 0]);
  recorded.currentTime = 0.15;
  assert.deepEqual(callsOf(store, screen, 1), [1]);
  recorded.currentTime = 0.2; // at its end the next call reads another recording, whose sound was not kept
  assert.deepEqual(callsOf(store, screen, 1), [2]);
  assert.deepEqual(callsOf(store, screen, 1), [3]);
  assert.equal(player.heard, player.audio);
  assert.deepEqual([recorded.paused, player.audio.paused, player.audio.currentTime], [true, false, 0]);
  player.pause();
  assert.equal(player.audio.paused, true);
});
