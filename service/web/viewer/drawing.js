// Marks drawn on a slice: a box, a RECIST mark (two diameters) or a point, in image pixels.

import { distanceMm } from "./projection.js";

const HANDLE_PX = 8;
const LEAST_PX = 3;
/** How many numbers each kind has in the URL. @type {[MarkKind, number][]} */
const MARK_NUMBERS = [["box", 4], ["recist", 8], ["point", 2]];

/**
 * @typedef {import("./projection.js").Pair} Pair
 * @typedef {import("./projection.js").Projection} Projection
 * @typedef {"box" | "recist" | "point"} MarkKind
 * @typedef {{ kind: MarkKind, points: Pair[] }} Mark
 * @typedef {{ handle: number | null, points?: Pair[], start: Pair, before: Mark | null, fresh: boolean }} Drag
 */

/** The mark being drawn or adjusted by one pointer; `mark` is null or one of the three kinds. */
export class MarkEditor {
  /** @type {Mark | null} */
  #mark = null;
  /** @type {MarkKind} */
  #tool = "box";
  /** @type {Drag | null} */
  #drag = null;

  /** The mark as it stands, complete or not. */
  get mark() {
    return this.#mark;
  }

  /** Another mark, or none. @param {Mark | null} mark */
  setMark(mark) {
    this.#mark = mark;
  }

  /** What the next press draws. @param {MarkKind} tool */
  setTool(tool) {
    this.#tool = tool;
  }

  get isDragging() {
    return this.#drag !== null;
  }

  /** What a press would take hold of: "handle", "inside" or null. @param {Pair} at @param {Projection} projection */
  hover(at, projection) {
    const held = this.#held(at, projection);
    return held === null ? null : held.handle === null ? "inside" : "handle";
  }

  /** The pointer goes down at a point of the screen. @param {Pair} at @param {Projection} projection */
  press(at, projection) {
    const point = projection.toImage(at);
    if (this.#tool === "point") {
      this.#mark = { kind: "point", points: [point] };
      this.#drag = { handle: 0, start: at, before: null, fresh: true };
      return;
    }
    const before = this.#mark;
    const held = this.#held(at, projection);
    if (held !== null) {
      this.#drag = { ...held, start: at, before, fresh: false };
    } else if (this.#tool === "recist" && this.#mark?.kind === "recist" && this.#mark.points.length === 2) {
      this.#mark = { kind: "recist", points: [...this.#mark.points, point, point] };
      this.#drag = { handle: 3, start: at, before, fresh: true };
    } else {
      this.#mark = { kind: this.#tool, points: [point, point] };
      this.#drag = { handle: 1, start: at, before, fresh: true };
    }
  }

