// A query as the URL has it, and as the service takes it.

import { postForm } from "../core/api.js";
import { whereOf } from "./filters.js";
import { searchedPatient } from "./identity.js";

/** @typedef {import("../core/route.js").Params} Params */

export const FIRST_HITS = 24;
export const MOST_HITS = 96;

const QUESTION = ["lesion", "upload", "slice", "box", "recist", "point", "detect", "patient", "study", "type", "category", "min", "max", "vmin", "vmax", "split", "where", "text", "k"];

/** What the hits depend on: two URLs with the same question have the same answer. @param {Params} params */
export function questionOf(params) {
  return JSON.stringify(QUESTION.map((name) => params[name] ?? null));
}

/** Whether there is something to search with. @param {Params} params */
export function isAsked(params) {
  if (params.lesion || params.text) return true;
  return isMarked(params);
}

/** Whether an upload has a mark, or the detector is to choose one. @param {Params} params */
function isMarked({ upload, box, recist, point, detect: chosen }) {
  return Boolean(upload && (box || recist || point || chosen));
}

/** How many hits the URL asks for. @param {Params} params */
export function hitCount(params) {
  const count = Math.trunc(Number(params.k ?? FIRST_HITS));
  return count >= 1 ? Math.min(count, MOST_HITS) : FIRST_HITS;
}

/**
 * Asks the service; `facts` is what is known of the upload, null where there is none.
 * @param {Params} params @param {UploadOut | null} facts @param {AbortSignal} signal
 */
export function search(params, facts, signal) {
  const common = { k: hitCount(params), where: whereOf(params), text: params.text };
  if (params.lesion) return postForm("v1/search", { lesion_id: params.lesion, ...common }, { signal });
  if (!params.upload || !isMarked(params)) return postForm("v1/search", common, { signal });
  const { upload, slice, box, recist, point, patient, study } = params;
  const fields = { upload_id: upload, grid: "display", key_slice_index: slice, box, recist, point };
  const identity = facts?.identity;
  const studyDate = identity && (!study || study === identity.study_id) ? identity.study_date : null;
  const whose = { patient_id: searchedPatient(facts, patient), study_id: study, study_date: studyDate };
  return postForm("v1/search", { ...fields, ...whose, ...common }, { signal });
}

/** Asks the detector for its proposals on one slice of an upload. @param {string} upload @param {number} slice */
export function detect(upload, slice) {
  return postForm("v1/detect", { upload_id: upload, grid: "display", key_slice_index: slice });
}
