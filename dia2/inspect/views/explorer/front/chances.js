// How likely the candidates of a draw were.

/** @import { Draw } from "./types.d.ts" */

/**
 * Chance of each candidate in a draw, from that of the choice: the same softmax, so their ratio is known. Who is in the
 * draw the view says (`alive`); where it does not, the best `top_k` that guidance kept are. Null where it is not known:
 * an edit can put a code there that the draw could not give, whose chance, 0, tells of no other; or nothing says at
 * which temperature it was drawn.
 *
 * @param {Draw} draw
 */
export function chances(draw) {
  const { temperature, top_k: topK = 0, by = "cond" } = draw.sampling;
  const chosen = draw.candidates.find((candidate) => candidate.chosen);
  let better = 0;
  return draw.candidates.map((candidate) => {
    if (candidate.chosen) {
      better += candidate.kept ? 1 : 0;
      return draw.probability > 0 ? draw.probability : null;
    }
    if (!(candidate.alive ?? candidate.kept)) return 0;
    if (temperature === null) return null;
    if (temperature <= 0) return 0;
    const rank = better;
    better += 1;
    if (candidate.alive === null && topK > 0 && rank >= topK) return 0;
    if (!chosen || !(draw.probability > 0)) return null;
    return Math.min(1, draw.probability * Math.exp((candidate[by] - chosen[by]) / temperature));
  });
}
