// Where one looks, as a link says it: `#call=311&lens=voice&track=surprise`.

/** @import { Link, State } from "./types.d.ts" */

/**
 * What a link asks for; what it does not name, or names wrongly, is left out.
 *
 * @param {string} hash
 * @returns {Link}
 */
export function linkOf(hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  /** @type {(name: string) => number | undefined} */
  const number = (name) => (/^\d{1,9}$/.test(asked.get(name) ?? "") ? Number(asked.get(name)) : undefined);
  /** @type {(name: string) => string | undefined} */
  const word = (name) => asked.get(name)?.slice(0, 40) ?? undefined;
  return {
    call: number("call"),
    draw: number("draw"),
    lens: word("lens"),
    track: word("track"),
    tab: word("tab"),
    theme: word("theme"),
    present: number("present"),
  };
}

/**
 * The link to what is looked at.
 *
 * @param {State} state
 */
export function hashOf({ call, lens, tab, draw, slide }) {
  const present = slide === null ? "" : `&present=${slide}`;
  return `#call=${call}&lens=${lens}${tab && `&tab=${tab}`}&draw=${draw}${present}`;
}
