// The mask of an indexed lesion as outlines on its slices, as the service keeps it.

import { getJson, lesionPath, messageOf } from "../../core/api.js";

/** The colour of everything that was measured. */
export const MEASURED_COLOUR = "#ff9bd2";

/**
 * The outlines of a mask, on slices of a stack.
 * @param {KeptMaskOut} mask @param {Pick<import("../image_stack.js").ImageStack, "key" | "headward">} stack @returns {import("../layers.js").ShownLine[]}
 */
export function outlinesOf({ contours }, { key, headward }) {
  return contours.flatMap(({ offset, paths }) => paths.map((points) => ({
    points: points.map(([x, y]) => /** @type {[number, number]} */ ([Number(x), Number(y)])), slice: key + offset * headward, colour: MEASURED_COLOUR,
  })));
}

/**
 * Draws a lesion's mask over the slices that its viewport shows; a lesion without one has no outline.
 * @param {import("../viewport.js").Viewport} viewer @param {LesionOut} lesion
 */
export async function showKeptMask(viewer, lesion) {
  viewer.showLines([]);
  const { stack } = viewer;
  if (stack === null || !lesion.measured?.mask) return;
  try {
    const mask = await getJson(lesionPath(lesion.lesion_id, "/mask"));
    if (viewer.stack === stack) viewer.showLines(outlinesOf(mask, stack));
  } catch (error) {
    if (viewer.stack === stack) viewer.notes.showLink(`No outline: ${messageOf(error)}`);
  }
}
