// Categories: classes of lesions that were found without labels, as a tree; each node shows its lesions.

import { areSettled, categoryTree } from "../core/categories.js";
import { make } from "../core/dom.js";
import { plural } from "../core/lesion_facts.js";
import { address, change } from "../core/route.js";
import { emptyState } from "../core/states.js";
import { Members } from "./members.js";
import { CategoryTree, factsWords, nodeName } from "./tree.js";

/** @typedef {import("../core/categories.js").CategoryNode} CategoryNode */

const WORDS = "Found by appearance, without labels. What is taken for each other most often is joined first. A name stands where more than half of the lesions of known type share it.";
const UNSETTLED = "The categories had not come to rest when they were kept: another run may cut them otherwise.";

/** The view; `show` brings it to the state of the URL. */
export class CategoriesView {
  #tree = new CategoryTree((id) => change({ node: id }, { replace: true }));
  #members = new Members();
  #head = make("header", { className: "node-head" });
  #root = categoryTree();

  constructor() {
    const side = make(
      "aside", { className: "side category-side scroll", "aria-label": "Categories" },
      make("h2", { textContent: "Categories" }), make("p", { className: "faint", textContent: WORDS }),
      areSettled() ? null : make("p", { className: "doubt", textContent: UNSETTLED }), this.#tree.element,
    );
    const main = make("section", { className: "category-main", "aria-label": "Lesions of the category" }, this.#head, this.#members.element);
    this.element = make("main", { className: "view categories", tabIndex: -1, id: "categories" }, side, main);
    if (this.#root === null) this.element.replaceChildren(emptyState("alert", "No categories here", "The index keeps none. Find them with: lesion-search categorize --index index"));
    else this.#tree.show(this.#root);
  }

  /** Keys of this view. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    return [{ keys: ["ArrowUp", "ArrowDown"], shown: ["↑", "↓"], words: "In the tree: category before, after; Enter shows it" }];
  }

  /** Brings the view to the state of the URL. @param {import("../core/route.js").Params} params */
  show({ node: wanted }) {
    if (this.#root === null) return;
    const node = found(this.#root, wanted) ?? found(this.#root, this.#root.leaves[0].category) ?? this.#root;
    this.#tree.choose(node.id);
    const field = node.leaves.map(({ category }) => category).join(",");
    const count = node.leaves.reduce((sum, { lesions }) => sum + lesions, 0);
    this.#head.replaceChildren(
      make("h2", { textContent: nodeName(node) }),
      make("span", { className: "faint number", textContent: plural(count, "lesion") }),
      make(
        "span", { className: "heading-buttons" },
        make("a", { className: "plain small", href: address("search", { category: field }), textContent: "Search among these", title: "The search view with this filter: pick a lesion, drop an image, or type words there" }),
        make("a", { className: "plain small", href: address("map", { colour: "category" }), textContent: "On the map", title: "The map in the colours of the categories" }),
      ),
      make("p", { className: "faint small-print", textContent: `${factsWords(node)}.` }),
    );
    this.#members.show(field);
  }
}

/** The node of an id, null for none. @param {CategoryNode} node @param {string | undefined} id @returns {CategoryNode | null} */
function found(node, id) {
  if (node.id === id) return node;
  for (const child of node.children) {
    const one = found(child, id);
    if (one !== null) return one;
  }
  return null;
}
