import assert from "node:assert/strict";
import { test } from "node:test";

import { again, settingsOf, stopsOf, weigh } from "./front.js";

/** A draw of four recorded candidates, of ten that there are; guidance keeps the two best of them. */
function drawOf(more = {}) {
  const logits = [[7, 4, 5], [2, 3, 9], [5, 2, 1], [9, 1, 8]];
  return {
    names: {},
    choice: 2,
    probability: 0.25,
    candidates: logits.map(([token, cond, guided]) => ({
      token, cond, guided, kept: guided > 5, chosen: token === 2, alive: null,
    })),
    sampling: { temperature: 1, top_k: 0 },
    guidance: { cfg: 2, keep: 2, plus: 0, off: 1 },
    sampler: { vocabulary: 10, forbidden: [] },
    uniform: 0.5,
    step: { cond: 2 ** -12, guided: 2 ** -12 },
    ...more,
  };
}

const OWN = { temperature: 1, top_k: 0, cfg: 2, keep: 2 };

test("settings are those of the draw, and of all candidates 0", () => {
  assert.deepEqual(settingsOf(drawOf()), OWN);
  const wide = drawOf({ sampling: { temperature: 0.5, top_k: 10 }, guidance: null });
  assert.deepEqual(settingsOf(wide), { temperature: 0.5, top_k: 0 });
  const guidance = { cfg: 3, keep: 50, plus: 1, off: null };
  const dia = drawOf({ sampling: { temperature: 1.2, top_p: 0.9 }, guidance });
  assert.deepEqual(settingsOf(dia), { temperature: 1.2, top_p: 0.9, cfg: 3, keep: 0 });
  assert.equal(settingsOf(drawOf({ sampler: null })), null);
  assert.equal(settingsOf(drawOf({ sampling: { temperature: null } })), null);
});

test("a choice is by inverse CDF over ids, whoever is likeliest", () => {
  const odds = 1 / (1 + Math.exp(-2)); // of 2 against 9, whose logits are 3 and 1
  for (const [uniform, token] of [[0.001, 2], [odds - 0.01, 2], [odds + 0.01, 9], [0.999, 9]]) {
    const draw = drawOf({ uniform, choice: token });
    assert.deepEqual(again(draw, OWN), { kind: "token", token });
    const flat = again(draw, { ...OWN, temperature: 100 }); // half each
    assert.deepEqual(flat, { kind: "token", token: uniform < 0.5 ? 2 : 9 });
  }
  const near = again(drawOf({ uniform: odds, choice: 9 }), { ...OWN, keep: 1 });
  assert.deepEqual(near, { kind: "token", token: 2 }); // one alone has no border
  const border = again(drawOf({ uniform: odds }), { ...OWN, temperature: 1 + 1e-9 });
  assert.deepEqual(border, { kind: "close", tokens: [2, 9] });
});

test("what the filter keeps has to be among the recorded", () => {
  const told = (settings, more) => again(drawOf(more), { ...OWN, ...settings }).kind;
  assert.equal(told({ temperature: 0.5 }), "token"); // it keeps two, and two were recorded
  assert.equal(told({ keep: 1 }), "token");
  assert.equal(told({ keep: 3 }), "beyond"); // the third may be another one
  assert.equal(told({ keep: 3, top_k: 1 }), "beyond");
  assert.equal(told({ cfg: 3 }), "beyond"); // others may come before these
  assert.equal(told({ cfg: 1 }), "beyond"); // which keeps all ten
  assert.equal(told({ cfg: 1, top_k: 4 }), "token"); // of which the best four are there
  assert.equal(told({ cfg: 1, top_k: 5 }), "beyond");
  assert.equal(told({ cfg: 1, temperature: 0 }), "token");
  const wider = { guidance: { cfg: 2, keep: 3, plus: 0, off: 1 } }; // one that it kept was not recorded
  assert.equal(told({ keep: 3, temperature: 0.5 }, wider), "beyond");
  assert.equal(told({ keep: 3, top_k: 2 }, wider), "token");
  assert.equal(told({ keep: 2 }, wider), "beyond");
  const all = { sampler: { vocabulary: 4, forbidden: [] } };
  for (const cfg of [1, 3]) for (const keep of [2, 3]) assert.equal(told({ cfg, keep }, all), "token");
});

