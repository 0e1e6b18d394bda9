// The list of indexed lesions to search from, narrowed by type and patient, page by page.

import { getJson } from "../core/api.js";
import { all, make } from "../core/dom.js";
import { croppedPicture, sizeText, typeLabel } from "../core/lesion_facts.js";
import { lesionTypes } from "../core/vocabulary.js";
import { rove } from "../core/roving.js";
import { emptyState, errorState, skeletonRows } from "../core/states.js";

const PAGE = 40;
const MOST_PATIENTS = 50;
const TYPING_MS = 200;

/** Rows of lesions; `onPick` hears the id of the one chosen. */
export class Picker {
  #onPick;
  #list = make("div", { className: "rows lesion-rows", role: "listbox", "aria-label": "Indexed lesions" });
  #more = make("button", { type: "button", className: "plain wide", textContent: "More lesions", hidden: true });
  #type = make("select", { "aria-label": "Lesion type" }, new Option("all types", ""), ...lesionTypes().map((name) => new Option(name, name)));
  #patient = make("input", { type: "search", placeholder: "patient", "aria-label": "Patient", autocomplete: "off" });
  #after = "";
  /** @type {string | null} */
  #chosen = null;
  #turn = 0;
  #timer = 0;

  /** @param {(id: string) => void} onPick */
  constructor(onPick) {
    this.#onPick = onPick;
    this.#type.addEventListener("change", () => this.load());
    this.#patient.addEventListener("input", () => this.#soon());
    this.#more.addEventListener("click", () => this.#next());
    rove(this.#list, "[data-lesion]", { keys: "vertical" });
    this.element = make(
      "div",
      { className: "picker" },
      make("div", { className: "filter-row" }, this.#type, this.#patient),
      make("div", { className: "scroll" }, this.#list, this.#more),
    );
  }

  /** Starts the list again under the present filter. */
  async load() {
    this.#after = "";
    this.#more.hidden = true;
    this.#list.replaceChildren(skeletonRows(8));
    await this.#next();
  }

  /** Once the reader has stopped typing. */
  #soon() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.load(), TYPING_MS);
  }

  /** @returns {Promise<LesionPage>} */
  async #page() {
    const patients = await patientsWith(this.#patient.value.trim());
    return patients?.length === 0 ? { lesions: [], next_after: null } : getJson(`v1/lesions?${this.#query(patients)}`);
  }

  /** Marks the lesion that is the query. @param {string | null} lesionId */
  choose(lesionId) {
    this.#chosen = lesionId;
    for (const row of all(this.#list, "[data-lesion]")) {
      row.setAttribute("aria-selected", String(row.dataset.lesion === lesionId));
    }
  }

  focus() {
    this.#patient.focus();
  }

  async #next() {
    const turn = ++this.#turn;
    const isFirst = this.#after === "";
    try {
      /** @type {LesionPage} */
      const page = await this.#page();
      if (turn !== this.#turn) return;
      const rows = page.lesions.map((lesion) => this.#row(lesion));
      if (isFirst) this.#list.replaceChildren(...rows);
      else this.#list.append(...rows);
      if (isFirst && rows.length === 0) this.#list.replaceChildren(this.#nothing());
      this.#after = page.next_after ?? "";
      this.#more.hidden = page.next_after === null;
      this.choose(this.#chosen);
    } catch (error) {
      if (turn === this.#turn) this.#list.replaceChildren(errorState(error, () => this.load()));
    }
  }

  /** @param {string[] | null} patients */
  #query(patients) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    const clauses = [];
    if (this.#type.value) clauses.push(`type=${this.#type.value}`);
    if (patients !== null) clauses.push(`patient=${patients.map((id) => `"${id.replace(/(["\\])/g, "\\$1")}"`).join(",")}`);
    if (clauses.length > 0) query.set("where", clauses.join(" and "));
    if (this.#after) query.set("after", this.#after);
    return query;
  }

  /** @param {LesionOut} lesion */
  #row(lesion) {
    const { lesion_id: id } = lesion;
    return make(
      "button",
      { type: "button", className: "row", role: "option", title: id, dataset: { lesion: id }, on: { click: () => this.#onPick(id) } },
      croppedPicture(lesion, 44),
      make(
        "span",
        { className: "row-words" },
        make("span", { className: "line" }, typeLabel(lesion.lesion_type), make("span", { className: "size", textContent: sizeText(lesion) })),
        make("span", { className: "line faint", textContent: `${lesion.study_id} · slice ${lesion.key_slice_index}` }),
      ),
    );
  }

  #nothing() {
    const isFiltered = this.#type.value || this.#patient.value.trim();
    return isFiltered
      ? emptyState("search", "No lesion fits", "Choose another type, or clear the patient.")
      : emptyState("search", "The index is empty", "Add lesions with: lesion-search index add");
  }
}

/** The patients whose id has a part, null for every one of them. @param {string} part @returns {Promise<string[] | null>} */
async function patientsWith(part) {
  if (part === "") return null;
  const query = new URLSearchParams({ contains: part, limit: String(MOST_PATIENTS) });
  const { patients } = await getJson(`v1/patients?${query}`);
  return patients.map((/** @type {PatientOut} */ { patient_id: id }) => id);
}
