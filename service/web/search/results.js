// The answer to a query: cards of similar lesions, and the same patient's follow-ups apart from them.

import { button, icon, make } from "../core/dom.js";
import { changeText, croppedPicture, decimal, heldTags, patchPicture, plural, sizeText, typeLabel } from "../core/lesion_facts.js";
import { measuredNote } from "../core/measured_sizes.js";
import { address } from "../core/route.js";
import { ink, stateWords, toneColour, vocabulary } from "../core/vocabulary.js";
import { rankWords } from "./found/alikeness.js";
import { reasonsLine } from "./words/word_field.js";
import { ESTIMATED, termsLine } from "./found/hit_terms.js";

const MOST_TAGS = 3;

/**
 * @typedef {{ openId: string | null, onOpen: (id: string) => void, scale: SimilarityScaleOut | null, byWordsAlone: boolean, query: import("./found/hit_terms.js").QueryFacts }} CardContext
 */

/** One similar lesion; `onOpen` shows it beside the query. @param {HitOut} hit @param {CardContext} context */
export function hitCard(hit, { openId, onOpen, scale, byWordsAlone, query }) {
  const { lesion } = hit;
  const card = make(
    "button",
    { type: "button", className: "card hit", on: { click: () => onOpen(lesion.lesion_id) }, dataset: { lesion: lesion.lesion_id } },
    make("span", { className: "picture" }, patchPicture(lesion), make("span", { className: "rank", textContent: hit.rank })),
    // Words have no picture to be like: their reasons say why a lesion is here.
    byWordsAlone ? null : similarityBar(hit.similarity, rankWords(scale, hit.similarity)),
    make("span", { className: "line" }, typeLabel(lesion.lesion_type), make("span", { className: "size", textContent: sizeText(lesion) })),
    measuredNote(lesion),
    make("span", { className: "line faint" }, make("span", { textContent: `patient ${lesion.patient_id}` })),
    "words" in hit ? reasonsLine(/** @type {WordHitOut} */ (hit).words) : null,
    termsLine(hit, query),
    tagsLine(lesion),
  );
  card.setAttribute("aria-pressed", String(lesion.lesion_id === openId));
  return card;
}

/** The best hit of a patient, and how many more are theirs. @param {import("./found/groups.js").HitGroup} group @param {CardContext} context @param {{ isOpened: boolean, onToggle: () => void }} more */
export function hitGroup({ patient, head, rest }, context, { isOpened, onToggle }) {
  const cards = [head, ...(isOpened ? rest : [])].map((hit) => hitCard(hit, context));
  if (rest.length === 0) return cards;
  const words = isOpened ? "fewer" : `${rest.length} more`;
  const more = button(words, { run: onToggle, className: "more-of quiet", title: `Other hits of patient ${patient}`, "aria-expanded": String(isOpened), dataset: { patient } });
  return [make("div", { className: "card-group" }, cards[0], more), ...cards.slice(1)];
}

/** The similarity as a bar from 0 to 1 with its number and its rank. @param {number} similarity @param {string | null} rank */
function similarityBar(similarity, rank) {
  const share = Math.max(0, similarity) * 100;
  const bar = make("span", { className: "bar" }, make("i", { style: { width: `${share}%` } }));
  const number = make("span", { className: "number", textContent: decimal(similarity, 3) });
  const among = rank === null ? null : make("span", { className: "among number", textContent: rank, title: "Among all pairs of lesions of different patients in this index" });
  return make("span", { className: "similarity", title: "Similarity: cosine, 1 is alike" }, bar, number, among);
}

/** A few tags of a lesion; those that a model predicted, or a report is unsure of, are marked. @param {LesionOut} lesion */
function tagsLine(lesion) {
  const tags = heldTags(lesion);
  if (tags.length === 0) return null;
  const chips = tags.slice(0, MOST_TAGS).map(({ term, probability, source }) => {
    const isEstimated = probability < 1;
    const title = source === "predicted" ? `${ESTIMATED}: probability ${probability.toFixed(2)}` : isEstimated ? `Tag, ${source}, uncertain` : `Tag, ${source}`;
    return make("span", { className: "tag", textContent: isEstimated ? `≈ ${term}` : term, title });
  });
  return make("span", { className: "tag-row" }, ...chips);
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
  const badge = make("span", { className: "badge", style: { color: ink(toneColour(words.tone)) }, textContent: words.label, title: words.meaning });
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
 * @param {SearchOut} result @param {{ doubt: string | null, byWordsAlone: boolean }} about @param {HTMLElement} exports the ways out
 */
export function hitsHeading(result, { doubt, byWordsAlone }, exports) {
  const { timing_ms: time, index } = result;
  const searched = index.lesions === undefined ? "" : `${plural(index.lesions, "lesion")} searched`;
  const heading = make(
    "header",
    { className: "section-heading" },
    make("h2", { textContent: byWordsAlone ? "Lesions that fit the words" : doubt === null ? "Similar lesions of other patients" : "Similar lesions" }),
    make("span", { className: "faint number", textContent: `${time.total.toFixed(0)} ms`, title: searched }),
    exports,
  );
  return doubt === null ? [heading] : [heading, make("p", { className: "doubt", textContent: doubt })];
}
