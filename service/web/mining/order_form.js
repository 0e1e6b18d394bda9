// What a run is asked to do: where from, and how doubtful marks are taken. Folders are the operator's.

import { button, field, make } from "../core/dom.js";

const SOURCES = { folders: "the service's folders", pacs: "the PACS" };
const SINGLES = { reject: "refused", square: "a square's diagonal", ellipse: "the long axis of an ellipse" };
/** @type {[keyof MiningIn & string, string, boolean][]} */
const SWITCHES = [
  ["pixels", "Write the images, not the table alone", true],
  ["propose", "Let the detector look for marks of words alone", true],
  ["locate", "Estimate body positions", true],
  ["arrows", "Keep arrows and points", false],
];

/** A form; `onStart` hears the order, `onCancel` that the run is to end. */
export class OrderForm {
  #source;
  #singles = select(SINGLES);
  #segments = make("input", { placeholder: "GTV*, tumour", autocomplete: "off", spellcheck: false });
  /** @type {Map<string, HTMLInputElement>} */
  #switches = new Map();
  #start = button("Start mining", { type: "submit", className: "primary" });
  #cancel;
  #fields;
  element;

  /** @param {("folders" | "pacs")[]} sources @param {{ onStart: (order: MiningIn) => void, onCancel: () => void }} options */
  constructor(sources, { onStart, onCancel }) {
    this.#source = select(Object.fromEntries(sources.map((name) => [name, SOURCES[name]])));
    this.#cancel = button("Cancel", { sign: "close", className: "plain", run: onCancel, hidden: true });
    const switches = SWITCHES.map(([name, words, isOn]) => {
      const box = make("input", { type: "checkbox", checked: isOn, name });
      this.#switches.set(name, box);
      return make("label", { className: "switch" }, box, make("span", { textContent: words }));
    });
    this.#fields = make(
      "fieldset", {},
      field("Source", this.#source),
      field("A single line is", this.#singles),
      field("Regions and segments that are lesions", this.#segments),
      ...switches,
    );
    this.element = make("form", { className: "order" }, this.#fields, make("div", { className: "actions" }, this.#cancel, this.#start));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      onStart(this.#order());
    });
  }

  /** While a run goes on it can only be ended. @param {boolean} isRunning */
  setRunning(isRunning) {
    this.#fields.disabled = isRunning;
    this.#start.hidden = isRunning;
    this.#cancel.hidden = !isRunning;
  }

  /** @returns {MiningIn} */
  #order() {
    const segments = this.#segments.value.split(",").map((name) => name.trim()).filter(Boolean);
    const chosen = Object.fromEntries([...this.#switches].map(([name, box]) => [name, box.checked]));
    return /** @type {MiningIn} */ ({ source: this.#source.value, singles: this.#singles.value, segments, ...chosen });
  }
}

/** @param {Record<string, string>} choices */
function select(choices) {
  return make("select", {}, ...Object.entries(choices).map(([value, words]) => new Option(words, value)));
}
