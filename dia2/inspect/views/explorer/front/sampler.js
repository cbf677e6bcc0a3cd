// A draw made again with other settings, out of what was recorded of it: step by step as the model draws. Logits come
// in steps, and the model's own sums are rounded, so a token is named only where no other can have come out.

/** @import { Again, Draw, Settings, Weighed } from "./types.d.ts" */

const ULP = 2 ** -23; // of float32, in which the model draws
const DEEPEST = 64; // roundings one after the other, at most, in any way that float32 numbers are summed in parallel

/**
 * The settings that a draw was made with; null where nothing tells them.
 *
 * @param {Draw} draw
 * @returns {Settings | null}
 */
export function settingsOf({ sampling, guidance, sampler }) {
  if (sampling.temperature === null || !sampler) return null;
  /** @type {Settings} */
  const settings = { temperature: sampling.temperature };
  if (sampling.top_k !== undefined) settings.top_k = countOf(sampling.top_k, sampler.vocabulary);
  if (sampling.top_p !== undefined) settings.top_p = sampling.top_p;
  if (guidance) Object.assign(settings, { cfg: guidance.cfg, keep: countOf(guidance.keep, sampler.vocabulary) });
  return settings;
}

/**
 * A number of candidates as it counts among so many: 0 is all of them.
 *
 * @param {number} count
 * @param {number} vocabulary
 */
function countOf(count, vocabulary) {
  return count > 0 && count < vocabulary ? count : 0;
}

/**
 * What would have been drawn.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 * @returns {Again}
 */
export function again(draw, settings) {
  const own = settingsOf(draw);
  if (!own) return { kind: "unknown" };
  if (draw.uniform === null) return { kind: "put" };
  const recorded = drawAgain(draw, own, draw.uniform);
  const possible = recorded.kind === "token" ? [recorded.token] : recorded.kind === "close" ? recorded.tokens : null;
  if (possible && !possible.includes(draw.choice)) return { kind: "contrary" };
  return sameSettings(own, settings) ? { kind: "token", token: draw.choice } : drawAgain(draw, settings, draw.uniform);
}

/**
 * @param {Settings} a
 * @param {Settings} b
 */
export function sameSettings(a, b) {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => {
    const key = /** @type {keyof Settings} */ (name);
    return a[key] === b[key];
  });
}

/**
 * Who takes part with some settings, and how likely each is among them.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 * @returns {Weighed}
 */
export function weigh(draw, settings) {
  const { candidates } = draw;
  const stay = whoStays(draw, settings);
  const part = (/** @type {number} */ i) => (stay.kept[i] || stay.unsure[i]) && candidates[i].cond > -Infinity;
  let list = [...candidates.keys()].filter(part);
  let lost = 0; // weight of those who may take part or not, and of who would take their places
  list = withoutLoner(draw, settings, list);
  const all = list.length;
  const k = settings.top_k ?? 0;
  const weight = (/** @type {number} */ i) => {
    if (settings.temperature <= 0) return i === list[0] ? 1 : 0;
    return Math.exp((candidates[i].cond - candidates[list[0]].cond) / settings.temperature);
  };
  if (k > 0 && k < list.length) {
    const last = candidates[list[k - 1]].cond;
    if (last - candidates[list[k]].cond <= draw.step.cond) {
      lost += weight(list[k]) * list.filter((i) => Math.abs(candidates[i].cond - last) <= draw.step.cond).length;
    }
    list = list.slice(0, k);
  }
  if ((settings.top_p ?? 1) < 1 && settings.temperature > 0) {
    const total = sumOf(list.map(weight));
    const room = roomOf(draw, settings, list);
    let before = 0;
    /** @type {number[]} */
    const left = [];
    for (const i of list) {
      const [low, high] = shareWithin(before / total, room);
      if (low > /** @type {number} */ (settings.top_p)) break;
      if (high > /** @type {number} */ (settings.top_p)) lost += weight(i);
      left.push(i);
      before += weight(i);
    }
    list = left;
  }
  const weights = candidates.map(() => 0);
  for (const i of list) weights[i] = weight(i);
  for (const i of list) if (stay.unsure[i]) lost += 2 * weights[i];
  const total = sumOf(weights);
  const chances = weights.map((each) => (total > 0 ? each / total : 0));
  return { ...stay, list, all, chances, lost: total > lost ? lost / (total - lost) : Infinity };
}

/**
 * Who guidance, and what the model forbids, leave in the draw.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 */
function whoStays(draw, settings) {
  const { candidates, guidance, sampler } = draw;
  const { vocabulary, forbidden } = sampler ?? { vocabulary: Infinity, forbidden: [] };
  const whole = candidates.length >= vocabulary;
  const allowed = candidates.map(({ token }) => !forbidden.includes(token));
  const none = candidates.map(() => false);
  const { values: guided, error } = guidedAt(draw, settings.cfg);
  const recorded = candidates.map(({ kept }) => kept);
  const keep = settings.keep ?? 0;
  if (!guidance || keep <= 0 || keep >= vocabulary || settings.cfg === guidance.off) {
    return { guided, kept: allowed, unsure: none, beyond: !whole, known: true };
  }
  const count = recorded.filter(Boolean).length;
  const all = whole || count >= guidance.keep; // who was kept is among the recorded
  if (settings.cfg === guidance.cfg && keep === guidance.keep) {
    return { guided, kept: recorded, unsure: none, beyond: !all, known: true };
  }
  const narrower = settings.cfg === guidance.cfg && keep < guidance.keep && all;
  const among = whole || !narrower ? candidates.map(() => true) : recorded;
  const { kept, unsure } = largestOf(guided.map((value, i) => (among[i] ? value : -Infinity)), keep, error);
  const left = kept.map((each, i) => each && allowed[i]);
  const perhaps = unsure.map((each, i) => each && allowed[i]);
  const known = whole || narrower;
  if (whole && !left.some(Boolean)) {
    // The filter left only what may not be drawn, so all others are; or it may have done so.
    const sure = !perhaps.some(Boolean);
    return { guided, kept: sure ? allowed : none, unsure: sure ? none : allowed, beyond: false, known };
  }
  return { guided, kept: left, unsure: perhaps, beyond: !known, known };
}

