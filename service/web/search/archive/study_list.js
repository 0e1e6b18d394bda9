// The study list of the PACS: a search by patient, name, number and day, and the studies it finds.

import { button, field, make } from "../../core/dom.js";
import { rove } from "../../core/roving.js";
import { emptyState, errorState, skeletonRows } from "../../core/states.js";
import { studiesOf } from "./asking.js";
import { StudyTable } from "./study_table.js";

/** @typedef {import("./asking.js").PacsTarget & { name: string }} NamedTarget */

/** Days back from today that a press searches. @type {[string, number][]} */
const RECENT = [["Today", 0], ["7 days", 6], ["30 days", 29]];

/** A search form and the studies it finds; `onOpen` hears the series that a reader chose. */
export class StudyList {
  #table;
  #fields = {
    patient: make("input", { type: "search", placeholder: "id, * for any", autocomplete: "off", spellcheck: false, name: "patient" }),
    description: make("input", { type: "search", placeholder: "a part of it", autocomplete: "off", spellcheck: false, name: "description", maxLength: 64 }),
    accession: make("input", { type: "search", placeholder: "number, * for any", autocomplete: "off", spellcheck: false, name: "accession", maxLength: 16 }),
    first: make("input", { type: "date", name: "first" }),
    last: make("input", { type: "date", name: "last" }),
  };
  #list = make("div", { className: "study-rows", role: "group", "aria-label": "Studies of the PACS" });
  #turn = 0;
  /** The study that is open. @type {string | null} */
  #open = null;
  element;

  /** @param {(target: NamedTarget) => void} onOpen */
  constructor(onOpen) {
    this.#table = new StudyTable(onOpen);
    const { patient, description, accession, first, last } = this.#fields;
    const recent = RECENT.map(([words, days]) => button(words, { className: "plain small", title: days === 0 ? "Studies of today" : `Studies of the last ${words}`, run: () => this.#findSince(days) }));
    const form = make(
      "form", { className: "study-search" },
      field("Patient", patient), field("Description", description), field("Accession", accession),
      make("div", { className: "days" }, field("From", first), field("To", last)),
      make(
        "div", { className: "actions" },
        button("Find studies", { sign: "search", className: "plain small", type: "submit" }),
        ...recent,
        button("Clear", { className: "plain small", run: () => this.#clear() }),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find(this.#asked());
    });
    rove(this.#list, ".pacs-study, .series-row", { keys: "vertical" });
    this.#showStart();
    this.element = make("div", { className: "studies" }, form, make("div", { className: "scroll" }, this.#list));
  }

  focus() {
    this.#fields.patient.focus();
  }

  /** The open image's patient: priors and current, the open study marked. @param {string} patient @param {string | null} study */
  showPatient(patient, study) {
    if (study === this.#open && this.#fields.patient.value === patient) return;
    this.#open = study;
    for (const input of Object.values(this.#fields)) input.value = "";
    this.#fields.patient.value = patient;
    this.#find({ patient });
  }

  /** One study, with its series to choose from. @param {string} study */
  showStudy(study) {
    return this.#find({ study }, study);
  }

  #asked() {
    return Object.fromEntries(Object.entries(this.#fields).map(([name, input]) => [name, input.value.trim()]));
  }

  #clear() {
    for (const input of Object.values(this.#fields)) input.value = "";
    this.#turn += 1;
    this.#showStart();
    this.focus();
  }

  #showStart() {
    this.#list.replaceChildren(emptyState("search", "Studies of the PACS", "Search by patient, description, accession number or day."));
  }

  /** The studies of today and so many days before it, of whichever patient is asked for. @param {number} days */
  #findSince(days) {
    const today = new Date();
    const first = new Date(today.getFullYear(), today.getMonth(), today.getDate() - days);
    this.#fields.first.value = dayOf(first);
    this.#fields.last.value = dayOf(today);
    this.#find(this.#asked());
  }

  /** @param {Record<string, string>} fields @param {string | null} [unfold] the study whose series are shown at once */
  async #find(fields, unfold = null) {
    const turn = ++this.#turn;
    this.#list.replaceChildren(skeletonRows(4));
    try {
      const { studies, is_cut: isCut } = await studiesOf(fields);
      if (turn !== this.#turn) return;
      if (studies.length === 0) {
        this.#list.replaceChildren(emptyState("search", "No CT study", "The PACS has none for this search. An id may hold * for any characters."));
        return;
      }
      this.#table.show(studies, { open: this.#open, unfold: unfold ?? (studies.length === 1 ? studies[0].study_instance_uid : null) });
      const count = make("p", { className: "faint how-many", role: "status", textContent: `${studies.length} ${studies.length === 1 ? "study" : "studies"}${isCut ? "; there may be more: narrow the search" : ""}` });
      this.#list.replaceChildren(count, this.#table.element);
    } catch (error) {
      if (turn === this.#turn) this.#list.replaceChildren(errorState(error, () => this.#find(fields, unfold)));
    }
  }
}

/** A day as a field of dates takes it, in the reader's own time zone. @param {Date} day */
function dayOf(day) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}
