// What is likely to happen to a lesion, in words; the fan stands on its track (diameter_plot.js).

import { getJson, lesionPath, messageOf } from "../core/api.js";
import { button, make } from "../core/dom.js";
import { signed, typeLabel } from "../core/lesion_facts.js";
import { volumeText } from "../core/measured_sizes.js";
import { rove } from "../core/roving.js";
import { address } from "../core/route.js";
import { loadingState } from "../core/states.js";

/** The range that is told in words, in percent. */
const TOLD_PCT = 80;

/** Neighbours whose courses are told. */
const MOST_CASES = 6;

/** A place for the forecast of one lesion, asked for by its button. */
export class Forecast {
  #id = "";
  #onFound;
  /** What the forecast is of. @type {import("./sizes.js").SizeKind} */
  #measure = "long_mm";
  #body = make("div", { className: "forecast-body", "aria-live": "polite" });
  #ask = button("Forecast", { run: () => this.ask(), className: "plain small", title: "The likely size at the next study (p)" });
  element = make("section", { className: "forecast", "aria-label": "Forecast" }, this.#ask, this.#body);

  /** @param {(found: ForecastOut | null) => void} onFound hears a forecast, null once it is let go */
  constructor(onFound) {
    this.#onFound = onFound;
  }

  /** Diameters or volumes: of the other there is no forecast yet. @param {import("./sizes.js").SizeKind} kind */
  set measure(kind) {
    if (kind === this.#measure) return;
    this.#measure = kind;
    this.#forget();
  }

  /** @param {string} lesionId */
  use(lesionId) {
    if (lesionId === this.#id) return;
    this.#id = lesionId;
    this.#forget();
  }

  #forget() {
    this.#onFound(null);
    this.#ask.hidden = false;
    this.#body.replaceChildren();
  }

  /** Asks the service; a service without forecasts takes the button away. */
  async ask() {
    const [id, kind] = [this.#id, this.#measure];
    if (id === "") return;
    this.#body.replaceChildren(loadingState("Looking at similar courses"));
    try {
      /** @type {ForecastOut} */
      const found = await getJson(lesionPath(id, kind === "long_mm" ? "/forecast" : `/forecast?measure=${kind}`));
      if (id !== this.#id || kind !== this.#measure) return;
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
    casesList(found),
    small,
  ];
}

/** `At the next study: 14.2 mm (+8 %), 80 %: 9.1 to 20.4 mm`. @param {ForecastOut} found */
export function outlookWords({ outlook, horizon, measure }) {
  if (outlook === null) return "";
  const shown = (/** @type {number} */ size) => (measure === "long_mm" ? `${size.toFixed(1)} mm` : volumeText(size));
  const when = horizon.kind === "days" && horizon.days !== null ? `After ${horizon.days.toFixed(0)} days` : "At the next study";
  const range = outlook.ranges.find(({ level_pct: level }) => level === TOLD_PCT) ?? outlook.ranges[0];
  const within = range === undefined ? "" : `, ${range.level_pct} %: ${shown(range.low)} to ${shown(range.high)}`;
  return `${when}: ${shown(outlook.median)} (${signed(outlook.median_pct, 0, "%")})${within}`;
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