/**
 * Guided logits with another strength of guidance, and how far off each can be.
 *
 * @param {Draw} draw
 * @param {number | undefined} cfg
 */
function guidedAt({ candidates, guidance, step }, cfg) {
  if (!guidance || cfg === undefined || cfg === guidance.cfg) {
    return { values: candidates.map(({ guided }) => guided), error: step.guided / 2 };
  }
  const [from, to] = [guidance.cfg + guidance.plus, cfg + guidance.plus];
  const ratio = (1 - to) / (1 - from); // guided = scale · cond + (1 − scale) · uncond
  const share = to - ratio * from;
  const values = candidates.map(({ cond, guided }) => {
    return cond > -Infinity && guided > -Infinity ? share * cond + ratio * guided : -Infinity;
  });
  const finite = candidates.filter((_, i) => values[i] > -Infinity);
  const largest = Math.max(0, ...finite.map(({ cond, guided }) => Math.max(Math.abs(cond), Math.abs(guided))));
  const rounding = 8 * ULP * largest * (1 + Math.abs(share) + Math.abs(ratio) * (1 + Math.abs(from)) + Math.abs(to));
  return { values, error: Math.abs(share) * (step.cond / 2) + Math.abs(ratio) * (step.guided / 2) + rounding };
}

/**
 * The `keep` largest of values that are each off by at most `error`.
 *
 * @param {number[]} values
 * @param {number} keep
 * @param {number} error
 */
function largestOf(values, keep, error) {
  const order = Float64Array.from(values).sort().reverse();
  const last = order[Math.min(keep, order.length) - 1];
  const next = order[keep] ?? -Infinity;
  const kept = values.map((value) => value > -Infinity && value - next > 2 * error);
  const unsure = values.map((value, i) => value > -Infinity && !kept[i] && last - value <= 2 * error);
  return { kept, unsure };
}

/**
 * Some ids are drawn only where they are the best, and then they alone.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 * @param {number[]} list
 */
function withoutLoner({ candidates, sampler }, settings, list) {
  const loner = sampler?.alone;
  if (loner === undefined || settings.temperature <= 0 || !list.length) return list;
  if (candidates[list[0]].token === loner) return list.slice(0, 1);
  return list.filter((i) => candidates[i].token !== loner);
}

/**
 * By how much the odds of one part of the list against the other can be off, as a factor's logarithm.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 * @param {number[]} list
 */
function roomOf({ candidates, step }, { temperature }, list) {
  const largest = Math.max(0, ...list.map((i) => Math.abs(candidates[i].cond)));
  return 2 * ((step.cond / 2 + 2 * ULP * largest) / temperature + 6 * ULP);
}

/**
 * The least and the most that a share of the whole can be.
 *
 * @param {number} share
 * @param {number} room see `roomOf`
 */
function shareWithin(share, room) {
  const factor = Math.exp(-room);
  return [(share * factor) / (share * factor + 1 - share), share / (share + (1 - share) * factor)];
}

/**
 * Inverse CDF over ids, as the model has it.
 *
 * @param {Draw} draw
 * @param {Settings} settings
 * @param {number} uniform
 * @returns {Again}
 */
function drawAgain(draw, settings, uniform) {
  const { candidates, step } = draw;
  const found = weigh(draw, settings);
  if (!found.known || !found.list.length) return { kind: "beyond" };
  if (found.beyond) {
    // The choice stands in the last place wherever it ranks: who comes between is not there.
    const ranked = found.list.filter((i) => i < candidates.length - 1 || !candidates[i].chosen).length;
    const wanted = settings.temperature <= 0 ? 1 : (settings.top_k ?? 0);
    if (wanted <= 0 || ranked < wanted) return { kind: "beyond" };
  }
  if (settings.temperature <= 0) {
    const most = candidates[found.list[0]].cond;
    const near = found.list.filter((i) => most - candidates[i].cond <= step.cond || found.unsure[found.list[0]]);
    return answerOf(near.map((i) => candidates[i].token));
  }
  const room = roomOf(draw, settings, found.list);
  const slack = found.lost + (Math.min(found.list.length, DEEPEST) + 8) * (ULP / 2);
  const order = found.list.toSorted((a, b) => candidates[a].token - candidates[b].token);
  /** @type {number[]} */
  const possible = [];
  let before = 0;
  for (const [place, i] of order.entries()) {
    const after = place === order.length - 1 ? 1 : Math.min(1, before + found.chances[i]);
    if (uniform >= shareWithin(before, room)[0] - slack && uniform <= shareWithin(after, room)[1] + slack) {
      possible.push(candidates[i].token);
    }
    before = after;
  }
  return answerOf(possible);
}

/**
 * @param {number[]} tokens
 * @returns {Again}
 */
function answerOf(tokens) {
  return tokens.length === 1 ? { kind: "token", token: tokens[0] } : { kind: "close", tokens };
}

/** @param {number[]} numbers */
function sumOf(numbers) {
  return numbers.reduce((a, b) => a + b, 0);
}
