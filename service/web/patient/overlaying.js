// Prior and current beside each other, or over each other: flickering, or swiped with a divider.

import { button, make } from "../core/dom.js";

/** @typedef {"side" | "flicker" | "swipe"} Layout */

const FLICKER_MS = 700;
/** @type {Record<Layout, { words: string, title: string }>} */
const LAYOUTS = {
  side: { words: "Side by side", title: "Prior beside current" },
  flicker: { words: "Flicker", title: "Prior and current in turn at one place (v turns by hand)" },
  swipe: { words: "Swipe", title: "Prior left of a divider, current right of it" },
};

/** Lays two panes out; they are the children of its element. */
export class Overlaying {
  /** @type {Layout} */
  #layout = "side";
  #isLater = false;
  #timer = 0;
  #divider = make("input", { type: "range", min: "0", max: "100", value: "50", step: "0.5", className: "divider", hidden: true, "aria-label": "Divider between prior and current" });
  /** @type {Map<Layout, HTMLButtonElement>} */
  #buttons;

  /** @param {HTMLElement} prior @param {HTMLElement} current @param {(layout: Layout) => void} onLayout */
  constructor(prior, current, onLayout) {
    this.element = make("div", { className: "drawer-panes" }, prior, current, this.#divider);
    this.#divider.addEventListener("input", () => this.#place());
    this.#buttons = new Map(/** @type {Layout[]} */ (Object.keys(LAYOUTS)).map((name) => [name, button(LAYOUTS[name].words, {
      run: () => onLayout(name), className: "preset", title: LAYOUTS[name].title, "aria-pressed": "false",
    })]));
    this.choice = make("div", { className: "group segmented", role: "group", "aria-label": "Layout of the pair" }, ...this.#buttons.values());
    this.use("side");
  }

  /** @param {string | undefined} name an unknown one is side by side */
  use(name) {
    this.#layout = name === "flicker" || name === "swipe" ? name : "side";
    for (const [one, choice] of this.#buttons) choice.setAttribute("aria-pressed", String(one === this.#layout));
    this.element.dataset.layout = this.#layout;
    this.#divider.hidden = this.#layout !== "swipe";
    clearInterval(this.#timer);
    this.#isLater = false;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (this.#layout === "flicker" && !isStill) this.#timer = window.setInterval(() => this.#turn(), FLICKER_MS);
    this.#place();
  }

  /** Stops what moves: the pair is not seen any more. */
  rest() {
    if (this.#layout !== "side") this.use("side");
  }

  /** Turns from prior to current and back by hand; false where they do not lie over each other. */
  turnByHand() {
    if (this.#layout !== "flicker") return false;
    clearInterval(this.#timer);
    this.#turn();
    return true;
  }

  #turn() {
    this.#isLater = !this.#isLater;
    this.#place();
  }

  #place() {
    this.element.classList.toggle("later", this.#isLater);
    this.element.style.setProperty("--divider", `${this.#divider.value}%`);
  }
}
