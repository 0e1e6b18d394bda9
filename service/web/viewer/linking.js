// Two viewports that show two lesions move as one, and say so where one of them cannot.

import { listenTo } from "../core/dom.js";

/** @typedef {import("./viewport.js").Viewport} Viewport */
/** @typedef {import("./image_stack.js").ImageStack} ImageStack */

/** Slices this much of an interval beyond an end are still the end. */
const TOLERANCE = 0.5;

/** Links two viewports: window and scale at once, slices by equal distances in mm from their key slices. @param {Viewport} one @param {Viewport} other @param {{ isOneBody?: boolean }} [how] of one body, pan and zoom go together */
export function linkViewers(one, other, { isOneBody = false } = {}) {
  for (const [from, to] of [[one, other], [other, one]]) {
    from.addEventListener("window", () => to.setWindow(from.window));
    from.addEventListener("inverse", () => to.setInverse(from.isInverse));
    if (isOneBody) {
      listenTo(from, "panned", ([dx, dy]) => to.pan(dx, dy));
      listenTo(from, "zoomed", ({ factor, at }) => to.zoom(factor, at));
    } else {
      from.addEventListener("view", () => to.setScale(from.projection.scale));
    }
    listenTo(from, "slice", () => {
      from.notes.showLink("");
      if (to.stack === null || from.stack === null) return;
      const away = from.stack.headwardMm(from.stack.key, from.slice);
      to.goTo(linkedSlice(to.stack, away));
      to.notes.showLink(linkWords(to.stack, away));
    });
  }
}

/** The slice so many mm towards the head from a stack's key slice, as near as there is one. @param {ImageStack} stack @param {number} away */
export function linkedSlice(stack, away) {
  const steps = stack.interval > 0 ? away / stack.interval : 0;
  const target = Math.round(stack.key + stack.headward * steps);
  return Math.min(Math.max(target, stack.first), stack.last);
}

/** Why a viewport stays behind the one it follows; empty where it does not. @param {ImageStack} stack @param {number} away */
export function linkWords(stack, away) {
  if (Math.abs(away) < 1e-6) return "";
  if (stack.slices === 1) return "One image: it cannot follow";
  if (!(stack.interval > 0)) return "Slice distance not known: it cannot follow";
  const wanted = stack.key + (stack.headward * away) / stack.interval;
  const beyond = Math.max(stack.first - wanted, wanted - stack.last);
  if (beyond <= TOLERANCE) return "";
  const end = away > 0 ? "above its first" : "below its last";
  return `Ends here: the other is ${(beyond * stack.interval).toFixed(0)} mm ${end} image`;
}
