// The marks of a run, one a line, with what became of each and why.

import { getJson } from "../core/api.js";
import { button, make } from "../core/dom.js";
import { plural } from "../core/lesion_facts.js";
import { emptyState, errorState, skeletonRows } from "../core/states.js";
import { FATE_SIGNS, fateOf, markSize } from "./verdicts.js";

const PAGE = 100;
const COLUMNS = ["Verdict", "Why", "Size", "Mark", "Lesion, patient, study"];

/** A table, page by page. */
export class MarksTable {
  #verdict = "";
  #after = 0;
  #turn = 0;
  #rows = make("tbody");
  #told = make("p", { className: "faint", role: "status" });
  #more = button("More marks", { className: "plain wide", run: () => this.#next(), hidden: true });
  #home = make("div");
  #table;
  element;

  constructor() {
    const heads = COLUMNS.map((words) => make("th", { scope: "col", textContent: words }));
    this.#table = make("table", { className: "marks" }, make("thead", {}, make("tr", {}, ...heads)), this.#rows);
    const scroll = make("div", { className: "marks-scroll", tabIndex: 0, role: "region", "aria-label": "Marks, one a line" }, this.#home);
    this.element = make("section", { className: "mined-marks" }, make("div", { className: "section-heading" }, make("h2", { textContent: "Marks" }), this.#told), scroll, this.#more);
  }

  /** Starts the list again: marks of one verdict, or of all. @param {string} verdict */
  async load(verdict) {
    this.#verdict = verdict;
    this.#after = 0;
    this.#more.hidden = true;
    this.#told.textContent = "";
    this.#home.replaceChildren(skeletonRows(4));
    await this.#next();
  }

  async #next() {
    const turn = ++this.#turn;
    const query = new URLSearchParams({ limit: String(PAGE), after: String(this.#after) });
    if (this.#verdict) query.set("verdict", this.#verdict);
    try {
      /** @type {MinedMarksOut} */
      const page = await getJson(`v1/mining/marks?${query}`);
      if (turn === this.#turn) this.#show(page);
    } catch (error) {
      if (turn === this.#turn) this.#home.replaceChildren(errorState(error, () => this.load(this.#verdict)));
    }
  }

  /** @param {MinedMarksOut} page */
  #show({ marks, total, next_after: next }) {
    const rows = marks.map(row);
    if (this.#after === 0) this.#rows.replaceChildren(...rows);
    else this.#rows.append(...rows);
    this.#home.replaceChildren(total === 0 ? emptyState("search", "No mark", "No mark came to this verdict.") : this.#table);
    this.#told.textContent = [plural(total, "mark"), this.#verdict && `with the verdict ${this.#verdict}`].filter(Boolean).join(" ");
    this.#after = next ?? 0;
    this.#more.hidden = next === null;
  }
}

/** @param {Record<string, any>} mark a line of mined.jsonl */
function row(mark) {
  const fate = fateOf(mark.verdict);
  const badge = make("span", { className: `fate ${fate}` }, make("i", { className: "fate-dot", "aria-hidden": "true" }), make("span", { textContent: mark.verdict }));
  const why = [mark.reason, mark.lengths, ...(mark.notes ?? [])].filter(Boolean).join("; ");
  const cells = [why, markSize(mark), [mark.carrier, mark.kind].filter(Boolean).join(", ")];
  const ids = [mark.lesion_id, mark.patient, mark.study_date].filter(Boolean);
  return make(
    "tr", { dataset: { mark: mark.mark_id, fate: FATE_SIGNS[fate] }, title: mark.mark_id },
    make("td", {}, badge),
    ...cells.map((words) => make("td", { textContent: words ?? "" })),
    make("td", {}, make("span", { className: "ids" }, ...ids.map((words) => make("span", { className: "id", textContent: words })))),
  );
}
