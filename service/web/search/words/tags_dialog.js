// All tags of a lesion with where each comes from, and a reader's word on them, which wins.

import { lesionPath, messageOf, putJson } from "../../core/api.js";
import { can } from "../../core/capabilities.js";
import { button, make } from "../../core/dom.js";
import { heldTags } from "../../core/lesion_facts.js";
import { vocabulary } from "../../core/vocabulary.js";
import { offersFor } from "./word_field.js";

/** Whether there is anything to see or to say. @param {LesionOut} lesion */
export function hasTagsDialog(lesion) {
  return lesion.tags.length > 0 || (can().write && vocabulary().terms.length > 0);
}

/** The button that opens it; `onChange` hears the lesion as it is then. @param {LesionOut} lesion @param {(lesion: LesionOut) => void} onChange */
export function tagsButton(lesion, onChange) {
  if (!hasTagsDialog(lesion)) return null;
  return button(`Tags ${heldTags(lesion).length}`, { run: () => showTags(lesion, onChange), className: "quiet tags-button", title: "All tags of this lesion, and whether they hold" });
}

/** Opens the dialog. @param {LesionOut} lesion @param {(lesion: LesionOut) => void} onChange */
function showTags(lesion, onChange) {
  if (document.querySelector("dialog[open]")) return;
  let present = lesion;
  const list = make("ul", { className: "tag-list" });
  const told = make("p", { className: "faint", role: "status" });
  const say = async (/** @type {string} */ term, /** @type {boolean | null} */ holds) => {
    try {
      present = await putJson(lesionPath(lesion.lesion_id, "/tags"), { term, holds });
      told.textContent = `Kept: ${term}, ${holds === null ? "your word taken back" : holds ? "holds" : "does not hold"}.`;
      draw();
      onChange(present);
    } catch (error) {
      told.textContent = messageOf(error);
    }
  };
  const draw = () => {
    list.replaceChildren(...present.tags.map((tag) => row(tag, say)));
    if (present.tags.length === 0) list.replaceChildren(make("li", { className: "faint", textContent: "No tag yet." }));
  };
  const close = make("button", { textContent: "Close", className: "plain", value: "" });
  const form = make("form", { method: "dialog" }, make("h2", { textContent: "Tags" }), make("p", { className: "faint", textContent: lesion.lesion_id }), list, told, make("div", { className: "actions" }, close));
  const dialog = make("dialog", { className: "tags-dialog", "aria-label": "Tags" }, form);
  if (can().write && vocabulary().terms.length > 0) form.insertBefore(adding(say), told);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  draw();
  dialog.showModal();
  close.focus();
}

/** @param {TagOut} tag @param {(term: string, holds: boolean | null) => void} say */
function row({ term, probability, source }, say) {
  const isReaders = source === "reader";
  const isEstimated = source === "predicted" || source === "unlikely";
  const from = vocabulary().tag_sources[source] ?? source;
  const sure = isEstimated ? `, probability ${probability.toFixed(2)}` : probability === 0 ? ": does not hold" : probability < 1 ? ": uncertain" : "";
  const parts = !can().write ? [] : isReaders
    ? [button("Take back", { run: () => say(term, null), className: "plain small", "aria-label": `Take back the word on ${term}` })]
    : [button("Holds", { sign: "check", run: () => say(term, true), className: "plain small", "aria-label": `${term} holds` }),
      button("Does not", { sign: "close", run: () => say(term, false), className: "plain small", "aria-label": `${term} does not hold` })];
  return make("li", { className: "tag-line", dataset: { term } }, make("b", { textContent: term }), make("span", { className: "faint", textContent: `${from}${sure}` }), make("span", { className: "actions" }, ...parts));
}

/** A field for another term of the vocabulary. @param {(term: string, holds: boolean) => void} say */
function adding(say) {
  const offers = make("datalist", { id: "tag-terms" });
  const input = make("input", { list: "tag-terms", placeholder: "another term", "aria-label": "Another term", autocomplete: "off", maxLength: 200 });
  input.addEventListener("input", () => {
    const part = input.value.trim().toLowerCase();
    offers.replaceChildren(...(part === "" ? [] : offersFor(part, vocabulary().terms)).map((term) => make("option", { value: term })));
  });
  const add = () => {
    const term = input.value.trim();
    if (term === "") return;
    input.value = "";
    say(term, true);
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  return make("div", { className: "tag-adding" }, input, offers, button("Add", { run: add, className: "plain small" }));
}
