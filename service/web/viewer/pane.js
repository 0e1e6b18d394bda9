// A viewport with its heading and its slice bar, as the search and the patient view use it.

import { listenTo, make } from "../core/dom.js";
import { errorState, loadingState } from "../core/states.js";
import { Viewport } from "./viewport.js";

/** A viewer under a heading; `kind` (query, hit or followup) gives it its colour. */
export class Pane {
  /** @param {string} kind @param {{ label: string, colour: string }} options */
  constructor(kind, { label, colour }) {
    this.heading = make("header", { className: "pane-heading" });
    this.host = make("div", {});
    this.cover = make("div", { className: "cover", hidden: true });
    this.bar = make("input", { type: "range", className: "slice-bar", hidden: true, "aria-label": `Slice of the ${label}` });
    const body = make("div", { className: "pane-body" }, this.host, this.bar, this.cover);
    this.element = make("section", { className: `pane ${kind}`, "aria-label": label }, this.heading, body);
    this.viewer = new Viewport(this.host, { label, colour });
    this.bar.addEventListener("input", () => this.viewer.step(Number(this.bar.value) - this.#place));
    this.viewer.addEventListener("moved", () => this.#showPlace());
    listenTo(this.viewer, "error", (error) => this.showCover(errorState(error)));
  }

  /**
   * Shows a stack once it is there; `coming` is a promise of it. Answers whether it was shown; `onRetry` asks again.
   * @param {Promise<import("./image_stack.js").ImageStack>} coming
   * @param {{ slice?: number, box?: import("./viewport.js").Box | null, focus?: boolean }} options
   * @param {(() => any) | null} [onRetry]
   */
  async show(coming, options, onRetry = null) {
    this.#coming = coming;
    this.showCover(loadingState("Loading slices"));
    this.bar.hidden = true;
    try {
      const stack = await coming;
      if (this.#coming !== coming) return false;
      this.bar.min = "1";
      this.bar.max = String(stack.slices);
      await this.viewer.show(stack, options);
      this.#showPlace();
      this.bar.hidden = stack.slices < 2;
      if (this.cover.querySelector(".loading")) this.showCover(null);
      return true;
    } catch (error) {
      if (this.#coming !== coming) return false;
      this.viewer.clear();
      this.showCover(errorState(error, onRetry));
      return false;
    }
  }

  /** Which image is shown, counted from the head. */
  get #place() {
    const { stack, slice } = this.viewer;
    return stack === null ? 1 : stack.placeOf(slice);
  }

  #showPlace() {
    this.bar.value = String(this.#place);
    this.bar.setAttribute("aria-valuetext", `image ${this.#place} of ${this.bar.max}`);
  }

  /** Forgets the image, and one that is still on its way. */
  clear() {
    this.#coming = null;
    this.bar.hidden = true;
    this.viewer.clear();
  }

  /** Lays a state over the picture, or takes it away with null. @param {Node | null} state */
  showCover(state) {
    this.cover.hidden = state === null;
    this.cover.replaceChildren(...(state === null ? [] : [state]));
  }

  /** @type {Promise<unknown> | null} */
  #coming = null;
}
