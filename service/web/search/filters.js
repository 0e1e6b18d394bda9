// Filters of hits and of the list of lesions: the URL's fields, and the service's `where` of them.

import { can } from "../core/capabilities.js";
import { quotedList } from "../core/categories.js";
import { make } from "../core/dom.js";
import { typeLabel } from "../core/lesion_facts.js";
import { lesionTypes, vocabulary } from "../core/vocabulary.js";
import { CategoryChips } from "./category_chips.js";

/** The URL's fields of a filter, each of them empty. */
export const NO_FILTERS = { type: null, category: null, min: null, max: null, vmin: null, vmax: null, split: null, where: null };

/** The service's filter of the URL's fields `type`, `category`, `min`, `max`, `vmin`, `vmax`, `split`, `where`. @param {Record<string, any>} fields */
export function whereOf(fields) {
  const clauses = [];
  if (fields.type) clauses.push(`type=${fields.type}`);
  if (fields.min || fields.max) clauses.push(`long_mm=${fields.min ?? ""}..${fields.max ?? ""}`);
  if (fields.category) clauses.push(`category=${quotedList(fields.category)}`);
  if (fields.vmin || fields.vmax) clauses.push(`volume=${fields.vmin ?? ""}..${fields.vmax ?? ""}`);
  if (fields.split) clauses.push(`split=${fields.split}`);
  if (fields.where?.trim()) clauses.push(fields.where.trim());
  return clauses.join(" and ");
}

/** The filters as a folding box; `onChange` hears the fields that changed, null for an empty one. */
export class Filters {
  #types = new Map();
  #inputs;
  #categories;
  #summary = make("span", { className: "filter-summary" });

  /** @param {(patch: Record<string, any>) => void} onChange */
  constructor(onChange) {
    const types = lesionTypes().map((type) => {
      const box = make("input", { type: "checkbox", value: type });
      this.#types.set(type, box);
      box.addEventListener("change", () => onChange({ type: this.#chosenTypes() }));
      return make("label", { className: "chip" }, box, typeLabel(type));
    });
    this.#categories = new CategoryChips((category) => onChange({ category }));
    this.#inputs = {
      min: sizeInput("Long diameter, at least mm", "1"),
      max: sizeInput("Long diameter, at most mm", "1"),
      vmin: sizeInput("Measured volume, at least mm³", "any"),
      vmax: sizeInput("Measured volume, at most mm³", "any"),
      split: make("select", { "aria-label": "Split" }, new Option("any split", ""), ...vocabulary().splits.map((name) => new Option(name, name))),
      where: make("input", { placeholder: "patient!=000053 and z=0.4..0.6", "aria-label": "Further conditions", spellcheck: false, autocomplete: "off" }),
    };
    for (const [name, input] of Object.entries(this.#inputs)) {
      input.addEventListener("change", () => onChange({ [name]: input.value.trim() || null }));
    }
    const clear = make("button", { type: "button", className: "plain", textContent: "Clear" });
    clear.addEventListener("click", () => onChange(NO_FILTERS));
    const { min, max, vmin, vmax, split, where } = this.#inputs;
    this.element = make(
      "details",
      { className: "filters" },
      make("summary", {}, make("span", { textContent: "Filter" }), this.#summary),
      make("div", { className: "chips", role: "group", "aria-label": "Lesion types" }, ...types),
      this.#categories.element,
      make("div", { className: "filter-row" }, "Size", min, "to", max, "mm", split),
      make("div", { className: "filter-row volumes", hidden: !can().measured, title: "1 ml is 1,000 mm³. A lesion that was not measured fails this." }, "Volume", vmin, "to", vmax, "mm³"),
      make("div", { className: "filter-row" }, where, clear),
    );
  }

  /** Shows the URL's fields; opens the box where there are any. @param {Record<string, any>} fields */
  show(fields) {
    const chosen = (fields.type ?? "").split(",");
    for (const [type, box] of this.#types) box.checked = chosen.includes(type);
    this.#categories.show(fields.category ?? "");
    for (const [name, input] of Object.entries(this.#inputs)) input.value = fields[name] ?? "";
    const words = whereOf(fields);
    this.#summary.textContent = words || "none";
    this.#summary.classList.toggle("active", words !== "");
    if (words) this.element.open = true;
  }

  /** Whether any of them is set. */
  get isSet() {
    return this.#summary.classList.contains("active");
  }

  focus() {
    this.element.open = true;
    this.#inputs.where.focus();
  }

  #chosenTypes() {
    const chosen = [...this.#types].filter(([, box]) => box.checked).map(([type]) => type);
    return chosen.length === 0 ? null : chosen.join(",");
  }
}

/** @param {string} words @param {string} step */
function sizeInput(words, step) {
  return make("input", { type: "number", min: 0, step, className: "number", "aria-label": words });
}
