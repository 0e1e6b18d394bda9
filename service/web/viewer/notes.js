// What stands in the corners of a viewport: whose it is, slice, window, the value under the pointer, the sides.

import { make } from "../core/dom.js";

/** Sides of the display grid: the patient's right is on the left of the picture, the front up. */
const SIDES = { left: "R", right: "L", top: "A", bottom: "P" };
/** @type {Record<string, string>} */
const SIDE_WORDS = { R: "right", L: "left", A: "anterior", P: "posterior" };

/** The corner texts of one viewport. */
export class CornerNotes {
  #who = make("p", { className: "note top-left" });
  #link = make("p", { className: "note link-note", role: "status" });
  #measured = make("ul", { className: "measured visually-hidden", "aria-label": "Measurements on this image" });
  #slice = make("p", { className: "note top-right" });
  #window = make("p", { className: "note bottom-left" });
  #value = make("p", { className: "note bottom-middle" });
  #sides = Object.entries(SIDES).map(([edge, side]) => make("p", { className: `note side-letter ${edge}`, title: `Patient's ${SIDE_WORDS[side]}`, textContent: side, hidden: true }));

  get elements() {
    return [this.#who, this.#link, this.#slice, this.#window, this.#value, this.#measured, ...this.#sides];
  }

  clear() {
    for (const note of [this.#who, this.#link, this.#slice, this.#window, this.#value]) note.textContent = "";
    for (const side of this.#sides) side.hidden = true;
  }

  /** Patient, study, series: a line each. @param {string[]} lines */
  showWho(lines) {
    this.#who.textContent = lines.filter(Boolean).join("\n");
  }

  /** Why this viewport does not follow the other one. @param {string} words */
  showLink(words) {
    this.#link.textContent = words;
  }

  /** @param {number} slice @param {import("./image_stack.js").ImageStack} stack */
  showSlice(slice, stack) {
    const { slices, first, last, key, interval, headward, isNumbered } = stack;
    for (const side of this.#sides) side.hidden = false;
    const top = headward > 0 ? last : first;
    const away = stack.headwardMm(key, slice);
    const from = slice === key ? " · key slice" : `\n${Math.abs(away).toFixed(1)} mm ${away > 0 ? "above" : "below"} the key slice`;
    const where = isNumbered
      ? `slice ${slice}${from}`
      : slices > 1 ? `slice ${slice}\n${Math.abs(stack.headwardMm(top, slice)).toFixed(1)} mm below the first` : "";
    const thick = interval > 0 && slices > 1 ? `every ${interval.toFixed(1)} mm` : "";
    this.#slice.textContent = [`image ${stack.placeOf(slice)} of ${slices}`, where, thick].filter(Boolean).join("\n");
  }

  /** What is measured on the slice, in words: a picture alone is not read aloud. @param {string[]} lines */
  showMeasured(lines) {
    const told = [...this.#measured.children].map(({ textContent }) => textContent);
    if (told.join("|") === lines.join("|")) return;
    this.#measured.replaceChildren(...lines.map((words) => make("li", { textContent: words })));
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
