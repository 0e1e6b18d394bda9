// What is likely to happen to a lesion: a fan from its last study, or why that cannot be said.

import { getJson, lesionPath, messageOf } from "../core/api.js";
import { button, make, makeSvg } from "../core/dom.js";
import { signed, typeLabel } from "../core/lesion_facts.js";
import { rove } from "../core/roving.js";
import { address } from "../core/route.js";
import { loadingState } from "../core/states.js";

const SIZE = { width: 330, height: 150, left: 44, right: 12, top: 12, bottom: 22 };
/** The range that is told in words, in percent. */
const TOLD_PCT = 80;

/** Neighbours whose courses are told. */
const MOST_CASES = 6;

/** A place for the forecast of one lesion, asked for by its button. */
export class Forecast {
  #id = "";
  #onFound;
  #body = make("div", { className: "forecast-body", "aria-live": "polite" });
  #ask = button("Forecast", { run: () => this.ask(), className: "plain small", title: "The likely size at the next study (p)" });
  element = make("section", { className: "forecast", "aria-label": "Forecast" }, this.#ask, this.#body);

  /** @param {(found: ForecastOut | null) => void} onFound hears a forecast, null once it is let go */
  constructor(onFound) {
    this.#onFound = onFound;
  }

  /** @param {string} lesionId */
  use(lesionId) {
    if (lesionId === this.#id) return;
    this.#onFound(null);
    this.#id = lesionId;
    this.#ask.hidden = false;
    this.#body.replaceChildren();
  }

  /** Asks the service; a service without forecasts takes the button away. */
  async ask() {
    const id = this.#id;
    if (id === "") return;
    this.#body.replaceChildren(loadingState("Looking at similar courses"));
    try {
      /** @type {ForecastOut} */
      const found = await getJson(lesionPath(id, "/forecast"));
      if (id !== this.#id) return;
      this.#body.replaceChildren(...partsOf(found));
      this.#onFound(found);
    } catch (error) {
      if (id === this.#id) this.#body.replaceChildren(make("p", { className: "problem", role: "alert", textContent: messageOf(error) }));
    }
    if (id === this.#id) this.#ask.hidden = true;
  }
}

/** @param {ForecastOut} found */
function partsOf(found) {
  const { outlook, reason, neighbours, notice, caveats } = found;
  const small = make("details", { className: "warning" }, make("summary", { textContent: notice }), ...caveats.map((words) => make("p", { textContent: words })));
  if (outlook === null) return [make("p", { className: "faint", textContent: `No forecast: ${reason ?? "not known why"}` }), small];
  return [
    make("p", { textContent: outlookWords(found) }),
    make("p", { className: "faint", textContent: `Grows by ${outlook.growth_pct} % or more: p ${outlook.growth_probability.toFixed(2)}; shrinks by ${outlook.shrinkage_pct} % or more: p ${outlook.shrinkage_probability.toFixed(2)}. From ${neighbours.count} similar lesions.` }),
    fanPlot(found),
    casesList(found),
    small,
  ];
}

/** `At the next study: 14.2 mm (+8 %), 80 %: 9.1 to 20.4 mm`. @param {ForecastOut} found */
export function outlookWords({ outlook, horizon, measure }) {
  if (outlook === null) return "";
  const unit = measure === "long_mm" ? "mm" : "mm³";
  const when = horizon.kind === "days" && horizon.days !== null ? `After ${horizon.days.toFixed(0)} days` : "At the next study";
  const range = outlook.ranges.find(({ level_pct: level }) => level === TOLD_PCT) ?? outlook.ranges[0];
  const within = range === undefined ? "" : `, ${range.level_pct} %: ${range.low.toFixed(1)} to ${range.high.toFixed(1)} ${unit}`;
  return `${when}: ${outlook.median.toFixed(1)} ${unit} (${signed(outlook.median_pct, 0, "%")})${within}`;
}

/** The similar lesions that it rests on, each a link to its own course. @param {ForecastOut} found */
function casesList({ neighbours: { cases } }) {
  const rows = cases.slice(0, MOST_CASES).map((one) => make(
    "li", {},
    make(
      "a", { className: "row case-row", href: caseAddress(one), title: "Its own course" },
      typeLabel(one.lesion_type),
      make("span", { textContent: `patient ${one.patient_id}` }),
      make("span", { className: "number", textContent: signed(one.change_pct, 0, "%") }),
      make("span", { className: "faint number", textContent: one.days === null ? "next study" : `${one.days.toFixed(0)} days` }),
    ),
  ));
  const home = make("ul", { className: "cases", "aria-label": "Courses of similar lesions" }, ...rows);
  rove(home, "a", { keys: "vertical" });
  return make("div", {}, make("h3", { textContent: "What became of similar lesions" }), home);
}

/** The patient of a neighbour, with the step that counted as the pair. @param {NeighbourCaseOut} one */
export function caseAddress({ patient_id: id, lesion_id: a, course }) {
  const next = course.find(({ step }) => step === 1);
  return address("patient", { id, a, b: next?.lesion_id ?? null });
}

/** The course so far as a line, what may follow as bands. @param {ForecastOut} found */
function fanPlot({ course, fan, measure }) {
  const steps = fan.map((one, place) => ({ ...one, at: one.days ?? place + 1 }));
  const past = course.map((one, place) => ({ size: one.size, at: one.days ?? place - course.length + 1 }));
  const largest = Math.max(...past.map(({ size }) => size), ...steps.flatMap(({ ranges }) => ranges.map(({ high }) => high)));
  const [first, last] = [Math.min(0, ...past.map(({ at }) => at)), Math.max(...steps.map(({ at }) => at), 1)];
  const x = (/** @type {number} */ at) => SIZE.left + ((at - first) / (last - first)) * (SIZE.width - SIZE.left - SIZE.right);
  const y = (/** @type {number} */ size) => SIZE.height - SIZE.bottom - (size / largest) * (SIZE.height - SIZE.top - SIZE.bottom);
  const start = past.at(-1)?.size ?? 0;
  const levels = [...new Set(steps.flatMap(({ ranges }) => ranges.map(({ level_pct: level }) => level)))].sort((a, b) => b - a);
  const bands = levels.map((level) => {
    const edges = steps.flatMap(({ at, ranges }) => ranges.filter(({ level_pct: one }) => one === level).map(({ low, high }) => ({ at, low, high })));
    const up = edges.map(({ at, high }) => `${x(at)} ${y(high)}`);
    const down = edges.reverse().map(({ at, low }) => `${x(at)} ${y(low)}`);
    return makeSvg("path", { class: "fan-band", d: `M${x(0)} ${y(start)}L${[...up, ...down].join("L")}Z` });
  });
  const line = makeSvg("path", { class: "fan-course", d: `M${past.map(({ at, size }) => `${x(at)} ${y(size)}`).join("L")}` });
  const median = makeSvg("path", { class: "fan-median", d: `M${x(0)} ${y(start)}L${steps.map(({ at, median: size }) => `${x(at)} ${y(size)}`).join("L")}` });
  const dots = past.map(({ at, size }) => makeSvg("circle", { cx: x(at), cy: y(size), r: 3 }));
  const words = [
    makeSvg("text", { x: SIZE.left - 6, y: y(largest) + 4, "text-anchor": "end" }, largest.toFixed(0)),
    makeSvg("text", { x: SIZE.left - 6, y: y(0) + 4, "text-anchor": "end" }, measure === "long_mm" ? "0 mm" : "0 mm³"),
    makeSvg("text", { x: x(0), y: SIZE.height - 6, "text-anchor": "middle" }, "now"),
  ];
  const label = `Course and forecast; bands hold ${levels.join(", ")} % of similar lesions`;
  return makeSvg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": label, class: "fan" }, ...bands, line, median, ...dots, ...words);
}
