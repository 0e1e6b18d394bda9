// What is plotted over the studies: long diameters, or measured volumes where there are any.

import { signed, sizeText } from "../core/lesion_facts.js";
import { volumeText } from "../core/measured_sizes.js";

/** @typedef {import("./track_marks.js").TrackMarks} TrackMarks */

/**
 * @typedef {"long_mm" | "volume_mm3"} SizeKind
 * @typedef {{ lesionId: string, studyId: string, size: number, column: number, words: string, interval: [number, number] | null }} Point
 * @typedef {{ track: TrackOut, points: Point[], isTarget: boolean }} Series
 */

const ML = 1000;

/** What the URL's field `by` chooses; volumes only where some were measured. @param {string | undefined} by @param {TrackMarks} marks @returns {SizeKind} */
export function sizeKind(by, marks) {
  return by === "volume" && marks.hasVolumes ? "volume_mm3" : "long_mm";
}

/** The sizes of each track that has some. @param {TrackMarks} marks @param {SizeKind} kind @returns {Series[]} */
export function seriesOf(marks, kind) {
  return marks.document.tracks.flatMap((track) => {
    const points = kind === "long_mm" ? diameters(marks, track) : volumes(marks, track);
    return points.length === 0 ? [] : [{ track, points, isTarget: marks.targets.has(track.track_id) }];
  });
}

/** A size on an axis, its unit at the top alone. @param {number} size @param {number} top @param {SizeKind} kind */
export function axisText(size, top, kind) {
  const isMl = kind === "volume_mm3" && top >= ML;
  const shown = isMl ? String(size / ML) : String(size);
  return size === top ? `${shown} ${kind === "long_mm" ? "mm" : isMl ? "ml" : "mm³"}` : shown;
}

/** A round step of an axis. @param {number} largest @param {number} most steps */
export function stepOf(largest, most = 4.5) {
  const power = 10 ** Math.floor(Math.log10(Math.max(largest, 1) / most));
  return power * ([1, 2, 5].find((one) => largest / (one * power) <= most) ?? 10);
}

/** `2.21 → 1.10 ml (−50 %)` of two measured volumes; null where one is missing. @param {LesionOut} before @param {LesionOut} after */
export function volumeChange(before, after) {
  const [from, to] = [before, after].map(({ measured }) => measured?.volume_mm3?.value ?? null);
  if (from === null || to === null || from <= 0) return null;
  const [earlier, later] = [from, to].map(volumeText);
  const [number, unit] = earlier.split(" ");
  return `${later.endsWith(unit) ? number : earlier} → ${later} (${signed((100 * (to - from)) / from, 0, "%")})`;
}

/** What the bounds of a response by volume are. @param {TrackMarks} marks */
export function basisWords(marks) {
  return marks.document.response.volumes.basis.replace(/-(?=\d)/g, "−");
}

/** The sum of the targets' volumes in a study, and how it changed. @param {TrackMarks} marks @param {string} studyId */
export function volumeSum(marks, studyId) {
  const { volumes: found, baseline_study: baseline } = marks.document.response;
  const study = found.studies.find(({ study_id: id }) => id === studyId);
  const sum = studyId === baseline ? found.baseline_sum_mm3 : study?.sum_mm3 ?? null;
  const percent = study?.change_from_baseline_pct ?? null;
  const missing = study?.not_measured_tracks ?? [];
  const words = sum !== null
    ? `sum ${volumeText(sum)}${percent === null ? "" : `  ${signed(percent, 0, "%")}`}`
    : study !== undefined || studyId === baseline ? "not all targets measured" : "";
  return { words, change: study?.change ?? null, title: [basisWords(marks), missing.length > 0 && `not measured: ${missing.join(", ")}`].filter(Boolean).join("; ") };
}

/** @param {TrackMarks} marks @param {TrackOut} track @returns {Point[]} */
function diameters(marks, track) {
  return (marks.growth.get(track.track_id)?.points ?? []).flatMap((point) => {
    const { long_mm: size, lesion_id: lesionId, study_id: studyId } = point;
    return size === null ? [] : [{ lesionId, studyId, size, column: marks.columns.get(studyId) ?? 0, words: sizeText(point), interval: null }];
  });
}

/** @param {TrackMarks} marks @param {TrackOut} track @returns {Point[]} */
function volumes(marks, track) {
  return (marks.volumes.get(track.track_id)?.points ?? []).flatMap(({ volume_mm3: size, study_id: studyId, lesion_ids: [lesionId], interval_90: found }) => {
    if (size === null) return [];
    /** @type {[number, number] | null} */
    const interval = found === null ? null : [Number(found[0]), Number(found[1])];
    const range = interval === null ? "" : `, nine of ten lie within ${interval.map(volumeText).join(" to ")}`;
    return [{ lesionId, studyId, size, column: marks.columns.get(studyId) ?? 0, words: `≈ ${volumeText(size)}${range}`, interval }];
  });
}
