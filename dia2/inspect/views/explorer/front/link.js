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
 * What a link names, and nothing else.
 *
 * @param {string} hash
 * @returns {Link}
 */
export function namedIn(hash) {
  return Object.fromEntries(Object.entries(linkOf(hash)).filter(([, value]) => value !== undefined));
}

/**
 * The link to what is looked at; to a track where one was chosen that is still open.
 *
 * @param {Pick<State, "call" | "lens" | "track" | "open" | "tab" | "draw" | "slide">} state
 */
export function hashOf({ call, lens, track, open, tab, draw, slide }) {
  const seen = track !== null && open.includes(track) ? `&track=${encodeURIComponent(track)}` : "";
  const present = slide === null ? "" : `&present=${slide}`;
  return `#call=${call}&lens=${lens}${seen}${tab && `&tab=${encodeURIComponent(tab)}`}&draw=${draw}${present}`;
}
