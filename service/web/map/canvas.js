// Thousands of points on a canvas: zoom, pan, and which one is under the pointer.

import { contextOf, make } from "../core/dom.js";
import { MapDots } from "./dots.js";
import { paintLasso, placesWithin } from "./lasso.js";

/** @typedef {import("../viewer/projection.js").Pair} Pair */

const MARGIN_PX = 36;
const PICK_PX = 12;
const CELLS = 64;
const MOST_ZOOM = 60;
const CLICK_PX = 4;

/** Draws points with x, y in [0, 1]. Events: `hover` and `pick` with a point's place or null, `lasso`
 * with the places within one. */
export class MapCanvas extends EventTarget {
  element = make("canvas", { tabIndex: 0, role: "img", "aria-label": "Map of the lesions; arrows walk from lesion to lesion" });
  /** @type {MapPoint[]} */
  #points = [];
  /** @type {string[]} */
  #colours = [];
  /** @type {boolean[]} */
  #shown = [];
  #cells = new Map();
  #dots = new MapDots();
  #isStale = true;
  /** @type {[number, number]} */
  #size = [1, 1];
  /** @type {[number, number]} */
  #center = [0.5, 0.5];
  #zoom = 1;
  /** @type {number | null} */
  #hovered = null;
  /** @type {number | null} */
  #marked = null;
  /** @type {{ at: [number, number], moved: number } | null} */
  #press = null;
  #pending = false;
  /** The lasso on the screen while it is drawn. @type {[number, number][]} */
  #lasso = [];
  /** Whether a drag draws a lasso instead of moving the map. */
  isLassoing = false;

