// Where a query comes from: an image of one's own, or a lesion of the index.

import { field, make } from "../core/dom.js";
import { Picker } from "./picker.js";
import { sayingOf } from "./identity.js";
import { UploadPanel } from "./upload_panel.js";

/** @typedef {import("../core/route.js").Params} Params */

/** @typedef {"image" | "index"} TabName */

/** @type {TabName[]} */
const TABS = ["image", "index"];

/** Two tabs. `onFiles` hears chosen files, `onPick` a lesion id, `onField` changed fields. */
export class SidePanel {
  /** @type {Record<TabName, HTMLButtonElement>} */
  #tabs;
  /** @type {Record<TabName, HTMLElement>} */
  #pages;
  #fields;
  #isListed = false;
  #source = make("p", { className: "faint" });

  /** @param {{ onFiles: (files: File[]) => void, onPick: (id: string) => void, onField: (patch: Record<string, any>) => void }} options */
  constructor({ onFiles, onPick, onField }) {
    this.upload = new UploadPanel(onFiles);
    this.picker = new Picker(onPick);
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
    };
    this.#tabs = { image: this.#tab("image", "Image"), index: this.#tab("index", "Indexed lesion") };
    const list = make("div", { className: "tabs", role: "tablist", "aria-label": "Query" }, ...Object.values(this.#tabs));
    list.addEventListener("keydown", (event) => this.#turn(event));
    this.element = make("aside", { className: "side", "aria-label": "Query" }, list, ...Object.values(this.#pages));
  }

  /**
   * Shows the URL's fields with the tab of its query; `identity` is what the upload's files say.
   * @param {Params} params @param {IdentityOut | null} identity
   */
  show(params, identity) {
    if (params.lesion || !params.upload) this.open("index");
    else this.open("image");
    this.picker.choose(params.lesion ?? null);
    for (const [name, input] of Object.entries(this.#fields)) {
      input.value = params[name] ?? "";
      input.disabled = !params.upload;
    }
    this.#source.textContent = sayingOf(identity);
  }

  /** Opens a tab: "image" or "index". @param {TabName} name */
  open(name) {
    for (const one of TABS) {
      this.#tabs[one].setAttribute("aria-selected", String(one === name));
      this.#tabs[one].tabIndex = one === name ? 0 : -1;
      this.#pages[one].hidden = one !== name;
    }
    if (name === "index" && !this.#isListed) {
      this.#isListed = true;
      this.picker.load();
    }
  }

  /** @param {TabName} name @param {string} words */
  #tab(name, words) {
    const properties = { type: "button", role: "tab", textContent: words, "aria-controls": `side-${name}` };
    return make("button", { ...properties, on: { click: () => this.open(name) } });
  }

  /** @param {KeyboardEvent} event */
  #turn(event) {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const name = this.#pages.image.hidden ? "image" : "index";
    this.open(name);
    this.#tabs[name].focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
