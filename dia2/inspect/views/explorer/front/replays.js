// What a replay holds of some calls: where they look, and all logits of their draws; see view_replay.py.

/**
 * @import { Data } from "./data.js"
 * @import { Logit, Look } from "./types.d.ts"
 */

/** @type {WeakMap<Data, Replays>} */
const KNOWN_REPLAYS = new WeakMap();

/**
 * The replay of a run, read once.
 *
 * @param {Data} data
 */
export function replaysOf(data) {
  const known = KNOWN_REPLAYS.get(data);
  if (known) return known;
  const made = new Replays(data);
  KNOWN_REPLAYS.set(data, made);
  return made;
}

export class Replays {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.facts = data.header.replay ?? { how: "", looks: [], left_out: "" };
    this.calls = [...(data.columns.replay_calls ?? [])];
    this.places = new Map(this.calls.map((call, i) => [call, i]));
    this.starts = this.facts.looks.map((_, look) => {
      let at = 0;
      return this.calls.map((call) => {
        const start = at;
        at += this.sizeOf(look, call);
        return start;
      });
    });
  }

  /**
   * Places of a memory that a call sees.
   *
   * @param {number} look
   * @param {number} call
   */
  seen(look, call) {
    const { over, labels } = this.facts.looks[look];
    return over === "calls" ? call + 1 : labels.length;
  }

  /**
   * @param {number} look
   * @param {number} call
   */
  sizeOf(look, call) {
    const { layers, heads } = this.facts.looks[look];
    return layers * heads * this.seen(look, call);
  }

  /**
   * How a call's attention is spread: [places], which sum to 1; null where the replay has none of this call.
   *
   * @param {number} call
   * @param {Look} look a head of −1: the mean of all of the layer
   * @returns {Float32Array | null}
   */
  weights(call, { look, layer, head }) {
    const place = this.places.get(call);
    const facts = this.facts.looks[look];
    const bytes = this.data.columns[`look_${look}`];
    if (place === undefined || !facts || !bytes) return null;
    const count = this.seen(look, call);
    const found = new Float32Array(count);
    const some = head < 0 ? Array.from({ length: facts.heads }, (_, i) => i) : [head];
    for (const each of some) {
      const from = this.starts[look][place] + (layer * facts.heads + each) * count;
      for (let i = 0; i < count; i += 1) found[i] += (bytes[from + i] / 255) ** 2 / some.length;
    }
    return found;
  }

  /**
   * The best logits of a draw, best first, with the chance of each among all, and how many there are; null where the
   * replay has none.
   *
   * @param {number} call
   * @param {number} draw
   * @returns {Logit[] | null}
   */
  logits(call, draw) {
    const place = this.places.get(call);
    const { logit_ids: ids, logit_steps: steps, logit_best: best, logit_step: step } = this.data.columns;
    const { logit_total: total } = this.data.columns;
    if (place === undefined || !ids || !steps || !best || !step || !total) return null;
    const [, draws, width] = ids.shape;
    const cell = place * draws + draw;
    /** @type {Logit[]} */
    const found = [];
    for (let i = cell * width; i < (cell + 1) * width && ids[i] >= 0; i += 1) {
      const logit = best[cell] - steps[i] * step[cell];
      found.push({ token: ids[i], logit, chance: Math.exp(logit - total[cell]) });
    }
    return found.length ? found : null;
  }

  /**
   * The replayed call that is nearest to another one.
   *
   * @param {number} call
   */
  nearest(call) {
    const [first] = this.calls;
    return this.calls.reduce((best, each) => (Math.abs(each - call) < Math.abs(best - call) ? each : best), first);
  }
}

/**
 * Where most of the attention goes, by the word that is said at the calls looked at: [word, share], the most first.
 *
 * @param {Data} data
 * @param {Float32Array} weights over calls
 * @returns {[word: string, share: number][]}
 */
export function wordsLookedAt(data, weights) {
  /** @type {Map<string, number>} */
  const shares = new Map();
  /** @type {Map<object | null, number>} */
  const each = new Map();
  weights.forEach((weight, call) => {
    const word = data.wordAt(call);
    each.set(word, (each.get(word) ?? 0) + weight);
  });
  for (const [word, share] of each) {
    const name = word ? `“${/** @type {{text: string}} */ (word).text}”` : "what is before the first word";
    shares.set(name, (shares.get(name) ?? 0) + share);
  }
  return [...shares].sort((a, b) => b[1] - a[1]);
}
