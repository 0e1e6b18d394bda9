// Categories that were found without labels (GET /v1/categories): their names, and the tree of what is confused.

import { getJson } from "./api.js";
import { can } from "./capabilities.js";

/**
 * @typedef {{ id: string, facts: CategoryFactsOut | null, distance: number, children: CategoryNode[], leaves: CategoryFactsOut[] }} CategoryNode
 *   a category (`facts`), or a join of two nodes at a distance; `leaves` are the categories below
 */

/** The name of a category that earned none. */
export const UNNAMED = "unnamed";
/** @type {CategoriesOut} */
const NONE = { categories: [], tree: [], settled: false };

let known = NONE;

/** Loads them where the index has some; the page works without. */
export async function loadCategories() {
  known = NONE;
  if (can().categories) useCategories(await getJson("v1/categories").catch(() => NONE));
}

/** Sets them. @param {CategoriesOut} found */
export function useCategories(found) {
  known = found;
}

/** All of them, in the order of the tree's leaves; none where the index has none. */
export function categories() {
  return known.categories;
}

/** Whether the loop that found them came to rest. */
export function areSettled() {
  return known.settled;
}

/** `liver (category 3)`, or the id alone where no name was earned. @param {string} id */
export function categoryLabel(id) {
  const name = known.categories.find(({ category }) => category === id)?.name ?? UNNAMED;
  return name === UNNAMED ? id : `${name} (${id})`;
}

/** The tree from its root down; null without categories. @returns {CategoryNode | null} */
export function categoryTree() {
  /** @type {Map<string, CategoryNode>} */
  const nodes = new Map();
  for (const facts of known.categories) nodes.set(facts.category, { id: facts.category, facts, distance: 0, children: [], leaves: [facts] });
  let last = nodes.size === 1 ? [...nodes.values()][0] : null;
  for (const [place, { left, right, distance }] of known.tree.entries()) {
    const children = [nodes.get(left), nodes.get(right)].filter((one) => one !== undefined);
    last = { id: `join ${place}`, facts: null, distance, children, leaves: children.flatMap(({ leaves }) => leaves) };
    nodes.set(last.id, last);
  }
  return last;
}

/** The categories of a URL's field as a filter's list. @param {string} field ids with commas between them */
export function quotedList(field) {
  return field.split(",").map((id) => `"${id.replace(/(["\\])/g, "\\$1")}"`).join(",");
}
