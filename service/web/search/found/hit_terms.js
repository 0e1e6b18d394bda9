// What speaks for a hit beside its appearance: type, size, position in the body; estimates are marked.

import { make } from "../../core/dom.js";

const NEAR = 0.1;
const ALIKE = [0.75, 1.33];
export const ESTIMATED = "Estimated, not measured";

/** What is known of the query: its position, and whether that and its size are estimates. @typedef {{ location: number[] | null, isPlaceEstimated: boolean, isSizeEstimated: boolean }} QueryFacts */

/** @param {SearchOut} result @param {boolean} isIndexed whether the query is a lesion of the index @returns {QueryFacts} */
export function queryFacts({ location, location_error: error, box_source: source }, isIndexed) {
  return { location, isPlaceEstimated: error !== null, isSizeEstimated: !isIndexed && source !== "recist" };
}

/** The terms of one hit as chips. @param {HitOut} hit @param {QueryFacts} query */
export function termsLine({ terms, lesion }, query) {
  const parts = [];
  if (terms.same_type !== null) parts.push(term(terms.same_type ? "same type" : "other type", "The lesion types", { supports: terms.same_type }));
  if (terms.size_ratio !== null) {
    const supports = terms.size_ratio > ALIKE[0] && terms.size_ratio < ALIKE[1];
    parts.push(term(`size ×${terms.size_ratio.toFixed(2)}`, "Long diameter of the hit over the query's", { supports, isEstimated: query.isSizeEstimated }));
  }
  parts.push(...placeTerms(query.location, lesion.location, query.isPlaceEstimated || lesion.location_error !== null));
  return parts.length === 0 ? null : make("span", { className: "terms" }, ...parts);
}

/**
 * In-plane and craniocaudal position, in shares of the body's normalised extent.
 * @param {number[] | null} here @param {number[] | null} there @param {boolean} isEstimated
 */
function placeTerms(here, there, isEstimated) {
  if (here === null || there === null) return [];
  const across = Math.hypot(there[0] - here[0], there[1] - here[1]);
  const down = there[2] - here[2];
  const height = Math.abs(down) < 0.005 ? "same height" : `${Math.abs(down).toFixed(2)} ${down > 0 ? "lower" : "higher"}`;
  return [
    term(`in-plane ${across.toFixed(2)} off`, "In-plane position, as a share of the body's width", { supports: across < NEAR, isEstimated }),
    term(height, "Craniocaudal position, as a share of the body's height", { supports: Math.abs(down) < NEAR, isEstimated }),
  ];
}

/** @param {string} words @param {string} title @param {{ supports: boolean | null, isEstimated?: boolean }} look */
function term(words, title, { supports, isEstimated = false }) {
  const text = isEstimated ? `≈ ${words}` : words;
  return make("span", { className: supports ? "term for" : "term", textContent: text, title: isEstimated ? `${title}. ${ESTIMATED}` : title });
}
