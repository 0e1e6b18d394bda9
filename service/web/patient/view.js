// Patient: lesion tracks over the studies, diameters, response, and a reader's decisions on matches.

import { getJson } from "../core/api.js";
import { can } from "../core/capabilities.js";
import { all, button, make } from "../core/dom.js";
import { ExportMenu } from "../core/output/menu.js";
import { plural } from "../core/lesion_facts.js";
import { change, go } from "../core/route.js";
import { emptyState, errorState, loadingState, warning } from "../core/states.js";
import { Decisions } from "./decisions.js";
import { PatientList } from "./list.js";
import { PairPanel } from "./pair_panel.js";
import { SizePlot } from "./size_plot.js";
import { basisWords, sizeKind } from "./sizes.js";
import { TrackMarks } from "./track_marks.js";
import { waysOut } from "./ways_out.js";
import { responseLine, tracksSheet } from "./tracks_sheet.js";

/** @typedef {import("../core/route.js").Params} Params */

/** The view; `show` brings it to the state of the URL. */
export class PatientView {
  /** @type {Record<string, string>} */
  #params = {};
  /** @type {string | null} */
  #loaded = null;
  /** @type {TrackMarks | null} */
  #marks = null;
  /** @type {Decisions | null} */
  #decisions = null;
  /** @type {unknown} */
  #error = null;
  #isBusy = false;
  #turn = 0;
  #exports = new ExportMenu();

