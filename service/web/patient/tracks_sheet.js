// The sheet of a patient: studies from left to right, one line a lesion track, patches along it.

import { make, makeSvg } from "../core/dom.js";
import { croppedPicture, rem, signed, sizeText, typeLabel } from "../core/lesion_facts.js";
import { measuredNote, measuredTitle, volumeText } from "../core/measured_sizes.js";
import { ink, linkWords, toneColour, typeColour, vocabulary } from "../core/vocabulary.js";
import { volumeChange, volumeSum } from "./sizes.js";
import { daysBetween } from "./track_marks.js";

/** @typedef {import("./track_marks.js").TrackMarks} TrackMarks */
/** @typedef {import("./track_marks.js").Cell} Cell */
/** @typedef {import("./sizes.js").SizeKind} SizeKind */

/**
 * @typedef {{ onLesion: (id: string) => void, onLink: (earlier: string, later: string) => void, onTrack: (id: string | null) => void }} SheetListeners
 */

const SHEET = { label: 172, column: 164, row: 154, header: 92, patch: 92, top: 24, line: 18 };

/**
 * Draws the sheet; `on` holds onLesion(id), onLink(earlier, later) and onTrack(id or null).
 * @param {TrackMarks} marks @param {{ on: SheetListeners, selected: string[], kind: SizeKind }} options
 */
export function tracksSheet(marks, { on, selected, kind }) {
  const { document } = marks;
  const width = SHEET.label + SHEET.column * document.studies.length;
  const height = SHEET.header + rowHeight(marks) * document.tracks.length;
  const sheet = make("div", { className: "sheet", style: { width: rem(width), height: rem(height) } });
  sheet.append(linkLines(marks, [width, height], selected));
  for (const [column, study] of document.studies.entries()) sheet.append(studyHead(marks, study, { column, kind }));
  for (const [row, track] of document.tracks.entries()) {
    sheet.append(trackRow(marks, track, row, { on, selected, kind }));
  }
  for (const { state, score, ...line } of marks.drawnLines()) {
    if (state !== null && score !== null) sheet.append(linkButton(marks, { ...line, state, score }, on, selected));
  }
  return sheet;
}

/** @param {HTMLElement} node @param {number} left @param {number} top */
function placed(node, left, top) {
  node.style.setProperty("left", rem(left));
  node.style.setProperty("top", rem(top));
  return node;
}

/** @param {number} column */
function columnX(column) {
  return SHEET.label + (column + 0.5) * SHEET.column;
}

/** A measured lesion has a line more. @param {TrackMarks} marks */
function rowHeight(marks) {
  return SHEET.row + (marks.isMeasured ? SHEET.line : 0);
}

/** @param {TrackMarks} marks @param {number} row */
function rowY(marks, row) {
  return SHEET.header + row * rowHeight(marks) + SHEET.top + SHEET.patch / 2;
}

/** @param {TrackMarks} marks @param {StudyOut} study @param {{ column: number, kind: SizeKind }} options */
function studyHead(marks, study, { column, kind }) {
  const { studies, response } = marks.document;
  const days = column === 0 ? null : daysBetween(studies[column - 1].study_date, study.study_date);
  const when = study.study_date === null ? "no date" : `${study.study_date}${days === null ? "" : `  +${days} d`}`;
  const found = marks.responses.get(study.study_id);
  const isBaseline = study.study_id === response.baseline_study;
  const head = make(
    "div",
    { className: "study-head" },
    make("b", { textContent: study.study_id }),
    make("span", { className: "faint", textContent: when }),
    ...(kind === "volume_mm3" ? volumeParts(marks, study.study_id, isBaseline) : [
      found === undefined ? stageBadge(isBaseline) : responseBadge(found),
      make("span", { className: "faint", textContent: sumText(isBaseline ? response.baseline_sum_mm : found?.sum_mm, found) }),
    ]),
  );
  return placed(head, SHEET.label + column * SHEET.column, 0);
}

/** @param {boolean} isBaseline */
function stageBadge(isBaseline) {
  return make("span", { className: "response" }, make("span", { className: "badge", textContent: isBaseline ? "baseline" : "before" }));
}

/** What the targets' volumes say of a study: no category of RECIST. @param {TrackMarks} marks @param {string} studyId @param {boolean} isBaseline */
function volumeParts(marks, studyId, isBaseline) {
  const { words, change, title } = volumeSum(marks, studyId);
  const isLater = marks.responses.has(studyId);
  const badge = make("span", { className: "badge volume-change", textContent: change ?? "cannot be told" });
  return [isLater ? make("span", { className: "response", title }, badge) : stageBadge(isBaseline), make("span", { className: "faint", textContent: words, title })];
}

