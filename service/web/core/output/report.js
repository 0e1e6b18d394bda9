// DICOM structured reports: of a mark on an upload, or of all that the index has of a patient.

import { getFile } from "../api.js";
import { can } from "../capabilities.js";
import { saveAnswer } from "./files.js";

/** @typedef {import("./menu.js").Way} Way */

/** The way out of an indexed patient; none where the service writes no DICOM. @param {string} patientId @returns {Way[]} */
export function patientReport(patientId) {
  if (!can().report) return [];
  const title = "Structured report (TID 1500) of every lesion track; unverified, for research";
  return [{ words: "DICOM report (SR)", title, run: () => savePatientReport(patientId) }];
}

/** @param {string} patientId */
async function savePatientReport(patientId) {
  await saveAnswer(await getFile(`v1/patients/${encodeURIComponent(patientId)}/report`), "patient_report.dcm");
  return "Report saved: unverified, for research.";
}

/**
 * Saves the report of a mark on an upload: the mark itself, or what the network measures at it.
 * @param {import("../route.js").Params} params @param {{ slice: number, isMeasured: boolean }} what
 */
export async function saveMarkReport({ upload, box, recist, point }, { slice, isMeasured }) {
  const fields = { upload_id: upload, grid: "display", key_slice_index: slice, box, recist, point, measured: isMeasured };
  await saveAnswer(await getFile("v1/report", fields), "lesion_report.dcm");
  return "Report saved: unverified, for research.";
}
