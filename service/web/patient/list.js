// The patients of the index, page by page.

import { getJson } from "../core/api.js";
import { all, make } from "../core/dom.js";
import { plural } from "../core/lesion_facts.js";
import { rove } from "../core/roving.js";
import { emptyState, errorState, skeletonRows } from "../core/states.js";

const PAGE = 100;
const TYPING_MS = 200;

/** Rows of patients; `onPick` hears the id of the one chosen. */
export class PatientList {
  #onPick;
  #timer = 0;
  /** What the list was asked for, and its first patient. */
  #listed = "";
  /** @type {string | null} */
  #first = null;
  /** @type {string | null} */
  #chosen = null;
  /** @type {string | null} */
  #after = null;
  #wanted = make("input", { type: "search", placeholder: "patient id", "aria-label": "Patient", autocomplete: "off" });
  #list = make("div", { className: "rows", role: "listbox", "aria-label": "Patients" });
  #more = make("button", { type: "button", className: "plain wide", textContent: "More patients", hidden: true });

  /** @param {(id: string) => void} onPick */
  constructor(onPick) {
    this.#onPick = onPick;
    const form = make("form", { className: "filter-row" }, this.#wanted);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = this.#wanted.value.trim();
      if (typed) onPick(this.#listed === typed && this.#first !== null ? this.#first : typed);
    });
    this.#wanted.addEventListener("input", () => this.#soon());
    this.#more.addEventListener("click", () => this.#next());
    rove(this.#list, "[data-patient]", { keys: "vertical" });
    this.element = make(
      "aside",
      { className: "side patients", "aria-label": "Patients" },
      form,
      make("div", { className: "scroll" }, this.#list, this.#more),
    );
    this.load();
  }

  async load() {
    this.#after = null;
    this.#list.replaceChildren(skeletonRows(8));
    await this.#next();
  }

  /** Once the reader has stopped typing. */
  #soon() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.load(), TYPING_MS);
  }

  /** @param {string | null} patientId */
  choose(patientId) {
    this.#chosen = patientId;
    for (const row of all(this.#list, "[data-patient]")) {
      row.setAttribute("aria-selected", String(row.dataset.patient === patientId));
    }
  }

  focus() {
    this.#wanted.focus();
  }

  async #next() {
    const after = this.#after;
    const isFirst = after === null;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (after !== null) query.set("after", after);
    const part = this.#wanted.value.trim();
    if (part) query.set("contains", part);
    try {
      /** @type {PatientPage} */
      const page = await getJson(`v1/patients?${query}`);
      if (part !== this.#wanted.value.trim()) return;
      if (isFirst) [this.#listed, this.#first] = [part, page.patients[0]?.patient_id ?? null];
      const rows = page.patients.map((patient) => this.#row(patient));
      if (isFirst) this.#list.replaceChildren(...rows);
      else this.#list.append(...rows);
      if (isFirst && rows.length === 0) this.#list.replaceChildren(part ? emptyState("person", "No such patient", "No id has this part.") : emptyState("person", "No patient yet", "Add lesions with: lesion-search index add"));
      this.#after = page.next_after;
      this.#more.hidden = page.next_after === null;
      this.choose(this.#chosen);
    } catch (error) {
      this.#list.replaceChildren(errorState(error, () => this.load()));
    }
  }

  /** @param {PatientOut} options */
  #row({ patient_id: id, studies, lesions }) {
    const row = make(
      "button",
      { type: "button", className: "row", role: "option", dataset: { patient: id }, on: { click: () => this.#onPick(id) } },
      make("span", { className: "line grow" }, make("span", { textContent: id }), make("span", { className: "faint number", textContent: plural(studies, "study", "studies") })),
      make("span", { className: "faint number count", textContent: lesions, title: plural(lesions, "lesion") }),
    );
    return row;
  }
}
