// The tree of categories as nested lists: what is confused most stands joined first.

import { UNNAMED, categoryLabel } from "../core/categories.js";
import { all, make } from "../core/dom.js";
import { plural } from "../core/lesion_facts.js";
import { rove } from "../core/roving.js";

/** @typedef {import("../core/categories.js").CategoryNode} CategoryNode */

/** Nodes as buttons; `onChoose` hears the id of one. */
export class CategoryTree {
  #home = make("div", { className: "category-tree" });
  #onChoose;

  /** @param {(id: string) => void} onChoose */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    rove(this.#home, "[data-node]", { keys: "vertical" });
  }

  get element() {
    return this.#home;
  }

  /** @param {CategoryNode} root */
  show(root) {
    this.#home.replaceChildren(make("ul", { "aria-label": "Tree of categories" }, this.#item(root)));
  }

  /** Marks the node that is shown. @param {string} id */
  choose(id) {
    for (const one of all(this.#home, "[data-node]")) one.setAttribute("aria-pressed", String(one.dataset.node === id));
  }

  /** @param {CategoryNode} node @returns {HTMLElement} */
  #item(node) {
    const { id, facts, children } = node;
    const count = node.leaves.reduce((sum, { lesions }) => sum + lesions, 0);
    const pick = make(
      "button",
      { type: "button", className: `node ${facts === null ? "join" : "leaf"}`, "aria-pressed": "false", dataset: { node: id }, title: factsWords(node), on: { click: () => this.#onChoose(id) } },
      make("span", { className: "node-name", textContent: nodeName(node) }),
      make("span", { className: "faint number", textContent: count.toLocaleString("en"), title: plural(count, "lesion") }),
    );
    return make("li", {}, pick, children.length === 0 ? null : make("ul", {}, ...children.map((child) => this.#item(child))));
  }
}

/** A category's name, or how many categories a join holds. @param {CategoryNode} node */
export function nodeName({ facts, leaves }) {
  return facts === null ? plural(leaves.length, "category", "categories") : categoryLabel(facts.category);
}

/** What is known of a node, in a sentence. @param {CategoryNode} node */
export function factsWords({ facts, distance, children }) {
  if (facts === null) {
    const confused = Math.round(100 * Math.max(0, 1 - distance));
    return `Joined where lesions of ${children.map(nodeName).join(" and ")} are taken for each other: ${confused} % on the mean`;
  }
  const { share, tracks, typed_tracks: typed, tags, name } = facts;
  // Several categories of one type are told apart by a number.
  const type = name === UNNAMED ? "of the commonest one: no name was earned" : name.replace(/ \d+$/, "");
  const held = typed === 0
    ? `${plural(tracks, "lesion track")}, none of a known type`
    : `${plural(tracks, "lesion track")}; ${Math.round(100 * share)} % of the ${typed} of a known type are ${type}`;
  return tags.length === 0 ? held : `${held}. Commoner here: ${tags.join(", ")}`;
}
