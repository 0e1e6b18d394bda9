// Lesions and answers as CSV, under the names that the API and the notebooks use.

import { heldTags } from "../lesion_facts.js";

const LESION = ["lesion_id", "patient_id", "study_id", "series_id", "study_date", "key_slice_index", "lesion_type", "long_mm", "short_mm"];

/** Numbers, or points of them ("-0.5 9.7; 12.0 30.1"): no spreadsheet runs these. */
const NUMBERS = /^-?\d+(\.\d+)?(;? -?\d+(\.\d+)?)*$/;

/** @typedef {Record<string, string | number | boolean | null | undefined>} Row */

/** A lesion's columns. @param {LesionOut} lesion @returns {Row} */
export function lesionRow(lesion) {
  const plain = Object.fromEntries(LESION.map((name) => [name, /** @type {any} */ (lesion)[name]]));
  const [x1, y1, x2, y2] = lesion.box;
  const [x, y, z] = lesion.location ?? [null, null, null];
  const tags = heldTags(lesion).map(({ term }) => term).join("; ");
  const { long_mm: long, short_mm: short, volume_mm3: volume } = lesion.measured ?? {};
  const measured = { measured_long_mm: long?.value, measured_short_mm: short?.value, volume_mm3: volume?.value };
  return { ...plain, ...measured, x1, y1, x2, y2, location_x: x, location_y: y, location_z: z, tags, category: lesion.category };
}

/** An answer, a row a hit and a row a follow-up. @param {SearchOut} result @returns {Row[]} */
export function resultRows(result) {
  const hits = result.hits.map((hit) => ({
    relation: "similar", rank: hit.rank, similarity: hit.similarity, state: null, score: null, change_pct: null, ...lesionRow(hit.lesion),
  }));
  const followUps = result.follow_ups.map((found) => ({
    relation: "same patient", rank: null, similarity: found.similarity, state: found.state, score: found.score, change_pct: found.change_pct,
    ...(found.lesion === null ? { study_id: found.study_id } : lesionRow(found.lesion)),
  }));
  return [...followUps, ...hits];
}

/** Rows under the union of their columns (RFC 4180). @param {Row[]} rows */
export function csvOf(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns.map(cell), ...rows.map((row) => columns.map((name) => cell(row[name])))];
  return lines.map((cells) => `${cells.join(",")}\r\n`).join("");
}

/** A spreadsheet would run text that begins like a formula: an apostrophe keeps it text. @param {Row[string]} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  const isRun = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !NUMBERS.test(value);
  const text = isRun ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
