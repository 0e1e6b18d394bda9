// Lengths and ellipses that a reader draws: many on a stack, each on its slice and within its image; nothing is searched with them.

/**
 * @typedef {import("../projection.js").Pair} Pair
 * @typedef {import("../projection.js").Projection} Projection
 * @typedef {"length" | "ellipse"} RulerKind
 * @typedef {{ kind: RulerKind, slice: number, points: Pair[] }} Ruler two ends, or two corners of the ellipse's box
 * @typedef {{ ruler: Ruler, end: number | null, start: Pair, points: Pair[], fresh: boolean }} Drag
 */

const GRIP_PX = 8;
const LEAST_PX = 4;

/** Whether a tool measures. @param {string} tool @returns {tool is RulerKind} */
export function isMeasuring(tool) {
  return tool === "length" || tool === "ellipse";
}

/** The measurements of one stack. */
export class Rulers {
  /** @type {Ruler[]} */
  #all = [];
  /** @type {Drag | null} */
  #drag = null;
  /** @type {Ruler | null} */
  #chosen = null;
  /** Hears that one came, changed or went; not every move of a drag. */
  onChange = () => {};

  get all() {
    return this.#all;
  }

  /** The one that was drawn or touched last. */
  get chosen() {
    return this.#chosen;
  }

  /** Those of a slice. @param {number} slice */
  on(slice) {
    return this.#all.filter((one) => one.slice === slice);
  }

  clear() {
    this.#all = [];
    this.#drag = null;
    this.#chosen = null;
    this.onChange();
  }

  /** Makes one the chosen. @param {Ruler} ruler */
  choose(ruler) {
    this.#chosen = ruler;
  }

  /** Takes one away. @param {Ruler} ruler */
  take(ruler) {
    this.#all = this.#all.filter((one) => one !== ruler);
    if (this.#chosen === ruler) this.#chosen = null;
    this.onChange();
  }

  /** Takes the chosen one away, or the last of a slice; answers whether there was one. @param {number} slice */
  remove(slice) {
    const gone = this.#chosen !== null && this.#chosen.slice === slice ? this.#chosen : this.on(slice).at(-1);
    if (gone === undefined) return false;
    this.take(gone);
    this.#chosen = null;
    return true;
  }

  /** Whether a press would take hold of one of the tool's kind: "handle" or null. @param {Pair} at @param {Projection} projection @param {{ kind: RulerKind, slice: number }} what */
  hover(at, projection, what) {
    return this.#gripped(at, projection, what) === null ? null : "handle";
  }

  /** The pointer goes down. @param {Pair} at @param {Projection} projection @param {{ kind: RulerKind, slice: number }} what */
  press(at, projection, { kind, slice }) {
    const gripped = this.#gripped(at, projection, { kind, slice });
    if (gripped !== null) {
      this.#drag = { ...gripped, start: at, points: gripped.ruler.points, fresh: false };
    } else {
      const point = projection.toNearest(at);
      /** @type {Ruler} */
      const ruler = { kind, slice, points: [point, point] };
      this.#all.push(ruler);
      this.#drag = { ruler, end: 1, start: at, points: ruler.points, fresh: true };
    }
    this.#chosen = this.#drag.ruler;
  }

  /** The pointer moves while it is down. @param {Pair} at @param {Projection} projection */
  move(at, projection) {
    if (this.#drag === null || this.#drag.end === null) return;
    const moved = [...this.#drag.ruler.points];
    moved[this.#drag.end] = projection.toNearest(at);
    this.#drag.ruler.points = moved;
  }

  /** The pointer goes up: a click alone, or a drag beside the image, measures nothing. @param {Pair} at */
  release(at) {
    if (this.#drag === null) return;
    const { ruler, start, fresh } = this.#drag;
    this.#drag = null;
    const isClick = Math.hypot(at[0] - start[0], at[1] - start[1]) < LEAST_PX;
    if (fresh && (isClick || isNothing(ruler))) this.take(ruler);
    else this.onChange();
  }

  /** Gives up what is being drawn. */
  cancel() {
    if (this.#drag === null) return;
    const { ruler, points, fresh } = this.#drag;
    this.#drag = null;
    if (fresh) this.take(ruler);
    else ruler.points = points;
  }

  /** @param {Pair} at @param {Projection} projection @param {{ kind: RulerKind, slice: number }} what */
  #gripped(at, projection, { kind, slice }) {
    for (const ruler of this.on(slice).filter((one) => one.kind === kind).reverse()) {
      for (const [end, point] of ruler.points.entries()) {
        const [left, top] = projection.toScreen(point);
        if (Math.hypot(left - at[0], top - at[1]) <= GRIP_PX) return { ruler, end };
      }
    }
    return null;
  }
}

/** Whether a length has no millimetre, or an ellipse no area. @param {Ruler} ruler */
function isNothing({ kind, points: [[x1, y1], [x2, y2]] }) {
  return kind === "length" ? x1 === x2 && y1 === y2 : x1 === x2 || y1 === y2;
}
