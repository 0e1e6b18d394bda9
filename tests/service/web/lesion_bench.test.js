// Words that complete themselves, and measurements as the page shows them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { linesOf, recistOf } from "../../../service/web/search/lesion/measuring.js";
import { lastWord, offersFor } from "../../../service/web/search/words/word_field.js";

const TERMS = [
  { name: "lung nodule", synonyms: ["pulmonary nodule"] },
  { name: "calcified", synonyms: ["calcification"] },
  { name: "nodule", synonyms: ["nodular"] },
];

test("the word that is typed is completed, what stands before it stays", () => {
  assert.deepEqual(lastWord("calcified lung no"), { head: "calcified lung ", part: "no" });
  assert.deepEqual(lastWord("calcified "), { head: "calcified ", part: "" });
  assert.deepEqual(offersFor("no", TERMS), ["nodule", "lung nodule"]);
  assert.deepEqual(offersFor("pulm", TERMS), ["lung nodule"]);
  assert.deepEqual(offersFor("xyz", TERMS), []);
});

test("a measurement is drawn on the slices of its outline, its diameters on the key slice", () => {
  const found = {
    key_slice_index: 5,
    recist: { long: [[1, 2], [3.26, 4]], short: [[2, 1], [2, 3]] },
    contours: [{ slice_index: 4, paths: [[[0, 0], [1, 0], [0, 0]]] }, { slice_index: 5, paths: [] }],
  };
  assert.deepEqual(linesOf(found).map(({ slice, points }) => [slice, points.length]), [[4, 3], [5, 2], [5, 2]]);
  assert.equal(recistOf(found), "1,2,3.3,4,2,1,2,3");
});