  /** The pointer moves while it is down. @param {Pair} at @param {Projection} projection */
  move(at, projection) {
    const point = projection.toImage(at);
    if (this.#drag === null || this.#mark === null) return;
    const { handle, start, points = [] } = this.#drag;
    if (handle === null) {
      const from = projection.toImage(start);
      const [dx, dy] = [point[0] - from[0], point[1] - from[1]];
      this.#mark = { ...this.#mark, points: points.map(([x, y]) => [x + dx, y + dy]) };
      return;
    }
    const moved = [...this.#mark.points];
    moved[handle] = point;
    this.#mark = { ...this.#mark, points: moved };
  }

  /** The pointer goes up; true if the mark is one to search with now. @param {Pair} at */
  release(at) {
    if (this.#drag === null || this.#mark === null) return false;
    const { start, before, fresh } = this.#drag;
    this.#drag = null;
    const moved = Math.hypot(at[0] - start[0], at[1] - start[1]);
    if (this.#mark.kind === "point") return true;
    if (moved < LEAST_PX) {
      this.#mark = before;
      return false;
    }
    if (this.#mark.kind === "box") this.#mark = { kind: "box", points: sorted(this.#mark.points) };
    return fresh ? isComplete(this.#mark) : isComplete(this.#mark) && this.#mark !== before;
  }

  /** Gives up what is being drawn. */
  cancel() {
    if (this.#drag !== null) this.#mark = this.#drag.before;
    this.#drag = null;
  }

  /** @param {Pair} at @param {Projection} projection */
  #held(at, projection) {
    if (this.#mark === null || this.#mark.kind !== this.#tool || this.#tool === "point") return null;
    const points = this.#mark.points;
    const places = handlesOf(this.#mark);
    for (const [handle, place] of places.entries()) {
      const [left, top] = projection.toScreen(place);
      if (Math.hypot(left - at[0], top - at[1]) <= HANDLE_PX) {
        if (this.#mark.kind === "recist") return { handle, points };
        this.#mark = { kind: "box", points: [places[(handle + 2) % 4], place] };
        return { handle: 1, points: this.#mark.points };
      }
    }
    if (this.#mark.kind !== "box") return null;
    const [x, y] = projection.toImage(at);
    const [[x1, y1], [x2, y2]] = sorted(points);
    return x > x1 && x < x2 && y > y1 && y < y2 ? { handle: null, points } : null;
  }
}

/** Whether a mark can be searched with: a box, a point, or both diameters. @param {Mark | null} mark */
export function isComplete(mark) {
  return mark !== null && (mark.kind !== "recist" || mark.points.length === 4);
}

/** Where a mark can be taken hold of, in image pixels. @param {Mark} mark @returns {Pair[]} */
export function handlesOf(mark) {
  if (mark.kind !== "box") return mark.points;
  const [[x1, y1], [x2, y2]] = mark.points;
  return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
}

/** The mark as the service takes it: {box}, {recist} or {point}, to a tenth of a pixel. @param {Mark | null} mark @param {Pair} spacing */
export function markFields(mark, spacing) {
  if (mark === null || !isComplete(mark)) return {};
  const points = mark.kind === "recist" ? longFirst(mark.points, spacing) : mark.points;
  return { [mark.kind]: points.flat().map((value) => Math.round(value * 10) / 10).join(",") };
}

/** The mark of the URL's fields; null where there is none or it is not numbers. @param {Record<string, string>} fields @returns {Mark | null} */
export function markOf(fields) {
  for (const [kind, count] of MARK_NUMBERS) {
    const values = (fields[kind] ?? "").split(",").map(Number);
    if (fields[kind] && values.length === count && values.every(Number.isFinite)) {
      /** @type {Pair[]} */
      const points = [];
      for (let place = 0; place < count; place += 2) points.push([values[place], values[place + 1]]);
      return { kind, points };
    }
  }
  return null;
}

/** What to write beside a mark: its diameters or its extent in mm. @param {Mark} mark @param {Pair} spacing */
export function markSize(mark, spacing) {
  if (mark.kind === "point") return "";
  if (mark.kind === "box") {
    const [[x1, y1], [x2, y2]] = sorted(mark.points);
    return `${((x2 - x1) * spacing[0]).toFixed(1)} × ${((y2 - y1) * spacing[1]).toFixed(1)} mm box`;
  }
  const lengths = [];
  for (let place = 0; place + 1 < mark.points.length; place += 2) {
    lengths.push(distanceMm(mark.points[place], mark.points[place + 1], spacing));
  }
  return `${lengths.sort((a, b) => b - a).map((length) => length.toFixed(1)).join(" × ")} mm`;
}

/** @param {Pair[]} points @param {Pair} spacing */
function longFirst(points, spacing) {
  const first = distanceMm(points[0], points[1], spacing);
  const second = distanceMm(points[2], points[3], spacing);
  return first >= second ? points : [points[2], points[3], points[0], points[1]];
}

/** @param {Pair[]} points @returns {[[number, number], [number, number]]} */
function sorted([[x1, y1], [x2, y2]]) {
  return [[Math.min(x1, x2), Math.min(y1, y2)], [Math.max(x1, x2), Math.max(y1, y2)]];
}
