// What a search gives away: figure, table, document and link.

import { getPicture, lesionPath } from "../../core/api.js";
import { changeText, decimal, sizeText } from "../../core/lesion_facts.js";
import { measuredText } from "../../core/measured_sizes.js";
import { drawFigure } from "../../core/output/figure.js";
import { copyLink, fileName, saveJson, savePicture, saveText } from "../../core/output/files.js";
import { csvOf, resultRows } from "../../core/output/table.js";
import { stateWords } from "../../core/vocabulary.js";

const MOST_HITS = 8;
const COLOURS = { query: "#c9a227", hit: "#3b82d6", same: "#2ea043" };

/**
 * @typedef {import("../../core/output/menu.js").Way} Way
 * @typedef {{ name: string, picture: () => HTMLCanvasElement, lines: string[], reports: Way[] }} QueryPicture the query as it is seen, and its reports
 */

/** @param {SearchOut} result @param {HitOut[]} hits those that are shown @param {QueryPicture} query @returns {Way[]} */
export function waysOut(result, hits, query) {
  const name = fileName("search", query.name);
  return [
    { words: "Figure, light", title: "PNG on white: the query, its follow-ups and its first hits", run: () => figure("light") },
    { words: "Figure, dark", title: "PNG on black", run: () => figure("dark") },
    { words: "Table (CSV)", run: () => saveText(`${name}.csv`, csvOf(resultRows(result)), "text/csv") },
    { words: "Document (JSON)", run: () => saveJson(`${name}.json`, result) },
    ...query.reports,
    { words: "Copy link", run: copyLink },
  ];

  /** @param {import("../../core/output/figure.js").FigureTheme} theme */
  async function figure(theme) {
    const own = { picture: query.picture(), title: `Query: ${query.name}`, lines: query.lines, colour: COLOURS.query };
    const same = result.follow_ups.flatMap((found) => (found.lesion === null ? [] : [{ found, lesion: found.lesion }]));
    const followUps = same.map(async ({ found, lesion }) => ({
      picture: await getPicture(lesionPath(lesion.lesion_id, "/image.png")),
      title: `${stateWords(found.state).label}, ${found.study_id}`,
      lines: [changeText(found), lesion.study_date ?? ""],
      colour: COLOURS.same,
    }));
    const similar = hits.slice(0, MOST_HITS).map(async (hit) => ({
      picture: await getPicture(lesionPath(hit.lesion.lesion_id, "/image.png")),
      title: `${hit.rank}: ${hit.lesion.lesion_type}, ${decimal(hit.similarity, 3)}`,
      lines: [sizeText(hit.lesion), measuredText(hit.lesion) ?? "", `patient ${hit.lesion.patient_id}`].filter(Boolean),
      colour: COLOURS.hit,
    }));
    const panels = [own, ...await Promise.all([...followUps, ...similar])];
    await savePicture(`${name}_${theme}.png`, drawFigure(`Lesions similar to ${query.name}`, panels, { theme }));
  }
}
