// Search: the query beside one of its results, and the list of what was found.

import { messageOf } from "../core/api.js";
import { can } from "../core/capabilities.js";
import { button, icon, listenTo, make } from "../core/dom.js";
import { change, go, keep, readRoute } from "../core/route.js";
import { loadingState } from "../core/states.js";
import { markFields } from "../viewer/drawing.js";
import { LesionBench } from "./lesion/bench.js";
import { Station } from "../viewer/station.js";
import { windowText } from "../viewer/windows.js";
import { Answers } from "./answers.js";
import { FIRST_HITS, detect, hitCount, isAsked, questionOf, search } from "./query.js";
import { QueryPane } from "./query_pane.js";
import { ResultPane } from "./result_pane.js";
import { SidePanel } from "./side_panel.js";
import { conflictOf, doubtOf, fieldsOf } from "./identity.js";
import { openSeries, seriesOf } from "./archive/asking.js";
import { Receiver, uploadFacts } from "./receiving.js";

/** @typedef {import("../core/route.js").Params} Params */

const NO_MARK = { box: null, recist: null, point: null, detect: null, slice: null };
const HALF_MARKED = "Now drag the short diameter across it.";
const HOW_TO_MARK = "Press and drag a box around the lesion. R marks its diameters";

/** The view; `show` brings it to the state of the URL. */
export class SearchView {
  /** @type {Record<string, string>} */
  #params = {};
  /** @type {string | null} */
  #asked = null;
  /** @type {AbortController | null} */
  #aborting = null;
  /** An upload that arrived while another view was shown, as fields of the URL. @type {Record<string, any> | null} */
  #arrived = null;

