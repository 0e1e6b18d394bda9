// The lesions within a lasso: what they are, a list of them, and the ways on and out.

import { getJson, lesionPath } from "../core/api.js";
import { basket } from "../core/basket/store.js";
import { button, make } from "../core/dom.js";
import { croppedPicture, plural, sizeText, typeLabel } from "../core/lesion_facts.js";
import { saveJson, saveText } from "../core/output/files.js";
import { ExportMenu } from "../core/output/menu.js";
import { csvOf } from "../core/output/table.js";
import { address } from "../core/route.js";
import { rove } from "../core/roving.js";
import { lesionTypes } from "../core/vocabulary.js";

const MOST_LISTED = 60;
const MOST_COLLECTED = 24;

/** @param {MapPoint[]} points @param {{ onOnly: () => void, onClear: () => void, isOnly: boolean, tagging: Node | null }} on `tagging` is null where nothing may be written */
export function chosenPanel(points, { onOnly, onClear, isOnly, tagging }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { lesion_type: type } of points) counts.set(type, (counts.get(type) ?? 0) + 1);
  const types = lesionTypes().flatMap((type) => (counts.has(type) ? [make("span", { className: "line-part" }, make("b", { textContent: counts.get(type) }), typeLabel(type))] : []));
  const patients = new Set(points.map(({ patient_id: id }) => id)).size;
  const menu = new ExportMenu();
  menu.show([
    { words: "Table (CSV)", run: () => saveText("map_selection.csv", csvOf(points.map((one) => ({ ...one }))), "text/csv") },
    { words: "Document (JSON)", run: () => saveJson("map_selection.json", points) },
    { words: "Into the case basket", run: () => collect(points) },
  ]);
  const only = button("Only these", { run: onOnly, className: "plain small", "aria-pressed": String(isOnly), title: "Hide the other points" });
  const rows = make("div", { className: "rows" }, ...points.slice(0, MOST_LISTED).map(row));
  rove(rows, "a", { keys: "vertical" });
  return make(
    "section", { className: "map-chosen", "aria-label": "Chosen lesions" },
    make("header", { className: "section-heading" }, make("h2", { textContent: plural(points.length, "lesion") }), menu.element),
    make("p", { className: "summary-line" }, ...types),
    make("p", { className: "faint", textContent: `of ${plural(patients, "patient")}` }),
    make("div", { className: "actions" }, only, button("Let go", { run: onClear, className: "plain small", title: "Esc" })),
    tagging,
    rows,
    points.length > MOST_LISTED ? make("p", { className: "faint", textContent: `The first ${MOST_LISTED} are listed; the export has all.` }) : null,
  );
}

/** @param {MapPoint} point */
function row(point) {
  const lesion = { ...point, short_mm: null };
  return make(
    "a", { className: "row", href: address("search", { lesion: point.lesion_id }), title: "Search from it" },
    croppedPicture(lesion, 40),
    make("span", { className: "row-words" }, typeLabel(point.lesion_type), make("span", { textContent: sizeText(lesion) }), make("span", { className: "faint", textContent: `patient ${point.patient_id}` })),
  );
}

/** @param {MapPoint[]} points */
async function collect(points) {
  const wanted = points.filter(({ lesion_id: id }) => !basket.has(id)).slice(0, MOST_COLLECTED);
  for (const { lesion_id: id } of wanted) basket.toggle({ lesion: await getJson(lesionPath(id)), similarity: null, from: "the map" });
  return `${plural(wanted.length, "lesion")} collected.`;
}
