// What can be done with the open image beside a search: measure its lesion, look for a prior's lesion in it.

import { messageOf } from "../../core/api.js";
import { can } from "../../core/capabilities.js";
import { make } from "../../core/dom.js";
import { canStore, storeMarkReport } from "../archive/asking.js";
import { saveMarkReport } from "../../core/output/report.js";
import { loadingState } from "../../core/states.js";
import { boxOf } from "../../viewer/proposals.js";
import { MEASURED_COLOUR } from "../../viewer/tools/kept_mask.js";
import { follow, followedPanel, priorsOf, priorsPanel } from "./following.js";
import { RulersList } from "./rulers_list.js";
import { linesOf, measure, measuredPanel, recistOf } from "./measuring.js";

/** @typedef {import("../../core/route.js").Params} Params */

/** The panel above the answers for one viewer. */
export class LesionBench {
  #viewer;
  #onMark;
  /** @type {import("../receiving.js").Received | null} */
  #facts = null;
  /** The upload and mark that are shown. */
  #shown = "";
  /** @type {Params} */
  #params = {};
  #lesion;
  #found = make("div", { className: "bench-found" });
  #priors = make("div", { className: "bench-priors" });
  #rulers;
  element = make("section", { className: "bench", "aria-live": "polite", "aria-label": "The open image", hidden: true }, this.#found, this.#priors);

  /**
   * `onMark` hears another mark, `lesion` is what the index knows of the lesion that is open.
   * @param {import("../../viewer/viewport.js").Viewport} viewer
   * @param {{ onMark: (patch: Record<string, any>) => void, lesion: () => LesionOut | null }} on
   */
  constructor(viewer, { onMark, lesion }) {
    this.#lesion = lesion;
    this.#viewer = viewer;
    this.#onMark = onMark;
    this.#rulers = new RulersList(viewer, { whose: () => this.#whose(), onChange: () => this.#unfold() });
    this.element.append(this.#rulers.element);
  }

  /** Follows the URL: another image or mark has no measurement yet. @param {Params} params @param {import("../receiving.js").Received | null} facts */
  async show(params, facts) {
    this.#params = params;
    const { upload, box, recist, point } = params;
    const shown = JSON.stringify([upload, box, recist, point]);
    if (shown !== this.#shown) this.#clear();
    this.#shown = shown;
    if (facts?.upload_id === this.#facts?.upload_id) return;
    this.#facts = facts;
    this.#priors.replaceChildren();
    if (facts === null || !can().follow || !can().write) return;
    const priors = await priorsOf(facts).catch(() => []);
    if (facts !== this.#facts || priors.length === 0) return;
    this.#priors.replaceChildren(priorsPanel(priors, (id) => this.#follow(facts, id, null)));
    this.#unfold();
  }

  /** Whose the open image is: the index says it of its lesions, the URL of an upload. @returns {import("./rulers_list.js").Whose} */
  #whose() {
    const { lesion, patient, study } = this.#params;
    const known = lesion ? this.#lesion() : null;
    return { image: lesion ?? this.#facts?.name ?? "image", patient_id: known?.patient_id ?? patient ?? null, study_id: known?.study_id ?? study ?? null };
  }

  /** Measures the mark of the URL; false where there is none. @param {Params} params */
  measure(params) {
    if (!params.upload || !(params.box || params.recist || params.point)) return false;
    const slice = Number(params.slice ?? this.#viewer.slice);
    const use = (/** @type {MeasureOut} */ found) => this.#onMark({ recist: recistOf(found), slice: found.key_slice_index });
    this.#wait("Measuring", async () => {
      const found = await measure(params, slice);
      this.#viewer.showLines(linesOf(found));
      return measuredPanel(found, { onUse: () => use(found), onClose: () => this.#clear(), reports: this.#reports(params, slice) });
    });
    return true;
  }

  /** Where what was measured can go. @param {Params} params @param {number} slice @returns {import("./measuring.js").Report[]} */
  #reports(params, slice) {
    const facts = this.#facts;
    if (!can().report || !facts?.identity?.reportable) return [];
    const title = "Structured report (SR) of these diameters and this volume, called estimated";
    const what = { slice, isMeasured: true };
    const file = { words: "DICOM report", title, run: () => saveMarkReport(params, what) };
    const store = { words: "Report to the PACS", title: `${title}, stored beside the images`, run: () => storeMarkReport(params, what) };
    return canStore(facts) ? [file, store] : [file];
  }

  /** @param {UploadOut} facts @param {string} lesionId @param {number | null} accept */
  #follow(facts, lesionId, accept) {
    this.#wait(accept === null ? "Looking for the lesion" : "Keeping it", async () => {
      const found = await follow(facts, lesionId, accept);
      this.#viewer.showBoxes(found.candidates.slice(0, 3).map((one) => ({ box: boxOf(one), slice: one.key_slice_index, colour: MEASURED_COLOUR })));
      const go = (/** @type {number} */ place) => {
        const { key_slice_index: slice, box } = found.candidates[place];
        this.#onMark({ box: box.map((edge) => Math.round(edge * 10) / 10).join(","), slice });
      };
      if (found.key_slice_index !== null) this.#viewer.goTo(found.key_slice_index);
      return followedPanel(found, { onGo: go, onAccept: (rank) => this.#follow(facts, lesionId, rank), onClose: () => this.#clear() });
    });
  }

  /** @param {string} words @param {() => Promise<HTMLElement>} ask */
  async #wait(words, ask) {
    const mine = this.#shown;
    this.#found.replaceChildren(loadingState(words));
    this.#unfold();
    try {
      const panel = await ask();
      if (mine === this.#shown) this.#found.replaceChildren(panel);
    } catch (error) {
      if (mine === this.#shown) this.#found.replaceChildren(make("p", { className: "doubt", role: "alert", textContent: messageOf(error) }));
    }
    this.#unfold();
  }

  #clear() {
    this.#found.replaceChildren();
    this.#viewer.showLines([]);
    this.#unfold();
  }

  #unfold() {
    this.element.hidden = this.#found.childElementCount + this.#priors.childElementCount === 0 && this.#rulers.element.hidden;
  }
}
