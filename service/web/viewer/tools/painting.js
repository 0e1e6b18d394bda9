// Draws lengths and ellipses with what they measure, and the lines where a scout is cut.

import { label, stroke } from "../overlay.js";
import { ellipseFacts, lengthText, regionLines } from "./statistics.js";

/** @typedef {import("../projection.js").Pair} Pair */

const COLOUR = "#7ee7e7";
const LINE_PX = 15;

/**
 * @param {CanvasRenderingContext2D} context @param {import("../projection.js").Projection} projection
 * @param {import("./rulers.js").Ruler[]} rulers @param {import("./statistics.js").Plane} plane
 */
export function paintRulers(context, projection, rulers, plane) {
  for (const { kind, points } of rulers) {
    const [from, to] = /** @type {[number, number][]} */ (points.map((point) => projection.toScreen(point)));
    stroke(context, COLOUR, 1.5, () => {
      if (kind === "length") trace(context, from, to);
      else outline(context, from, to);
    });
    context.fillStyle = COLOUR;
    for (const [left, top] of [from, to]) context.fillRect(left - 2.5, top - 2.5, 5, 5);
    const lines = kind === "length" ? [lengthText(points, plane.spacing)] : regionLines(ellipseFacts(points, plane));
    /** @type {[number, number]} */
    const start = [Math.max(from[0], to[0]) + 8, kind === "length" ? (from[0] > to[0] ? from : to)[1] : Math.min(from[1], to[1])];
    for (const [place, words] of lines.entries()) {
      label(context, words, [start[0], start[1] + place * LINE_PX], COLOUR, projection.size);
    }
  }
}

/** What each ruler measures, in words. @param {import("./rulers.js").Ruler[]} rulers @param {import("./statistics.js").Plane} plane */
export function rulerWords(rulers, plane) {
  return rulers.map(({ kind, points }) => (kind === "length" ? [lengthText(points, plane.spacing)] : regionLines(ellipseFacts(points, plane))).join("; "));
}

/** @param {CanvasRenderingContext2D} context @param {import("../projection.js").Projection} projection @param {import("../layers.js").ShownLine[]} lines */
export function paintLines(context, projection, lines) {
  for (const { points, colour } of lines) {
    stroke(context, colour, 1.5, () => {
      for (const [place, point] of points.entries()) {
        const at = projection.toScreen(point);
        if (place === 0) context.moveTo(...at);
        else context.lineTo(...at);
      }
    });
  }
}

/** Where the sagittal (x) and the coronal (y) picture are cut. @param {CanvasRenderingContext2D} context @param {import("../projection.js").Projection} projection @param {{ x: number, y: number }} cut */
export function paintCut(context, projection, { x, y }) {
  const [left, top] = projection.toScreen([x, y]);
  const [width, height] = projection.size;
  context.setLineDash([4, 5]);
  stroke(context, COLOUR, 1, () => {
    context.moveTo(left, 0);
    context.lineTo(left, height);
    context.moveTo(0, top);
    context.lineTo(width, top);
  });
  context.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} context @param {Pair} from @param {Pair} to */
function trace(context, from, to) {
  context.moveTo(...from);
  context.lineTo(...to);
}

/** @param {CanvasRenderingContext2D} context @param {Pair} from @param {Pair} to */
function outline(context, from, to) {
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const half = [Math.abs(to[0] - from[0]) / 2, Math.abs(to[1] - from[1]) / 2];
  context.ellipse(middle[0], middle[1], half[0], half[1], 0, 0, 2 * Math.PI);
}
