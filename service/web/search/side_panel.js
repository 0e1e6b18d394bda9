// Where a query comes from: an image of one's own, or a lesion of the index.

import { can } from "../core/capabilities.js";
import { field, make } from "../core/dom.js";
import { StudyList } from "./archive/study_list.js";
import { Picker } from "./picker.js";
import { sayingOf } from "./identity.js";
import { UploadPanel } from "./upload_panel.js";

/** @typedef {import("../core/route.js").Params} Params */

/** @typedef {"image" | "index" | "pacs"} TabName */

/** @type {TabName[]} */
const TABS = ["image", "index", "pacs"];

/** A tab for each kind of query; the PACS's where there is one. `onFiles` hears chosen files, `onPick` a lesion id, `onField` changed fields. */
export class SidePanel {
  /** @type {Record<TabName, HTMLButtonElement>} */
  #tabs;
  /** @type {Record<TabName, HTMLElement>} */
  #pages;
  #fields;
  #isListed = false;
  #hasImage = false;
  /** The tab that a reader, or a query, opened last. @type {TabName} */
  #opened = "index";
  #source = make("p", { className: "faint" });

  /** @param {{ onFiles: (files: File[]) => void, onPick: (id: string) => void, onField: (patch: Record<string, any>) => void, onSeries: (target: import("./archive/study_list.js").NamedTarget) => void }} options */
  constructor({ onFiles, onPick, onField, onSeries }) {
    this.upload = new UploadPanel(onFiles);
    this.picker = new Picker(onPick);
    this.studies = new StudyList(onSeries);
    this.#fields = {
      patient: make("input", { placeholder: "id", autocomplete: "off", spellcheck: false }),
      study: make("input", { placeholder: "id", autocomplete: "off", spellcheck: false }),
      box: make("input", { placeholder: "x1,y1,x2,y2", autocomplete: "off", spellcheck: false }),
    };
    for (const [name, input] of Object.entries(this.#fields)) {
      input.addEventListener("change", () => onField({ [name]: input.value.trim() || null }));
    }
    const about = make(
      "div",
      { className: "about" },
      make("h2", { textContent: "About the image" }),
      make("div", { className: "pair" }, field("Patient", this.#fields.patient), field("Study", this.#fields.study)),
      this.#source,
      field("Box in pixels, or draw it", this.#fields.box),
    );
    this.#pages = {
      image: make("div", { className: "side-page", id: "side-image", role: "tabpanel" }, this.upload.element, about),
      index: make("div", { className: "side-page", id: "side-index", role: "tabpanel" }, this.picker.element),
      pacs: make("div", { className: "side-page", id: "side-pacs", role: "tabpanel" }, this.studies.element),
    };
    this.#tabs = { image: this.#tab("image", "Image"), index: this.#tab("index", "Indexed lesion"), pacs: this.#tab("pacs", "PACS") };
    this.#tabs.pacs.hidden = !can().study_list;
    const list = make("div", { className: "tabs", role: "tablist", "aria-label": "Query" }, ...Object.values(this.#tabs));
    list.addEventListener("keydown", (event) => this.#turn(event));
    this.element = make("aside", { className: "side", "aria-label": "Query" }, list, ...Object.values(this.#pages));
  }

  /**
   * Shows the URL's fields with the tab of its query; `identity` is what the upload's files say.
   * @param {Params} params @param {IdentityOut | null} identity @param {boolean} isInPacs
   */
  show(params, identity, isInPacs) {
    this.#hasImage = Boolean(params.lesion || params.upload);
    const listsIt = isInPacs && can().study_list;
    if (params.upload && !params.lesion) this.open(listsIt ? "pacs" : "image");
    else if (params.lesion || this.#opened !== "pacs") this.open("index");
    if (listsIt && identity?.patient_id) this.studies.showPatient(identity.patient_id, identity.study_id);
    this.picker.choose(params.lesion ?? null);
    this.#widen();
    for (const [name, input] of Object.entries(this.#fields)) {
      input.value = params[name] ?? "";
      input.disabled = !params.upload;
    }
    this.#source.textContent = sayingOf(identity, params.upload ? params.patient : undefined);
  }

  /** Opens a tab. @param {TabName} name */
  open(name) {
    this.#opened = name;
    for (const one of TABS) {
      this.#tabs[one].setAttribute("aria-selected", String(one === name));
      this.#tabs[one].tabIndex = one === name ? 0 : -1;
      this.#pages[one].hidden = one !== name;
    }
    this.#widen();
    if (name === "index" && !this.#isListed) {
      this.#isListed = true;
      this.picker.load();
    }
  }

  /** A list of studies has more room while there is no image beside it. */
  #widen() {
    this.element.classList.toggle("choosing", this.#opened === "pacs" && !this.#hasImage);
  }

  /** @param {TabName} name @param {string} words */
  #tab(name, words) {
    const properties = { type: "button", role: "tab", textContent: words, "aria-controls": `side-${name}` };
    return make("button", { ...properties, on: { click: () => this.open(name) } });
  }

  /** @param {KeyboardEvent} event */
  #turn(event) {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const names = TABS.filter((one) => !this.#tabs[one].hidden);
    const place = names.indexOf(this.#opened) + (event.key === "ArrowRight" ? 1 : -1);
    const name = names[(place + names.length) % names.length];
    this.open(name);
    this.#tabs[name].focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
