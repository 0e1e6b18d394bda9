// From image pixels to the screen and back; pixels need not be square, millimetres are.

const LEAST_SCALE = 0.2;
const MOST_SCALE = 40;

/** @typedef {readonly [number, number]} Pair x and y, or left and top. */

/** What part of an image is seen: a centre in pixels and a scale in screen pixels per mm. */
export class Projection {
  /** @type {Pair} */
  #spacing = [1, 1];
  /** @type {Pair} */
  #center = [0, 0];
  #scale = 1;
  /** @type {Pair} */
  #size = [1, 1];
  /** @type {Pair} */
  #image = [1, 1];

  /** Millimetres a pixel along x and y. */
  get spacing() {
    return this.#spacing;
  }

  /** Screen pixels a millimetre. */
  get scale() {
    return this.#scale;
  }

  /** Width and height of the screen's part in its pixels. */
  get size() {
    return this.#size;
  }

  /** The screen's part has another size. @param {Pair} size */
  resize(size) {
    this.#size = size;
  }

  /** Another scale about the same centre. @param {number} scale */
  setScale(scale) {
    this.#scale = this.#bounded(scale);
  }

  /**
   * The image may be another one; what is seen of it stays.
   * @param {number} columns @param {number} rows @param {Pair} spacing
   */
  use(columns, rows, spacing) {
    this.#image = [columns, rows];
    this.#spacing = spacing;
  }

  /** Shows the whole image of columns x rows. @param {number} columns @param {number} rows @param {Pair} spacing */
  fit(columns, rows, spacing) {
    this.use(columns, rows, spacing);
    this.#center = [(columns - 1) / 2, (rows - 1) / 2];
    const [width, height] = this.#size;
    this.#scale = Math.min(width / (columns * spacing[0]), height / (rows * spacing[1]));
  }

  /** Shows a square of that many mm about a point of the image. @param {Pair} point @param {number} millimetres */
  focus([x, y], millimetres) {
    this.#center = [x, y];
    this.#scale = this.#bounded(Math.min(...this.#size) / millimetres);
  }

  /** A point of the image on the screen. @param {Pair} point @returns {[number, number]} */
  toScreen([x, y]) {
    return [
      (x - this.#center[0]) * this.#spacing[0] * this.#scale + this.#size[0] / 2,
      (y - this.#center[1]) * this.#spacing[1] * this.#scale + this.#size[1] / 2,
    ];
  }

  /** A point of the screen in the image. @param {Pair} at @returns {[number, number]} */
  toImage([left, top]) {
    return [
      (left - this.#size[0] / 2) / (this.#spacing[0] * this.#scale) + this.#center[0],
      (top - this.#size[1] / 2) / (this.#spacing[1] * this.#scale) + this.#center[1],
    ];
  }

  /** The point of the image nearest to one of the screen: its edges are those of its outer pixels. @param {Pair} at @returns {[number, number]} */
  toNearest(at) {
    const [x, y] = this.toImage(at);
    return [clamp(x, -0.5, this.#image[0] - 0.5), clamp(y, -0.5, this.#image[1] - 0.5)];
  }

  /** Moves the image by screen pixels; its middle never leaves the picture. @param {number} dx @param {number} dy */
  pan(dx, dy) {
    const [x, y] = this.#center;
    this.#center = [
      clamp(x - dx / (this.#spacing[0] * this.#scale), 0, this.#image[0] - 1),
      clamp(y - dy / (this.#spacing[1] * this.#scale), 0, this.#image[1] - 1),
    ];
  }

  /** Zooms about a point of the screen that stays where it is. @param {number} factor @param {Pair} [at] */
  zoom(factor, at = [this.#size[0] / 2, this.#size[1] / 2]) {
    const before = this.toImage(at);
    this.#scale = this.#bounded(this.#scale * factor);
    const after = this.toImage(at);
    this.#center = [this.#center[0] + before[0] - after[0], this.#center[1] + before[1] - after[1]];
  }

  /** @param {number} scale */
  #bounded(scale) {
    return clamp(scale, LEAST_SCALE, MOST_SCALE);
  }
}

/** Millimetres between two points of an image. @param {Pair} one @param {Pair} other @param {Pair} spacing */
export function distanceMm([x1, y1], [x2, y2], [spacingX, spacingY]) {
  return Math.hypot((x2 - x1) * spacingX, (y2 - y1) * spacingY);
}

/** @param {number} value @param {number} low @param {number} high */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
