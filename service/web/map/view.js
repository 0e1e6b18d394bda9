// Map: every indexed lesion as a point, near where it looks alike; a click searches from it.

import { getJson } from "../core/api.js";
import { can } from "../core/capabilities.js";
import { button, listenTo, make } from "../core/dom.js";
import { patchPicture, plural, sizeText, typeLabel } from "../core/lesion_facts.js";
import { change, go, keep } from "../core/route.js";
import { emptyState, errorState, loadingState } from "../core/states.js";
import { chosenPanel } from "./chosen.js";
import { MapCanvas } from "./canvas.js";
import { COLOURINGS, coloursOf, legendOf } from "./colours.js";
import { Tagging } from "./tagging.js";

/** @typedef {import("../core/route.js").Params} Params */

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WHOLE = [0.5, 0.5, 1];
const TIP_WIDTH = 190;
const TIP_HEIGHT = 250;

/** The view; `show` brings it to the state of the URL. */
export class MapView {
  /** @type {Record<string, string>} */
  #params = {};
  /** @type {MapPoint[]} */
  #points = [];
  #isLoaded = false;
  #method = "";
  #total = 0;
  /** The places within the last lasso. @type {number[]} */
  #chosen = [];
  #isOnly = false;
  /** Of each point. @type {boolean[]} */
  #shown = [];
  #tagging = new Tagging();
  #lassoButton = button("Lasso", { sign: "lasso", run: () => this.#lasso(), className: "plain small", title: "Drag around lesions (l)", "aria-pressed": "false" });
  #loading = false;
  #canvas = new MapCanvas();
  #tip = make("div", { className: "tip", hidden: true });
  #cover = make("div", { className: "cover" });
  #side = make("aside", { className: "map-side", "aria-label": "Colours of the map" });

