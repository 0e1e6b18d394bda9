// The query's own viewport: an indexed lesion with its box, or an upload with the mark drawn on it.

import { getJson, lesionPath } from "../core/api.js";
import { can } from "../core/capabilities.js";
import { button, make } from "../core/dom.js";
import { sizeText, typeLabel, whoLines } from "../core/lesion_facts.js";
import { measuredNote, measuredText } from "../core/measured_sizes.js";
import { patientReport, saveMarkReport } from "../core/output/report.js";
import { address } from "../core/route.js";
import { emptyState } from "../core/states.js";
import { markOf } from "../viewer/drawing.js";
import { ImageStack } from "../viewer/image_stack.js";
import { Pane } from "../viewer/pane.js";
import { boxOf } from "../viewer/proposals.js";
import { showKeptMask } from "../viewer/tools/kept_mask.js";
import { parseWindow, usualWindow, windowAround, windowForType } from "../viewer/windows.js";
import { canStore, storeMarkReport } from "./archive/asking.js";
import { sourceOf, whoseLines } from "./identity.js";
import { uploadFacts } from "./receiving.js";
import { tagsButton } from "./words/tags_dialog.js";

/** @typedef {import("../core/route.js").Params} Params */

/** @typedef {{ onWindow: (window: HuWindow) => void, onMarkable: (allowed: boolean) => void, onPick: () => void }} QueryListeners */

/** @typedef {import("../viewer/windows.js").HuWindow} HuWindow */

export const QUERY_COLOUR = "#f2cc60";

/** A pane that follows the URL's `lesion` or `upload`; `on` holds onWindow, onMarkable and onPick. */
export class QueryPane {
  /** @type {LesionOut | null} */
  #lesion = null;
  #ready = Promise.resolve(false);
  #on;
  /** @type {string | null} */
  #source = null;
  /** @type {Record<string, string>} */
  #params = {};
  #chooseButton;
  /** The detector's box that was searched with. @type {import("../viewer/viewport.js").Box | null} */
  #taken = null;

  /** @param {() => Node} chooseButton @param {QueryListeners} on */
  constructor(chooseButton, on) {
    this.#chooseButton = chooseButton;
    this.#on = on;
    this.pane = new Pane("query", { label: "query image", colour: QUERY_COLOUR });
  }

  /** The indexed lesion that is the query, null for an upload or before it is known. */
  get lesion() {
    return this.#lesion;
  }

  /** Resolves to whether the slices are shown. */
  get ready() {
    return this.#ready;
  }

  get viewer() {
    return this.pane.viewer;
  }

  get element() {
    return this.pane.element;
  }

  /** Shows what the URL names, and the mark it has. @param {Params} params */
  show(params) {
    this.#params = params;
    const source = params.lesion ? `lesion ${params.lesion}` : params.upload ? `upload ${params.upload}` : "";
    if (source !== this.#source) {
      this.#source = source;
      this.#open();
    } else if (params.upload) {
      this.#showMark();
      this.#showWhose();
      this.#chooseWindow();
    }
  }

  /** Lays a state of files on their way over the pane; with null the URL's own image is back. @param {Node | null} state */
  showReceiving(state) {
    if (state !== null) this.pane.showCover(state);
    else this.#open();
  }