  constructor() {
    super();
    const canvas = this.element;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  /** The points, as {x, y, patient_id}. @param {MapPoint[]} points */
  setPoints(points) {
    this.#points = points;
    this.#cells.clear();
    for (const [place, point] of points.entries()) {
      const cell = cellOf(point.x, point.y);
      if (!this.#cells.has(cell)) this.#cells.set(cell, []);
      this.#cells.get(cell).push(place);
    }
    this.repaint();
  }

  /** Their colours, and which of them are shown. @param {string[]} colours @param {boolean[]} shown */
  setLook(colours, shown) {
    this.#colours = colours;
    this.#shown = shown;
    this.repaint();
  }

  /** Rings one point, null none. @param {number | null} place */
  mark(place) {
    this.#marked = place;
    this.paint();
  }

  /** Makes one point the one under the pointer. @param {number | null} place */
  hover(place) {
    if (place === this.#hovered) return;
    this.#hovered = place;
    this.element.dataset.over = place === null ? "" : "point";
    this.dispatchEvent(new CustomEvent("hover", { detail: place }));
    this.paint();
  }

  get hovered() {
    return this.#hovered;
  }

  /** [x, y, zoom], the form kept in the URL. */
  get place() {
    return [...this.#center, this.#zoom];
  }

  set place([x, y, zoom]) {
    this.#center = [x, y];
    this.#zoom = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    this.repaint();
  }

  /** Zooms about a point of the screen. @param {number} factor */
  zoom(factor, at = this.#middle()) {
    const before = this.#toMap(at);
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 1), MOST_ZOOM);
    const after = this.#toMap(at);
    this.#center = [this.#center[0] + before[0] - after[0], this.#center[1] + before[1] - after[1]];
    if (this.#zoom === 1) this.#center = [0.5, 0.5];
    this.#settled();
  }

  /** @returns {[number, number]} */
  #middle() {
    return [this.#size[0] / 2, this.#size[1] / 2];
  }

  /** Where a point stands on the canvas. @param {number} place */
  screenOf(place) {
    const { x, y } = this.#points[place];
    return this.#toScreen([x, y]);
  }

  /**
   * The nearest shown point in a direction from another; the one in the middle to begin with.
   * @param {number | null} from @param {[number, number]} pair
   */
  walk(from, [dx, dy]) {
    const start = from === null ? this.#middle() : this.screenOf(from);
    let best = null;
    let least = Infinity;
    for (const place of this.#points.keys()) {
      if (!this.#shown[place] || place === from) continue;
      const [left, top] = this.screenOf(place);
      const along = (left - start[0]) * dx + (top - start[1]) * dy;
      const across = Math.abs((left - start[0]) * dy) + Math.abs((top - start[1]) * dx);
      if (from !== null && along < 1) continue;
      const cost = from === null ? Math.hypot(left - start[0], top - start[1]) : along + 2.5 * across;
      if (cost < least) [best, least] = [place, cost];
    }
    return best;
  }

  /** Paints all of it; `paint` leaves the dots as they are. */
  repaint() {
    this.#isStale = true;
    this.paint();
  }

  paint() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#paintNow();
    });
  }

  #scale() {
    return (Math.min(...this.#size) - 2 * MARGIN_PX) * this.#zoom;
  }

  /** @param {readonly [number, number]} point @returns {[number, number]} */
  #toScreen([x, y]) {
    const scale = this.#scale();
    return [(x - this.#center[0]) * scale + this.#size[0] / 2, (y - this.#center[1]) * scale + this.#size[1] / 2];
  }

  /** @param {readonly [number, number]} at @returns {[number, number]} */
  #toMap([left, top]) {
    const scale = this.#scale();
    return [(left - this.#size[0] / 2) / scale + this.#center[0], (top - this.#size[1] / 2) / scale + this.#center[1]];
  }

  #resize() {
    const { clientWidth, clientHeight } = this.element;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.#size = [clientWidth, clientHeight];
    this.element.width = Math.round(clientWidth * devicePixelRatio);
    this.element.height = Math.round(clientHeight * devicePixelRatio);
    this.#isStale = true;
    this.#paintNow();
  }

  #radius() {
    const crowded = Math.sqrt(9000 / Math.max(this.#points.length, 1));
    return Math.min(Math.max(crowded, 2.2), 6) * Math.min(1 + Math.log2(this.#zoom) / 6, 1.8);
  }

  #paintNow() {
    const [width, height] = this.#size;
    const radius = this.#radius();
    const { element } = this;
    if (this.#isStale) this.#dots.paint(element.width, element.height, radius * devicePixelRatio, this.#visible());
    this.#isStale = false;
    const context = contextOf(element);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    const focus = this.#hovered ?? this.#marked;
    if (focus !== null) this.#paintPatient(context, focus);
    this.#dots.copyTo(context, width, height);
    for (const place of [this.#marked, this.#hovered]) {
      if (place !== null) this.#paintRing(context, place, radius);
    }
    paintLasso(context, this.#lasso);
  }

  /** The shown points that are seen, as dots in device pixels: many thousand a frame, so without a detour. */
  #visible() {
    const scale = this.#scale() * devicePixelRatio;
    const [left, top] = [(this.#size[0] / 2) * devicePixelRatio, (this.#size[1] / 2) * devicePixelRatio];
    const [width, height] = [2 * left + MARGIN_PX, 2 * top + MARGIN_PX];
    const [x, y] = this.#center;
    /** @type {[number, number, string][]} */
    const dots = [];
    for (let place = 0; place < this.#points.length; place += 1) {
      if (!this.#shown[place]) continue;
      const point = this.#points[place];
      const across = (point.x - x) * scale + left;
      const down = (point.y - y) * scale + top;
      if (across > -MARGIN_PX && down > -MARGIN_PX && across < width && down < height) dots.push([across, down, this.#colours[place]]);
    }
    return dots;
  }

  /** @param {CanvasRenderingContext2D} context @param {number} place */
  #paintPatient(context, place) {
    const patient = this.#points[place].patient_id;
    const from = this.screenOf(place);
    context.strokeStyle = "rgba(230, 235, 241, 0.4)";
    context.lineWidth = 1;
    context.beginPath();
    for (const [other, point] of this.#points.entries()) {
      if (point.patient_id !== patient || other === place || !this.#shown[other]) continue;
      context.moveTo(...from);
      context.lineTo(...this.screenOf(other));
    }
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {number} place @param {number} radius */
  #paintRing(context, place, radius) {
    const [left, top] = this.screenOf(place);
    context.beginPath();
    context.arc(left, top, radius + 4, 0, 2 * Math.PI);
    context.lineWidth = 2;
    context.strokeStyle = place === this.#marked ? "#f2cc60" : "#ffffff";
    context.stroke();
  }

  /** @param {Pair} at */
  #nearest(at) {
    const reach = PICK_PX / this.#scale();
    const [x, y] = this.#toMap(at);
    let best = null;
    let least = reach;
    const cells = Math.ceil(reach * CELLS);
    for (let row = -cells; row <= cells; row += 1) {
      for (let column = -cells; column <= cells; column += 1) {
        for (const place of this.#cells.get(cellOf(x + column / CELLS, y + row / CELLS)) ?? []) {
          const distance = Math.hypot(this.#points[place].x - x, this.#points[place].y - y);
          if (this.#shown[place] && distance <= least) [best, least] = [place, distance];
        }
      }
    }
    return best;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    this.element.setPointerCapture(event.pointerId);
    this.#press = { at: [event.offsetX, event.offsetY], moved: 0 };
    this.#lasso = this.isLassoing ? [[event.offsetX, event.offsetY]] : [];
  }

  /** @param {PointerEvent} event */
  #move(event) {
    /** @type {[number, number]} */
    const at = [event.offsetX, event.offsetY];
    if (this.#press === null) {
      this.hover(this.#nearest(at));
      return;
    }
    const [dx, dy] = [at[0] - this.#press.at[0], at[1] - this.#press.at[1]];
    this.#press.moved += Math.abs(dx) + Math.abs(dy);
    this.#press.at = at;
    if (this.#lasso.length > 0) {
      this.#lasso.push(at);
      this.paint();
      return;
    }
    if (this.#press.moved <= CLICK_PX) return;
    const scale = this.#scale();
    this.#center = [this.#center[0] - dx / scale, this.#center[1] - dy / scale];
    this.hover(null);
    this.repaint();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (this.#press === null) return;
    const isClick = this.#press.moved <= CLICK_PX;
    this.#press = null;
    const lasso = this.#lasso;
    this.#lasso = [];
    if (lasso.length > 1 && !isClick) {
      const places = placesWithin(this.#points, this.#shown, lasso.map((one) => this.#toMap(one)));
      this.dispatchEvent(new CustomEvent("lasso", { detail: places }));
      this.paint();
      return;
    }
    if (!isClick) this.#settled();
    const place = this.#nearest([event.offsetX, event.offsetY]);
    if (isClick && place !== null) this.dispatchEvent(new CustomEvent("pick", { detail: place }));
  }

  /** @param {WheelEvent} event */
  #turn(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
  }

  #settled() {
    this.repaint();
    this.dispatchEvent(new CustomEvent("settled"));
  }
}

/** @param {number} x @param {number} y */
function cellOf(x, y) {
  return `${Math.floor(x * CELLS)},${Math.floor(y * CELLS)}`;
}
