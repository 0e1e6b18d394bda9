// Sizes over the studies, one line a track in the colour of its type: long diameters or measured volumes.

import { all, make, makeSvg } from "../core/dom.js";
import { axisText, seriesOf, stepOf } from "./sizes.js";
import { trackColour } from "./tracks_sheet.js";

/** @typedef {import("./track_marks.js").TrackMarks} TrackMarks */

/**
 * @typedef {import("./sizes.js").Point} Point
 * @typedef {import("./sizes.js").Series} Series
 * @typedef {import("./sizes.js").SizeKind} SizeKind
 * @typedef {{ days: number | null, place: number, median: number, ranges: SizeRangeOut[] }} FanStep
 * @typedef {{ track: TrackOut, from: Point, steps: FanStep[] }} Fan
 * @typedef {{
 *   step: number, top: number, x: (column: number) => number, y: (size: number) => number,
 *   ahead: (column: number, step: FanStep) => number,
 * }} Scale
 * @typedef {{ track: TrackOut, x: number, y: number }} Label
 */

const MARGIN = { left: 58, right: 56, top: 14, bottom: 26 };
const LABEL_GAP = 13;
const DAY_MS = 86_400_000;
/** A fan or an interval that reaches higher than this many times the largest size is cut off. */
const MOST_GROWN = 2;

/** A plot that fills its element and follows its width. */
export class SizePlot {
  element = make("div", { className: "diameters" });
  /** @type {TrackMarks | null} */
  #marks = null;
  /** @type {SizeKind} */
  #kind = "long_mm";
  #onLesion;
  /** What may become of one lesion. @type {ForecastOut | null} */
  #forecast = null;

