// Whether somebody is here for the first time: the browser keeps that the tour was shown.

/** @import { Options } from "./types.d.ts" */

const TOURED = "dia2 tour"; // of what the browser keeps

/**
 * How the tour comes to who may be here for the first time: not at all to who had it.
 *
 * @param {Options["tour"]} first how it comes the first time
 * @returns {Options["tour"]} where the browser keeps nothing, it is offered: it would come each time
 */
export function tourFor(first) {
  try {
    return localStorage.getItem(TOURED) === null ? first : undefined;
  } catch {
    return "offer";
  }
}

/** It was shown. Where nothing can be kept, nothing is: then it was not more than offered. */
export function keepToured() {
  try {
    localStorage.setItem(TOURED, "yes");
  } catch {
    // the browser keeps nothing for this page
  }
}
