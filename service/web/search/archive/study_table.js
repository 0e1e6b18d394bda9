// What a search of the PACS found, as a table: columns sort, a study unfolds its CT series.

import { messageOf } from "../../core/api.js";
import { button, make } from "../../core/dom.js";
import { rove } from "../../core/roving.js";
import { seriesOf } from "./asking.js";

/**
 * @typedef {import("./study_list.js").NamedTarget} NamedTarget
 * @typedef {"study_date" | "patient_id" | "description" | "accession_number" | "instances"} ColumnKey
 * @typedef {{ study: PacsListedStudyOut, row: HTMLElement, below: HTMLElement }} Line
 */

/** Each with the way it sorts at first: 1 upwards. @type {{ key: ColumnKey, words: string, way: 1 | -1 }[]} */
const COLUMNS = [
  { key: "study_date", words: "Date", way: -1 },
  { key: "patient_id", words: "Patient", way: 1 },
  { key: "description", words: "Description", way: 1 },
  { key: "accession_number", words: "Accession", way: 1 },
  { key: "instances", words: "Images", way: -1 },
];

/** Studies under heads that sort them; `onOpen` hears the series that a reader chose. */
export class StudyTable {
  #onOpen;
  /** @type {Line[]} */
  #lines = [];
  /** Kept from one search to the next. @type {{ key: ColumnKey, way: 1 | -1 }} */
  #order = { key: "study_date", way: -1 };
  /** @type {Map<ColumnKey, HTMLElement>} */
  #heads = new Map();
  #head;
  #table;

  /** @param {(target: NamedTarget) => void} onOpen */
  constructor(onOpen) {
    this.#onOpen = onOpen;
    for (const { key, words } of COLUMNS) {
      const sort = button(words, { className: "sort", title: `Sort by ${words.toLowerCase()}`, run: () => this.#sortBy(key) });
      this.#heads.set(key, make("div", { role: "columnheader", className: `of-${key}` }, sort));
    }
    this.#head = make("div", { role: "row", className: "studies-head" }, ...this.#heads.values());
    rove(this.#head, ".sort", { keys: "horizontal" });
    this.#table = make("div", { role: "table", className: "study-table", "aria-label": "Studies" }, this.#head);
  }

  get element() {
    return this.#table;
  }

  /** @param {PacsListedStudyOut[]} studies @param {{ open: string | null, unfold: string | null }} which the study that is open, the one whose series are shown at once */
  show(studies, { open, unfold }) {
    this.#lines = studies.map((study) => this.#line(study, study.study_instance_uid === open));
    this.#table.replaceChildren(this.#head);
    this.#arrange();
    const shown = this.#lines.find(({ study }) => study.study_instance_uid === unfold);
    if (shown !== undefined) this.#unfold(shown);
  }

  /** The same column again turns the order round. @param {ColumnKey} key */
  #sortBy(key) {
    const way = COLUMNS.find((one) => one.key === key)?.way ?? 1;
    this.#order = this.#order.key === key ? { key, way: this.#order.way === 1 ? -1 : 1 } : { key, way };
    this.#arrange();
  }

  #arrange() {
    const { key, way } = this.#order;
    for (const [name, head] of this.#heads) {
      head.setAttribute("aria-sort", name !== key ? "none" : way === 1 ? "ascending" : "descending");
    }
    this.#lines.sort((one, other) => compared(one.study[key], other.study[key], way));
    // The heads stay where they are: taken out and put in again, the pressed one would lose the focus.
    this.#table.append(...this.#lines.flatMap(({ row, below }) => [row, below]));
  }

  /** @param {PacsListedStudyOut} study @param {boolean} isOpen @returns {Line} */
  #line(study, isOpen) {
    const { study_instance_uid: uid, patient_id: patient, study_date: date, description, accession_number: accession, instances } = study;
    const run = () => this.#unfold(line);
    const head = button(date ?? "no date", { className: "pacs-study number", "aria-expanded": "false", dataset: { study: uid }, "aria-current": isOpen ? "true" : null, run });
    if (isOpen) head.append(make("span", { className: "badge", textContent: "open" }));
    const cell = (/** @type {ColumnKey} */ key, /** @type {Node | string} */ content) => make("div", { role: "cell", className: `of-${key}` }, content);
    const row = make(
      "div", { role: "row", className: "listed-study" },
      cell("study_date", head),
      cell("patient_id", patient || "not known"),
      cell("description", make("span", { textContent: description, title: description })),
      cell("accession_number", accession),
      cell("instances", instances === null ? "" : String(instances)),
    );
    const below = make("div", { role: "row", className: "study-below", hidden: true }, make("div", { role: "cell", className: "series-rows" }));
    const line = { study, row, below };
    return line;
  }

  /** @param {Line} line */
  async #unfold({ study, row, below }) {
    const head = row.querySelector(".pacs-study");
    const isShown = !below.hidden;
    head?.setAttribute("aria-expanded", String(!isShown));
    below.hidden = isShown;
    const home = below.firstElementChild;
    if (isShown || home === null) return;
    home.replaceChildren(make("p", { className: "faint", role: "status", textContent: "Asking for its series" }));
    try {
      const found = await seriesOf(study.study_instance_uid);
      home.replaceChildren(...found.map((one) => this.#series(study, one)));
      if (found.length === 0) home.append(make("p", { className: "faint", textContent: "No CT series." }));
    } catch (error) {
      home.replaceChildren(make("p", { className: "problem", role: "alert", textContent: messageOf(error) }));
    }
  }

  /** @param {PacsListedStudyOut} study @param {PacsSeriesOut} found */
  #series({ study_instance_uid: study, study_date: date }, { series_instance_uid: series, description, instances }) {
    const name = description || "CT series without a name";
    const open = () => this.#onOpen({ study, series, name: [name, date].filter(Boolean).join(", ") });
    return make(
      "button", { type: "button", className: "row series-row", title: `Open ${name}`, dataset: { series }, on: { click: open } },
      make("span", { className: "series-name", textContent: name }),
      make("span", { className: "faint number", textContent: instances === null ? "" : `${instances} images` }),
    );
  }
}

/** Numbers by size, words as a reader counts them; what is not known comes last either way. @param {string | number | null} one @param {string | number | null} other @param {1 | -1} way */
export function compared(one, other, way) {
  const [isLess, isMore] = [one === null || one === "", other === null || other === ""];
  if (isLess || isMore) return Number(isLess) - Number(isMore);
  const order = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
  return order * way;
}
