// Long diameters over the studies, one line a track in the colour of its type.

import { all, make, makeSvg } from "../core/dom.js";
import { sizeText } from "../core/lesion_facts.js";
import { trackColour } from "./tracks_sheet.js";

/** @typedef {import("./track_marks.js").TrackMarks} TrackMarks */

/**
 * @typedef {PointOut & { long_mm: number, column: number }} Point
 * @typedef {{ track: TrackOut, points: Point[], isTarget: boolean }} Series
 * @typedef {{ step: number, top: number, x: (column: number) => number, y: (millimetres: number) => number }} Scale
 * @typedef {{ track: TrackOut, x: number, y: number }} Label
 */

const MARGIN = { left: 58, right: 56, top: 14, bottom: 26 };
const LABEL_GAP = 13;

/** A plot that fills its element and follows its width. */
export class DiameterPlot {
  element = make("div", { className: "diameters" });
  /** @type {TrackMarks | null} */
  #marks = null;
  #onLesion;

  /** @param {(id: string) => void} onLesion */
  constructor(onLesion) {
    this.#onLesion = onLesion;
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** @param {TrackMarks} marks */
  show(marks) {
    this.#marks = marks;
    this.#draw();
  }

  /** Brings one track forward; null none. @param {string | null} trackId */
  light(trackId) {
    for (const group of all(this.element, "[data-track]")) {
      group.classList.toggle("lit", group.dataset.track === trackId);
      group.classList.toggle("dim", trackId !== null && group.dataset.track !== trackId);
    }
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.#marks === null || width === 0 || height === 0) return;
    const series = seriesOf(this.#marks);
    if (series.length === 0) {
      this.element.replaceChildren(make("p", { className: "faint", textContent: "No lesion of this patient was measured." }));
      return;
    }
    const scale = scaleOf(this.#marks, series, [width, height]);
    const title = `Long diameters of ${series.length} tracks in mm`;
    const plot = makeSvg("svg", { width, height, role: "img", "aria-label": title }, ...axes(this.#marks, scale, [width, height]));
    for (const one of series) plot.append(this.#line(one, scale));
    plot.append(...endLabels(series, scale));
    this.element.replaceChildren(plot);
  }

  /** @param {Series} options @param {Scale} scale */
  #line({ track, points, isTarget }, scale) {
    const at = points.map((point) => [scale.x(point.column), scale.y(point.long_mm)]);
    const colour = trackColour(track);
    const group = makeSvg("g", { class: isTarget ? "series target" : "series" });
    group.dataset.track = track.track_id;
    group.append(makeSvg("path", { d: `M${at.map((place) => place.join(" ")).join("L")}`, fill: "none", style: { stroke: colour } }));
    for (const [place, point] of points.entries()) {
      const dot = makeSvg("circle", { cx: at[place][0], cy: at[place][1], r: isTarget ? 4.5 : 3.5, style: { fill: colour } });
      dot.append(makeSvg("title", {}, `${track.track_id}, ${point.study_id}: ${sizeText(point)}`));
      dot.addEventListener("click", () => this.#onLesion(point.lesion_id));
      group.append(dot);
    }
    return group;
  }
}

/** The measured marks of each track. @param {TrackMarks} marks @returns {Series[]} */
function seriesOf(marks) {
  return marks.document.response.growth.flatMap((growth) => {
    const track = marks.document.tracks.find(({ track_id: id }) => id === growth.track_id);
    const points = growth.points.flatMap((point) => {
      const { long_mm: mm } = point;
      return mm === null ? [] : [{ ...point, long_mm: mm, column: marks.columns.get(point.study_id) ?? 0 }];
    });
    const isTarget = marks.targets.has(growth.track_id);
    return track === undefined || points.length === 0 ? [] : [{ track, points, isTarget }];
  });
}

/**
 * Time to scale where every study has a date, else a step a study.
 * @param {TrackMarks} marks @param {Series[]} series @param {[number, number]} size @returns {Scale}
 */
function scaleOf(marks, series, [width, height]) {
  const days = marks.document.studies.map(({ study_date: day }) => Date.parse(day ?? ""));
  const dated = marks.document.ordered_by === "study_date" && days.every(Number.isFinite) && days[days.length - 1] > days[0];
  const times = dated ? days : days.map((_, column) => column);
  const span = times[times.length - 1] - times[0] || 1;
  const largest = Math.max(...series.flatMap(({ points }) => points.map(({ long_mm: mm }) => mm)));
  const step = [2, 5, 10, 20, 50, 100, 200].find((one) => largest / one <= 4.5) ?? 500;
  const top = Math.ceil((largest * 1.02) / step) * step;
  const inner = width - MARGIN.left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  return {
    step,
    top,
    x: (column) => MARGIN.left + (times.length === 1 ? inner / 2 : ((times[column] - times[0]) / span) * inner),
    y: (millimetres) => MARGIN.top + tall * (1 - millimetres / top),
  };
}

/** @param {TrackMarks} marks @param {Scale} scale @param {[number, number]} pair */
function axes(marks, scale, [width, height]) {
  const parts = [];
  for (let mm = 0; mm <= scale.top; mm += scale.step) {
    const y = scale.y(mm);
    parts.push(makeSvg("line", { x1: MARGIN.left, x2: width - MARGIN.right + 8, y1: y, y2: y, class: "grid" }));
    parts.push(makeSvg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, mm === scale.top ? `${mm} mm` : String(mm)));
  }
  let free = -Infinity;
  for (const [column, study] of marks.document.studies.entries()) {
    const x = scale.x(column);
    parts.push(makeSvg("line", { x1: x, x2: x, y1: MARGIN.top, y2: height - MARGIN.bottom, class: "grid" }));
    if (x - free < 84) continue;
    parts.push(makeSvg("text", { x, y: height - 8, "text-anchor": "middle" }, study.study_date ?? study.study_id));
    free = x;
  }
  return parts;
}

/**
 * Track names at the right end of their lines, moved apart where they would cover each other.
 * @param {Series[]} series @param {Scale} scale
 */
function endLabels(series, scale) {
  const labels = series.map(({ track, points }) => {
    const last = points[points.length - 1];
    return { track, x: scale.x(last.column) + 9, y: scale.y(last.long_mm) + 4 };
  });
  labels.sort((a, b) => a.y - b.y);
  spread(labels, 1, -Infinity);
  spread([...labels].reverse(), -1, scale.y(0) + 4);
  return labels.map(({ track, x, y }) => {
    const label = makeSvg("text", { x, y, style: { fill: trackColour(track) }, class: "track-name" }, track.track_id);
    label.dataset.track = track.track_id;
    return label;
  });
}

/**
 * Moves labels of one column apart: downwards (1), or upwards (-1) from a lowest place.
 * @param {Label[]} labels @param {number} direction @param {number} lowest
 */
function spread(labels, direction, lowest) {
  /** @type {Label[]} */
  const taken = [];
  for (const label of labels) {
    if (direction < 0) label.y = Math.min(label.y, lowest);
    for (const other of taken) {
      const isClose = Math.abs(other.x - label.x) < LABEL_GAP && direction * (label.y - other.y) < LABEL_GAP;
      if (isClose) label.y = other.y + direction * LABEL_GAP;
    }
    taken.push(label);
  }
}