/** The response that a study shows, with its sum of diameters or of volumes, in a line. @param {TrackMarks} marks @param {StudyResponseOut} found @param {SizeKind} kind */
export function responseLine(marks, found, kind) {
  if (kind === "volume_mm3") {
    const [badge, sum] = volumeParts(marks, found.study_id, false);
    return make("p", { className: "line response-line" }, badge, make("span", { className: "faint", textContent: `${found.study_id}: ` }), sum);
  }
  return make("p", { className: "line response-line" }, responseBadge(found), make("span", { className: "faint", textContent: `${found.study_id}: ${sumText(found.sum_mm, found) || "no diameters"}` }));
}

/** @param {StudyResponseOut} found */
function responseBadge(found) {
  const { category, reason } = found;
  if (category === null) {
    return make("span", { className: "response", title: reason }, make("span", { className: "badge", textContent: "no category" }));
  }
  const { label, colour } = vocabulary().response_categories[category];
  const badge = make("span", { className: "badge category", style: { background: colour }, textContent: category });
  return make("span", { className: "response", title: `${label}: ${reason}` }, badge, make("span", { textContent: label }));
}

/** @param {number | null | undefined} sum @param {StudyResponseOut | undefined} found */
function sumText(sum, found) {
  if (sum === undefined || sum === null) return "";
  const change = found?.change_from_baseline_pct ?? null;
  return `sum ${sum.toFixed(1)} mm${change === null ? "" : `  ${signed(change, 0, "%")}`}`;
}

/** @param {TrackMarks} marks @param {TrackOut} track @param {number} row @param {{ on: SheetListeners, selected: string[], kind: SizeKind }} options */
function trackRow(marks, track, row, { on, selected, kind }) {
  const line = make("div", { className: "track-row", dataset: { track: track.track_id } });
  placed(line, 0, SHEET.header + row * rowHeight(marks));
  line.style.setProperty("height", rem(rowHeight(marks)));
  line.addEventListener("pointerenter", () => on.onTrack(track.track_id));
  line.addEventListener("pointerleave", () => on.onTrack(null));
  line.append(trackLabel(marks, track));
  const cells = marks.cells(track);
  for (const cell of cells) {
    if (cell.lesions.length > 0) line.append(appearance(cell, before(cells, cell), { on, selected, kind }));
    else if (cell.word !== "") line.append(note(cell));
  }
  return line;
}

/** The mark before a cell's, null for the first. @param {Cell[]} cells @param {Cell} cell */
function before(cells, cell) {
  return cells.slice(0, cell.column).findLast(({ lesions }) => lesions.length > 0)?.lesions[0] ?? null;
}

/** What is known of a track's growth. @param {GrowthOut} growth */
function growthWords({ change_mm: mm, change_pct: percent, growth_mm_per_month: monthly, volume_doubling_days: days }) {
  const words = [];
  if (mm !== null && percent !== null) words.push(`${signed(mm, 1, "mm")}  ${signed(percent, 0, "%")}`);
  if (monthly !== null) words.push(`${signed(monthly, 1, "mm")} a month`);
  if (days !== null) words.push(`volume ${days > 0 ? "doubles" : "halves"} in ${Math.abs(days).toFixed(0)} d`);
  return words;
}

/** @param {TrackMarks} marks @param {TrackOut} track */
function trackLabel(marks, track) {
  const target = marks.targets.get(track.track_id);
  const growth = marks.growth.get(track.track_id);
  const words = growth === undefined ? [] : growthWords(growth);
  const name = make("span", { className: "line" }, make("b", { textContent: track.track_id }), target === undefined ? null : make("span", { className: "badge target", textContent: "target", title: `RECIST target, ${target.axis} diameter` }));
  return make("div", { className: "track-label" }, name, typeLabel(track.lesions[0].lesion_type), ...words.map((text) => make("span", { className: "faint", textContent: text })));
}

/** @param {Cell} cell @param {LesionOut | null} previous @param {{ on: SheetListeners, selected: string[], kind: SizeKind }} options */
function appearance(cell, previous, { on, selected, kind }) {
  const [lesion] = cell.lesions;
  const colour = ink(toneColour(cell.tone));
  const picture = make(
    "button",
    { type: "button", className: `track-patch ${cell.tone}`, style: { "border-color": colour }, title: `${lesion.lesion_id}: look at it`, dataset: { lesion: lesion.lesion_id }, on: { click: () => on.onLesion(lesion.lesion_id) } },
    croppedPicture(lesion, SHEET.patch - 4),
  );
  picture.setAttribute("aria-pressed", String(cell.lesions.some(({ lesion_id: id }) => selected.includes(id))));
  const change = previous === null ? null : kind === "volume_mm3" ? volumeChange(previous, lesion) : changeBetween(previous, cell);
  const facts = [change, ...cell.notes].filter(Boolean);
  const body = make(
    "div",
    { className: "appearance" },
    make("span", { className: `state-word ${cell.tone}`, style: { color: colour }, textContent: cell.word }),
    picture,
    make("span", { textContent: sizeText(lesion) }),
    measuredLine(lesion, kind),
    make("span", { className: "faint", textContent: facts[0] ?? "", title: facts.join("; ") }),
  );
  return placed(body, SHEET.label + cell.column * SHEET.column, 0);
}

