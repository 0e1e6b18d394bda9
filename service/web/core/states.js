// How a part of the page looks while it has nothing to show: empty, loading, failed, nothing found.

import { messageOf, sentence } from "./api.js";
import { button, icon, make } from "./dom.js";

/** Nothing yet: what it is for and what to do. @param {string} sign @param {string} title @param {string} words @param {...Node} actions */
export function emptyState(sign, title, words, ...actions) {
  return state("empty", sign, title, words, actions);
}

/**
 * It failed: what the service says, and a way on where asking again can help.
 * @param {any} error @param {(() => any) | null} [retry] @param {string} [words]
 */
export function errorState(error, retry = null, words = "Try again") {
  const isLasting = words === "Try again" && error.status >= 400 && error.status < 500 && error.status !== 429;
  const again = retry === null || isLasting ? [] : [button(words, { run: retry, className: "plain" })];
  const node = state("failed", "alert", "That did not work", messageOf(error), again);
  node.setAttribute("role", "alert");
  return node;
}

/** Waiting, with a word; `share` in [0, 1] makes it a bar. @param {string} words @param {number | null} [share] */
export function loadingState(words, share = null) {
  const bar = make("progress", { max: 1 });
  if (share !== null) bar.value = share;
  const sign = share === null ? make("span", { className: "spinner" }) : bar;
  return make("div", { className: "state loading", role: "status" }, sign, make("p", { textContent: words }));
}

/** What to know before trusting the numbers: one line that opens to the whole of it. @param {string} words */
export function warning(words) {
  const text = make("summary", { textContent: sentence(words), title: words });
  return make("details", { className: "warning" }, text);
}

/** Grey cards where results will stand. @param {number} count */
export function skeletonCards(count) {
  const cards = Array.from({ length: count }, () => make("div", { className: "card skeleton" }));
  return make("div", { className: "cards", "aria-hidden": "true" }, ...cards);
}

/** Grey lines where a list will stand. @param {number} count */
export function skeletonRows(count) {
  const rows = Array.from({ length: count }, () => make("div", { className: "row skeleton" }));
  return make("div", { className: "rows", "aria-hidden": "true" }, ...rows);
}

/** @param {string} kind @param {string} sign @param {string} title @param {string} words @param {Node[]} actions */
function state(kind, sign, title, words, actions) {
  return make(
    "div",
    { className: `state ${kind}` },
    icon(sign, 30),
    make("h2", { textContent: title }),
    make("p", { textContent: words }),
    ...actions,
  );
}
