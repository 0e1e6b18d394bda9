// What became of marks: kept, proposed, standing for another, waiting, refused, none; and how a run is told.

import { plural } from "../core/lesion_facts.js";

/** @typedef {"kept" | "proposed" | "merged" | "waiting" | "refused" | "none"} Fate */

/** Verdicts that are no refusal, as docs/mining.md has them. @type {Record<string, Fate>} */
const FATES = {
  kept: "kept", "kept as point": "kept", proposed: "proposed", "duplicate of": "merged", "replaced by": "merged",
  "proposal needed": "waiting", "no marks in it": "none",
};

/** @type {Record<Fate, string>} */
export const FATE_WORDS = {
  kept: "Kept",
  proposed: "Proposed by the detector: look before you believe",
  merged: "Stood for by another mark",
  waiting: "Words alone: they wait for the detector",
  refused: "Refused",
  none: "Files that hold no mark",
};

/** A word for one mark. @type {Record<Fate, string>} */
export const FATE_SIGNS = { kept: "kept", proposed: "proposed", merged: "merged", waiting: "waiting", refused: "refused", none: "none" };

/** What a verdict means for its mark. @param {string} verdict @returns {Fate} */
export function fateOf(verdict) {
  return FATES[verdict] ?? "refused";
}

/** Verdicts by fate, the commonest first, and how many marks each fate has. @param {Record<string, number>} verdicts */
export function fatesOf(verdicts) {
  const names = /** @type {Fate[]} */ (Object.keys(FATE_WORDS));
  return names.flatMap((fate) => {
    const counts = Object.entries(verdicts).filter(([verdict, count]) => count > 0 && fateOf(verdict) === fate);
    counts.sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    return counts.length === 0 ? [] : [{ fate, counts, total }];
  });
}

/** How far a run is, in a sentence. @param {MiningOut} run */
export function runWords({ state, done, total, error, source, report }) {
  if (state === "running") return total === 0 ? "Mining: looking at what there is" : `Mining: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  if (state === "failed") return `The run failed: ${error ?? "no reason is known"}`;
  if (state === "cancelled") return "Cancelled. What was done stays; the next run goes on from there.";
  if (state === "done") return `Done, from ${source === "pacs" ? "the PACS" : "the folders"}.`;
  return report === null ? "Nothing has been mined since the service started." : "From an earlier run: nothing has been mined since the service started.";
}

/** What stands in the archive. @param {MiningReportOut} report */
export function reportWords({ lesions, patients, tracks, marks, patients_failed: failed }) {
  const words = `${plural(lesions, "lesion")} of ${plural(patients, "patient")} in the archive, ${plural(tracks, "track")}, from ${plural(marks, "mark")}`;
  return failed === 0 ? `${words}.` : `${words}; ${plural(failed, "patient")} failed, the next run tries again.`;
}

/** `16.0 × 8.8 mm`, or nothing. @param {Record<string, any>} mark */
export function markSize({ long_mm: long, short_mm: short }) {
  if (typeof long !== "number") return "";
  return typeof short === "number" ? `${long.toFixed(1)} × ${short.toFixed(1)} mm` : `${long.toFixed(1)} mm`;
}