  /**
   * Proposals of the detector on one slice; `chosen` is the place of the one searched with.
   * @param {CandidateOut[]} proposals @param {number} slice
   */
  propose(proposals, slice, /** @type {number | null} */ chosen = null) {
    this.#taken = chosen !== null && chosen >= 0 ? boxOf(proposals[chosen]) : null;
    this.viewer.showProposals(proposals.map((one) => ({ box: boxOf(one), score: one.score })), slice, chosen);
    if (this.#taken !== null) this.#chooseWindow();
  }

  /** The box to zoom to: the mark's extent, or undefined for the lesion's own. */
  /** @returns {import("../viewer/viewport.js").Box | undefined} */
  get markExtent() {
    const { mark } = this.viewer.editor;
    if (mark === null) return this.#taken ?? undefined;
    const xs = mark.points.map(([x]) => x);
    const ys = mark.points.map(([, y]) => y);
    const margin = mark.kind === "point" ? 10 : 0;
    return [Math.min(...xs) - margin, Math.min(...ys) - margin, Math.max(...xs) + margin, Math.max(...ys) + margin];
  }

  /** The query as it is seen, with its words, for a figure. */
  asPicture() {
    const { lesion, upload } = this.#params;
    const facts = upload ? uploadFacts(upload) : null;
    const name = lesion ?? facts?.name ?? "image";
    const known = this.#lesion;
    const lines = known !== null ? [sizeText(known), measuredText(known) ?? "", `patient ${known.patient_id}, ${known.study_id}`].filter(Boolean) : facts === null ? [] : whoseLines(facts, this.#params.patient);
    return { name, lines, picture: () => this.viewer.element, reports: this.#reports(known, facts) };
  }

  /** @param {LesionOut | null} lesion @param {import("./receiving.js").Received | null} facts @returns {import("../core/output/menu.js").Way[]} */
  #reports(lesion, facts) {
    if (lesion !== null) return patientReport(lesion.patient_id);
    const { box, recist } = this.#params;
    if (!can().report || !facts?.identity?.reportable || !(box || recist)) return [];
    const slice = Number(this.#params.slice ?? this.viewer.slice);
    const title = "Structured report (TID 1500) of the mark on its DICOM image; unverified, for research";
    const what = { slice, isMeasured: false };
    /** @type {import("../core/output/menu.js").Way[]} */
    const ways = [{ words: "DICOM report (SR)", title, run: () => saveMarkReport(this.#params, what) }];
    if (canStore(facts)) ways.push({ words: "Report to the PACS", title: "Stored beside the images", run: () => storeMarkReport(this.#params, what) });
    return ways;
  }

  #open() {
    const { pane } = this;
    this.#lesion = null;
    this.#taken = null;
    pane.clear();
    pane.heading.replaceChildren();
    this.#on.onMarkable(Boolean(this.#params.upload && !this.#params.lesion));
    if (this.#params.lesion) this.#ready = this.#openLesion(this.#params.lesion);
    else if (this.#params.upload) this.#ready = this.#openUpload(this.#params.upload);
    else this.#showStart();
  }

  #showStart() {
    this.#ready = Promise.resolve(false);
    this.#setWindow(usualWindow());
    const pick = button("Pick an indexed lesion", { run: () => this.#on.onPick(), className: "plain" });
    this.pane.showCover(emptyState(
      "upload", "Which lesion?",
      "Drop a CT slice or series anywhere: 16-bit PNG, DICOM, NIfTI, several slices, a folder, or a zip of a series.",
      make("div", { className: "actions" }, this.#chooseButton(), pick),
    ));
  }

  /** @param {string} lesionId */
  async #openLesion(lesionId) {
    const facts = getJson(lesionPath(lesionId)).catch(() => null);
    const shown = this.pane.show(ImageStack.ofLesion(lesionId), { focus: true }, () => this.#open());
    const lesion = await facts;
    if (this.#params.lesion !== lesionId) return false;
    this.#lesion = lesion;
    if (lesion !== null) {
      this.#showHeading(lesion);
      this.#setWindow(windowForType(lesion.lesion_type));
      this.viewer.notes.showWho(whoLines(lesion));
      this.viewer.showBoxes([{ box: boxOf(lesion), slice: lesion.key_slice_index, colour: QUERY_COLOUR }]);
    }
    if (await shown && this.#lesion !== null && this.#lesion === lesion) {
      showKeptMask(this.viewer, lesion);
      if (lesion.lesion_type === "unknown") this.#chooseWindow(boxOf(lesion));
    }
    return shown;
  }

  /** @param {LesionOut} lesion */
  #showHeading(lesion) {
    this.#lesion = lesion;
    this.pane.heading.replaceChildren(...lesionHeading("Query", lesion), linksOf(lesion, (changed) => this.#showHeading(changed)));
  }

  /** @param {string} uploadId */
  async #openUpload(uploadId) {
    const facts = uploadFacts(uploadId);
    if (facts === null) {
      this.pane.showCover(emptyState(
        "upload", "This image is not here any more",
        "Uploads are kept for a short time, and only for the tab that sent them. Send the image again.",
        this.#chooseButton(),
      ));
      return false;
    }
    this.#showWhose();
    this.#setWindow(usualWindow());
    const slice = Number(this.#params.slice ?? facts.key_slice_index);
    const shown = await this.pane.show(Promise.resolve(ImageStack.ofUpload(facts)), { slice, box: null }, () => this.#open());
    if (!shown || this.#params.upload !== uploadId) return false;
    this.#showMark();
    this.#chooseWindow();
    return true;
  }

  /** Whose image it is, by its files or, where they do not say, by the reader's word. */
  #showWhose() {
    const facts = uploadFacts(this.#params.upload);
    if (facts === null) return;
    const size = `${facts.columns} × ${facts.rows} px, ${facts.spacing_mm_px.map((mm) => mm.toFixed(2)).join(" × ")} mm`;
    this.pane.heading.replaceChildren(
      make("b", { textContent: "Query" }),
      make("span", { className: "file-name", textContent: facts.name, title: facts.name }),
      ...identityWords(facts.identity, this.#params.patient),
      make("span", { className: "faint number", textContent: size }),
    );
    this.viewer.notes.showWho(whoseLines(facts, this.#params.patient));
  }

  /**
   * While the reader has chosen none: the window by what lies in and around the mark, or in the whole slice.
   * @param {import("../viewer/viewport.js").Box | undefined} [box]
   */
  async #chooseWindow(box = this.markExtent) {
    const { stack } = this.viewer;
    if (stack === null || this.#params.window) return;
    const source = this.#source;
    const slice = stack.clamp(Number(this.#params.slice ?? stack.key));
    const hu = await stack.slice(slice).catch(() => null);
    if (hu === null || this.#source !== source) return;
    this.#setWindow(windowAround({ hu, columns: stack.columns, rows: stack.rows, spacing: stack.spacing }, box ?? null));
  }

  #showMark() {
    const { viewer } = this;
    const mark = markOf(this.#params);
    if (mark === null && this.#params.detect) return;
    const slice = this.#params.slice && mark !== null ? Number(this.#params.slice) : null;
    // A mark of the reader's own says which lesion is meant: what else was proposed would only hide it.
    if (mark !== null && !viewer.layers.proposals.hasChosen) viewer.layers.proposals.show([]);
    viewer.showMark(mark, slice);
    if (slice !== null && viewer.slice !== slice) viewer.goTo(slice);
  }

  /** @param {HuWindow} usual */
  #setWindow(usual) {
    this.#on.onWindow(parseWindow(this.#params.window) ?? usual);
  }
}

/** Patient and date of an upload, and where they were read; a patient whom only the reader names is told as that. @param {IdentityOut | null} identity @param {string | undefined} stated */
function identityWords(identity, stated) {
  if (!identity?.patient_id && stated) return [whose(stated, "your word", "the files do not say whose image it is", "whose stated")];
  if (!identity?.patient_id) return [make("span", { className: "faint", textContent: "patient not known" })];
  const source = `read from ${sourceOf(identity)}${identity.study_id ? `, study ${identity.study_id}` : ""}`;
  return [whose(identity.patient_id, identity.study_date, source)];
}

/** A patient and what is told beside; a long id is cut short, its title has all of it. @param {string} patient @param {string | null} beside @param {string} title */
function whose(patient, beside, title, className = "whose") {
  const parts = [`patient ${patient}`, ...(beside ? [` · ${beside}`] : [])];
  return make("span", { className, title: `Patient ${patient}: ${title}` }, ...parts.map((textContent) => make("span", { textContent })));
}

/** The parts of a pane's heading that tell a lesion. @param {string} name @param {LesionOut} lesion */
export function lesionHeading(name, lesion, extra = "") {
  return [
    make("b", { textContent: name }),
    typeLabel(lesion.lesion_type),
    make("span", { className: "number", textContent: [sizeText(lesion), extra].filter(Boolean).join("  ") }),
    measuredNote(lesion),
    make("span", { className: "faint number", textContent: lesion.study_id, title: lesion.lesion_id }),
  ].filter((part) => part !== null);
}

/** @param {LesionOut} lesion @param {(lesion: LesionOut) => void} onTags */
function linksOf(lesion, onTags) {
  return make(
    "span",
    { className: "heading-buttons" },
    tagsButton(lesion, onTags),
    make("a", { className: "quiet", href: address("patient", { id: lesion.patient_id }), textContent: "Patient" }),
    make("a", { className: "quiet", href: address("map", { lesion: lesion.lesion_id }), textContent: "On the map" }),
  );
}
