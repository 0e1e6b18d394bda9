// The answer to a query: cards of similar lesions, and the same patient's follow-ups apart from them.

import { button, icon, make } from "../core/dom.js";
import { changeText, croppedPicture, decimal, patchPicture, plural, sizeText, typeLabel } from "../core/lesion_facts.js";
import { address } from "../core/route.js";
import { stateWords, toneColour, vocabulary } from "../core/vocabulary.js";

/**
 * One similar lesion; `onOpen` shows it beside the query.
 * @param {HitOut} hit @param {{ isOpen: boolean, onOpen: (id: string) => void }} options
 */
export function hitCard(hit, { isOpen, onOpen }) {
  const { lesion } = hit;
  const card = make(
    "button",
    { type: "button", className: "card hit", on: { click: () => onOpen(lesion.lesion_id) }, dataset: { lesion: lesion.lesion_id } },
    make("span", { className: "picture" }, patchPicture(lesion), make("span", { className: "rank", textContent: hit.rank })),
    similarityBar(hit.similarity),
    make("span", { className: "line" }, typeLabel(lesion.lesion_type), make("span", { className: "size", textContent: sizeText(lesion) })),
    make("span", { className: "line faint" }, make("span", { textContent: `patient ${lesion.patient_id}` })),
    termsLine(hit.terms),
  );
  card.setAttribute("aria-pressed", String(isOpen));
  return card;
}

/** The similarity as a bar from 0 to 1 with its number. @param {number} similarity */
function similarityBar(similarity) {
  const share = Math.max(0, similarity) * 100;
  const bar = make("span", { className: "bar" }, make("i", { style: { width: `${share}%` } }));
  const number = make("span", { className: "number", textContent: decimal(similarity, 3) });
  return make("span", { className: "similarity", title: "Similarity: cosine, 1 is alike" }, bar, number);
}

/** What speaks for the hit beside its appearance: type, size, position in the body. @param {HitTermsOut} terms */
function termsLine(terms) {
  if (!terms) return null;
  const parts = [];
  if (terms.same_type !== null && terms.same_type !== undefined) {
    parts.push(term(terms.same_type ? "type" : "other type", terms.same_type ? "Of the same lesion type" : "Of another lesion type", terms.same_type));
  }
  if (typeof terms.size_ratio === "number") {
    const alike = terms.size_ratio > 0.75 && terms.size_ratio < 1.33;
    parts.push(term(`size ×${terms.size_ratio.toFixed(2)}`, "Long diameter of the hit over the query's", alike));
  }
  if (typeof terms.location_distance === "number") {
    const near = terms.location_distance < 0.15;
    parts.push(term(`position ${terms.location_distance.toFixed(2)} off`, "Distance of the normalised body positions", near));
  }
  return parts.length === 0 ? null : make("span", { className: "terms" }, ...parts);
}

/** @param {string} words @param {string} title @param {boolean | null} supports */
function term(words, title, supports) {
  return make("span", { className: supports ? "term for" : "term", textContent: words, title });
}

/** The query is in the index already: the very same pixels. @param {{ lesion_id: string, iou: number }} options */
export function recognisedNote({ lesion_id: id, iou }) {
  return make(
    "p",
    { className: "recognised", title: `The boxes overlap by ${iou.toFixed(2)} (intersection over union)` },
    icon("check"),
    make("span", { textContent: "Already indexed: the same image. " }),
    make("a", { className: "quiet", href: address("search", { lesion: id }), textContent: id }),
  );
}

/**
 * The follow-ups of the query's own patient, one line a study.
 * @param {FollowUpOut[]} followUps @param {{ openId: string | null, onOpen: (id: string) => void, onPatient: () => void }} options
 */
export function followUpList(followUps, { openId, onOpen, onPatient }) {
  const rows = followUps.map((followUp) => followUpRow(followUp, { openId, onOpen }));
  const heading = make(
    "header",
    { className: "section-heading" },
    make("h2", { textContent: "Same patient: priors, follow-ups" }),
    button("Patient", { sign: "person", run: onPatient, className: "plain small", title: "All lesion tracks of this patient" }),
  );
  return make("section", { className: "follow-ups" }, heading, make("div", { className: "rows" }, ...rows));
}

/** @param {FollowUpOut} followUp @param {{ openId: string | null, onOpen: (id: string) => void }} on */
function followUpRow(followUp, { openId, onOpen }) {
  const { lesion, state } = followUp;
  const words = stateWords(state);
  const picture = lesion === null ? make("span", { className: "no-patch" }) : croppedPicture(lesion, 52);
  const badge = make("span", { className: "badge", style: { color: toneColour(words.tone) }, textContent: words.label, title: words.meaning });
  const facts = [lesion === null ? "no mark is this lesion" : changeText(followUp), ...followUp.notes].filter(Boolean).join(" · ");
  const score = make("span", { className: "number", title: "Probability of being the same lesion", textContent: `p ${followUp.score.toFixed(2)}` });
  const role = followUp.role === null ? "" : `${vocabulary().roles[followUp.role]} `;
  const when = [`${role}${followUp.study_id}`, lesion?.study_date].filter(Boolean).join(" · ");
  const row = make(
    lesion === null ? "div" : "button",
    { className: "row follow-up" },
    picture,
    make("span", { className: "row-words" }, make("span", { className: "line" }, make("span", { textContent: when }), badge), make("span", { className: "line faint" }, make("span", { textContent: facts }), score)),
  );
  row.classList.toggle("doubtful", words.tone !== "sure" && words.tone !== "joint");
  if (lesion !== null) {
    row.setAttribute("type", "button");
    row.dataset.lesion = lesion.lesion_id;
    row.setAttribute("aria-pressed", String(lesion.lesion_id === openId));
    row.addEventListener("click", () => onOpen(lesion.lesion_id));
  }
  return row;
}

/**
 * The heading above the hits with the time the service took; `doubt` tells why they may be the same patient's.
 * @param {SearchOut} result @param {string | null} doubt
 */
export function hitsHeading(result, doubt) {
  const { timing_ms: time, index } = result;
  const searched = index.lesions === undefined ? "" : `${plural(index.lesions, "lesion")} searched`;
  const heading = make(
    "header",
    { className: "section-heading" },
    make("h2", { textContent: doubt === null ? "Similar lesions of other patients" : "Similar lesions" }),
    make("span", { className: "faint number", textContent: `${time.total.toFixed(0)} ms`, title: searched }),
  );
  return doubt === null ? [heading] : [heading, make("p", { className: "doubt", textContent: doubt })];
}
