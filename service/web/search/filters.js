// Filters of hits and of the list of lesions: the URL's fields, and the service's `where` of them.

import { make } from "../core/dom.js";
import { typeLabel } from "../core/lesion_facts.js";
import { lesionTypes, vocabulary } from "../core/vocabulary.js";

/** The service's filter of the URL's fields `type`, `min`, `max`, `split`, `where`. @param {Record<string, any>} fields */
export function whereOf(fields) {
  const clauses = [];
  if (fields.type) clauses.push(`type=${fields.type}`);
  if (fields.min || fields.max) clauses.push(`long_mm=${fields.min ?? ""}..${fields.max ?? ""}`);
  if (fields.split) clauses.push(`split=${fields.split}`);
  if (fields.where?.trim()) clauses.push(fields.where.trim());
  return clauses.join(" and ");
}

/** The filters as a folding box; `onChange` hears the fields that changed, null for an empty one. */
export class Filters {
  #types = new Map();
  #inputs;
  #summary = make("span", { className: "filter-summary" });

  /** @param {(patch: Record<string, any>) => void} onChange */
  constructor(onChange) {
    const types = lesionTypes().map((type) => {
      const box = make("input", { type: "checkbox", value: type });
      this.#types.set(type, box);
      box.addEventListener("change", () => onChange({ type: this.#chosenTypes() }));
      return make("label", { className: "chip" }, box, typeLabel(type));
    });
    this.#inputs = {
      min: sizeInput("at least"),
      max: sizeInput("at most"),
      split: make("select", { "aria-label": "Split" }, new Option("any split", ""), ...vocabulary().splits.map((name) => new Option(name, name))),
      where: make("input", { placeholder: "patient!=000053 and z=0.4..0.6", "aria-label": "Further conditions", spellcheck: false, autocomplete: "off" }),
    };
    for (const [name, input] of Object.entries(this.#inputs)) {
      input.addEventListener("change", () => onChange({ [name]: input.value.trim() || null }));
    }
    const clear = make("button", { type: "button", className: "plain", textContent: "Clear" });
    clear.addEventListener("click", () => onChange({ type: null, min: null, max: null, split: null, where: null }));
    const { min, max, split, where } = this.#inputs;
    this.element = make(
      "details",
      { className: "filters" },
      make("summary", {}, make("span", { textContent: "Filter" }), this.#summary),
      make("div", { className: "chips", role: "group", "aria-label": "Lesion types" }, ...types),
      make("div", { className: "filter-row" }, "Size", min, "to", max, "mm", split),
      make("div", { className: "filter-row" }, where, clear),
    );
  }

  /** Shows the URL's fields; opens the box where there are any. @param {Record<string, any>} fields */
  show(fields) {
    const chosen = (fields.type ?? "").split(",");
    for (const [type, box] of this.#types) box.checked = chosen.includes(type);
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

/** @param {string} words */
function sizeInput(words) {
  return make("input", { type: "number", min: 0, step: 1, className: "number", "aria-label": `Long diameter, ${words} mm` });
}
