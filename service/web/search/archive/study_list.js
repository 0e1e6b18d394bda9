// The study list of the PACS: by patient and day, each study with its CT series; a series opens as the query.

import { messageOf } from "../../core/api.js";
import { button, field, make } from "../../core/dom.js";
import { rove } from "../../core/roving.js";
import { emptyState, errorState, skeletonRows } from "../../core/states.js";
import { seriesOf, studiesOf } from "./asking.js";

/** @typedef {import("./asking.js").PacsTarget & { name: string }} NamedTarget */

/** A search form and the studies it finds; `onOpen` hears the series that a reader chose. */
export class StudyList {
  #onOpen;
  #patient = make("input", { type: "search", placeholder: "id, * for any", autocomplete: "off", spellcheck: false, name: "patient" });
  #first = make("input", { type: "date", name: "first" });
  #last = make("input", { type: "date", name: "last" });
  #list = make("div", { className: "rows study-rows", role: "group", "aria-label": "Studies of the PACS" });
  #turn = 0;
  /** The study that is open. @type {string | null} */
  #open = null;
  element;

  /** @param {(target: NamedTarget) => void} onOpen */
  constructor(onOpen) {
    this.#onOpen = onOpen;
    const form = make(
      "form", { className: "study-search" },
      field("Patient", this.#patient),
      make("div", { className: "pair" }, field("From", this.#first), field("To", this.#last)),
      button("Find studies", { sign: "search", className: "plain small", type: "submit" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find({ patient: this.#patient.value.trim(), first: this.#first.value, last: this.#last.value });
    });
    rove(this.#list, ".pacs-study, .series-row", { keys: "vertical" });
    this.#list.replaceChildren(emptyState("search", "Studies of the PACS", "Search by patient, by day, or both."));
    this.element = make("div", { className: "studies" }, form, make("div", { className: "scroll" }, this.#list));
  }

  focus() {
    this.#patient.focus();
  }

  /** The open image's patient: priors and current, the open study marked. @param {string} patient @param {string | null} study */
  showPatient(patient, study) {
    if (study === this.#open && this.#patient.value === patient) return;
    this.#open = study;
    this.#patient.value = patient;
    this.#first.value = this.#last.value = "";
    this.#find({ patient });
  }

  /** One study, with its series to choose from. @param {string} study */
  showStudy(study) {
    return this.#find({ study }, study);
  }

  /** @param {Record<string, string>} fields @param {string | null} [unfold] the study whose series are shown at once */
  async #find(fields, unfold = null) {
    const turn = ++this.#turn;
    this.#list.replaceChildren(skeletonRows(4));
    try {
      const { studies, is_cut: isCut } = await studiesOf(fields);
      if (turn !== this.#turn) return;
      const rows = studies.map((study) => this.#study(study, unfold ?? (studies.length === 1 ? study.study_instance_uid : null)));
      if (rows.length === 0) this.#list.replaceChildren(emptyState("search", "No CT study", "The PACS has none for this search. An id may hold * for any characters."));
      else this.#list.replaceChildren(...rows, ...(isCut ? [make("p", { className: "faint", textContent: "There may be more: narrow the search." })] : []));
    } catch (error) {
      if (turn === this.#turn) this.#list.replaceChildren(errorState(error, () => this.#find(fields, unfold)));
    }
  }

  /** @param {PacsListedStudyOut} study @param {string | null} unfold */
  #study(study, unfold) {
    const { study_instance_uid: uid, patient_id: patient, study_date: date, description } = study;
    const isOpen = uid === this.#open;
    const series = make("div", { className: "rows series-rows" });
    const head = button("", {
      className: "row pacs-study", "aria-expanded": "false", dataset: { study: uid }, "aria-current": isOpen ? "true" : null,
      run: () => this.#unfold(head, series, study),
    });
    head.append(make(
      "span", { className: "row-words" },
      make("span", { className: "line" }, make("b", { className: "number", textContent: date ?? "no date" }), make("span", { textContent: isOpen ? "open" : "", className: "badge" })),
      make("span", { className: "line faint", textContent: [`patient ${patient || "not known"}`, description].filter(Boolean).join(" · ") }),
    ));
    if (uid === unfold) this.#unfold(head, series, study);
    return make("div", { className: "study" }, head, series);
  }

  /** @param {HTMLButtonElement} head @param {HTMLElement} home @param {PacsListedStudyOut} study */
  async #unfold(head, home, { study_instance_uid: uid, study_date: date }) {
    const isShown = head.getAttribute("aria-expanded") === "true";
    head.setAttribute("aria-expanded", String(!isShown));
    home.replaceChildren();
    if (isShown) return;
    home.append(make("p", { className: "faint", role: "status", textContent: "Asking for its series" }));
    try {
      const found = await seriesOf(uid);
      home.replaceChildren(...found.map((one) => this.#series(uid, one, date)));
      if (found.length === 0) home.append(make("p", { className: "faint", textContent: "No CT series." }));
    } catch (error) {
      home.replaceChildren(make("p", { className: "problem", role: "alert", textContent: messageOf(error) }));
    }
  }

  /** @param {string} study @param {PacsSeriesOut} found @param {string | null} date */
  #series(study, { series_instance_uid: series, description, instances }, date) {
    const name = description || "CT series without a name";
    const open = () => this.#onOpen({ study, series, name: [name, date].filter(Boolean).join(", ") });
    return make(
      "button", { type: "button", className: "row series-row", title: `Open ${name}`, dataset: { series }, on: { click: open } },
      make("span", { className: "line grow" }, make("span", { textContent: name }), make("span", { className: "faint number", textContent: instances === null ? "" : `${instances} images` })),
    );
  }
}
