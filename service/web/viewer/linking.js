// Two viewports that show two lesions move as one.

import { listenTo } from "../core/dom.js";

/** @typedef {import("./viewport.js").Viewport} Viewport */

/** Links two viewports: window and scale at once, slices by equal distances in mm. @param {Viewport} one @param {Viewport} other */
export function linkViewers(one, other) {
  for (const [from, to] of [[one, other], [other, one]]) {
    from.addEventListener("window", () => to.setWindow(from.window));
    from.addEventListener("view", () => to.setScale(from.projection.scale));
    listenTo(from, "slice", (moved) => {
      if (from.stack === null || to.stack === null) return;
      const ratio = from.stack.interval / to.stack.interval;
      const offset = (from.slice - from.stack.key) * ratio;
      const target = Math.round(to.stack.key + offset);
      to.goTo(Number.isFinite(target) ? target : to.slice + moved);
    });
  }
}
