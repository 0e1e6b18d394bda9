// The lesions of one node of the tree as pictures, page by page.

import { getJson } from "../core/api.js";
import { quotedList } from "../core/categories.js";
import { button, make } from "../core/dom.js";
import { patchPicture, sizeText, typeLabel } from "../core/lesion_facts.js";
import { measuredNote } from "../core/measured_sizes.js";
import { rove } from "../core/roving.js";
import { address } from "../core/route.js";
import { emptyState, errorState, skeletonCards } from "../core/states.js";

const PAGE = 36;

/** Cards that lead to a search; the surest of their category come first. */
export class Members {
  #field = "";
  #after = "";
  #turn = 0;
  #cards = make("ul", { className: "cards member-cards" });
  #more = button("More lesions", { className: "plain wide", run: () => this.#next(), hidden: true });
  #home = make("div");
  element = make("div", { className: "scroll members", "aria-live": "polite" }, this.#home, this.#more);

  constructor() {
    rove(this.#cards, "a", { keys: "both" });
  }

  /** Shows the lesions of some categories. @param {string} field their ids with commas between them */
  async show(field) {
    if (field === this.#field) return;
    this.#field = field;
    this.#after = "";
    this.#more.hidden = true;
    this.#home.replaceChildren(skeletonCards(12));
    await this.#next();
  }

  async #next() {
    const turn = ++this.#turn;
    const isFirst = this.#after === "";
    const query = new URLSearchParams({ where: `category=${quotedList(this.#field)}`, order: "surest", limit: String(PAGE) });
    if (!isFirst) query.set("after", this.#after);
    try {
      /** @type {LesionPage} */
      const page = await getJson(`v1/lesions?${query}`);
      if (turn !== this.#turn) return;
      const cards = page.lesions.map((lesion) => card(lesion));
      if (isFirst) this.#cards.replaceChildren(...cards);
      else this.#cards.append(...cards);
      this.#home.replaceChildren(isFirst && cards.length === 0 ? emptyState("search", "No lesion", "The index holds no lesion of this category any more.") : this.#cards);
      this.#after = page.next_after ?? "";
      this.#more.hidden = page.next_after === null;
    } catch (error) {
      if (turn !== this.#turn) return;
      const retry = () => { this.#field = ""; };
      this.#home.replaceChildren(errorState(error, () => { const field = this.#field; retry(); this.show(field); }));
    }
  }
}

/** @param {LesionOut} lesion */
function card(lesion) {
  const { lesion_id: id, patient_id: patient } = lesion;
  const link = make(
    "a", { className: "card member", href: address("search", { lesion: id }), title: `Search from ${id}`, dataset: { lesion: id } },
    make("span", { className: "picture" }, patchPicture(lesion)),
    make("span", { className: "line" }, typeLabel(lesion.lesion_type), make("span", { className: "size", textContent: sizeText(lesion) })),
    measuredNote(lesion),
    make("span", { className: "faint", textContent: `patient ${patient}` }),
  );
  return make("li", {}, link);
}
