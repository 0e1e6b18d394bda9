// The nearest ten in one strip: their types, sizes, tags, categories and rated malignancy.

import { categoryLabel } from "../../core/categories.js";
import { make } from "../../core/dom.js";
import { heldTags, typeLabel } from "../../core/lesion_facts.js";
import { lesionTypes, typeColour } from "../../core/vocabulary.js";

const NEAREST = 10;
const MOST_TAGS = 6;
const MALIGNANCY = /^malignancy[ :]+(\d)/i;

/** @typedef {{ types: [string, number][], sizes: number[], tags: [string, number][], categories: [string, number][], malignancy: number[] }} Sum */

/** What the nearest few have in common. @param {HitOut[]} hits @returns {Sum} */
export function sumOf(hits) {
  const lesions = hits.slice(0, NEAREST).map(({ lesion }) => lesion);
  const order = lesionTypes();
  const types = counted(lesions.map(({ lesion_type: type }) => type));
  const sizes = lesions.flatMap(({ long_mm: mm }) => (mm === null ? [] : [mm])).sort((a, b) => a - b);
  const terms = lesions.flatMap((lesion) => heldTags(lesion).map(({ term }) => term));
  return {
    types: types.sort((a, b) => b[1] - a[1] || order.indexOf(a[0]) - order.indexOf(b[0])),
    sizes,
    tags: counted(terms.filter((term) => !MALIGNANCY.test(term))).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, MOST_TAGS),
    categories: counted(lesions.flatMap((lesion) => categoryOf(lesion) ?? [])).sort((a, b) => b[1] - a[1]),
    malignancy: terms.flatMap((term) => MALIGNANCY.exec(term)?.[1] ?? []).map(Number),
  };
}

/**
 * The strip; `onTag` hears a term that was clicked, `onCategory` a category.
 * @param {HitOut[]} hits @param {{ onTag: (term: string) => void, onCategory: (id: string) => void }} on
 */
export function summaryStrip(hits, { onTag, onCategory }) {
  const { types, sizes, tags, categories, malignancy } = sumOf(hits);
  const total = Math.min(hits.length, NEAREST);
  const bar = make("span", { className: "type-bar", "aria-hidden": "true" }, ...types.map(([type, count]) => make("i", { style: { width: `${(100 * count) / total}%`, background: typeColour(type) } })));
  const typeWords = types.map(([type, count]) => make("span", { className: "line-part" }, make("b", { textContent: count }), typeLabel(type)));
  return make(
    "section",
    { className: "summary", "aria-label": `The nearest ${total}` },
    make("p", { className: "summary-line" }, make("span", { className: "faint", textContent: `Nearest ${total}` }), ...typeWords),
    bar,
    make("p", { className: "faint", textContent: [sizeWords(sizes), malignancyWords(malignancy)].filter(Boolean).join("; ") }),
    row("Tags", tags, { onChoose: onTag, label: String, title: (term) => `Only lesions tagged ${term}` }),
    row("Categories", categories, { onChoose: onCategory, label: categoryLabel, title: (id) => `Only lesions of ${id}` }),
  );
}

/** @param {string} name @param {[string, number][]} counts @param {{ onChoose: (value: string) => void, label: (value: string) => string, title: (value: string) => string }} how */
function row(name, counts, { onChoose, label, title }) {
  if (counts.length === 0) return null;
  const chips = counts.map(([value, count]) => make("button", { type: "button", className: "tag", textContent: `${label(value)} ${count}`, title: title(value), on: { click: () => onChoose(value) } }));
  return make("p", { className: "tag-row" }, make("span", { className: "faint", textContent: name }), ...chips);
}

/** @param {number[]} sizes ascending */
function sizeWords(sizes) {
  if (sizes.length === 0) return "sizes not known";
  const half = sizes.length / 2;
  const median = (sizes[Math.floor(half - 0.5)] + sizes[Math.ceil(half - 0.5)]) / 2;
  const range = `${sizes[0].toFixed(0)} to ${sizes[sizes.length - 1].toFixed(0)} mm`;
  return `long diameter ${median.toFixed(0)} mm (${range})`;
}

/** @param {number[]} rated 1 to 5 */
function malignancyWords(rated) {
  if (rated.length === 0) return "";
  const mean = rated.reduce((sum, one) => sum + one, 0) / rated.length;
  return `malignancy rated ${mean.toFixed(1)} of 5 in ${rated.length}`;
}

/** The id of a lesion's category. @param {LesionOut} lesion @returns {string | null} */
function categoryOf(lesion) {
  const { category } = lesion;
  return category === null || category === undefined ? null : String(category);
}

/** @param {string[]} values @returns {[string, number][]} */
function counted(values) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts];
}
