// The facet of categories in the filters; it is not there where the index has none.

import { categories, categoryLabel } from "../core/categories.js";
import { make } from "../core/dom.js";

/** A chip a category, with how many lesions it has; `onChange` hears those chosen, commas between them, null for none. */
export class CategoryChips {
  /** @type {Map<string, HTMLInputElement>} */
  #boxes = new Map();
  element;

  /** @param {(chosen: string | null) => void} onChange */
  constructor(onChange) {
    const chips = categories().map(({ category, lesions, tags }) => {
      const box = make("input", { type: "checkbox", value: category });
      this.#boxes.set(category, box);
      box.addEventListener("change", () => onChange(this.#chosen()));
      const title = tags.length === 0 ? category : `Commoner here: ${tags.join(", ")}`;
      return make("label", { className: "chip", title }, box, make("span", { textContent: categoryLabel(category) }), make("span", { className: "faint number", textContent: lesions.toLocaleString("en") }));
    });
    this.element = make("div", { className: "chips category-chips", role: "group", "aria-label": "Categories", hidden: chips.length === 0 }, ...chips);
  }

  /** @param {string} field the URL's, commas between the categories */
  show(field) {
    const chosen = field.split(",");
    for (const [category, box] of this.#boxes) box.checked = chosen.includes(category);
  }

  #chosen() {
    return [...this.#boxes].filter(([, box]) => box.checked).map(([category]) => category).join(",") || null;
  }
}
