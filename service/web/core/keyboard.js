// Keys of the page and of its views, and the dialog that lists them.

import { categories } from "./categories.js";
import { make } from "./dom.js";
import { go } from "./route.js";

/** @typedef {{ keys: string[], words: string, shown?: string[], run?: (event: KeyboardEvent) => unknown }} KeyEntry */

/** @type {KeyEntry[]} */
const PAGE_KEYS = [
  { keys: ["g s"], words: "Search view", run: () => go("search") },
  { keys: ["g p"], words: "Patient view", run: () => go("patient") },
  { keys: ["g c"], words: "Categories, where there are some", run: () => (categories().length > 0 ? go("categories") : false) },
  { keys: ["g m"], words: "Map view", run: () => go("map") },
  { keys: ["?"], words: "This list", run: () => showHelp() },
];

/** @type {{ title: string, entries: KeyEntry[] }} */
let viewKeys = { title: "", entries: [] };
/** @type {string | null} */
let prefix = null;

/** Sets the keys of the view that is shown: entries of {keys, words, run, shown}. @param {string} title @param {KeyEntry[]} entries */
export function useKeys(title, entries) {
  viewKeys = { title, entries };
}

/** Lists the keys in a dialog. */
export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const close = make("button", { textContent: "Close", className: "plain", value: "" });
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { textContent: "Keys" }),
    make(
      "div",
      { className: "key-columns" },
      section(viewKeys.title, viewKeys.entries),
      section("Everywhere", [...PAGE_KEYS, { keys: ["Tab"], words: "Next control" }]),
    ),
    make("div", { className: "actions" }, close),
  );
  const dialog = make("dialog", { className: "help", "aria-label": "Keys" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (document.querySelector("dialog[open]")) return;
  const typed = prefix === null ? event.key : `${prefix} ${event.key}`;
  prefix = null;
  if (typed === "g") {
    prefix = "g";
    return;
  }
  const entry = [...viewKeys.entries, ...PAGE_KEYS].find(({ keys }) => keys.includes(typed));
  if (entry?.run === undefined || leavesToControl(event)) return;
  if (entry.run(event) !== false) event.preventDefault();
});

/** @param {string} title @param {KeyEntry[]} entries */
function section(title, entries) {
  const rows = entries.flatMap(({ keys, shown, words }) => [
    make("dt", {}, ...(shown ?? keys).map((key) => make("kbd", { textContent: key }))),
    make("dd", { textContent: words }),
  ]);
  return make("section", {}, make("h3", { textContent: title }), make("dl", {}, ...rows));
}

/** @param {KeyboardEvent} options */
function isTyping({ target }) {
  return elementOf(target).matches("input:not([type=range]):not([type=checkbox]), select, textarea");
}

// Enter and space press the button that has the focus; arrows move a slider.
/** @param {KeyboardEvent} options */
function leavesToControl({ key, target }) {
  if (["Enter", " "].includes(key)) return elementOf(target).matches("button, a, summary, input");
  return key.startsWith("Arrow") && elementOf(target).matches("input[type=range]");
}

/** Keys go to an element, never to the bare window. @param {EventTarget | null} target */
function elementOf(target) {
  return /** @type {Element} */ (target);
}
