// Long diameters over the studies, one line a track in the colour of its type.

import { all, make, makeSvg } from "../core/dom.js";
import { sizeText } from "../core/lesion_facts.js";
import { trackColour } from "./tracks_sheet.js";

const MARGIN = { left: 58, right: 56, top: 14, bottom: 26 };
const LABEL_GAP = 13;

/** A plot that fills its element and follows its width. */
export class DiameterPlot {
  element = make("div", { className: "diameters" });
  #marks = null;
  #onLesion;

  constructor(onLesion) {
    this.#onLesion = onLesion;
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  show(marks) {
    this.#marks = marks;
    this.#draw();
  }

  /** Brings one track forward; null none. */
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

  #line({ track, points, isTarget }, scale) {
    const at = points.map((point) => [scale.x(point.column), scale.y(point.long_mm)]);
    const colour = trackColour(track);
    const group = makeSvg("g", { class: isTarget ? "series target" : "series" });
    group.dataset.track = track.track_id;
    group.append(makeSvg("path", { d: `M${at.map((place) => place.join(" ")).join("L")}`, stroke: colour, fill: "none" }));
    for (const [place, point] of points.entries()) {
      const dot = makeSvg("circle", { cx: at[place][0], cy: at[place][1], r: isTarget ? 4.5 : 3.5, fill: colour });
      dot.append(makeSvg("title", {}, `${track.track_id}, ${point.study_id}: ${sizeText(point)}`));
      dot.addEventListener("click", () => this.#onLesion(point.lesion_id));
      group.append(dot);
    }
    return group;
  }
}

function seriesOf(marks) {
  return marks.document.response.growth.flatMap((growth) => {
    const track = marks.document.tracks.find(({ track_id: id }) => id === growth.track_id);
    const points = growth.points
      .filter(({ long_mm: mm }) => mm !== null)
      .map((point) => ({ ...point, column: marks.columns.get(point.study_id) }));
    const isTarget = marks.targets.has(growth.track_id);
    return points.length === 0 ? [] : [{ track, points, isTarget }];
  });
}

/** Time to scale where every study has a date, else a step a study. */
function scaleOf(marks, series, [width, height]) {
  const days = marks.document.studies.map(({ study_date: day }) => Date.parse(day ?? ""));
  const dated = marks.document.ordered_by === "study_date" && days.every(Number.isFinite) && days.at(-1) > days[0];
  const times = dated ? days : days.map((_, column) => column);
  const span = times.at(-1) - times[0] || 1;
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

/** Track names at the right end of their lines, moved apart where they would cover each other. */
function endLabels(series, scale) {
  const labels = series.map(({ track, points }) => {
    const last = points.at(-1);
    return { track, x: scale.x(last.column) + 9, y: scale.y(last.long_mm) + 4 };
  });
  labels.sort((a, b) => a.y - b.y);
  spread(labels, 1, -Infinity);
  spread([...labels].reverse(), -1, scale.y(0) + 4);
  return labels.map(({ track, x, y }) => {
    const label = makeSvg("text", { x, y, fill: trackColour(track), class: "track-name" }, track.track_id);
    label.dataset.track = track.track_id;
    return label;
  });
}

/** Moves labels of one column apart: downwards (1), or upwards (-1) from a lowest place. */
function spread(labels, direction, lowest) {
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
