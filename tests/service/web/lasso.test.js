// The lasso: what lies within a line drawn by hand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isWithin, placesWithin } from "../../../service/web/map/lasso.js";

const HOOK = [[0, 0], [4, 0], [4, 4], [3, 4], [3, 1], [0, 1]];

test("a point is within a line that turns in on itself where the line goes round it", () => {
  assert.equal(isWithin([1, 0.5], HOOK), true);
  assert.equal(isWithin([3.5, 3], HOOK), true);
  assert.equal(isWithin([1, 3], HOOK), false);
});

test("only shown points are chosen, and two corners are no lasso", () => {
  const points = [{ x: 1, y: 0.5 }, { x: 3.5, y: 2 }, { x: 1, y: 3 }];
  assert.deepEqual(placesWithin(points, [true, true, true], HOOK), [0, 1]);
  assert.deepEqual(placesWithin(points, [false, true, true], HOOK), [1]);
  assert.deepEqual(placesWithin(points, [true, true, true], HOOK.slice(0, 2)), []);
});
