// A reader's word on a term, said of all chosen lesions at once: it has it, it has it not, or taken back.

import { lesionPath, messageOf, putJson } from "../core/api.js";
import { button, field, make } from "../core/dom.js";
import { plural } from "../core/lesion_facts.js";
import { vocabulary } from "../core/vocabulary.js";

const MOST_TAGGED = 500;

/** Says a term of lesions, one request each; what was said stays when a later one fails. */
export class Tagging {
  /** @type {string[]} */
  #ids = [];
  #isBusy = false;
  #term = make("input", { list: "map-terms", autocomplete: "off", maxLength: 200, placeholder: "calcified", "aria-label": "Term" });
  #offers = make("datalist", { id: "map-terms" });
  #told = make("p", { className: "menu-told", role: "status" });
  /** @type {[string, boolean | null, string][]} */
  static #WORDS = [
    ["Has it", true, "Say that each of them has the term"],
    ["Has it not", false, "Say that none of them has the term"],
    ["Take back", null, "Take back what a reader said of the term"],
  ];

  constructor() {
    const says = Tagging.#WORDS.map(([words, holds, title]) => button(words, { run: () => this.#say(holds), className: "plain small", title }));
    this.element = make("div", { className: "map-tagging", role: "group", "aria-label": "Tag them" }, field("Term for all of them", this.#term), this.#offers, make("div", { className: "actions" }, ...says), this.#told);
  }

  /** The lesions that are meant. @param {string[]} ids */
  use(ids) {
    if (ids.join() !== this.#ids.join()) this.#told.textContent = "";
    this.#ids = ids;
    if (this.#offers.children.length === 0) this.#offers.append(...vocabulary().terms.map(({ name }) => make("option", { value: name })));
  }

  /** @param {boolean | null} holds */
  async #say(holds) {
    const term = this.#term.value.trim();
    if (this.#isBusy) return;
    if (term === "") {
      this.#told.textContent = "Name a term first.";
      this.#term.focus();
      return;
    }
    if (this.#ids.length > MOST_TAGGED) {
      this.#told.textContent = `At most ${MOST_TAGGED} at once: draw a smaller lasso.`;
      return;
    }
    const ids = this.#ids;
    this.#isBusy = true;
    let said = 0;
    try {
      for (const id of ids) {
        await putJson(lesionPath(id, "/tags"), { term, holds });
        said += 1;
        this.#told.textContent = `${said} of ${ids.length}`;
      }
      this.#told.textContent = toldOf(term, holds, said);
    } catch (error) {
      this.#told.textContent = `${said} of ${ids.length} done. ${messageOf(error)}`;
    } finally {
      this.#isBusy = false;
    }
  }
}

/** What was said, in a sentence. @param {string} term @param {boolean | null} holds @param {number} count */
export function toldOf(term, holds, count) {
  if (holds === null) return `“${term}” taken back for ${plural(count, "lesion")}.`;
  return `${plural(count, "lesion")}: ${holds ? "" : "not "}“${term}”, as a reader says.`;
}
