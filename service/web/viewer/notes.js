// What stands in the corners of a viewport: slice, window, and the value under the pointer.

import { make } from "../core/dom.js";

/** The corner texts of one viewport. */
export class CornerNotes {
  #slice = make("p", { className: "note top-right" });
  #window = make("p", { className: "note bottom-left" });
  #value = make("p", { className: "note bottom-middle" });

  get elements() {
    return [this.#slice, this.#window, this.#value];
  }

  clear() {
    for (const note of this.elements) note.textContent = "";
  }

  showSlice(slice, { slices, first }) {
    const place = slices > 1 ? ` (${slice - first + 1} of ${slices})` : "";
    this.#slice.textContent = `slice ${slice}${place}`;
  }

  /** @param {import("./windows.js").HuWindow} window */
  showWindow([low, high]) {
    this.#window.textContent = `L ${whole((low + high) / 2)}  W ${whole(high - low)}`;
  }

  /** The HU of a pixel; null outside the image. */
  showValue([x, y], hu) {
    this.#value.textContent = hu === null ? "" : `x ${x}  y ${y}  ${whole(hu)} HU`;
  }
}

function whole(value) {
  return String(Math.round(value)).replace("-", "−");
}