  constructor() {
    this.side = new SidePanel({
      onFiles: (files) => this.take(files),
      onSeries: (target) => this.takeSeries(target),
      onPick: (lesion) => go("search", { lesion, ...this.#filters() }),
      onField: (patch) => change("box" in patch ? { ...NO_MARK, ...patch, slice: this.query.viewer.slice } : patch),
    });
    this.answers = new Answers({
      onFilter: (patch) => change({ ...patch, open: null, k: null }),
      queryPicture: () => this.query.asPicture(),
      onTag: (term) => change({ where: [this.#params.where, `tag="${term}"`].filter(Boolean).join(" and "), open: null, k: null }),
      onOpen: (open) => change({ open: open === this.#params.open ? null : open }),
      onPatient: () => go("patient", { id: this.answers.patient ?? this.#params.patient }),
      onMore: () => change({ k: hitCount(this.#params) + 2 * FIRST_HITS }, { replace: true }),
      onRetry: () => this.#search(),
    });
    this.receiver = new Receiver({
      onState: (state) => this.query.showReceiving(state),
      onReceived: (facts) => this.#showReceived(facts),
    });
    this.query = new QueryPane(() => this.side.upload.chooseButton(), {
      onWindow: (window) => this.station.showWindow(window),
      onMarkable: (allowed) => this.station.allowMarks(allowed),
      onPick: () => {
        this.side.open("index");
        this.side.picker.focus();
      },
    });
    this.result = new ResultPane({
      queryName: () => this.query.asPicture().name,
      onNeighbour: (step) => this.#openNeighbour(step),
      onSearch: () => this.#enter(),
      onClose: () => this.#close(),
      onShown: () => this.#focusBoth(),
    });
    this.station = new Station([this.query.viewer, this.result.viewer], {
      marks: true,
      onWindow: (window) => keep({ window: windowText(window) }),
      onFocus: () => this.#focusBoth(),
      onDetect: can().detect ? () => this.#detect() : undefined,
      onMeasure: can().measure ? () => this.#measure() : undefined,
    });
    this.bench = new LesionBench(this.query.viewer, {
      onMark: (patch) => change({ ...NO_MARK, ...patch, open: null }),
      lesion: () => this.query.lesion,
    });
    this.answers.element.prepend(this.bench.element);
    this.conflict = make("div", { className: "conflict", role: "alert", hidden: true });
    this.hint = make("p", { className: "hint", role: "status" });
    const panes = make("div", { className: "panes" }, this.query.element, this.result.element);
    const stage = make("section", { className: "stage", "aria-label": "Images" }, this.station.element, this.conflict, panes, this.hint);
    this.element = make("main", { className: "view search", tabIndex: -1, id: "search" }, this.side.element, stage, this.answers.element);
    this.#listen();
  }

  /** Keys of this view. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    return [
      ...this.station.keys(),
      ...(can().measure ? [{ keys: ["s"], words: "Measure the marked lesion", run: () => this.#measure() }] : []),
      ...(can().detect ? [{ keys: ["d"], words: "Let the detector propose lesions", run: () => this.#detect() }] : []),
      { keys: ["ArrowLeft"], shown: ["←"], words: "Result before", run: () => this.#openNeighbour(-1) },
      { keys: ["ArrowRight"], shown: ["→"], words: "Next result", run: () => this.#openNeighbour(1) },
      { keys: ["a"], words: "Collect the open result in the case basket", run: () => this.result.collect() },
      { keys: ["Escape"], shown: ["Esc"], words: "Close the result", run: () => this.#close() },
      { keys: ["Enter"], words: `Search from the open result${can().detect ? ", or with the detector's best" : ""}`, run: () => this.#enter() },
      { keys: ["/"], words: "Filter", run: () => this.answers.filters.focus() },
    ];
  }

  /** Brings the view to the state of the URL. @param {Params} params */
  show(params) {
    this.#params = params;
    if (params.lesion || params.upload) {
      this.receiver.abort();
      this.#arrived = null;
    } else if (this.#arrived !== null) {
      const arrived = this.#arrived;
      this.#arrived = null;
      change(arrived, { replace: true });
      return;
    }
    const facts = this.#facts();
    this.side.show(params, facts?.identity ?? null, facts?.is_in_pacs ?? false);
    this.#showConflict(facts);
    this.answers.showFields(params);
    this.bench.show(params, facts);
    this.query.show(params);
    const question = questionOf(params);
    if (question !== this.#asked) {
      this.#asked = question;
      this.#search();
    }
    this.#openResult();
  }

  #listen() {
    const { viewer } = this.query;
    viewer.addEventListener("mark", () => {
      const fields = markFields(viewer.editor.mark, viewer.projection.spacing);
      viewer.showProposals([], viewer.slice);
      change({ ...NO_MARK, ...fields, slice: viewer.slice, open: null });
    });
    listenTo(viewer, "proposal", (place) => this.#choose(place));
    viewer.element.addEventListener("pointerup", () => {
      const { mark } = viewer.editor;
      if (viewer.tool === "recist" && mark?.kind === "recist" && mark.points.length === 2) this.#hint(HALF_MARKED);
      else if (this.hint.textContent === HALF_MARKED) this.#hint("");
    });
  }

  /** Receives files: from now on nothing of the query before is on the page. @param {File[]} files */
  take(files) {
    if (files.length === 0) return;
    go("search", this.#filters());
    this.side.open("image");
    this.receiver.take(files);
  }

  /** Fetches a series of the PACS. @param {import("./archive/study_list.js").NamedTarget} target */
  takeSeries(target) {
    go("search", this.#filters());
    this.side.open(can().study_list ? "pacs" : "image");
    this.receiver.bring(target.name, (signal) => openSeries(target, signal));
  }

  /** Opens what a link from a viewer or a PACS names: a series, or the study's only one. @param {import("./archive/asking.js").PacsTarget} target */
  takeLink({ study, series }) {
    if (series !== null) this.takeSeries({ study, series, name: "Series of the link" });
    else this.receiver.bring("Study of the link", async (signal) => {
      const found = can().pacs ? await seriesOf(study) : [];
      if (found.length > 1 && can().study_list) {
        this.side.open("pacs");
        await this.side.studies.showStudy(study);
        throw new Error(`The study has ${found.length} CT series: choose one on the left.`);
      }
      if (found.length === 0 && can().pacs) throw new Error("The study has no CT series.");
      return openSeries({ study, series: found[0]?.series_instance_uid ?? null }, signal);
    });
  }

  /** Shows what has come, or keeps it until the reader is back from another view. @param {UploadOut} facts */
  #showReceived(facts) {
    const arrived = { upload: facts.upload_id, ...fieldsOf(facts) };
    if (readRoute().view === "search") go("search", { ...arrived, ...this.#filters() }, { replace: true });
    else this.#arrived = arrived;
  }

  /** What is known of the query's upload; null for an indexed lesion, or where it is gone. */
  #facts() {
    const { lesion, upload } = this.#params;
    return upload && !lesion ? uploadFacts(upload) : null;
  }

  /** @param {UploadOut | null} facts */
  #showConflict(facts) {
    const words = conflictOf(facts, this.#params);
    this.conflict.hidden = words === null;
    if (words === null) {
      this.conflict.replaceChildren();
      return;
    }
    const back = button("Use the file's", { run: () => change({ ...fieldsOf(facts), open: null }), className: "plain small" });
    this.conflict.replaceChildren(icon("alert"), make("span", { textContent: words }), back);
  }

  #filters() {
    const { type, category, min, max, vmin, vmax, split, where, text } = this.#params;
    return { type, category, min, max, vmin, vmax, split, where, text };
  }

  // -- the answer -----------------------------------------------------------------------------

  async #search() {
    this.#aborting?.abort();
    const params = this.#params;
    if (!isAsked(params)) {
      const hasImage = Boolean(params.upload) && uploadFacts(params.upload) !== null;
      this.answers.showEmpty(hasImage);
      this.#hint(hasImage ? `${HOW_TO_MARK}${can().detect ? ", D lets the detector propose" : ""}.` : "");
      return;
    }
    const mine = new AbortController();
    this.#aborting = mine;
    const facts = this.#facts();
    this.#hint("");
    this.answers.showLoading(hitCount(params));
    try {
      const result = await search(params, facts, mine.signal);
      if (mine.signal.aborted) return;
      const shown = { openId: this.#params.open ?? null, doubt: doubtOf(params, facts, result), isIndexed: Boolean(params.lesion) };
      await this.answers.showResult(result, shown);
      if (mine.signal.aborted) return;
      this.#openResult();
      if (params.upload) await this.#showCandidates(result, mine.signal);
    } catch (error) {
      if (!mine.signal.aborted) this.answers.showError(error);
    }
  }

  /**
   * Where the detector chose the box, its proposals are shown with the one that was taken.
   * @param {SearchOut} options @param {AbortSignal} signal
   */
  async #showCandidates({ candidates, box }, signal) {
    if (!(await this.query.ready) || signal.aborted || candidates.length === 0 || box === null) return;
    const isTaken = (/** @type {CandidateOut} */ one) => one.box.every((edge, place) => Math.abs(edge - box[place]) < 0.05);
    const { viewer } = this.query;
    this.query.propose(candidates, viewer.markSlice ?? viewer.slice, candidates.findIndex(isTaken));
  }

  async #detect() {
    const { viewer } = this.query;
    const { upload } = this.#params;
    if (!upload || viewer.stack === null || !this.station.toolbar.canDetect) return;
    const { slice } = viewer;
    this.station.toolbar.allowDetect(false);
    this.#hint(loadingState("Looking for lesions on this slice"));
    try {
      const { candidates } = await detect(upload, slice);
      if (this.#params.upload !== upload) return;
      this.query.propose(candidates, slice);
      this.#hint(candidates.length === 0
        ? "The detector found nothing on this slice: draw a box, or try another slice."
        : this.#proposalHint());
    } catch (error) {
      this.#hint(messageOf(error), true);
    } finally {
      this.station.toolbar.allowDetect(true);
    }
  }

  #measure() {
    if (this.bench.measure(this.#params)) return true;
    this.#hint("Mark the lesion first: its box, its diameters or a point in it.", true);
    return true;
  }

  /** What to do with proposals, and a slider for the least score of those that are shown. */
  #proposalHint() {
    const slider = make("input", { type: "range", min: "0", max: "1", step: "0.01", value: "0", className: "score-slider", "aria-label": "Least score of a proposal" });
    const told = make("span", { className: "number", textContent: "0.00" });
    slider.addEventListener("input", () => {
      told.textContent = Number(slider.value).toFixed(2);
      this.query.viewer.setLeastScore(Number(slider.value));
    });
    this.query.viewer.setLeastScore(0);
    return make("span", { className: "proposal-hint" }, "Click a proposal to search with it. The five best, with a score of at least", slider, told);
  }

  /** @param {number} place */
  #choose(place) {
    const { viewer } = this.query;
    const box = viewer.proposals[place].box.map((edge) => Math.round(edge * 10) / 10).join(",");
    viewer.chooseProposal(place);
    change({ ...NO_MARK, box, slice: viewer.slice, open: null });
  }

  #openResult() {
    const open = this.#params.open ?? null;
    this.element.classList.toggle("comparing", open !== null);
    if (open !== this.result.opened) this.result.viewer.setWindow(this.query.viewer.window);
    this.result.open(open, open === null ? null : this.answers.find(open));
    this.answers.markOpen(open);
  }

  /** @param {number} step */
  #openNeighbour(step) {
    const open = this.answers.neighbour(this.#params.open ?? null, step);
    if (open !== null) change({ open }, { replace: Boolean(this.#params.open) });
  }

  #close() {
    if (!this.#params.open) return false;
    change({ open: null });
    return true;
  }

  #enter() {
    const { open, upload } = this.#params;
    if (open) go("search", { lesion: open, ...this.#filters() });
    else if (upload && can().detect && !isAsked(this.#params)) change({ ...NO_MARK, detect: 1, slice: this.query.viewer.slice });
    else return false;
    return true;
  }

  // -- both viewports -------------------------------------------------------------------------

  /** Both lesions large, at one scale, so that their sizes compare. */
  #focusBoth() {
    const { viewer } = this.query;
    const other = this.result.viewer;
    viewer.focus(this.query.markExtent);
    if (this.result.opened === null || other.stack === null) return;
    other.focus();
    this.station.matchScales();
  }

  /** @param {Node | string} content */
  #hint(content, isError = false) {
    this.hint.replaceChildren(content);
    this.hint.classList.toggle("error", isError);
  }
}
