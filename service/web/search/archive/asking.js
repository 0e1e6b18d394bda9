// The PACS that the service was started with: its studies, and a series of it as an upload.

import { getJson, postForm, postJson } from "../../core/api.js";
import { can } from "../../core/capabilities.js";

/** @typedef {{ study: string, series: string | null }} PacsTarget DICOM UIDs */

const UID = /^[0-9]+(\.[0-9]+)*$/;

/** Studies by fields of the search; those that are empty are left out. @param {Record<string, string>} fields @returns {Promise<PacsStudyListOut>} */
export function studiesOf(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== "");
  return getJson(`v1/dicomweb/studies?${new URLSearchParams(given)}`);
}

/** The CT series of a study, the longest first. @param {string} study @returns {Promise<PacsSeriesOut[]>} */
export function seriesOf(study) {
  return getJson(`v1/dicomweb/studies/${encodeURIComponent(study)}/series`);
}

/** A series as an upload, marked as the PACS's. @param {PacsTarget} target @param {AbortSignal} signal @returns {Promise<UploadOut>} */
export async function openSeries({ study, series }, signal) {
  if (!can().pacs) throw new Error("The link names a study of a PACS, and this service was started without one (LESION_SEARCH_PACS_URL).");
  const wanted = { study_instance_uid: study, series_instance_uid: series };
  const facts = await postJson("v1/dicomweb/uploads?grid=display", wanted, { signal });
  return { ...facts, is_in_pacs: true };
}

/** Whether a report of an image can be stored beside it. @param {import("../receiving.js").Received | null} facts */
export function canStore(facts) {
  return Boolean(can().write && facts?.is_in_pacs && facts.identity?.reportable);
}

/**
 * Stores the report of a mark beside its images.
 * @param {import("../../core/route.js").Params} params @param {{ slice: number, isMeasured: boolean }} what
 */
export async function storeMarkReport({ upload, box, recist, point }, { slice, isMeasured }) {
  const fields = { upload_id: upload, grid: "display", key_slice_index: slice, box, recist, point, measured: isMeasured };
  await postForm("v1/dicomweb/uploads/report", fields);
  return "Report stored in the PACS: unverified, for research.";
}

/** The study, and its series where it is named, of a link from a viewer or a PACS; null for any other address. @param {string} query @returns {PacsTarget | null} */
export function linkedTarget(query) {
  const fields = new URLSearchParams(query);
  const study = fields.get("study") ?? fields.get("StudyInstanceUIDs") ?? "";
  const series = fields.get("series") ?? fields.get("SeriesInstanceUIDs") ?? "";
  if (!UID.test(study)) return null;
  return { study, series: UID.test(series) ? series : null };
}
