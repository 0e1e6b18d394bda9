// The three colourings of the map and their legends.

import { make } from "../core/dom.js";
import { plural, typeLabel } from "../core/lesion_facts.js";
import { lesionTypes, typeColour } from "../core/vocabulary.js";

/** @type {[number, number, number][]} */
const SIZE_STOPS = [[63, 95, 208], [47, 168, 201], [95, 208, 138], [215, 227, 90], [255, 214, 140]];
const SIZE_RANGE_MM = [5, 100];
const SIZE_TICKS_MM = [5, 10, 20, 50, 100];
const GOLDEN_ANGLE = 137.508;
const SHADES = 24;

export const COLOURINGS = { type: "Type", size: "Size", patient: "Patient", category: "Category" };

/**
 * The colour of each point; few distinct ones, so that a dot of each is drawn once.
 * @param {MapPoint[]} points @param {string} colouring
 */
export function coloursOf(points, colouring) {
  if (colouring === "size") return points.map(({ long_mm: mm }) => sizeColour(mm));
  if (colouring === "category") {
    const places = new Map([...new Set(points.flatMap(({ category }) => category ?? []))].sort().map((name, place) => [name, place]));
    return points.map(({ category }) => (category === null ? typeColour("unknown") : patientColour(places.get(category) ?? 0)));
  }
  if (colouring === "patient") {
    const places = new Map([...new Set(points.map(({ patient_id: id }) => id))].map((id, place) => [id, place]));
    return points.map(({ patient_id: id }) => patientColour(places.get(id) ?? 0));
  }
  return points.map(({ lesion_type: type }) => typeColour(type));
}

/**
 * What the colours mean; `hidden` types are off, `onToggle` hears the one clicked.
 * @param {MapPoint[]} points @param {string} colouring @param {{ hidden: Set<string>, onToggle: (type: string) => void }} options
 */
export function legendOf(points, colouring, { hidden, onToggle }) {
  if (colouring === "size") return sizeLegend(points);
  if (colouring === "patient") return patientLegend(points);
  if (colouring === "category") return categoryLegend(points);
  const counts = new Map();
  for (const { lesion_type: type } of points) counts.set(type, (counts.get(type) ?? 0) + 1);
  const rows = lesionTypes().filter((type) => counts.has(type)).map((type) => {
    const count = make("span", { className: "number faint", textContent: counts.get(type).toLocaleString("en") });
    const row = make("button", { type: "button", className: "legend-row", on: { click: () => onToggle(type) } }, typeLabel(type), count);
    row.setAttribute("aria-pressed", String(!hidden.has(type)));
    return row;
  });
  return make("div", { className: "legend", role: "group", "aria-label": "Lesion types" }, ...rows);
}

/** @param {MapPoint[]} points */
function sizeLegend(points) {
  const unknown = points.filter(({ long_mm: mm }) => mm === null).length;
  const ramp = make("div", { className: "ramp", style: { background: `linear-gradient(to right, ${SIZE_STOPS.map(rgb).join(", ")})` } });
  const ticks = SIZE_TICKS_MM.map((mm) => make("span", { textContent: mm, style: { left: `${100 * shareOf(mm)}%` } }));
  const words = unknown === 0 ? "long diameter, mm" : `long diameter, mm; grey: ${unknown} not measured`;
  return make("div", { className: "legend" }, ramp, make("div", { className: "ticks number" }, ...ticks), make("p", { className: "faint", textContent: words }));
}

/** @param {MapPoint[]} points */
function patientLegend(points) {
  const patients = new Set(points.map(({ patient_id: id }) => id)).size;
  const words = `${plural(patients, "patient")}. Lines join the lesions of the patient under the pointer.`;
  return make("div", { className: "legend" }, make("p", { className: "faint", textContent: words }));
}

/** @param {MapPoint[]} points */
function categoryLegend(points) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { category } of points) if (category !== null) counts.set(category, (counts.get(category) ?? 0) + 1);
  const rows = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, count], place) => make(
    "p", { className: "legend-row" },
    make("span", { className: "type" }, make("i", { className: "dot", style: { "--type": patientColour(place) } }), make("span", { textContent: name })),
    make("span", { className: "number faint", textContent: count.toLocaleString("en") }),
  ));
  return make("div", { className: "legend" }, ...rows);
}

/** @param {number | null} millimetres */
function sizeColour(millimetres) {
  if (millimetres === null) return typeColour("unknown");
  const share = Math.round(shareOf(millimetres) * SHADES) / SHADES;
  const place = share * (SIZE_STOPS.length - 1);
  const below = Math.min(Math.floor(place), SIZE_STOPS.length - 2);
  const mix = SIZE_STOPS[below].map((value, channel) => {
    return Math.round(value + (SIZE_STOPS[below + 1][channel] - value) * (place - below));
  });
  return rgb(mix);
}

/** @param {number} millimetres */
function shareOf(millimetres) {
  const [low, high] = SIZE_RANGE_MM.map(Math.log);
  return Math.min(Math.max((Math.log(Math.max(millimetres, 0.1)) - low) / (high - low), 0), 1);
}

/** @param {number} place */
function patientColour(place) {
  return `hsl(${Math.round((place * GOLDEN_ANGLE) % 360)} 62% 66%)`;
}

/** @param {number[]} colour */
function rgb([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}
