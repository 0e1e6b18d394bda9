// "Look for it in this scan": an indexed lesion of the same patient found again in an unmarked series.

import { getJson, postForm } from "../../core/api.js";
import { button, make } from "../../core/dom.js";
import { croppedPicture, sizeText, typeLabel } from "../../core/lesion_facts.js";
import { address } from "../../core/route.js";

const MOST_PRIORS = 50;
/** @type {Record<FollowOut["state"], string>} */
const STATES = { found: "Found", uncertain: "Uncertain", "not found": "Not found" };

/** The patient's indexed lesions, of other studies than the upload's. @param {UploadOut} facts @returns {Promise<LesionOut[]>} */
export async function priorsOf({ identity }) {
  if (!identity?.patient_id || identity.indexed_lesions === 0) return [];
  const quoted = `"${identity.patient_id.replace(/(["\\])/g, "\\$1")}"`;
  const query = new URLSearchParams({ where: `patient=${quoted}`, limit: String(MOST_PRIORS) });
  /** @type {LesionPage} */
  const page = await getJson(`v1/lesions?${query}`);
  return page.lesions.filter(({ study_id: study }) => study !== identity.study_id);
}

/** Looks for a lesion; with `accept` the candidate of that rank becomes a lesion, linked to it. @param {UploadOut} facts @param {string} lesionId @param {number | null} [accept] @returns {Promise<FollowOut>} */
export function follow(facts, lesionId, accept = null) {
  const { patient_id: patient, study_date: date } = facts.identity ?? { patient_id: null, study_date: null };
  return postForm("v1/follow", { upload_id: facts.upload_id, grid: "display", lesion_id: lesionId, patient_id: patient, study_id: studyName(facts), study_date: date, accept, keep: true });
}

/** The study of the upload under a name that an index takes. @param {UploadOut} facts */
function studyName({ identity }) {
  return identity?.study_id ?? null;
}

/** The priors to look for; `onFollow` hears the one chosen. @param {LesionOut[]} priors @param {(lesionId: string) => void} onFollow */
export function priorsPanel(priors, onFollow) {
  const rows = priors.map((lesion) => make(
    "button",
    { type: "button", className: "row prior-row", title: `Look for ${lesion.lesion_id} in this scan`, dataset: { lesion: lesion.lesion_id }, on: { click: () => onFollow(lesion.lesion_id) } },
    croppedPicture(lesion, 44),
    make("span", { className: "row-words" }, typeLabel(lesion.lesion_type), make("span", { textContent: sizeText(lesion) }), make("span", { className: "faint", textContent: [lesion.study_id, lesion.study_date].filter(Boolean).join(" · ") })),
  ));
  return make("section", { className: "priors-found", "aria-label": "Look for a prior's lesion" }, make("h2", { textContent: "Look for it in this scan" }), make("div", { className: "rows" }, ...rows));
}

/**
 * What became of the lesion: places to go to, and to accept.
 * @param {FollowOut} found @param {{ onGo: (place: number) => void, onAccept: (rank: number) => void, onClose: () => void }} on
 */
export function followedPanel(found, { onGo, onAccept, onClose }) {
  const { state, score, candidates, covered, accepted, warnings } = found;
  const rows = accepted !== null ? [] : candidates.slice(0, 3).map((one, place) => make(
    "li", { className: "line" },
    button(`${place + 1}: image ${one.key_slice_index}, p ${one.score.toFixed(2)}`, { run: () => onGo(place), className: "plain small", title: "Go there" }),
    make("span", { className: "faint", textContent: one.long_mm === null ? "" : `≈ ${one.long_mm.toFixed(1)} mm` }),
    button("Accept", { sign: "check", run: () => onAccept(place + 1), className: "plain small confirm", "aria-label": `Accept candidate ${place + 1}` }),
  ));
  const link = accepted === null ? null : make("a", { className: "plain small", href: address("patient", { id: accepted.patient_id, a: found.lesion_id, b: accepted.lesion_id }), textContent: "Compare prior and current" });
  const verdict = accepted === null ? `${STATES[state]}${score === null ? "" : ` with probability ${score.toFixed(2)}`}` : "Accepted: it is indexed, and linked to its prior";
  return make(
    "section", { className: "measured-panel", "aria-label": "Lesion looked for" },
    make("header", { className: "section-heading" }, make("h2", { textContent: verdict }), button("", { sign: "close", run: onClose, className: "tool", title: "Close", "aria-label": "Close what was looked for" })),
    make("p", { className: "faint", textContent: `Looked for ${found.lesion_id}; ${Math.round(100 * covered.share)} % of where it may lie was searched. A proposal, until a reader accepts it.` }),
    rows.length === 0 ? null : make("ol", { className: "candidates" }, ...rows),
    ...warnings.map((words) => make("p", { className: "doubt", textContent: words })),
    link,
  );
}
