// How a track of each kind is drawn. Families declare their tracks; see view_tracks.py.

import { budgetTrack, cacheTrack, countTrack, stateTrack } from "./countertracks.js";
import { loudnessTrack, pullTrack, surpriseTrack } from "./curvetracks.js";
import { driftTrack } from "./drifttrack.js";
import { gridTrack } from "./gridtrack.js";
import { lookTrack } from "./looktrack.js";
import { soundTrack } from "./soundtrack.js";
import { takenTrack } from "./takentrack.js";
import { textTrack } from "./texttrack.js";
import { wordTrack } from "./wordtrack.js";

/**
 * @import { Data } from "./data.js"
 * @import { Store } from "./store.js"
 * @import { Painter, Track } from "./types.d.ts"
 */

/**
 * @param {Track} track
 * @param {Data} data
 * @param {Store} store
 * @param {Data} [other] to compare with
 * @returns {Painter}
 */
export function painterOf(track, data, store, other) {
  switch (track.kind) {
    case "sound":
      return soundTrack(data);
    case "words":
      return wordTrack(data);
    case "taken":
      return takenTrack(data);
    case "drift":
      return driftTrack(data);
    case "text":
      return textTrack(data, track);
    case "states":
      return stateTrack(data, track);
    case "count":
      return countTrack(data, track);
    case "surprise":
      return surpriseTrack(data);
    case "pull":
      return pullTrack(data);
    case "loudness":
      return loudnessTrack(data);
    case "grid":
      return gridTrack(data, store, other);
    case "budget":
      return budgetTrack(data, track);
    case "looks":
      return lookTrack(data);
    case "cache":
      return cacheTrack(data);
  }
}