  constructor() {
    this.list = new PatientList((id) => go("patient", { id, marks: this.#params.marks }));
    this.plot = new SizePlot((lesionId) => this.#chooseLesion(lesionId));
    this.panel = new PairPanel({
      onDecide: (decision) => this.#decide(decision),
      onUndo: () => this.#undo(),
      onClose: () => change({ a: null, b: null }),
      onChoose: (id) => this.#choosePair(id),
      onLayout: (layout) => change({ layout: layout === "side" ? null : layout }, { replace: true }),
      onForecast: (found) => this.plot.showForecast(found),
      onSize: (isLarge) => change({ beside: isLarge ? null : 1 }, { replace: true }),
    });
    this.panel.element.hidden = true;
    this.head = make("header", { className: "patient-head" });
    this.sheet = make("div", { className: "sheet-scroll scroll", tabIndex: 0, role: "region", "aria-label": "Lesion tracks" });
    this.course = make("section", { className: "course" }, this.head, this.sheet, this.plot.element);
    this.cover = make("section", { className: "course-cover" });
    this.element = make("main", { className: "view patient", tabIndex: -1, id: "patient" }, this.list.element, this.course, this.cover, this.panel.element);
  }

  /** Keys of this view. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    return [
      ...(can().write ? this.#decisionKeys() : []),
      { keys: ["ArrowLeft", "ArrowRight"], shown: ["←", "→"], words: "The pair one study earlier, later", run: ({ key }) => this.#stepPair(key === "ArrowLeft" ? -1 : 1) },
      { keys: ["o"], words: "The pair over the whole width, or beside the sheet", run: () => change({ beside: this.#params.beside ? null : 1 }, { replace: true }) },
      ...(can().forecast ? [{ keys: ["p"], words: "Forecast of the chosen lesion", run: () => this.panel.forecast.ask() }] : []),
      { keys: ["v"], words: "Flicker, and from then on by hand", run: () => this.#flicker() },
      { keys: ["m"], words: "Swipe with a divider", run: () => change({ layout: this.#params.layout === "swipe" ? null : "swipe" }, { replace: true }) },
      ...this.panel.station.keys(),
      { keys: ["Escape"], shown: ["Esc"], words: "Close the pair", run: () => change({ a: null, b: null }) },
      { keys: ["/"], words: "Find a patient", run: () => this.list.focus() },
    ];
  }

  /** @returns {import("../core/keyboard.js").KeyEntry[]} */
  #decisionKeys() {
    return [
      { keys: ["y"], words: "Same lesion: confirm the pair", run: () => this.#decide("confirm") },
      { keys: ["n"], words: "Different: reject the pair", run: () => this.#decide("reject") },
      { keys: ["u"], words: "Undo the last decision", run: () => this.#undo() },
    ];
  }

  /** Brings the view to the state of the URL. @param {Params} params */
  show(params) {
    this.#params = params;
    this.list.choose(params.id ?? null);
    if (!params.id) {
      this.#loaded = null;
      this.#showCover(emptyState("person", "Which patient?", "Choose a patient on the left to see the lesion tracks over the studies."));
      return;
    }
    const wanted = `${params.id} ${params.marks ?? ""}`;
    if (wanted !== this.#loaded) {
      this.#loaded = wanted;
      this.#marks = null;
      this.#decisions = new Decisions(params.id);
      this.#showCover(loadingState("Following the lesions"));
      this.#load();
    } else if (this.#marks !== null) {
      this.#error = null;
      this.#draw();
    }
  }

  async #load() {
    const { id, marks } = this.#params;
    const turn = ++this.#turn;
    const query = marks === "complete" || marks === "incomplete" ? `?marks=${marks}` : "";
    try {
      const document = await getJson(`v1/patients/${encodeURIComponent(id)}/tracks${query}`);
      if (turn !== this.#turn) return;
      const loaded = new TrackMarks(document);
      this.#marks = loaded;
      this.#exports.show(waysOut(loaded, () => this.panel.asPictures(this.#selected().flatMap((one) => loaded.lesions.get(one) ?? []))));
      this.#showCover(null);
      this.#draw();
    } catch (error) {
      if (turn === this.#turn) this.#showCover(errorState(error, () => this.#load()));
    }
  }

  #draw() {
    const marks = this.#marks;
    if (marks === null) return;
    const selected = this.#selected();
    const kind = sizeKind(this.#params.by, marks);
    this.panel.forecast.measure = kind;
    this.#drawHead(marks, kind);
    /** @type {import("./tracks_sheet.js").SheetListeners} */
    const on = {
      onLesion: (id) => this.#chooseLesion(id),
      onLink: (a, b) => change({ a, b }),
      onTrack: (id) => this.plot.light(id),
    };
    const { scrollLeft, scrollTop } = this.sheet;
    const active = /** @type {HTMLElement | null} */ (document.activeElement);
    const focused = active !== null && this.sheet.contains(active) ? { ...active.dataset } : null;
    this.sheet.replaceChildren(tracksSheet(marks, { on, selected, kind }));
    this.sheet.scrollTo(scrollLeft, scrollTop);
    if (focused !== null) this.#refocus(focused);
    this.plot.show(marks, kind);
    this.#drawPanel(marks, selected, kind);
  }

  /** The sheet is drawn anew after a click; the focus stays on the same patch or link. */
  #refocus(/** @type {DOMStringMap} */ { lesion, link }) {
    const name = link === undefined ? "lesion" : "link";
    const same = all(this.sheet, `[data-${name}]`).find((one) => one.dataset[name] === (link ?? lesion));
    same?.focus({ preventScroll: true });
  }

  /** The decisions of this tab on this patient. */
  get #entries() {
    return this.#decisions?.entries ?? [];
  }

  /** @param {TrackMarks} marks @param {import("./sizes.js").SizeKind} kind */
  #drawHead(marks, kind) {
    const { patient_id: id, studies, tracks, ordered_by: orderedBy, warnings, response } = marks.document;
    const order = orderedBy === "study_date" ? "by date" : "by number";
    const facts = `${plural(studies.length, "study", "studies")} ${order}, ${plural(tracks.length, "lesion track")}`;
    const why = orderedBy === "study_date" ? "" : "Not every study has a date, so they stand in the order of their numbers.";
    const choice = make(
      "select",
      { "aria-label": "Were all lesions marked?", title: "Whether a lesion without a mark is gone, or only not marked" },
      new Option("marks as recorded", "recorded"),
      new Option("every lesion is marked", "complete"),
      new Option("not every lesion is marked", "incomplete"),
    );
    choice.value = this.#params.marks ?? "recorded";
    choice.addEventListener("change", () => change({ marks: choice.value === "recorded" ? null : choice.value }));
    const count = this.#entries.length;
    const undo = count === 0 ? null : button(`Undo (${count})`, { sign: "undo", run: () => this.#undo(), className: "plain small", title: "Take the last decision back (u)" });
    this.head.replaceChildren(
      make("h2", { textContent: `Patient ${id}` }),
      make("span", { className: "faint", textContent: facts, title: why }),
      make("span", { className: "heading-buttons" }, undo, this.#sizeChoice(marks, kind), choice, this.#exports.element),
      make("p", { className: "faint small-print", textContent: kind === "long_mm" ? `${response.guideline}; not assessed: ${response.not_assessed}.` : `Response by ${basisWords(marks)}.` }),
      ...warnings.map(warning),
    );
  }

  /** Diameters or volumes; null where no volume was measured. @param {TrackMarks} marks @param {import("./sizes.js").SizeKind} kind */
  #sizeChoice(marks, kind) {
    if (!marks.hasVolumes) return null;
    const choose = (/** @type {string | null} */ by) => () => change({ by }, { replace: true });
    const both = [button("Diameters", { run: choose(null), className: "preset", title: "Long diameters, response by RECIST", "aria-pressed": String(kind === "long_mm") }),
      button("Volumes", { run: choose("volume"), className: "preset", title: "Measured volumes, estimated", "aria-pressed": String(kind === "volume_mm3") })];
    return make("span", { className: "group segmented", role: "group", "aria-label": "Sizes" }, ...both);
  }

  /** @param {TrackMarks} marks @param {string[]} selected @param {import("./sizes.js").SizeKind} kind */
  #drawPanel(marks, selected, kind) {
    this.panel.element.hidden = selected.length === 0;
    this.element.classList.toggle("comparing", selected.length > 0);
    const isLarge = selected.length === 2 && !this.#params.beside;
    this.element.classList.toggle("large", isLarge);
    if (selected.length === 0) {
      this.panel.overlaying.rest();
      this.panel.forecast.use("");
      return;
    }
    const lesions = selected
      .flatMap((id) => marks.lesions.get(id) ?? [])
      .sort((a, b) => marks.columnOf(a) - marks.columnOf(b));
    const track = marks.trackOf(lesions.at(-1)?.lesion_id ?? "");
    const { studies } = marks.document;
    const found = lesions.length < 2 ? undefined : marks.responses.get(lesions[1].study_id);
    const link = selected.length === 2 ? marks.link(selected[0], selected[1]) : null;
    this.panel.show(lesions, {
      link,
      word: selected.length === 2 ? this.#word(link, [selected[0], selected[1]]) : null,
      canUndo: this.#entries.length > 0,
      error: this.#error,
      isBusy: this.#isBusy,
      isLarge,
      layout: this.#params.layout,
      cells: track === null ? [] : marks.cells(track),
      studies,
      response: found === undefined ? null : responseLine(marks, found, kind),
    });
  }

  /** A lesion of the strip: before the current it becomes the prior, else the current. @param {string} id */
  #choosePair(id) {
    const marks = this.#marks;
    const chosen = marks?.lesions.get(id);
    const pair = this.#selected().flatMap((one) => marks?.lesions.get(one) ?? []);
    if (!marks || chosen === undefined || pair.length < 2) return;
    const [prior, current] = pair.sort((a, b) => marks.columnOf(a) - marks.columnOf(b));
    if (marks.columnOf(chosen) < marks.columnOf(current)) change({ a: id, b: current.lesion_id }, { replace: true });
    else if (chosen.lesion_id !== prior.lesion_id) change({ a: prior.lesion_id, b: id }, { replace: true });
  }

  /** The pair moved along the track by studies. @param {number} step */
  #stepPair(step) {
    const [marks, selected] = [this.#marks, this.#selected()];
    const track = marks?.trackOf(selected[1] ?? "") ?? null;
    if (!marks || track === null || selected.length < 2) return false;
    const ids = marks.cells(track).flatMap(({ lesions: [lesion] }) => (lesion === undefined ? [] : [lesion.lesion_id]));
    const places = selected.map((id) => ids.indexOf(id)).sort((a, b) => a - b);
    const next = [places[1] - 1 + step, places[1] + step].map((place) => ids[place]);
    if (places[0] === -1 || next.some((id) => id === undefined)) return true;
    change({ a: next[0], b: next[1] }, { replace: true });
    return true;
  }

  #flicker() {
    if (this.#selected().length < 2) return false;
    if (!this.panel.overlaying.turnByHand()) change({ layout: "flicker", beside: null }, { replace: true });
    return true;
  }

  /** The lesions of the URL that this patient has. */
  #selected() {
    const { a, b } = this.#params;
    return [a, b].filter((id) => id && this.#marks?.lesions.has(id));
  }

  /** @param {LinkOut | null} link @param {[string, string]} pair */
  #word(link, [first, second]) {
    return link?.state === "confirmed" ? "confirm" : this.#decisions?.of(first, second) ?? null;
  }

  /** The first click chooses a lesion, one on another study the pair, one on the same lets go. @param {string} id */
  #chooseLesion(id) {
    const selected = this.#selected();
    const studyOf = (/** @type {string} */ one) => this.#marks?.lesions.get(one)?.study_id;
    if (selected.includes(id)) change({ a: selected.find((one) => one !== id) ?? null, b: null });
    else if (selected.length === 1 && studyOf(selected[0]) !== studyOf(id)) change({ a: selected[0], b: id });
    else change({ a: id, b: null });
  }

  /** @param {string} decision */
  #decide(decision) {
    const [marks, decisions] = [this.#marks, this.#decisions];
    const [first, second] = this.#selected();
    if (marks === null || decisions === null || second === undefined) return;
    const before = this.#word(marks.link(first, second), [first, second]);
    if (before === decision) return;
    this.#obey(() => decisions.make(first, second, decision, before));
  }

  #undo() {
    const decisions = this.#decisions;
    if (decisions === null || decisions.entries.length === 0) return;
    this.#obey(() => decisions.undo());
  }

  /** @param {() => Promise<unknown>} act */
  async #obey(act) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#error = null;
    this.#draw();
    try {
      await act();
      this.#isBusy = false;
      await this.#load();
    } catch (error) {
      this.#isBusy = false;
      this.#error = error;
      this.#draw();
    }
  }

  /** @param {Node | null} state */
  #showCover(state) {
    this.course.hidden = state !== null;
    this.cover.hidden = state === null;
    if (state !== null) this.panel.element.hidden = true;
    this.cover.replaceChildren(...(state === null ? [] : [state]));
  }
}
