// A menu of ways out, and a word on what became of the last one.

import { messageOf } from "../api.js";
import { button, icon, make } from "../dom.js";

/** @typedef {{ words: string, title?: string, run: () => string | void | Promise<string | void> }} Way */

/** A button that opens the ways out of a view; each may answer with a sentence to tell. */
export class ExportMenu {
  /** @type {() => Way[]} */
  #ways = () => [];
  #list = make("div", { className: "menu", role: "menu" });
  #told = make("p", { className: "menu-told", role: "status" });
  #summary = make("summary", { className: "plain small", title: "Figure, table, link" }, icon("export"), make("span", { textContent: "Export" }));
  #details = make("details", { className: "export" }, this.#summary, this.#list);

  constructor() {
    this.element = make("div", { className: "export-home" }, this.#details, this.#told);
    this.element.addEventListener("keydown", (event) => this.#walk(event));
    this.#details.addEventListener("toggle", () => {
      if (!this.#details.open) return;
      this.#draw();
      this.#items[0]?.focus();
    });
    addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.element.contains(target)) this.#details.open = false;
    });
  }

  /** Ways, or what makes them when the menu is opened: by then more may be known of what leaves. @param {Way[] | (() => Way[])} ways */
  show(ways) {
    this.#told.textContent = "";
    this.#ways = typeof ways === "function" ? ways : () => ways;
    this.#draw();
  }

  #draw() {
    this.#list.replaceChildren(...this.#ways().map((way) => button(way.words, {
      role: "menuitem", tabIndex: -1, className: "menu-item", title: way.title, run: () => this.#go(way),
    })));
  }

  /** Says a sentence beside the button. @param {string} words */
  tell(words) {
    this.#told.textContent = words;
  }

  /** @param {Way} way */
  async #go(way) {
    this.#details.open = false;
    this.#summary.focus();
    try {
      this.tell((await way.run()) ?? "");
    } catch (error) {
      this.tell(messageOf(error));
    }
  }

  get #items() {
    return /** @type {HTMLElement[]} */ ([...this.#list.children]);
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    if (!this.#details.open) return;
    const items = this.#items;
    const place = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: items.length - 1 };
    if (event.key in next) items[(next[event.key] + items.length) % items.length].focus();
    else if (event.key === "Escape") {
      this.#details.open = false;
      this.#summary.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
