// Mined: the marks that readers left, harvested into an archive; what was kept, what was refused and why.

import { deleteJson, getJson, messageOf, postJson } from "../core/api.js";
import { can } from "../core/capabilities.js";
import { make } from "../core/dom.js";
import { change } from "../core/route.js";
import { emptyState, loadingState } from "../core/states.js";
import { MarksTable } from "./marks_table.js";
import { OrderForm } from "./order_form.js";
import { PictureSheet } from "./picture_sheet.js";
import { FATE_WORDS, fatesOf, reportWords, runWords } from "./verdicts.js";

/** @typedef {import("../core/route.js").Params} Params */

const POLL_MS = 800;

/** The view; `show` brings it to the state of the URL. */
export class MiningView {
  /** @type {Params} */
  #params = {};
  /** @type {MiningOut | null} */
  #run = null;
  #isPolling = false;
  /** The run and verdict whose marks are listed. */
  #listed = "";
  #table = new MarksTable();
  #told = make("div", { className: "run-told", role: "status" });
  #counts = make("div", { className: "counts" });
  #sheet = new PictureSheet();
  #main = make("section", { className: "mined-main", "aria-label": "What was mined" });
  #form;
  #order;

  constructor() {
    this.#form = new OrderForm(can().mine, { onStart: (order) => this.#ask(() => postJson("v1/mining", order)), onCancel: () => this.#ask(() => deleteJson("v1/mining")) });
    // Once something was mined its counts come first: a run is started once, looked at often.
    this.#order = make("details", { className: "order-home", open: true }, make("summary", { textContent: "Start a run" }), this.#form.element);
    const words = make("p", { className: "faint", textContent: "Measurements that readers left in reports, presentation states, segments and contours become an archive in DeepLesion's layout, with one verdict for every mark." });
    const side = make("aside", { className: "side mined-side scroll", "aria-label": "Mining run" }, make("h2", { textContent: "Mine marks" }), words, this.#told, this.#counts, this.#order);
    this.element = make("main", { className: "view mined", tabIndex: -1, id: "mined" }, side, this.#main);
    if (can().mine.length === 0) this.element.replaceChildren(emptyState("alert", "Nothing to mine here", "This service has no archive to mine into, or your key may only read."));
  }

  /** Keys of this view: none of its own. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    return [];
  }

  /** Brings the view to the state of the URL. @param {Params} params */
  show(params) {
    this.#params = params;
    if (can().mine.length === 0) return;
    if (this.#run !== null) this.#draw();
    this.#follow();
  }

  /** Asks how far the run is, for as long as one goes on and the view is seen. */
  async #follow() {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      do {
        this.#run = await getJson("v1/mining");
        this.#draw();
        if (this.#run?.state === "running") await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      } while (this.#run?.state === "running" && !this.element.hidden);
    } catch (error) {
      this.#tell(messageOf(error), true);
    } finally {
      this.#isPolling = false;
    }
  }

  /** @param {() => Promise<MiningOut>} request */
  async #ask(request) {
    try {
      this.#run = await request();
      this.#draw();
    } catch (error) {
      this.#tell(messageOf(error), true);
    }
    this.#follow();
  }

  #draw() {
    const run = this.#run;
    if (run === null) return;
    const isRunning = run.state === "running";
    this.#form.setRunning(isRunning);
    if (isRunning) this.#told.replaceChildren(loadingState(runWords(run), run.total === 0 ? null : run.done / run.total));
    else this.#tell(runWords(run), run.state === "failed");
    const { report } = run;
    this.#drawCounts(report);
    if (report === null) {
      this.#listed = "";
      this.#main.replaceChildren(isRunning ? "" : emptyState("search", "Nothing mined yet", "Start a run: what it keeps and what it refuses stands here, with the reasons and a picture."));
      return;
    }
    const verdict = this.#params.verdict ?? "";
    const listed = `${run.started} ${run.ended} ${report.marks} ${verdict}`;
    if (listed === this.#listed || isRunning && this.#listed !== "") return;
    if (this.#listed === "") {
      this.#main.replaceChildren(this.#table.element, this.#sheet.element);
      this.#order.open = false;
    }
    this.#listed = listed;
    this.#table.load(verdict);
    this.#sheet.show(run);
  }

  /** @param {MiningReportOut | null} report */
  #drawCounts(report) {
    if (report === null) {
      this.#counts.replaceChildren();
      return;
    }
    const chosen = this.#params.verdict ?? "";
    const groups = fatesOf(report.verdicts).map(({ fate, counts, total }) => make(
      "section", { className: "fate-group", dataset: { fate } },
      make("h3", {}, make("span", { className: `fate ${fate}` }, make("i", { className: "fate-dot", "aria-hidden": "true" }), make("span", { textContent: FATE_WORDS[fate] })), make("span", { className: "number", textContent: total.toLocaleString("en") })),
      ...counts.map(([verdict, count]) => countRow(verdict, count, { isChosen: verdict === chosen, isAlone: false })),
    ));
    const all = countRow("all marks", report.marks, { isChosen: chosen === "", isAlone: true });
    this.#counts.replaceChildren(make("p", { className: "faint", textContent: reportWords(report) }), make("div", { className: "legend", role: "group", "aria-label": "Verdicts" }, all, ...groups));
  }

  /** @param {string} words @param {boolean} isError */
  #tell(words, isError) {
    this.#told.replaceChildren(make("p", { className: isError ? "problem" : "faint", textContent: words }));
  }
}

/** @param {string} verdict @param {number} count @param {{ isChosen: boolean, isAlone: boolean }} options */
function countRow(verdict, count, { isChosen, isAlone }) {
  const choose = () => change({ verdict: isAlone || isChosen ? null : verdict }, { replace: true });
  return make(
    "button", { type: "button", className: "legend-row verdict-row", "aria-pressed": String(isChosen), on: { click: choose } },
    make("span", { textContent: verdict }),
    make("span", { className: "number faint", textContent: count.toLocaleString("en") }),
  );
}
