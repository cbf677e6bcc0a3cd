// A run that goes on, when more of its calls have come.

/** @import { Mounted } from "./types.d.ts" */

/**
 * Let the explorer have them; who looks at the last call goes along.
 *
 * @param {Mounted} shown
 * @param {number} before calls that there were
 * @param {number} calls that there are
 */
export function goAlong(shown, before, calls) {
  const { call, row } = shown.store.state;
  shown.store.set({ calls, ...(call === before - 1 ? { call: calls - 1, row } : {}) });
}
