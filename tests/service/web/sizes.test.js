// Measured sizes, outlines of masks, and categories: how they are told and where they are drawn.

import assert from "node:assert/strict";
import { test } from "node:test";

import { categoryLabel, categoryTree, quotedList, useCategories } from "../../../service/web/core/categories.js";
import { measuredText, measuredTitle, volumeText } from "../../../service/web/core/measured_sizes.js";
import { axisText, stepOf, volumeChange } from "../../../service/web/patient/sizes.js";
import { whereOf } from "../../../service/web/search/filters.js";
import { outlinesOf } from "../../../service/web/viewer/tools/kept_mask.js";

const value = (/** @type {number} */ one, interval = null) => ({ value: one, interval_50: null, interval_90: interval });
const sizes = { long_mm: value(18.06, [16, 20.9]), short_mm: value(13.8), volume_mm3: value(2210, [1630, 3010]), mean_hu: value(40), sd_hu: value(9), method: "network", flags: [], mask: "a", network: "b" };

test("a volume is told in mm³, from a thousand on in ml", () => {
  assert.deepEqual([6.4, 999, 1000, 2210, 21_430, 1_240_000].map(volumeText), ["6 mm³", "999 mm³", "1.00 ml", "2.21 ml", "21.4 ml", "1240 ml"]);
});

test("measured sizes are told as estimates, with what they rest on", () => {
  assert.equal(measuredText({ measured: sizes }), "≈ 18.1 × 13.8 mm, 2.21 ml");
  assert.equal(measuredText({ measured: null }), null);
  assert.equal(measuredText({ measured: { ...sizes, volume_mm3: null } }), "≈ 18.1 × 13.8 mm");
  assert.equal(measuredText({ measured: { ...sizes, flags: ["image ends inside the lesion"] } }), "≈ 18.1 × 13.8 mm, at least 2.21 ml");
  assert.equal(measuredTitle(sizes), "Measured on the mask, estimated. Outlined by the network. Nine of ten lie within: long 16.0 mm to 20.9 mm, volume 1.63 ml to 3.01 ml.");
  assert.match(measuredTitle({ ...sizes, method: "ellipse", flags: ["empty mask"] }), /own ellipse.* empty mask$/);
});

test("a volume's change wants both volumes", () => {
  const lesion = (/** @type {any} */ measured) => ({ measured });
  assert.equal(volumeChange(lesion(sizes), lesion({ ...sizes, volume_mm3: value(1105) })), "2.21 → 1.10 ml (−50 %)");
  assert.equal(volumeChange(lesion(null), lesion(sizes)), null);
});

test("an axis has few round steps, its unit at the top", () => {
  for (const largest of [7, 13, 48, 230, 4321, 98_765]) {
    const step = stepOf(largest);
    assert.ok(largest / step <= 4.5 && largest / step > 1.5, `${largest} by ${step}`);
    assert.match(String(step), /^[125]0*$/);
  }
  assert.deepEqual([0, 2000, 4000].map((size) => axisText(size, 4000, "volume_mm3")), ["0", "2", "4 ml"]);
  assert.equal(axisText(500, 500, "volume_mm3"), "500 mm³");
  assert.equal(axisText(40, 40, "long_mm"), "40 mm");
});

test("an outline lies on its slice, whichever way the numbers grow", () => {
  const mask = { contours: [{ offset: -1, paths: [[[1, 2], [3, 4]]] }, { offset: 2, paths: [] }, { offset: 1, paths: [[[5, 6]], [[7, 8]]] }] };
  assert.deepEqual(outlinesOf(mask, { key: 20, headward: 1 }).map(({ slice }) => slice), [19, 21, 21]);
  assert.deepEqual(outlinesOf(mask, { key: 20, headward: -1 }).map(({ slice }) => slice), [21, 19, 19]);
  assert.deepEqual(outlinesOf(mask, { key: 20, headward: 1 })[0].points, [[1, 2], [3, 4]]);
});

test("the tree is built from its joins, the last is the root", () => {
  const facts = (/** @type {string} */ category, name = "unnamed") => ({ category, name, share: 0.5, tracks: 4, typed_tracks: 4, tags: [], lesions: 5 });
  useCategories({ categories: [facts("c1", "liver"), facts("c2"), facts("c3")], settled: true, tree: [{ left: "c2", right: "c3", distance: 0.6 }, { left: "c1", right: "join 0", distance: 0.9 }] });
  const root = categoryTree();
  assert.equal(root?.id, "join 1");
  assert.deepEqual(root?.leaves.map(({ category }) => category), ["c1", "c2", "c3"]);
  assert.deepEqual(root?.children.map(({ id }) => id), ["c1", "join 0"]);
  assert.equal(categoryLabel("c1"), "liver (c1)");
  assert.equal(categoryLabel("c2"), "c2");
  useCategories({ categories: [], tree: [], settled: false });
  assert.equal(categoryTree(), null);
});

test("the URL's categories and volumes become the service's filter", () => {
  assert.equal(quotedList('a,b "c"'), '"a","b \\"c\\""');
  assert.equal(whereOf({ category: "category 1,category 2", vmin: "500", split: "test" }), 'category="category 1","category 2" and volume=500.. and split=test');
  assert.equal(whereOf({ vmax: "900" }), "volume=..900");
});
