// What stands in the corners of a viewport: slice, window, the value under the pointer, and the sides.

import { make } from "../core/dom.js";
import { signed } from "../core/lesion_facts.js";

/** Sides of the display grid: the patient's right is on the left of the picture, the front up. */
const SIDES = { left: "R", right: "L", top: "A", bottom: "P" };
/** @type {Record<string, string>} */
const SIDE_WORDS = { R: "right", L: "left", A: "anterior", P: "posterior" };

/** The corner texts of one viewport. */
export class CornerNotes {
  #slice = make("p", { className: "note top-right" });
  #window = make("p", { className: "note bottom-left" });
  #value = make("p", { className: "note bottom-middle" });
  #sides = Object.entries(SIDES).map(([edge, side]) => make("p", { className: `note side-letter ${edge}`, title: `Patient's ${SIDE_WORDS[side]}`, textContent: side, hidden: true }));

  get elements() {
    return [this.#slice, this.#window, this.#value, ...this.#sides];
  }

  clear() {
    for (const note of [this.#slice, this.#window, this.#value]) note.textContent = "";
    for (const side of this.#sides) side.hidden = true;
  }

  /** @param {number} slice @param {import("./image_stack.js").ImageStack} stack */
  showSlice(slice, { slices, first, key, interval, isNumbered }) {
    for (const side of this.#sides) side.hidden = false;
    const away = signed((slice - key) * interval, 1, "mm");
    const where = isNumbered
      ? `slice ${slice} · ${slice === key ? "key slice" : `${away} from the key slice`}`
      : slices > 1 ? `${((slice - first) * interval).toFixed(1)} mm from the first` : "";
    this.#slice.textContent = [`image ${slice - first + 1} of ${slices}`, where].filter(Boolean).join("\n");
  }

  /** @param {import("./windows.js").HuWindow} window */
  showWindow([low, high]) {
    this.#window.textContent = `L ${whole((low + high) / 2)}  W ${whole(high - low)}`;
  }

  /** The HU of a pixel; null outside the image. @param {[number, number]} pair @param {number | null} hu */
  showValue([x, y], hu) {
    this.#value.textContent = hu === null ? "" : `x ${x}  y ${y}  ${whole(hu)} HU`;
  }
}

/** @param {number} value */
function whole(value) {
  return String(Math.round(value)).replace("-", "−");
}
