// Search by words: a field that completes terms, and what was understood of them as chips to take away.

import { button, make } from "../../core/dom.js";
import { vocabulary } from "../../core/vocabulary.js";

const MOST_OFFERED = 12;
/** @type {Record<string, string>} */
const ROLE_WORDS = { must: "must", should: "better with", not: "without", filter: "only" };

/** The field; `onText` hears other words, null for none. */
export class WordField {
  #input = make("input", { type: "search", list: "word-terms", placeholder: "calcified lung nodule under 1 cm", "aria-label": "Search by words", autocomplete: "off", maxLength: 500 });
  #offers = make("datalist", { id: "word-terms" });

  /** @param {(text: string | null) => void} onText */
  constructor(onText) {
    const form = make("form", { className: "word-field" }, this.#input, this.#offers, button("Find", { className: "plain", type: "submit" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onText(this.#input.value.trim() || null);
    });
    this.#input.addEventListener("search", () => { if (this.#input.value === "") onText(null); });
    this.#input.addEventListener("input", () => this.#offer());
    this.element = form;
  }

  /** @param {string | undefined} text */
  show(text) {
    this.#input.value = text ?? "";
  }

  #offer() {
    const { head, part } = lastWord(this.#input.value);
    const offers = part === "" ? [] : offersFor(part, vocabulary().terms);
    this.#offers.replaceChildren(...offers.map((term) => make("option", { value: head + term })));
  }
}

/** What stands before the word that is being typed, and that word. @param {string} text */
export function lastWord(text) {
  const start = text.search(/[^\s,;]*$/);
  return { head: text.slice(0, start), part: text.slice(start).toLowerCase() };
}

/** Terms of which a name or synonym has a word that begins so. @param {string} part @param {{ name: string, synonyms: string[] }[]} terms */
export function offersFor(part, terms) {
  const begins = (/** @type {string} */ phrase) => phrase.toLowerCase().split(" ").some((word) => word.startsWith(part));
  const found = terms.filter(({ name, synonyms }) => begins(name) || synonyms.some(begins)).map(({ name }) => name);
  return found.sort((a, b) => Number(b.toLowerCase().startsWith(part)) - Number(a.toLowerCase().startsWith(part)) || a.localeCompare(b)).slice(0, MOST_OFFERED);
}

/** What was understood, each part to take away, and what was not. @param {WordsOut} words @param {(text: string | null) => void} onText */
export function wordChips({ chips, unknown }, onText) {
  const parts = chips.map(({ role, label, words, text_without: rest }) => make(
    "button",
    { type: "button", className: `chip word ${role}`, title: `From “${words}”: take it away`, on: { click: () => onText(rest || null) } },
    make("span", { className: "faint", textContent: ROLE_WORDS[role] }), make("span", { textContent: label }), make("span", { "aria-hidden": "true", textContent: "×" }),
  ));
  const lost = unknown.map(({ word, nearest }) => make("span", { className: "faint", textContent: `“${word}” says nothing${nearest.length === 0 ? "" : `: ${nearest.join(", ")}?`}` }));
  return make("p", { className: "chips understood", role: "group", "aria-label": "Understood words" }, ...parts, ...lost);
}

/** Why a hit fits the words, a reason a term. @param {WordReasonOut[]} reasons */
export function reasonsLine(reasons) {
  if (reasons.length === 0) return null;
  return make("span", { className: "terms" }, ...reasons.map(({ term, role, probability, words }) => {
    const fits = role === "not" ? probability < 0.5 : probability >= 0.5;
    const name = role === "not" ? `no ${term}` : term;
    return make("span", { className: fits ? "term for" : "term", textContent: `${name} ${probability.toFixed(2)}`, title: `${words}: probability ${probability.toFixed(2)}` });
  }));
}