test("the choice in the last place is nobody's neighbour", () => {
  const last = drawOf({ choice: 9, uniform: 0.9 });
  for (const candidate of last.candidates) candidate.chosen = candidate.token === 9;
  assert.equal(again(last, { ...OWN, cfg: 1, top_k: 3 }).kind, "token");
  assert.equal(again(last, { ...OWN, cfg: 1, top_k: 4 }).kind, "beyond"); // better ones may not be there
});

test("guidance is computed anew, and what may not be drawn stays out", () => {
  const all = drawOf({ sampler: { vocabulary: 4, forbidden: [2] }, choice: 9 });
  const weighed = (cfg, keep) => weigh(all, { ...OWN, cfg, keep });
  // guided = uncond + cfg · (cond − uncond): uncond is 3, −3, 3, −6
  assert.deepEqual(weighed(3, 3).guided, [6, 15, 0, 15]);
  assert.deepEqual(weighed(1.5, 3).guided, [4.5, 6, 1.5, 4.5]);
  assert.deepEqual(weighed(3, 3).kept, [true, false, false, true]);
  assert.deepEqual(weighed(3, 1).unsure, [true, false, true, true]); // 9 or 2 stays; of 2 alone all others would
  const only = weigh(all, { ...OWN, cfg: 2, keep: 1 });
  assert.deepEqual(only.kept, [true, false, true, true]); // the filter left only what is forbidden: all others stay
});

test("an end is drawn where it is the best, and alone", () => {
  const end = { sampler: { vocabulary: 4, forbidden: [], alone: 2 }, guidance: null };
  assert.deepEqual(weigh(drawOf(end), { temperature: 1 }).list, [0, 2, 3]);
  const best = { ...end, sampler: { ...end.sampler, alone: 7 } };
  assert.deepEqual(weigh(drawOf(best), { temperature: 1 }).list, [0]);
  assert.deepEqual(weigh(drawOf(best), { temperature: 0 }).list[0], 0);
});

test("top-p leaves the best up to the first that passes it", () => {
  const draw = drawOf({ sampler: { vocabulary: 4, forbidden: [] }, guidance: null });
  const left = (top_p) => weigh(draw, { temperature: 1, top_p }).list.length; // .64, .24, .09, .03
  assert.deepEqual([0.5, 0.7, 0.9, 0.99, 1].map(left), [1, 2, 3, 4, 4]);
});

test("sliders stand where the run had them, and show only what can be set", () => {
  const stops = (more) => {
    const draw = drawOf(more);
    return new Map(stopsOf(draw, settingsOf(draw)));
  };
  assert.deepEqual(stops().get("keep"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  assert.deepEqual([...stops().keys()], ["temperature", "top_k", "cfg", "keep"]);
  assert.deepEqual([...stops({ guidance: null }).keys()], ["temperature", "top_k"]);
  const odd = stops({ sampling: { temperature: 0.812, top_k: 0 } }).get("temperature");
  assert.deepEqual(odd.slice(15, 19), [0.75, 0.8, 0.812, 0.85]);
  const most = stops({ sampling: { temperature: 1, top_k: 321 }, sampler: { vocabulary: 2050, forbidden: [] } });
  assert.deepEqual(most.get("top_k").slice(-3), [200, 321, 0]);
  const off = { guidance: { cfg: 0, keep: 5, plus: 1, off: null } };
  assert.deepEqual([...stops(off).keys()], ["temperature", "top_k", "keep"]); // without guidance no strength of it
});