  /** @param {(id: string) => void} onLesion */
  constructor(onLesion) {
    this.#onLesion = onLesion;
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** @param {TrackMarks} marks @param {SizeKind} kind */
  show(marks, kind) {
    this.#marks = marks;
    this.#kind = kind;
    this.#draw();
  }

  /** A fan after a lesion's point, on the same axes; null takes it away. @param {ForecastOut | null} found */
  showForecast(found) {
    if (found === this.#forecast) return;
    this.#forecast = found?.outlook ? found : null;
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
    const kind = this.#kind;
    const series = seriesOf(this.#marks, kind);
    if (series.length === 0) {
      const words = kind === "long_mm" && this.#marks.hasVolumes
        ? "No mark of this patient has diameters: Volumes shows what the network measured."
        : "No lesion of this patient has a size.";
      this.element.replaceChildren(make("p", { className: "faint", textContent: words }));
      return;
    }
    const fan = this.#forecast?.measure === kind ? fanOf(this.#forecast, series) : null;
    const scale = scaleOf(this.#marks, { series, fan }, [width, height]);
    const title = kind === "long_mm" ? `Long diameters of ${series.length} tracks in mm` : `Measured volumes of ${series.length} tracks, estimated`;
    const plot = makeSvg("svg", { width, height, role: "img", "aria-label": title }, ...axes(this.#marks, scale, { size: [width, height], kind }));
    if (fan !== null) plot.append(fanBands(fan, scale));
    for (const one of series) plot.append(this.#line(one, scale));
    plot.append(...endLabels(series, scale, fan));
    this.element.replaceChildren(plot);
  }

  /** @param {Series} options @param {Scale} scale */
  #line({ track, points, isTarget }, scale) {
    const at = points.map((point) => [scale.x(point.column), scale.y(point.size)]);
    const colour = trackColour(track);
    const group = makeSvg("g", { class: isTarget ? "series target" : "series" });
    group.dataset.track = track.track_id;
    group.append(makeSvg("path", { d: `M${at.map((place) => place.join(" ")).join("L")}`, fill: "none", style: { stroke: colour } }));
    for (const [place, point] of points.entries()) {
      if (point.interval !== null) group.append(range(at[place][0], point.interval, scale, colour));
      const dot = makeSvg("circle", { cx: at[place][0], cy: at[place][1], r: isTarget ? 4.5 : 3.5, style: { fill: colour } });
      dot.append(makeSvg("title", {}, `${track.track_id}, ${point.studyId}: ${point.words}`));
      dot.addEventListener("click", () => this.#onLesion(point.lesionId));
      group.append(dot);
    }
    return group;
  }
}

/**
 * Time to scale where every study has a date, else a step a study; room on the right for a fan.
 * @param {TrackMarks} marks @param {{ series: Series[], fan: Fan | null }} drawn @param {[number, number]} size @returns {Scale}
 */
function scaleOf(marks, { series, fan }, [width, height]) {
  const days = marks.document.studies.map(({ study_date: day }) => Date.parse(day ?? ""));
  const dated = marks.document.ordered_by === "study_date" && days.every(Number.isFinite) && days[days.length - 1] > days[0];
  const times = dated ? days : days.map((_, column) => column);
  const usual = (times[times.length - 1] - times[0]) / Math.max(times.length - 1, 1) || 1;
  const ahead = (/** @type {FanStep} */ { days: after, place }) => (dated && after !== null ? after * DAY_MS : place * usual);
  const last = Math.max(times[times.length - 1], ...(fan?.steps.map((step) => times[fan.from.column] + ahead(step)) ?? []));
  const span = last - times[0] || 1;
  const measured = Math.max(...series.flatMap(({ points }) => points.map(({ size }) => size)));
  const reached = Math.max(...series.flatMap(({ points }) => points.map(({ interval }) => interval?.[1] ?? 0)));
  const highest = Math.max(reached, ...(fan?.steps.flatMap(({ ranges }) => ranges.map(({ high }) => high)) ?? []));
  const largest = Math.max(measured, Math.min(highest, MOST_GROWN * measured));
  const step = stepOf(largest);
  const top = Math.ceil((largest * 1.02) / step) * step;
  const inner = width - MARGIN.left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  return {
    step,
    top,
    x: (column) => MARGIN.left + (times.length === 1 && fan === null ? inner / 2 : ((times[column] - times[0]) / span) * inner),
    ahead: (column, step) => MARGIN.left + ((times[column] + ahead(step) - times[0]) / span) * inner,
    y: (size) => MARGIN.top + tall * (1 - Math.min(size, top) / top),
  };
}

/** The fan of a forecast from the point that it starts at; null without one. @param {ForecastOut | null} found @param {Series[]} series @returns {Fan | null} */
function fanOf(found, series) {
  if (found === null) return null;
  const home = series.find(({ points }) => points.some(({ lesionId: id }) => id === found.lesion.lesion_id));
  const from = home?.points.find(({ lesionId: id }) => id === found.lesion.lesion_id);
  if (home === undefined || from === undefined) return null;
  const steps = found.fan.map(({ days, median, ranges }, place) => ({ days, median, ranges, place: place + 1 }));
  return { track: home.track, from, steps };
}

/** Bands of what may follow, the widest first, and the median. @param {Fan} fan @param {Scale} scale */
function fanBands({ track, from, steps }, scale) {
  const start = `${scale.x(from.column)} ${scale.y(from.size)}`;
  const levels = [...new Set(steps.flatMap(({ ranges }) => ranges.map(({ level_pct: level }) => level)))].sort((a, b) => b - a);
  const bands = levels.map((level) => {
    const edges = steps.flatMap((step) => step.ranges.filter(({ level_pct: one }) => one === level).map(({ low, high }) => ({ x: scale.ahead(from.column, step), low, high })));
    const up = edges.map(({ x, high }) => `${x} ${scale.y(high)}`);
    const down = edges.reverse().map(({ x, low }) => `${x} ${scale.y(low)}`);
    return makeSvg("path", { class: "fan-band", d: `M${start}L${[...up, ...down].join("L")}Z` });
  });
  const last = steps[steps.length - 1];
  const ahead = last === undefined ? "" : last.days === null ? `${last.place} studies on` : `+${last.days.toFixed(0)} days`;
  const told = makeSvg("text", { x: last === undefined ? 0 : scale.ahead(from.column, last), y: scale.y(0) + 18, "text-anchor": "end" }, ahead);
  const median = steps.map((step) => `${scale.ahead(from.column, step)} ${scale.y(step.median)}`);
  const group = makeSvg("g", { class: "track-fan", style: { color: trackColour(track) } }, ...bands, makeSvg("path", { class: "fan-median", d: `M${start}L${median.join("L")}` }), told);
  group.append(makeSvg("title", {}, `Forecast of ${track.track_id}: bands hold ${levels.join(", ")} % of similar lesions`));
  return group;
}

/** The interval of a measured size, as a thin line. @param {number} x @param {[number, number]} interval @param {Scale} scale @param {string} colour */
function range(x, [low, high], scale, colour) {
  return makeSvg("line", { x1: x, x2: x, y1: scale.y(low), y2: scale.y(high), class: "range", style: { stroke: colour } });
}

/** @param {TrackMarks} marks @param {Scale} scale @param {{ size: [number, number], kind: SizeKind }} drawn */
function axes(marks, scale, { size: [width, height], kind }) {
  const parts = [];
  for (let size = 0; size <= scale.top; size += scale.step) {
    const y = scale.y(size);
    parts.push(makeSvg("line", { x1: MARGIN.left, x2: width - MARGIN.right + 8, y1: y, y2: y, class: "grid" }));
    parts.push(makeSvg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, axisText(size, scale.top, kind)));
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
 * @param {Series[]} series @param {Scale} scale @param {Fan | null} fan
 */
function endLabels(series, scale, fan) {
  const labels = series.map(({ track, points }) => {
    const last = points[points.length - 1];
    // A fan begins where the name would stand.
    const isBegun = fan !== null && fan.track === track && fan.from.column === last.column;
    return { track, x: scale.x(last.column) + (isBegun ? -4 : 9), y: scale.y(last.size) + (isBegun ? -11 : 4) };
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