  constructor() {
    const plot = make("section", { className: "plot", "aria-label": "Map of lesions" }, this.#canvas.element, this.#tip, this.#cover);
    this.element = make("main", { className: "view map", tabIndex: -1, id: "map" }, this.#side, plot);
    listenTo(this.#canvas, "hover", (place) => this.#showTip(place));
    listenTo(this.#canvas, "pick", (place) => this.#search(place));
    listenTo(this.#canvas, "lasso", (places) => this.#choose(places));
    this.#canvas.addEventListener("settled", () => this.#keepPlace());
  }

  /** Keys of this view. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    const walks = Object.keys(ARROWS);
    return [
      { keys: walks, shown: ["←", "→", "↑", "↓"], words: "Walk from lesion to lesion", run: ({ key }) => this.#walk(ARROWS[key]) },
      { keys: ["Enter"], words: "Search from this lesion", run: () => this.#search(this.#canvas.hovered) },
      { keys: ["l"], words: "Lasso: drag around lesions", run: () => this.#lasso() },
      { keys: ["s"], words: "Choose every lesion that is shown", run: () => this.#chooseShown() },
      { keys: ["c"], words: "Next colouring", run: () => this.#nextColouring() },
      { keys: ["+", "="], shown: ["+"], words: "Larger (or wheel)", run: () => this.#canvas.zoom(1.4) },
      { keys: ["-"], words: "Smaller", run: () => this.#canvas.zoom(1 / 1.4) },
      { keys: ["f"], words: "Whole map", run: () => this.#fit() },
      { keys: ["Escape"], shown: ["Esc"], words: "Let go of the lesion, of the chosen ones", run: () => this.#letGo() },
    ];
  }

  /** Brings the view to the state of the URL. @param {Params} params */
  show(params) {
    this.#params = params;
    const place = (params.at ?? "").split(",").map(Number);
    this.#canvas.place = place.length === 3 && place.every(Number.isFinite) ? place : WHOLE;
    if (!this.#isLoaded) this.#load();
    else this.#draw();
  }

  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    this.#setCover(loadingState("Drawing the map"));
    try {
      const map = await getJson("v1/map?limit=50000");
      this.#points = map.points;
      this.#isLoaded = true;
      this.#method = map.method;
      this.#total = map.total;
      this.#canvas.setPoints(map.points);
      this.#setCover(map.points.length > 0 ? null : emptyState("map", "The map is empty", "Add lesions to the index with: lesion-search index add"));
      this.#draw();
    } catch (error) {
      this.#setCover(errorState(error, () => this.#load()));
    } finally {
      this.#loading = false;
    }
  }

  #draw() {
    const colouring = this.#params.colour in COLOURINGS ? this.#params.colour : "type";
    const hidden = new Set(colouring === "type" && this.#params.without ? this.#params.without.split(",") : []);
    const chosen = new Set(this.#chosen);
    this.#shown = this.#points.map(({ lesion_type: type }, place) => !hidden.has(type) && (!this.#isOnly || chosen.has(place)));
    this.#canvas.setLook(coloursOf(this.#points, colouring), this.#shown);
    const marked = this.#points.findIndex(({ lesion_id: id }) => id === this.#params.lesion);
    this.#canvas.mark(marked === -1 ? null : marked);
    this.#drawSide(colouring, hidden);
  }

  /** @param {string} colouring @param {Set<string>} hidden */
  #drawSide(colouring, hidden) {
    const hasCategories = this.#points.some(({ category }) => category !== null);
    const choices = Object.entries(COLOURINGS).filter(([name]) => name !== "category" || hasCategories).map(([name, words]) => {
      const choice = button(words, { run: () => change({ colour: name }, { replace: true }), className: "preset" });
      choice.setAttribute("aria-pressed", String(name === colouring));
      return choice;
    });
    const onToggle = (/** @type {string} */ type) => {
      const without = hidden.has(type) ? [...hidden].filter((one) => one !== type) : [...hidden, type];
      change({ without: without.join(",") || null }, { replace: true });
    };
    const chosenPoints = this.#chosen.map((place) => this.#points[place]);
    this.#tagging.use(chosenPoints.map(({ lesion_id: id }) => id));
    const all = this.#total > this.#points.length ? `${this.#points.length.toLocaleString("en")} of ` : "";
    const facts = `${all}${plural(this.#total, "lesion")} by ${this.#method.toUpperCase()}. Near points look alike to the encoder; the axes have no unit.`;
    this.#side.replaceChildren(
      make("h2", { textContent: "Colour" }),
      make("div", { className: "group segmented", role: "group", "aria-label": "Colour by" }, ...choices),
      legendOf(this.#points, colouring, { hidden, onToggle }),
      make("p", { className: "faint", textContent: facts }),
      make("p", { className: "faint", textContent: "Hover for the lesion, click to search from it." }),
      make("div", { className: "actions" },
        this.#lassoButton,
        button("All shown", { run: () => this.#chooseShown(), className: "plain small", title: "Choose every lesion that is shown (s)" }),
        button("Whole map", { sign: "fit", run: () => this.#fit(), className: "plain small", title: "Whole map (f)" }),
      ),
      this.#chosen.length === 0 ? "" : chosenPanel(chosenPoints, {
        tagging: can().write ? this.#tagging.element : null,
        isOnly: this.#isOnly,
        onOnly: () => { this.#isOnly = !this.#isOnly; this.#draw(); },
        onClear: () => this.#letGo(),
      }),
    );
  }

  /** @param {number | null} place */
  #showTip(place) {
    this.#tip.hidden = place === null;
    if (place === null) return;
    const point = this.#points[place];
    const lesion = { ...point, short_mm: null };
    this.#tip.replaceChildren(
      patchPicture(lesion, { size: 170, eager: true }),
      make("p", { className: "line" }, typeLabel(point.lesion_type), make("span", { textContent: sizeText(lesion) })),
      make("p", { className: "faint", textContent: `patient ${point.patient_id}` }),
    );
    const [left, top] = this.#canvas.screenOf(place);
    const { clientWidth, clientHeight } = this.#canvas.element;
    const x = left + 18 + TIP_WIDTH > clientWidth ? left - 18 - TIP_WIDTH : left + 18;
    const y = Math.min(Math.max(top - TIP_HEIGHT / 2, 8), clientHeight - TIP_HEIGHT - 8);
    this.#tip.style.setProperty("translate", `${Math.round(x)}px ${Math.round(y)}px`);
  }

  #lasso() {
    this.#canvas.isLassoing = !this.#canvas.isLassoing;
    this.#canvas.element.dataset.tool = this.#canvas.isLassoing ? "lasso" : "";
    this.#lassoButton.setAttribute("aria-pressed", String(this.#canvas.isLassoing));
  }

  /** @param {number[]} places */
  #choose(places) {
    this.#chosen = places;
    this.#isOnly = false;
    this.#draw();
  }

  /** What a lasso does with a pointer, without one. */
  #chooseShown() {
    this.#choose([...this.#shown.keys()].filter((place) => this.#shown[place]));
  }

  #letGo() {
    this.#canvas.hover(null);
    this.#choose([]);
  }

  /** @param {number | null} place */
  #search(place) {
    if (place === null) return false;
    go("search", { lesion: this.#points[place].lesion_id });
    return true;
  }

  /** @param {[number, number]} direction */
  #walk(direction) {
    const place = this.#canvas.walk(this.#canvas.hovered, direction);
    if (place !== null) this.#canvas.hover(place);
  }

  #nextColouring() {
    const names = Object.keys(COLOURINGS);
    const place = names.indexOf(this.#params.colour ?? "type");
    change({ colour: names[(place + 1) % names.length] }, { replace: true });
  }

  #fit() {
    this.#canvas.place = WHOLE;
    this.#keepPlace();
  }

  #keepPlace() {
    const [x, y, zoom] = this.#canvas.place;
    const at = zoom === 1 ? null : [x.toFixed(4), y.toFixed(4), zoom.toFixed(2)].join(",");
    this.#params = { ...this.#params, at: at ?? "" };
    keep({ at });
  }

  /** @param {Node | null} state */
  #setCover(state) {
    this.#cover.hidden = state === null;
    this.#cover.replaceChildren(...(state === null ? [] : [state]));
  }
}