/** What was measured, as far as a column is wide: the diameters, or the volume. @param {LesionOut} lesion @param {SizeKind} kind */
function measuredLine(lesion, kind) {
  const { measured } = lesion;
  if (!measured) return null;
  if (kind === "long_mm") return measuredNote({ measured: { ...measured, volume_mm3: null } });
  const { volume_mm3: volume } = measured;
  return make("span", { className: "sized number", textContent: volume === null ? "no volume" : `≈ ${volumeText(volume.value)}`, title: measuredTitle(measured) });
}

/** `21.1 → 13.0 mm (−38 %)` from the mark before. @param {LesionOut} previous @param {Cell} options */
function changeBetween(previous, { lesions: [lesion], change_pct: percent }) {
  if (percent === null || previous.long_mm === null || lesion.long_mm === null) return null;
  return `${previous.long_mm.toFixed(1)} → ${lesion.long_mm.toFixed(1)} (${signed(percent, 0, "%")})`;
}

/** A study in which the lesion is not marked: why, as far as it is known. @param {Cell} options */
function note({ word, tone, column, notes }) {
  const text = make("span", { className: "gap", title: notes.join("; "), style: { color: ink(toneColour(tone)) } }, make("i", {}), make("span", { textContent: word }));
  return placed(text, SHEET.label + column * SHEET.column, SHEET.top + SHEET.patch / 2 - 6);
}

/** @param {TrackMarks} marks @param {[number, number]} pair @param {string[]} selected */
function linkLines(marks, [width, height], selected) {
  const lines = marks.drawnLines().map((line) => {
    const { from, to } = ends(marks, line);
    const bend = (to[0] - from[0]) / 2;
    const d = `M${from} C${from[0] + bend} ${from[1]} ${to[0] - bend} ${to[1]} ${to}`;
    const isChosen = selected.includes(line.earlier) && selected.includes(line.later);
    return makeSvg("path", { d, style: { stroke: ink(toneColour(line.tone)) }, class: `link ${line.tone} ${line.state ?? ""}${isChosen ? " chosen" : ""}` });
  });
  const vanishing = marks.document.tracks.filter((track) => track.vanished_in !== null).map((track) => {
    const { row, column } = marks.places.get(track.lesions[track.lesions.length - 1].lesion_id);
    const from = columnX(column) + SHEET.patch / 2;
    return makeSvg("path", { d: `M${from} ${rowY(marks, row)}H${columnX(column + 1) - 4}`, class: "link vanished" });
  });
  return makeSvg("svg", { class: "links", viewBox: `0 0 ${width} ${height}`, style: { width: rem(width), height: rem(height) }, "aria-hidden": "true" }, ...lines, ...vanishing);
}

/** @param {TrackMarks} marks @param {{ earlier: string, later: string }} options */
function ends(marks, { earlier, later }) {
  const [from, to] = [marks.places.get(earlier), marks.places.get(later)];
  return {
    from: [columnX(from.column) + SHEET.patch / 2, rowY(marks, from.row)],
    to: [columnX(to.column) - SHEET.patch / 2, rowY(marks, to.row)],
  };
}

/** @param {TrackMarks} marks @param {LineOut & { state: string, score: number }} link @param {SheetListeners} on @param {string[]} selected */
function linkButton(marks, link, on, selected) {
  const { from, to } = ends(marks, link);
  // Over a longer gap the number stands just before the later lesion, where nothing else does.
  const gap = SHEET.column - SHEET.patch;
  const x = from[1] === to[1] ? to[0] - gap / 2 : (from[0] + to[0]) / 2;
  const y = (from[1] + to[1]) / 2;
  const { label, tone } = linkWords(link.state);
  const words = link.state === "confirmed" ? "✓" : link.score.toFixed(2);
  const pill = make("button", {
    type: "button", className: `link-score ${tone} ${link.state}`, style: { "border-color": ink(toneColour(tone)) }, textContent: words,
    title: `${label}: probability ${link.score.toFixed(2)}. Compare, confirm or reject`,
    dataset: { link: `${link.earlier} ${link.later}` },
    on: { click: () => on.onLink(link.earlier, link.later) },
  });
  pill.setAttribute("aria-pressed", String(selected.includes(link.earlier) && selected.includes(link.later)));
  return placed(pill, x, y);
}

/** The colour of a track in every picture of the view. @param {TrackOut} track */
export function trackColour(track) {
  return ink(typeColour(track.lesions[0].lesion_type));
}
