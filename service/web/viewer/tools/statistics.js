// What a reader measures on one slice: lengths in mm, and the Hounsfield units within an ellipse.

import { distanceMm } from "../projection.js";

/**
 * @typedef {import("../projection.js").Pair} Pair
 * @typedef {{ hu: Int16Array, columns: number, rows: number, spacing: Pair }} Plane one slice
 * @typedef {{ pixels: number, mean: number, sd: number, low: number, high: number, area: number }} RegionFacts HU and mm²
 */

/** Millimetres between two points. @param {Pair[]} points @param {Pair} spacing */
export function lengthMm([one, other], spacing) {
  return distanceMm(one, other, spacing);
}

/** `23.4 mm` between two points. @param {Pair[]} points @param {Pair} spacing */
export function lengthText(points, spacing) {
  return `${lengthMm(points, spacing).toFixed(1)} mm`;
}

/**
 * The pixels whose centres lie within the ellipse that fills a box of two corners; null where there are none.
 * The SD is that of the pixels themselves (divided by n), the area that of the ellipse.
 * @param {Pair[]} corners @param {Plane} plane @returns {RegionFacts | null}
 */
export function ellipseFacts([one, other], { hu, columns, rows, spacing }) {
  const middle = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
  const half = [Math.abs(other[0] - one[0]) / 2, Math.abs(other[1] - one[1]) / 2];
  if (half[0] === 0 || half[1] === 0) return null;
  const first = [Math.max(Math.ceil(middle[0] - half[0]), 0), Math.max(Math.ceil(middle[1] - half[1]), 0)];
  const last = [Math.min(Math.floor(middle[0] + half[0]), columns - 1), Math.min(Math.floor(middle[1] + half[1]), rows - 1)];
  let [pixels, sum, squares, low, high] = [0, 0, 0, Infinity, -Infinity];
  for (let y = first[1]; y <= last[1]; y += 1) {
    for (let x = first[0]; x <= last[0]; x += 1) {
      if (((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 > 1) continue;
      const value = hu[y * columns + x];
      pixels += 1;
      sum += value;
      squares += value * value;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (pixels === 0) return null;
  const mean = sum / pixels;
  const area = Math.PI * half[0] * spacing[0] * half[1] * spacing[1];
  return { pixels, mean, sd: Math.sqrt(Math.max(squares / pixels - mean * mean, 0)), low, high, area };
}

/** The lines that stand beside an ellipse. @param {RegionFacts | null} facts @returns {string[]} */
export function regionLines(facts) {
  if (facts === null) return ["no pixel within"];
  const whole = (/** @type {number} */ value) => Math.round(value).toString().replace("-", "−");
  return [
    `mean ${whole(facts.mean)} HU, SD ${whole(facts.sd)}`,
    `${whole(facts.low)} to ${whole(facts.high)} HU`,
    `${facts.area >= 100 ? facts.area.toFixed(0) : facts.area.toFixed(1)} mm²`,
  ];
}
