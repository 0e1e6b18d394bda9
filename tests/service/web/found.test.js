// Results that speak: ranks among pairs, hits by patient, what the nearest ten have in common.

import assert from "node:assert/strict";
import { test } from "node:test";

import { nothingAlike, percentileOf, rankWords } from "../../../service/web/search/found/alikeness.js";
import { groupsOf, shownHits } from "../../../service/web/search/found/groups.js";
import { queryFacts } from "../../../service/web/search/found/hit_terms.js";
import { sumOf } from "../../../service/web/search/found/summary.js";
import { useWords } from "./words.js";

useWords();

const SCALE = { levels: [0, 5, 50, 90, 99, 100], pairs: [-0.5, -0.2, 0.1, 0.4, 0.7, 0.9], nearest: [0.3, 0.4, 0.6, 0.7, 0.8, 0.9], lesions: 400 };

function hit(patient, rank, changes = {}) {
  return { rank, similarity: 0.5, terms: {}, lesion: { lesion_id: `${patient}-${rank}`, patient_id: patient, lesion_type: "liver", long_mm: 10 * rank, tags: [], category: null, ...changes } };
}

test("a similarity has its rank among the pairs of the index", () => {
  assert.equal(percentileOf(SCALE, 0.1), 50);
  assert.equal(percentileOf(SCALE, 0.25), 70);
  assert.equal(percentileOf(SCALE, 2), 100);
  assert.equal(percentileOf(SCALE, -1), 0);
  assert.equal(rankWords(SCALE, 0.7), "top 1 %");
  assert.equal(rankWords(SCALE, 0.89), "top 0.1 %");
  assert.equal(rankWords(SCALE, 0), "below half of the pairs");
  assert.equal(rankWords(null, 0.7), null);
  assert.equal(rankWords({ levels: [], pairs: [], nearest: [], lesions: 0 }, 0.7), null);
});

test("nothing is alike below what nearly all lesions have as a neighbour, and few lesions say nothing", () => {
  assert.match(nothingAlike(SCALE, 0.35) ?? "", /best hit has 0.35, and 95 % .* 0.40/);
  assert.equal(nothingAlike(SCALE, 0.4), null);
  assert.equal(nothingAlike({ ...SCALE, lesions: 12 }, 0.1), null);
});

test("a patient is shown once, by the best hit, until opened", () => {
  const groups = groupsOf([hit("a", 1), hit("a", 2), hit("b", 3), hit("a", 4)]);
  assert.deepEqual(groups.map(({ patient, head, rest }) => [patient, head.rank, rest.length]), [["a", 1, 2], ["b", 3, 0]]);
  assert.deepEqual(shownHits(groups, new Set()).map(({ rank }) => rank), [1, 3]);
  assert.deepEqual(shownHits(groups, new Set(["a"])).map(({ rank }) => rank), [1, 2, 4, 3]);
});

test("the nearest ten are summed up; the eleventh is not", () => {
  const tagged = [{ term: "calcified", probability: 1, source: "given" }, { term: "malignancy 4", probability: 1, source: "given" }, { term: "cyst", probability: 0, source: "reader" }];
  const hits = Array.from({ length: 11 }, (_, place) => hit(`p${place}`, place + 1, place < 3 ? { lesion_type: "lung", tags: tagged } : {}));
  const sum = sumOf(hits);
  assert.deepEqual(sum.types, [["liver", 7], ["lung", 3]]);
  assert.deepEqual(sum.tags, [["calcified", 3]]);
  assert.deepEqual(sum.malignancy, [4, 4, 4]);
  assert.equal(sum.sizes.length, 10);
  assert.equal(sum.sizes.at(-1), 100);
});

test("what is estimated is known as such", () => {
  const result = { location: [0.5, 0.5, 0.5], location_error: [0.1, 0.1, 0.1], box_source: "given" };
  assert.deepEqual(queryFacts(result, false), { location: [0.5, 0.5, 0.5], isPlaceEstimated: true, isSizeEstimated: true });
  assert.equal(queryFacts({ ...result, location_error: null, box_source: "recist" }, false).isSizeEstimated, false);
  assert.equal(queryFacts({ ...result, location_error: null }, true).isPlaceEstimated, false);
});
