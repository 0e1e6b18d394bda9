// What a patient's tracks give away: figure of the pair, table, document and link.

import { getPicture, lesionPath } from "../core/api.js";
import { sizeText } from "../core/lesion_facts.js";
import { measuredText } from "../core/measured_sizes.js";
import { drawFigure } from "../core/output/figure.js";
import { copyLink, fileName, saveJson, savePicture, saveText } from "../core/output/files.js";
import { patientReport } from "../core/output/report.js";
import { csvOf, lesionRow } from "../core/output/table.js";
import { toneColour } from "../core/vocabulary.js";

/**
 * @typedef {import("../core/output/menu.js").Way} Way
 * @typedef {{ lesions: LesionOut[], pictures: HTMLCanvasElement[] }} ShownPair what is under comparison, as it is seen
 */

/** @param {import("./track_marks.js").TrackMarks} marks @param {() => ShownPair} shown @returns {Way[]} */
export function waysOut(marks, shown) {
  const { document } = marks;
  const name = fileName("patient", document.patient_id);
  return [
    { words: "Figure, light", title: "PNG on white: the pair as it is seen, else every appearance", run: () => figure("light") },
    { words: "Figure, dark", title: "PNG on black", run: () => figure("dark") },
    { words: "Table (CSV)", run: () => saveText(`${name}.csv`, csvOf(rowsOf(marks)), "text/csv") },
    { words: "Document (JSON)", run: () => saveJson(`${name}.json`, document) },
    ...patientReport(document.patient_id),
    { words: "Copy link", run: copyLink },
  ];

  /** @param {import("../core/output/figure.js").FigureTheme} theme */
  async function figure(theme) {
    const { lesions, pictures } = shown();
    const isPair = lesions.length === 2;
    const wanted = isPair ? lesions : document.tracks.flatMap(({ lesions: all }) => all);
    const panels = await Promise.all(wanted.map(async (lesion, place) => ({
      picture: isPair ? pictures[place] : await getPicture(lesionPath(lesion.lesion_id, "/image.png")),
      title: isPair ? `${place === 0 ? "Prior" : "Current"}: ${lesion.study_id}` : `${marks.trackOf(lesion.lesion_id)?.track_id ?? ""}, ${lesion.study_id}`,
      lines: [sizeText(lesion), measuredText(lesion) ?? "", lesion.study_date ?? ""].filter(Boolean),
      colour: toneColour("sure"),
    })));
    const title = `Patient ${document.patient_id}`;
    await savePicture(`${name}_${theme}.png`, drawFigure(title, panels, { theme, across: isPair ? 2 : document.studies.length }));
  }
}

/** A row an appearance, with its track, its state and the response of its study. @param {import("./track_marks.js").TrackMarks} marks */
export function rowsOf(marks) {
  return marks.document.tracks.flatMap((track) => marks.cells(track).flatMap((cell) => cell.lesions.map((lesion) => ({
    track_id: track.track_id, state: cell.word, change_pct: cell.change_pct, ...lesionRow(lesion),
    response: marks.responses.get(lesion.study_id)?.category ?? null,
    sum_mm: marks.responses.get(lesion.study_id)?.sum_mm ?? null,
  }))));
}
