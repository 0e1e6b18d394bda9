// What a similarity means in this index: its rank among all pairs of patients, and when nothing is alike.

import { getJson } from "../../core/api.js";

/** Fewer lesions than this say nothing of how near a neighbour usually is. */
const FEWEST = 40;
/** An image whose best hit is below this percentile of nearest neighbours has nothing alike. */
const USUAL_LEAST = 5;

/** @type {Promise<SimilarityScaleOut | null> | null} */
let known = null;

/** The scale of the index, asked for once; null where the service has none. */
export function similarityScale() {
  known ??= getJson("v1/similarity").catch(() => null);
  return known;
}

/** The share of pairs of different patients that are less alike, in [0, 100]. @param {SimilarityScaleOut} scale @param {number} similarity */
export function percentileOf({ levels, pairs }, similarity) {
  if (similarity <= pairs[0]) return 0;
  for (let place = 1; place < pairs.length; place += 1) {
    if (similarity < pairs[place]) {
      const share = (similarity - pairs[place - 1]) / (pairs[place] - pairs[place - 1]);
      return levels[place - 1] + share * (levels[place] - levels[place - 1]);
    }
  }
  return 100;
}

/** `top 2 %` of all pairs; null where the index has too few to say. @param {SimilarityScaleOut | null} scale @param {number} similarity */
export function rankWords(scale, similarity) {
  if (scale === null || scale.lesions < 2) return null;
  const above = 100 - percentileOf(scale, similarity);
  if (above > 50) return "below half of the pairs";
  const shown = above < 0.1 ? "0.1" : above < 1 ? above.toFixed(1) : above.toFixed(0);
  return `top ${shown} %`;
}

/**
 * Why the best hit is no match, in a sentence; null where it is as near as hits usually are.
 * @param {SimilarityScaleOut | null} scale @param {number} best
 */
export function nothingAlike(scale, best) {
  if (scale === null || scale.lesions < FEWEST) return null;
  const usual = scale.nearest[scale.levels.indexOf(USUAL_LEAST)];
  if (best >= usual) return null;
  return `Nothing alike here: the best hit has ${best.toFixed(2)}, and ${100 - USUAL_LEAST} % of the indexed lesions have a neighbour of ${usual.toFixed(2)} or more.`;
}
