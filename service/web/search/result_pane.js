// One result beside the query: its slices, its box, and the way to the next one.

import { button, make } from "../core/dom.js";
import { basket } from "../core/basket/store.js";
import { decimal, signed, whoLines } from "../core/lesion_facts.js";
import { ImageStack } from "../viewer/image_stack.js";
import { Pane } from "../viewer/pane.js";
import { showKeptMask } from "../viewer/tools/kept_mask.js";
import { stateWords } from "../core/vocabulary.js";
import { lesionHeading } from "./query_pane.js";
import { tagsButton } from "./words/tags_dialog.js";

/** @typedef {import("./answers.js").Found} Found */

/**
 * @typedef {{
 *   onNeighbour: (step: number) => void, onSearch: () => void, onClose: () => void, onShown: () => void,
 *   queryName: () => string,
 * }} ResultListeners
 */

const HIT_COLOUR = "#58a6ff";
const SAME_COLOUR = "#56d364";

/** A pane for one result; `on` holds onNeighbour(step), onSearch, onClose and onShown. */
export class ResultPane {
  /** @type {string | null} */
  #opened = null;
  #on;
  #colour = HIT_COLOUR;
  #isOutlined = false;
  /** @type {LesionOut | null} */
  #lesion = null;
  /** @type {number | null} */
  #similarity = null;
  #collectButton = button("Collect", { sign: "basket", run: () => this.collect(), className: "tool worded", title: "Into the case basket (a)", "aria-pressed": "false" });

  /** @param {ResultListeners} on */
  constructor(on) {
    this.#on = on;
    this.pane = new Pane("hit", { label: "result image", colour: HIT_COLOUR });
    this.pane.element.hidden = true;
    basket.addEventListener("change", () => this.#showCollected());
  }

  /** The lesion that is open, null if none is. */
  get opened() {
    return this.#opened;
  }

  get viewer() {
    return this.pane.viewer;
  }

  get element() {
    return this.pane.element;
  }

  /**
   * Opens a lesion, or nothing with null; `found` is what the answer says of it, null if nothing.
   * @param {string | null} lesionId @param {Found | null} found
   */
  open(lesionId, found) {
    const isNew = lesionId !== this.#opened;
    this.#opened = lesionId;
    this.element.hidden = lesionId === null;
    if (lesionId === null) {
      this.pane.clear();
      return;
    }
    this.#colour = found !== null && found.followUp !== null ? SAME_COLOUR : HIT_COLOUR;
    this.element.classList.toggle("followup", this.#colour === SAME_COLOUR);
    this.#lesion = found?.lesion ?? null;
    this.#similarity = found?.hit?.similarity ?? found?.followUp?.similarity ?? null;
    this.#showCollected();
    this.pane.heading.replaceChildren(...this.#headingOf(found), this.#buttons());
    if (isNew) this.#load();
    else this.#paint();
  }

  async #load() {
    const lesionId = this.#opened;
    this.#isOutlined = false;
    this.pane.clear();
    if (lesionId === null) return;
    const shown = await this.pane.show(ImageStack.ofLesion(lesionId), { focus: true }, () => this.#load());
    if (!shown || this.#opened !== lesionId) return;
    this.#paint();
    this.#on.onShown();
  }

  #paint() {
    const { stack } = this.viewer;
    if (stack === null || stack.box === null) return;
    if (this.#lesion !== null) {
      this.viewer.notes.showWho(whoLines(this.#lesion));
      if (!this.#isOutlined) showKeptMask(this.viewer, this.#lesion);
      this.#isOutlined = true;
    }
    this.viewer.showBoxes([{ box: stack.box, slice: stack.key, colour: this.#colour }]);
  }

  /** @param {Found | null} found */
  #headingOf(found) {
    if (found === null) return [make("b", { textContent: "Result" })];
    const { hit, followUp, lesion } = found;
    const name = hit === null ? stateWords(followUp?.state ?? "").label : `${hit.rank}  ·  ${decimal(hit.similarity, 3)}`;
    const change = followUp?.change_pct ?? null;
    return lesionHeading(name, lesion, change === null ? "" : signed(change, 0, "%"));
  }

  /** Puts the open result into the case basket, or takes it out; false where none is open. */
  collect() {
    const lesion = this.#lesion;
    if (this.#opened === null || lesion === null) return false;
    basket.toggle({ lesion, similarity: this.#similarity, from: this.#on.queryName() });
    return true;
  }

  /** The buttons again, after a reader's word on a tag. @param {LesionOut} lesion */
  #showTags(lesion) {
    if (lesion.lesion_id !== this.#opened) return;
    this.#lesion = lesion;
    this.pane.heading.querySelector(".heading-buttons")?.replaceWith(this.#buttons());
  }

  #showCollected() {
    const isIn = this.#opened !== null && basket.has(this.#opened);
    this.#collectButton.setAttribute("aria-pressed", String(isIn));
    this.#collectButton.disabled = this.#lesion === null;
  }

  #buttons() {
    const { onNeighbour, onSearch, onClose } = this.#on;
    return make(
      "span",
      { className: "heading-buttons" },
      button("", { sign: "left", run: () => onNeighbour(-1), className: "tool", title: "Result before (←)", "aria-label": "Result before" }),
      button("", { sign: "right", run: () => onNeighbour(1), className: "tool", title: "Next result (→)", "aria-label": "Next result" }),
      this.#lesion === null ? null : tagsButton(this.#lesion, (changed) => this.#showTags(changed)),
      this.#collectButton,
      button("Search from it", { sign: "search", run: onSearch, className: "tool worded", title: "Search from this lesion (Enter)" }),
      button("", { sign: "close", run: onClose, className: "tool", title: "Close (Esc)", "aria-label": "Close the result" }),
    );
  }
}
