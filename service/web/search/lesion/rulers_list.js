// The lengths and regions of the open image as a list: each leads to its slice, all of them leave as CSV.

import { button, make } from "../../core/dom.js";
import { fileName, saveText } from "../../core/output/files.js";
import { csvOf } from "../../core/output/table.js";
import { rulerWords } from "../../viewer/tools/painting.js";
import { ellipseFacts, lengthMm } from "../../viewer/tools/statistics.js";

/**
 * @typedef {import("../../viewer/tools/rulers.js").Ruler} Ruler
 * @typedef {import("../../viewer/tools/statistics.js").Plane} Plane
 * @typedef {{ image: string, patient_id: string | null, study_id: string | null }} Whose
 */

/** Hidden while nothing is measured; `onChange` hears that it came or went. */
export class RulersList {
  #viewer;
  #whose;
  #onChange;
  #turn = 0;
  element = make("div", { className: "bench-rulers", hidden: true });

  /** @param {import("../../viewer/viewport.js").Viewport} viewer @param {{ whose: () => Whose, onChange: () => void }} on */
  constructor(viewer, { whose, onChange }) {
    this.#viewer = viewer;
    this.#whose = whose;
    this.#onChange = onChange;
    viewer.layers.rulers.onChange = () => this.#draw();
  }

  async #draw() {
    const turn = ++this.#turn;
    const shown = await this.#measured();
    if (turn !== this.#turn) return;
    this.element.hidden = shown.length === 0;
    const head = make(
      "div", { className: "section-heading" },
      make("h2", { textContent: "Lengths and regions" }),
      button("CSV", { className: "plain small", title: "All of them as a table", run: () => this.#save(shown) }),
    );
    this.element.replaceChildren(head, make("ul", { className: "ruler-rows" }, ...shown.map((one) => this.#row(one.ruler, one.plane))));
    this.#onChange();
  }

  /** Each with the slice that it measures, from the head to the feet. @returns {Promise<{ ruler: Ruler, plane: Plane }[]>} */
  async #measured() {
    const { stack, layers } = this.#viewer;
    if (stack === null) return [];
    const { columns, rows, spacing } = stack;
    const ordered = [...layers.rulers.all].sort((one, other) => stack.placeOf(one.slice) - stack.placeOf(other.slice));
    const planes = await Promise.all(ordered.map(async (ruler) => ({ ruler, plane: { hu: await stack.slice(ruler.slice), columns, rows, spacing } })));
    return this.#viewer.stack === stack ? planes : [];
  }

  /** @param {Ruler} ruler @param {Plane} plane */
  #row(ruler, plane) {
    const { rulers } = this.#viewer.layers;
    const place = this.#viewer.stack?.placeOf(ruler.slice) ?? 0;
    const [words] = rulerWords([ruler], plane);
    const show = () => {
      rulers.choose(ruler);
      this.#viewer.goTo(ruler.slice);
      this.#viewer.paint();
    };
    const take = () => {
      rulers.take(ruler);
      this.#viewer.paint();
    };
    return make(
      "li", {},
      make("button", { type: "button", className: "row", title: "Show it on its image", on: { click: show } }, make("span", { className: "number", textContent: words }), make("span", { className: "faint number", textContent: `image ${place}` })),
      button("", { sign: "close", className: "plain small", "aria-label": `Remove ${words}, image ${place}`, title: "Remove (Del)", run: take }),
    );
  }

  /** @param {{ ruler: Ruler, plane: Plane }[]} shown */
  #save(shown) {
    const whose = this.#whose();
    const rows = shown.map(({ ruler, plane }) => ({
      ...whose,
      image_of_stack: this.#viewer.stack?.placeOf(ruler.slice) ?? null,
      slice_index: ruler.slice,
      ...factsOf(ruler, plane),
      points_px: ruler.points.map((point) => point.map((value) => value.toFixed(1)).join(" ")).join("; "),
    }));
    saveText(fileName(whose.image, "measurements.csv"), csvOf(rows), "text/csv");
  }
}

/** Numbers of one measurement; null where its kind has none. @param {Ruler} ruler @param {Plane} plane */
export function factsOf({ kind, points }, plane) {
  const facts = kind === "ellipse" ? ellipseFacts(points, plane) : null;
  const to = (/** @type {number | undefined} */ value) => (value === undefined ? null : Number(value.toFixed(1)));
  return {
    kind,
    length_mm: kind === "length" ? to(lengthMm(points, plane.spacing)) : null,
    mean_hu: to(facts?.mean), sd_hu: to(facts?.sd), low_hu: to(facts?.low), high_hu: to(facts?.high), area_mm2: to(facts?.area),
  };
}
