// From image pixels to the screen and back; pixels need not be square, millimetres are.

const LEAST_SCALE = 0.2;
const MOST_SCALE = 40;

/** What part of an image is seen: a centre in pixels and a scale in screen pixels per mm. */
export class Projection {
  constructor() {
    this.spacing = [1, 1];
    this.center = [0, 0];
    this.scale = 1;
    this.size = [1, 1];
    this.image = [1, 1];
  }

  /** Shows the whole image of columns x rows. */
  fit(columns, rows, spacing) {
    this.image = [columns, rows];
    this.spacing = spacing;
    this.center = [(columns - 1) / 2, (rows - 1) / 2];
    const [width, height] = this.size;
    this.scale = Math.min(width / (columns * spacing[0]), height / (rows * spacing[1]));
  }

  /** Shows a square of that many mm about a point of the image. */
  focus([x, y], millimetres) {
    this.center = [x, y];
    this.scale = this.#bounded(Math.min(...this.size) / millimetres);
  }

  toScreen([x, y]) {
    return [
      (x - this.center[0]) * this.spacing[0] * this.scale + this.size[0] / 2,
      (y - this.center[1]) * this.spacing[1] * this.scale + this.size[1] / 2,
    ];
  }

  toImage([left, top]) {
    return [
      (left - this.size[0] / 2) / (this.spacing[0] * this.scale) + this.center[0],
      (top - this.size[1] / 2) / (this.spacing[1] * this.scale) + this.center[1],
    ];
  }

  /** Moves the image by screen pixels; its middle never leaves the picture. */
  pan(dx, dy) {
    const [x, y] = this.center;
    this.center = [
      clamp(x - dx / (this.spacing[0] * this.scale), 0, this.image[0] - 1),
      clamp(y - dy / (this.spacing[1] * this.scale), 0, this.image[1] - 1),
    ];
  }

  /** Zooms about a point of the screen that stays where it is. */
  zoom(factor, at = [this.size[0] / 2, this.size[1] / 2]) {
    const before = this.toImage(at);
    this.scale = this.#bounded(this.scale * factor);
    const after = this.toImage(at);
    this.center = [this.center[0] + before[0] - after[0], this.center[1] + before[1] - after[1]];
  }

  #bounded(scale) {
    return clamp(scale, LEAST_SCALE, MOST_SCALE);
  }
}

/** Millimetres between two points of an image. */
export function distanceMm([x1, y1], [x2, y2], [spacingX, spacingY]) {
  return Math.hypot((x2 - x1) * spacingX, (y2 - y1) * spacingY);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
